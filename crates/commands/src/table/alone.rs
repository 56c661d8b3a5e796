//! What concerns a Redis that stands alone: saving, replicas, modules. Every write is durable here and
//! replicas are the cluster's own, so the proxy refuses these in Redis's words, or says how things are.

use crate::doc::{Group, block, integer, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{
    ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, READONLY, STALE,
};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

const ALONE: u32 = NO_ASYNC_LOADING | ADMIN | NOSCRIPT;

pub static ROWS: &[Spec] =
    &[
        local(Id::Bgrewriteaof, "bgrewriteaof", exactly(1), ProxyCommand::Alone).flags(ALONE).doc(
            Group::Server,
            "1.0.0",
            "O(1)",
            "Refused: there is no append-only file.",
        ),
        local(Id::Bgsave, "bgsave", at_least(1), ProxyCommand::Alone)
            .flags(ALONE)
            .doc(Group::Server, "1.0.0", "O(1)", "Refused: every write is saved before it is answered.")
            .args(&[word("schedule", "SCHEDULE").optional().since("3.2.2")]),
        local(Id::Failover, "failover", at_least(1), ProxyCommand::Alone)
            .flags(ADMIN | NOSCRIPT | STALE)
            .doc(Group::Server, "6.2.0", "O(1)", "Refused: the cluster fails over by itself.")
            .args(&[
                block("target", &[string("host"), integer("port"), word("force", "FORCE").optional()])
                    .token("TO")
                    .optional(),
                word("abort", "ABORT").optional(),
                integer("milliseconds").token("TIMEOUT").optional(),
            ]),
        local(Id::Lastsave, "lastsave", exactly(1), ProxyCommand::Alone)
            .flags(LOADING | STALE | FAST)
            .acl(category::ADMIN | category::DANGEROUS)
            .tips(&["nondeterministic_output"])
            .doc(Group::Server, "1.0.0", "O(1)", "Refused: every write is saved before it is answered."),
        local(Id::Lolwut, "lolwut", at_least(1), ProxyCommand::Alone)
            .flags(READONLY | FAST)
            .doc(Group::Server, "5.0.0", "", "Answers the version of Redis that this is compatible with.")
            .args(&[integer("version").token("VERSION").optional()]),
        container(
            Id::Module,
            "module",
            &[
                local(Id::ModuleHelp, "module|help", exactly(2), ProxyCommand::Help)
                    .flags(LOADING | STALE)
                    .doc(Group::Server, "5.0.0", "O(1)", "Lists the subcommands."),
                local(Id::ModuleList, "module|list", exactly(2), ProxyCommand::Alone)
                    .flags(ADMIN | NOSCRIPT)
                    .tips(&["nondeterministic_output_order"])
                    .doc(
                        Group::Server,
                        "4.0.0",
                        "O(N) where N is the number of loaded modules",
                        "Lists the loaded modules: none.",
                    ),
                local(Id::ModuleLoad, "module|load", at_least(3), ProxyCommand::Alone)
                    .flags(ALONE)
                    .doc(Group::Server, "4.0.0", "O(1)", "Refused: there are no modules.")
                    .args(&[string("path"), string("arg").optional().multiple()]),
                local(Id::ModuleLoadex, "module|loadex", at_least(3), ProxyCommand::Alone)
                    .flags(ALONE)
                    .doc(Group::Server, "7.0.0", "O(1)", "Refused: there are no modules.")
                    .args(&[
                        string("path"),
                        block("configs", &[string("name"), string("value")])
                            .token("CONFIG")
                            .optional()
                            .multiple()
                            .multiple_token(),
                        string("args").token("ARGS").optional().multiple(),
                    ]),
                local(Id::ModuleUnload, "module|unload", exactly(3), ProxyCommand::Alone)
                    .flags(ALONE)
                    .doc(Group::Server, "4.0.0", "O(1)", "Refused: there are no modules.")
                    .args(&[string("name")]),
            ],
        )
        .doc(Group::Server, "4.0.0", "Depends on the subcommand.", "Looks at modules."),
        local(Id::Replicaof, "replicaof", exactly(3), ProxyCommand::Alone)
            .flags(ALONE | STALE)
            .doc(Group::Server, "5.0.0", "O(1)", "Refused: replicas are the cluster's own.")
            .args(&[MASTER]),
        local(Id::Role, "role", exactly(1), ProxyCommand::Role)
            .flags(NOSCRIPT | LOADING | STALE | FAST)
            .acl(category::ADMIN | category::DANGEROUS)
            .doc(Group::Server, "2.8.12", "O(1)", "Answers the part that this node has in replication."),
        local(Id::Save, "save", exactly(1), ProxyCommand::Alone).flags(ALONE | NO_MULTI).doc(
            Group::Server,
            "1.0.0",
            "O(1)",
            "Refused: every write is saved before it is answered.",
        ),
        local(Id::Shutdown, "shutdown", at_least(1), ProxyCommand::Alone)
            .flags(ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY)
            .doc(Group::Server, "1.0.0", "O(1)", "Refused: who started a process stops it.")
            .args(&[
                one_of("save-selector", &[word("nosave", "NOSAVE"), word("save", "SAVE")]).optional(),
                word("now", "NOW").optional().since("7.0.0"),
                word("force", "FORCE").optional().since("7.0.0"),
                word("abort", "ABORT").optional().since("7.0.0"),
            ]),
        local(Id::Slaveof, "slaveof", exactly(3), ProxyCommand::Alone)
            .flags(ALONE | STALE)
            .doc(Group::Server, "1.0.0", "O(1)", "Refused: replicas are the cluster's own.")
            .deprecated("5.0.0", "`REPLICAOF`")
            .args(&[MASTER]),
    ];

const MASTER: crate::doc::Arg = one_of(
    "args",
    &[
        block("host-port", &[string("host"), integer("port")]),
        block("no-one", &[word("no", "NO"), word("one", "ONE")]),
    ],
);
