//! The server: commands about commands, configuration, figures. The proxy executes these itself, but for
//! MEMORY USAGE.

use crate::doc::{Group, block, integer, key_arg, one_of, pattern, string};
use crate::flags::category;
use crate::flags::flag::{ADMIN, FAST, LOADING, NOSCRIPT, STALE};
use crate::handler::keyspace;
use crate::keyspec::key;
use crate::keyspec::key_flag::RO;
use crate::spec::{at_least, container, exactly, local, read};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    local(Id::Command, "command", at_least(1), ProxyCommand::Command)
        .subcommands(&[
            local(Id::CommandCount, "command|count", exactly(2), ProxyCommand::CommandCount)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Server, "2.8.13", "O(1)", "Counts the commands."),
            local(Id::CommandDocs, "command|docs", at_least(2), ProxyCommand::CommandDocs)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["nondeterministic_output_order"])
                .doc(
                    Group::Server,
                    "7.0.0",
                    "O(N) where N is the number of commands asked for",
                    "Documents commands.",
                )
                .args(&[string("command-name").optional().multiple()]),
            local(Id::CommandGetkeys, "command|getkeys", at_least(3), ProxyCommand::CommandGetKeys)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Server,
                    "2.8.13",
                    "O(N) where N is the number of arguments",
                    "Finds the keys in a command.",
                )
                .args(&[string("command"), string("arg").optional().multiple()]),
            local(
                Id::CommandGetkeysandflags,
                "command|getkeysandflags",
                at_least(3),
                ProxyCommand::CommandGetKeysAndFlags,
            )
            .flags(LOADING | STALE)
            .acl(category::CONNECTION)
            .doc(
                Group::Server,
                "7.0.0",
                "O(N) where N is the number of arguments",
                "Finds the keys in a command and tells how they are used.",
            )
            .args(&[string("command"), string("arg").optional().multiple()]),
            local(Id::CommandHelp, "command|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Server, "5.0.0", "O(1)", "Lists the subcommands."),
            local(Id::CommandInfo, "command|info", at_least(2), ProxyCommand::CommandInfo)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["nondeterministic_output_order"])
                .doc(
                    Group::Server,
                    "2.8.13",
                    "O(N) where N is the number of commands asked for",
                    "Describes commands.",
                )
                .args(&[string("command-name").optional().multiple()]),
            local(Id::CommandList, "command|list", at_least(2), ProxyCommand::CommandList)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["nondeterministic_output_order"])
                .doc(
                    Group::Server,
                    "7.0.0",
                    "O(N) where N is the number of commands",
                    "Lists the names of commands.",
                )
                .args(&[one_of(
                    "filterby",
                    &[
                        string("module-name").token("MODULE"),
                        string("category").token("ACLCAT"),
                        pattern("pattern").token("PATTERN"),
                    ],
                )
                .token("FILTERBY")
                .optional()]),
        ])
        .flags(LOADING | STALE)
        .acl(category::CONNECTION)
        .tips(&["nondeterministic_output_order"])
        .doc(Group::Server, "2.8.13", "O(N) where N is the number of commands", "Describes all commands."),
    container(
        Id::Config,
        "config",
        &[
            local(Id::ConfigGet, "config|get", at_least(3), ProxyCommand::ConfigGet)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .doc(
                    Group::Server,
                    "2.0.0",
                    "O(N) where N is the number of settings",
                    "Answers the settings whose names match the patterns.",
                )
                .args(&[string("parameter").multiple()]),
            local(Id::ConfigHelp, "config|help", exactly(2), ProxyCommand::Help).flags(LOADING | STALE).doc(
                Group::Server,
                "5.0.0",
                "O(1)",
                "Lists the subcommands.",
            ),
            local(Id::ConfigResetstat, "config|resetstat", exactly(2), ProxyCommand::ConfigResetStat)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(Group::Server, "2.0.0", "O(1)", "Sets the statistics of INFO back to zero."),
            local(Id::ConfigRewrite, "config|rewrite", exactly(2), ProxyCommand::ConfigRewrite)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(Group::Server, "2.8.0", "O(1)", "Writes the settings to the configuration file."),
            local(Id::ConfigSet, "config|set", at_least(4), ProxyCommand::ConfigSet)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(
                    Group::Server,
                    "2.0.0",
                    "O(N) where N is the number of settings",
                    "Changes settings while running.",
                )
                .args(&[block("data", &[string("parameter"), string("value")]).multiple()]),
        ],
    )
    .doc(
        Group::Server,
        "2.0.0",
        "Depends on the subcommand.",
        "Reads and changes the configuration of this node.",
    ),
    local(Id::Info, "info", at_least(1), ProxyCommand::Info)
        .flags(LOADING | STALE)
        .acl(category::DANGEROUS)
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc(Group::Server, "1.0.0", "O(1)", "Answers figures about this node and the cluster.")
        .args(&[string("section").optional().multiple()]),
    container(
        Id::Latency,
        "latency",
        &[
            local(Id::LatencyDoctor, "latency|doctor", exactly(2), ProxyCommand::LatencyDoctor)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                .doc(Group::Server, "2.8.13", "O(1)", "Answers a report on latencies for people."),
            local(Id::LatencyGraph, "latency|graph", exactly(3), ProxyCommand::LatencyGraph)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                .doc(Group::Server, "2.8.13", "O(1)", "Draws the latencies of an event.")
                .args(&[string("event")]),
            local(Id::LatencyHelp, "latency|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .doc(Group::Server, "2.8.13", "O(1)", "Lists the subcommands."),
            local(Id::LatencyHistogram, "latency|histogram", at_least(2), ProxyCommand::LatencyHistogram)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                .doc(
                    Group::Server,
                    "7.0.0",
                    "O(N) where N is the number of commands",
                    "Answers how the latencies of commands are distributed.",
                )
                .args(&[string("COMMAND").optional().multiple()]),
            local(Id::LatencyHistory, "latency|history", exactly(3), ProxyCommand::LatencyHistory)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                .doc(Group::Server, "2.8.13", "O(1)", "Answers the latency samples of an event.")
                .args(&[string("event")]),
            local(Id::LatencyLatest, "latency|latest", exactly(2), ProxyCommand::LatencyLatest)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                .doc(Group::Server, "2.8.13", "O(1)", "Answers the latest latency sample of each event."),
            local(Id::LatencyReset, "latency|reset", at_least(2), ProxyCommand::LatencyReset)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:agg_sum"])
                .doc(Group::Server, "2.8.13", "O(1)", "Forgets latency samples.")
                .args(&[string("event").optional().multiple()]),
        ],
    )
    .doc(Group::Server, "2.8.13", "Depends on the subcommand.", "Looks at latencies."),
    local(Id::Debug, "debug", at_least(2), ProxyCommand::Debug)
        .flags(ADMIN | NOSCRIPT | LOADING | STALE)
        .doc(Group::Server, "1.0.0", "O(1)", "For Redis's own tests; refused.")
        .system(),
    container(
        Id::Memory,
        "memory",
        &[
            local(Id::MemoryDoctor, "memory|doctor", exactly(2), ProxyCommand::MemoryDoctor)
                .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
                .doc(Group::Server, "4.0.0", "O(1)", "Answers a report on memory for people."),
            local(Id::MemoryHelp, "memory|help", exactly(2), ProxyCommand::Help).flags(LOADING | STALE).doc(
                Group::Server,
                "4.0.0",
                "O(1)",
                "Lists the subcommands.",
            ),
            local(Id::MemoryMallocStats, "memory|malloc-stats", exactly(2), ProxyCommand::MemoryMallocStats)
                .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
                .doc(Group::Server, "4.0.0", "O(1)", "Answers what the allocator tells about itself."),
            local(Id::MemoryPurge, "memory|purge", exactly(2), ProxyCommand::MemoryPurge)
                .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
                .doc(
                    Group::Server,
                    "4.0.0",
                    "O(1)",
                    "Asks the allocator to give memory back; it does so anyway.",
                ),
            local(Id::MemoryStats, "memory|stats", exactly(2), ProxyCommand::MemoryStats)
                .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
                .doc(Group::Server, "4.0.0", "O(1)", "Answers how much memory this node uses."),
            read(Id::MemoryUsage, "memory|usage", at_least(3), &[key(2, RO)], keyspace::usage)
                .doc(
                    Group::Server,
                    "4.0.0",
                    "O(N) where N is the number of samples",
                    "Estimates how many bytes are stored for a key and its value.",
                )
                .args(&[key_arg("key", 0), integer("count").token("SAMPLES").optional()]),
        ],
    )
    .doc(Group::Server, "4.0.0", "Depends on the subcommand.", "Looks at the use of memory."),
    local(Id::Monitor, "monitor", exactly(1), ProxyCommand::Monitor)
        .flags(ADMIN | NOSCRIPT | LOADING | STALE)
        .doc(Group::Server, "1.0.0", "", "Streams all commands that this node executes."),
    container(
        Id::Slowlog,
        "slowlog",
        &[
            local(Id::SlowlogGet, "slowlog|get", at_least(2), ProxyCommand::SlowlogGet)
                .flags(ADMIN | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "nondeterministic_output"])
                .doc(
                    Group::Server,
                    "2.2.12",
                    "O(N) where N is the number of entries",
                    "Answers the latest slow commands.",
                )
                .args(&[integer("count").optional()]),
            local(Id::SlowlogHelp, "slowlog|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .doc(Group::Server, "6.2.0", "O(1)", "Lists the subcommands."),
            local(Id::SlowlogLen, "slowlog|len", exactly(2), ProxyCommand::SlowlogLen)
                .flags(ADMIN | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
                .doc(Group::Server, "2.2.12", "O(1)", "Counts the recorded slow commands."),
            local(Id::SlowlogReset, "slowlog|reset", exactly(2), ProxyCommand::SlowlogReset)
                .flags(ADMIN | LOADING | STALE)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(
                    Group::Server,
                    "2.2.12",
                    "O(N) where N is the number of entries",
                    "Forgets the recorded slow commands.",
                ),
        ],
    )
    .doc(Group::Server, "2.2.12", "Depends on the subcommand.", "Looks at slow commands."),
    local(Id::Time, "time", exactly(1), ProxyCommand::Time)
        .flags(LOADING | STALE | FAST)
        .tips(&["nondeterministic_output"])
        .doc(Group::Server, "2.6.0", "O(1)", "Answers the time of this node."),
];
