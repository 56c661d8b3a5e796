//! Strings.

use crate::doc::{Group, block, double, integer, key_arg, one_of, string, unix_time, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::string;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE, VARIABLE_FLAGS};
use crate::keyspec::{key, keys};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Merge, Spec};

pub static ROWS: &[Spec] = &[
    write(Id::Append, "append", exactly(3), &[key(1, RW | INSERT)], string::append)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "2.0.0",
            "O(N) in the length of the joined value",
            "Appends bytes to a string; creates the key if it is missing.",
        )
        .args(&[key_arg("key", 0), string("value")]),
    write(Id::Decr, "decr", exactly(2), &[key(1, RW | ACCESS | UPDATE)], string::decr)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.0",
            "O(1)",
            "Subtracts one from the integer value of a key; a missing key counts as 0.",
        )
        .args(&[key_arg("key", 0)]),
    write(Id::Decrby, "decrby", exactly(3), &[key(1, RW | ACCESS | UPDATE)], string::decrby)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.0",
            "O(1)",
            "Subtracts a number from the integer value of a key; a missing key counts as 0.",
        )
        .args(&[key_arg("key", 0), integer("decrement")]),
    read(Id::Get, "get", exactly(2), &[key(1, RO | ACCESS)], string::get)
        .flags(FAST)
        .acl(category::STRING)
        .doc(Group::String, "1.0.0", "O(1)", "Answers the string value of a key.")
        .args(&[key_arg("key", 0)]),
    write(Id::Getdel, "getdel", exactly(2), &[key(1, RW | ACCESS | DELETE)], string::getdel)
        .flags(FAST)
        .acl(category::STRING)
        .doc(Group::String, "6.2.0", "O(1)", "Answers the string value of a key and deletes the key.")
        .args(&[key_arg("key", 0)]),
    write(
        Id::Getex,
        "getex",
        at_least(2),
        &[key(1, RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL")],
        string::getex,
    )
    .flags(FAST)
    .acl(category::STRING)
    .doc(Group::String, "6.2.0", "O(1)", "Answers the string value of a key and sets or removes its expiry.")
    .args(&[
        key_arg("key", 0),
        one_of(
            "expiration",
            &[
                integer("seconds").token("EX"),
                integer("milliseconds").token("PX"),
                unix_time("unix-time-seconds").token("EXAT"),
                unix_time("unix-time-milliseconds").token("PXAT"),
                word("persist", "PERSIST"),
            ],
        )
        .optional(),
    ]),
    read(Id::Getrange, "getrange", exactly(4), &[key(1, RO | ACCESS)], string::getrange)
        .acl(category::STRING)
        .doc(
            Group::String,
            "2.4.0",
            "O(N) in the length of the answer",
            "Answers the bytes of a string between two positions, both included.",
        )
        .args(&[key_arg("key", 0), integer("start"), integer("end")]),
    write(Id::Getset, "getset", exactly(3), &[key(1, RW | ACCESS | UPDATE)], string::getset)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(Group::String, "1.0.0", "O(1)", "Sets a string and answers the value it had before.")
        .deprecated("6.2.0", "`SET` with the `!GET` argument")
        .args(&[key_arg("key", 0), string("value")]),
    write(Id::Incr, "incr", exactly(2), &[key(1, RW | ACCESS | UPDATE)], string::incr)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.0",
            "O(1)",
            "Adds one to the integer value of a key; a missing key counts as 0.",
        )
        .args(&[key_arg("key", 0)]),
    write(Id::Incrby, "incrby", exactly(3), &[key(1, RW | ACCESS | UPDATE)], string::incrby)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.0",
            "O(1)",
            "Adds a number to the integer value of a key; a missing key counts as 0.",
        )
        .args(&[key_arg("key", 0), integer("increment")]),
    write(Id::Incrbyfloat, "incrbyfloat", exactly(3), &[key(1, RW | ACCESS | UPDATE)], string::incrbyfloat)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(
            Group::String,
            "2.6.0",
            "O(1)",
            "Adds a decimal number to the numeric value of a key; a missing key counts as 0.",
        )
        .args(&[key_arg("key", 0), double("increment")]),
    read(Id::Lcs, "lcs", at_least(3), &[keys(1, 1, 1, RO | ACCESS)], string::lcs)
        .acl(category::STRING)
        .doc(
            Group::String,
            "7.0.0",
            "O(N*M) where N and M are the lengths of the two strings",
            "Finds the longest common subsequence of two strings.",
        )
        .args(&[
            key_arg("key1", 0),
            key_arg("key2", 0),
            word("len", "LEN").optional(),
            word("idx", "IDX").optional(),
            integer("min-match-len").token("MINMATCHLEN").optional(),
            word("withmatchlen", "WITHMATCHLEN").optional(),
        ]),
    read(Id::Mget, "mget", at_least(2), &[keys(1, -1, 1, RO | ACCESS)], string::mget)
        .flags(FAST)
        .acl(category::STRING)
        .split(Merge::ByKeyOrder)
        .tips(&["request_policy:multi_shard"])
        .doc(
            Group::String,
            "1.0.0",
            "O(N) where N is the number of keys",
            "Answers the string values of several keys, null for each that has none.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    write(Id::Mset, "mset", at_least(3), &[keys(1, -1, 2, OW | UPDATE)], string::mset)
        .flags(DENYOOM)
        .acl(category::STRING)
        .split(Merge::AllOk)
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .doc(Group::String, "1.0.1", "O(N) where N is the number of keys", "Sets several strings.")
        .args(&[block("data", &[key_arg("key", 0), string("value")]).multiple()]),
    write(Id::Msetnx, "msetnx", at_least(3), &[keys(1, -1, 2, OW | INSERT)], string::msetnx)
        .flags(DENYOOM)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.1",
            "O(N) where N is the number of keys",
            "Sets several strings, but only if none of the keys exists.",
        )
        .args(&[block("data", &[key_arg("key", 0), string("value")]).multiple()]),
    write(Id::Psetex, "psetex", exactly(4), &[key(1, OW | UPDATE)], string::psetex)
        .flags(DENYOOM)
        .acl(category::STRING)
        .doc(Group::String, "2.6.0", "O(1)", "Sets a string that expires after a number of milliseconds.")
        .deprecated("2.6.12", "`SET` with the `PX` argument")
        .args(&[key_arg("key", 0), integer("milliseconds"), string("value")]),
    write(
        Id::Set,
        "set",
        at_least(3),
        &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS)
            .notes("RW and ACCESS due to the optional `GET` argument")],
        string::set,
    )
    .flags(DENYOOM)
    .acl(category::STRING)
    .doc(
        Group::String,
        "1.0.0",
        "O(1)",
        "Sets a string, whatever the key held before, with conditions and an expiry if wanted.",
    )
    .args(&[
        key_arg("key", 0),
        string("value"),
        one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).since("2.6.12").optional(),
        word("get", "GET").since("6.2.0").optional(),
        one_of(
            "expiration",
            &[
                integer("seconds").token("EX").since("2.6.12"),
                integer("milliseconds").token("PX").since("2.6.12"),
                unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                unix_time("unix-time-milliseconds").token("PXAT").since("6.2.0"),
                word("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ]),
    write(Id::Setex, "setex", exactly(4), &[key(1, OW | UPDATE)], string::setex)
        .flags(DENYOOM)
        .acl(category::STRING)
        .doc(Group::String, "2.0.0", "O(1)", "Sets a string that expires after a number of seconds.")
        .deprecated("2.6.12", "`SET` with the `EX` argument")
        .args(&[key_arg("key", 0), integer("seconds"), string("value")]),
    write(Id::Setnx, "setnx", exactly(3), &[key(1, OW | INSERT)], string::setnx)
        .flags(DENYOOM | FAST)
        .acl(category::STRING)
        .doc(Group::String, "1.0.0", "O(1)", "Sets a string, but only if the key is missing.")
        .deprecated("2.6.12", "`SET` with the `NX` argument")
        .args(&[key_arg("key", 0), string("value")]),
    write(Id::Setrange, "setrange", exactly(4), &[key(1, RW | UPDATE)], string::setrange)
        .flags(DENYOOM)
        .acl(category::STRING)
        .doc(
            Group::String,
            "2.2.0",
            "O(N) in the length of the resulting value",
            "Overwrites part of a string from an offset on; creates the key if it is missing.",
        )
        .args(&[key_arg("key", 0), integer("offset"), string("value")]),
    read(Id::Strlen, "strlen", exactly(2), &[key(1, RO)], string::strlen)
        .flags(FAST)
        .acl(category::STRING)
        .doc(Group::String, "2.2.0", "O(1)", "Answers the length of a string in bytes.")
        .args(&[key_arg("key", 0)]),
    read(Id::Substr, "substr", exactly(4), &[key(1, RO | ACCESS)], string::getrange)
        .acl(category::STRING)
        .doc(
            Group::String,
            "1.0.0",
            "O(N) in the length of the answer",
            "Answers the bytes of a string between two positions, both included.",
        )
        .deprecated("2.0.0", "`GETRANGE`")
        .args(&[key_arg("key", 0), integer("start"), integer("end")]),
];
