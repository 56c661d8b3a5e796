//! Sets.

use crate::doc::{Group, integer, key_arg, pattern, string};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::set;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE};
use crate::keyspec::{counted_keys, key, keys};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Spec};

pub static ROWS: &[Spec] = &[
    write(Id::Sadd, "sadd", at_least(3), &[key(1, RW | INSERT)], set::sadd)
        .flags(DENYOOM | FAST)
        .acl(category::SET)
        .doc(
            Group::Set,
            "1.0.0",
            "O(N) where N is the number of members named",
            "Adds members to a set; creates the key if it is missing.",
        )
        .args(&[key_arg("key", 0), string("member").multiple()]),
    read(Id::Scard, "scard", exactly(2), &[key(1, RO)], set::scard)
        .flags(FAST)
        .acl(category::SET)
        .doc(Group::Set, "1.0.0", "O(1)", "Answers the number of members of a set.")
        .args(&[key_arg("key", 0)]),
    read(Id::Sdiff, "sdiff", at_least(2), &[keys(1, -1, 1, RO | ACCESS)], set::sdiff)
        .acl(category::SET)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Set,
            "1.0.0",
            "O(N*M) where N is the size of the first set and M the number of sets",
            "Answers the members of the first set that no other set has.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    write(
        Id::Sdiffstore,
        "sdiffstore",
        at_least(3),
        &[key(1, OW | UPDATE), keys(2, -1, 1, RO | ACCESS)],
        set::sdiffstore,
    )
    .flags(DENYOOM)
    .acl(category::SET)
    .doc(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the size of the first set and M the number of sets",
        "Stores the members of the first set that no other set has.",
    )
    .args(&[key_arg("destination", 0), key_arg("key", 1).multiple()]),
    read(Id::Sinter, "sinter", at_least(2), &[keys(1, -1, 1, RO | ACCESS)], set::sinter)
        .acl(category::SET)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Set,
            "1.0.0",
            "O(N*M) where N is the size of the smallest set and M the number of sets",
            "Answers the members that all sets have.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    read(Id::Sintercard, "sintercard", at_least(3), &[counted_keys(1, RO | ACCESS)], set::sintercard)
        .acl(category::SET)
        .doc(
            Group::Set,
            "7.0.0",
            "O(N*M) where N is the size of the smallest set and M the number of sets",
            "Counts the members that all sets have.",
        )
        .args(&[
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            integer("limit").token("LIMIT").optional(),
        ]),
    write(
        Id::Sinterstore,
        "sinterstore",
        at_least(3),
        &[key(1, RW | UPDATE), keys(2, -1, 1, RO | ACCESS)],
        set::sinterstore,
    )
    .flags(DENYOOM)
    .acl(category::SET)
    .doc(
        Group::Set,
        "1.0.0",
        "O(N*M) where N is the size of the smallest set and M the number of sets",
        "Stores the members that all sets have.",
    )
    .args(&[key_arg("destination", 0), key_arg("key", 1).multiple()]),
    read(Id::Sismember, "sismember", exactly(3), &[key(1, RO)], set::sismember)
        .flags(FAST)
        .acl(category::SET)
        .doc(Group::Set, "1.0.0", "O(1)", "Answers whether a set has a member.")
        .args(&[key_arg("key", 0), string("member")]),
    read(Id::Smembers, "smembers", exactly(2), &[key(1, RO | ACCESS)], set::smembers)
        .acl(category::SET)
        .tips(&["nondeterministic_output_order"])
        .doc(Group::Set, "1.0.0", "O(N) where N is the size of the set", "Answers all members of a set.")
        .args(&[key_arg("key", 0)]),
    read(Id::Smismember, "smismember", at_least(3), &[key(1, RO | ACCESS)], set::smismember)
        .flags(FAST)
        .acl(category::SET)
        .doc(
            Group::Set,
            "6.2.0",
            "O(N) where N is the number of members named",
            "Answers which of the members a set has.",
        )
        .args(&[key_arg("key", 0), string("member").multiple()]),
    write(Id::Smove, "smove", exactly(4), &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)], set::smove)
        .flags(FAST)
        .acl(category::SET)
        .doc(Group::Set, "1.0.0", "O(1)", "Moves a member from one set to another.")
        .args(&[key_arg("source", 0), key_arg("destination", 1), string("member")]),
    write(Id::Spop, "spop", at_least(2), &[key(1, RW | ACCESS | DELETE)], set::spop)
        .flags(FAST)
        .acl(category::SET)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Set,
            "1.0.0",
            "O(N) where N is the number of members answered",
            "Removes random members from a set and answers them.",
        )
        .args(&[key_arg("key", 0), integer("count").since("3.2.0").optional()]),
    read(Id::Srandmember, "srandmember", at_least(2), &[key(1, RO | ACCESS)], set::srandmember)
        .acl(category::SET)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Set,
            "1.0.0",
            "O(N) where N is the number of members answered",
            "Answers random members of a set.",
        )
        .args(&[key_arg("key", 0), integer("count").since("2.6.0").optional()]),
    write(Id::Srem, "srem", at_least(3), &[key(1, RW | DELETE)], set::srem)
        .flags(FAST)
        .acl(category::SET)
        .doc(
            Group::Set,
            "1.0.0",
            "O(N) where N is the number of members named",
            "Removes members from a set; the key goes with its last member.",
        )
        .args(&[key_arg("key", 0), string("member").multiple()]),
    read(Id::Sscan, "sscan", at_least(3), &[key(1, RO | ACCESS)], set::sscan)
        .acl(category::SET)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Set,
            "2.8.0",
            "O(1) for each call, O(N) for the whole iteration",
            "Iterates over the members of a set.",
        )
        .args(&[
            key_arg("key", 0),
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
        ]),
    read(Id::Sunion, "sunion", at_least(2), &[keys(1, -1, 1, RO | ACCESS)], set::sunion)
        .acl(category::SET)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Set,
            "1.0.0",
            "O(N) where N is the size of all sets together",
            "Answers the members of all sets.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    write(
        Id::Sunionstore,
        "sunionstore",
        at_least(3),
        &[key(1, OW | UPDATE), keys(2, -1, 1, RO | ACCESS)],
        set::sunionstore,
    )
    .flags(DENYOOM)
    .acl(category::SET)
    .doc(
        Group::Set,
        "1.0.0",
        "O(N) where N is the size of all sets together",
        "Stores the members of all sets.",
    )
    .args(&[key_arg("destination", 0), key_arg("key", 1).multiple()]),
];
