//! HyperLogLogs.

use crate::doc::{Group, key_arg, string};
use crate::flags::category;
use crate::flags::flag::{ADMIN, DENYOOM, FAST};
use crate::handler::hyperloglog;
use crate::keyspec::key_flag::{ACCESS, INSERT, RO, RW};
use crate::keyspec::{key, keys};
use crate::spec::{at_least, exactly, local, write};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    write(Id::Pfadd, "pfadd", at_least(2), &[key(1, RW | INSERT)], hyperloglog::pfadd)
        .flags(DENYOOM | FAST)
        .acl(category::HYPERLOGLOG)
        .doc(
            Group::HyperLogLog,
            "2.8.9",
            "O(1) for each element",
            "Adds elements to a HyperLogLog; creates the key if it is missing.",
        )
        .args(&[key_arg("key", 0), string("element").optional().multiple()]),
    write(
        Id::Pfcount,
        "pfcount",
        at_least(2),
        &[keys(1, -1, 1, RW | ACCESS)
            .notes("RW because it may change the internal representation of the key, and propagate to replicas")],
        hyperloglog::pfcount,
    )
    .shown_as_read()
    .acl(category::HYPERLOGLOG)
    .doc(
        Group::HyperLogLog,
        "2.8.9",
        "O(1) for one key that has not changed since it was last counted, else O(N) in the number of keys with a large constant",
        "Estimates how many different elements were added to one HyperLogLog or to any of several.",
    )
    .args(&[key_arg("key", 0).multiple()]),
    write(Id::Pfdebug, "pfdebug", exactly(3), &[key(2, RW | ACCESS)], hyperloglog::pfdebug)
        .flags(DENYOOM | ADMIN)
        .acl(category::HYPERLOGLOG)
        .system()
        .doc(Group::HyperLogLog, "2.8.9", "N/A", "Looks into a HyperLogLog: GETREG, DECODE, ENCODING or TODENSE.")
        .args(&[string("subcommand"), key_arg("key", 0)]),
    write(
        Id::Pfmerge,
        "pfmerge",
        at_least(2),
        &[key(1, RW | ACCESS | INSERT), keys(2, -1, 1, RO | ACCESS)],
        hyperloglog::pfmerge,
    )
    .flags(DENYOOM)
    .acl(category::HYPERLOGLOG)
    .doc(
        Group::HyperLogLog,
        "2.8.9",
        "O(N) in the number of keys, with a large constant",
        "Merges HyperLogLogs into one.",
    )
    .args(&[key_arg("destkey", 0), key_arg("sourcekey", 1).optional().multiple()]),
    local(Id::Pfselftest, "pfselftest", exactly(1), ProxyCommand::Alone)
        .flags(ADMIN)
        .acl(category::HYPERLOGLOG)
        .system()
        .doc(Group::HyperLogLog, "2.8.9", "N/A", "Tests HyperLogLogs: their encodings and their estimates."),
];
