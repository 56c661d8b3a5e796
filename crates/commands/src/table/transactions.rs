//! Transactions. The proxy queues their commands.

use crate::doc::{Group, key_arg};
use crate::flags::category::TRANSACTION;
use crate::flags::flag::{ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE};
use crate::keyspec::key_flag::RO;
use crate::keyspec::keys;
use crate::spec::{at_least, exactly, local};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    local(Id::Discard, "discard", exactly(1), ProxyCommand::Discard)
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .acl(TRANSACTION)
        .doc(
            Group::Transactions,
            "2.0.0",
            "O(N) where N is the number of queued commands",
            "Drops a transaction.",
        ),
    local(Id::Exec, "exec", exactly(1), ProxyCommand::Exec)
        .flags(NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG)
        .acl(TRANSACTION)
        .doc(Group::Transactions, "1.2.0", "Depends on the queued commands.", "Executes a transaction."),
    local(Id::Multi, "multi", exactly(1), ProxyCommand::Multi)
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .acl(TRANSACTION)
        .doc(Group::Transactions, "1.2.0", "O(1)", "Begins a transaction."),
    local(Id::Unwatch, "unwatch", exactly(1), ProxyCommand::Unwatch)
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .acl(TRANSACTION)
        .doc(Group::Transactions, "2.2.0", "O(1)", "Forgets the keys that are watched."),
    local(Id::Watch, "watch", at_least(2), ProxyCommand::Watch)
        .flags(NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .keys(&[keys(1, -1, 1, RO)])
        .acl(TRANSACTION)
        .doc(
            Group::Transactions,
            "2.2.0",
            "O(1) for every key.",
            "Watches keys: the next transaction is executed only if none of them was changed.",
        )
        .args(&[key_arg("key", 0).multiple()]),
];
