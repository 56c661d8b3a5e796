//! Hashes whose fields expire.

use crate::doc::{Arg, Group, block, integer, key_arg, one_of, string, unix_time, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::hash;
use crate::keyspec::key_flag::{ACCESS, DELETE, RO, RW, UPDATE};
use crate::keyspec::{KeySpec, key};
use crate::namespace::Spread;
use crate::spec::{ReadFn, WriteFn, at_least, read, write};
use crate::{Id, Merge, Spec};

const CONDITION: Arg =
    one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")]).optional();
const FIELDS: Arg = block("fields", &[integer("numfields"), string("field").multiple()]).token("FIELDS");
const PAIRS: Arg =
    block("fields", &[integer("numfields"), block("data", &[string("field"), string("value")]).multiple()])
        .token("FIELDS");
const EX: Arg = integer("seconds").token("EX");
const PX: Arg = integer("milliseconds").token("PX");
const EXAT: Arg = unix_time("unix-time-seconds").token("EXAT");
const PXAT: Arg = unix_time("unix-time-milliseconds").token("PXAT");
const KEY_AND_FIELDS: &[Arg] = &[key_arg("key", 0), FIELDS];
const ASKED: &[KeySpec] = &[key(1, RO | ACCESS)];
const CHANGED: &[KeySpec] = &[key(1, RW | UPDATE)];
const BY_FIELD: Spread = Spread::Counted { step: 1, merge: Some(Merge::ByKeyOrder) };
const COST: &str = "O(N) where N is the number of fields named";

const fn set(id: Id, name: &'static str, handler: WriteFn) -> Spec {
    write(id, name, at_least(6), CHANGED, handler).flags(DENYOOM | FAST).acl(category::HASH)
}

const fn ask(id: Id, name: &'static str, handler: ReadFn, summary: &'static str) -> Spec {
    read(id, name, at_least(5), ASKED, handler)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "7.4.0", COST, summary)
        .args(KEY_AND_FIELDS)
}

pub static ROWS: &[Spec] = &[
    set(Id::Hexpire, "hexpire", hash::hexpire)
        .spread(BY_FIELD)
        .doc(Group::Hash, "7.4.0", COST, "Sets the time to live of fields of a hash in seconds.")
        .args(&[key_arg("key", 0), integer("seconds"), CONDITION, FIELDS]),
    set(Id::Hexpireat, "hexpireat", hash::hexpireat)
        .spread(BY_FIELD)
        .doc(Group::Hash, "7.4.0", COST, "Sets the moment at which fields of a hash expire, in Unix seconds.")
        .args(&[key_arg("key", 0), unix_time("unix-time-seconds"), CONDITION, FIELDS]),
    ask(
        Id::Hexpiretime,
        "hexpiretime",
        hash::hexpiretime,
        "Answers the moments at which fields of a hash expire, in Unix seconds.",
    )
    .spread(BY_FIELD)
    .tips(&["nondeterministic_output"]),
    write(Id::Hgetdel, "hgetdel", at_least(5), &[key(1, RW | ACCESS | DELETE)], hash::hgetdel)
        .spread(BY_FIELD)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "8.0.0", COST, "Answers the values of fields of a hash and deletes the fields.")
        .args(KEY_AND_FIELDS),
    write(Id::Hgetex, "hgetex", at_least(5), &[key(1, RW | ACCESS | UPDATE)], hash::hgetex)
        .spread(BY_FIELD)
        .flags(FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "8.0.0",
            COST,
            "Answers the values of fields of a hash, and sets or removes their expiry.",
        )
        .args(&[
            key_arg("key", 0),
            one_of("expiration", &[EX, PX, EXAT, PXAT, word("persist", "PERSIST")]).optional(),
            FIELDS,
        ]),
    write(Id::Hpersist, "hpersist", at_least(5), CHANGED, hash::hpersist)
        .spread(BY_FIELD)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "7.4.0", COST, "Removes the expiry of fields of a hash.")
        .args(KEY_AND_FIELDS),
    set(Id::Hpexpire, "hpexpire", hash::hpexpire)
        .spread(BY_FIELD)
        .doc(Group::Hash, "7.4.0", COST, "Sets the time to live of fields of a hash in milliseconds.")
        .args(&[key_arg("key", 0), integer("milliseconds"), CONDITION, FIELDS]),
    set(Id::Hpexpireat, "hpexpireat", hash::hpexpireat)
        .spread(BY_FIELD)
        .doc(
            Group::Hash,
            "7.4.0",
            COST,
            "Sets the moment at which fields of a hash expire, in Unix milliseconds.",
        )
        .args(&[key_arg("key", 0), unix_time("unix-time-milliseconds"), CONDITION, FIELDS]),
    ask(
        Id::Hpexpiretime,
        "hpexpiretime",
        hash::hpexpiretime,
        "Answers the moments at which fields of a hash expire, in Unix milliseconds.",
    )
    .spread(BY_FIELD),
    ask(
        Id::Hpttl,
        "hpttl",
        hash::hpttl,
        "Answers the remaining time to live of fields of a hash in milliseconds.",
    )
    .spread(BY_FIELD)
    .tips(&["nondeterministic_output"]),
    write(Id::Hsetex, "hsetex", at_least(6), CHANGED, hash::hsetex)
        .spread(Spread::Counted { step: 2, merge: None })
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "8.0.0", COST, "Sets fields of a hash and when they expire.")
        .args(&[
            key_arg("key", 0),
            one_of("condition", &[word("fnx", "FNX"), word("fxx", "FXX")]).optional(),
            one_of("expiration", &[EX, PX, EXAT, PXAT, word("keepttl", "KEEPTTL")]).optional(),
            PAIRS,
        ]),
    ask(Id::Httl, "httl", hash::httl, "Answers the remaining time to live of fields of a hash in seconds.")
        .spread(BY_FIELD)
        .tips(&["nondeterministic_output"]),
];
