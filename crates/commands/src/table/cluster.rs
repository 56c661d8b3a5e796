//! The cluster as clients see it. The proxy executes all of these itself.

use crate::doc::{Group, block, integer, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

/// Flags of what changes the topology.
const CHANGE: u32 = NO_ASYNC_LOADING | ADMIN | STALE;

pub static ROWS: &[Spec] = &[
    local(Id::Asking, "asking", exactly(1), ProxyCommand::Asking).flags(FAST).acl(category::CONNECTION).doc(
        Group::Cluster,
        "3.0.0",
        "O(1)",
        "Lets the next command pass to a slot that is being imported.",
    ),
    container(
        Id::Cluster,
        "cluster",
        &[
            local(Id::ClusterAddslots, "cluster|addslots", at_least(3), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of slots",
                    "Assigns slots to this node.",
                )
                .args(&[integer("slot").multiple()]),
            local(
                Id::ClusterAddslotsrange,
                "cluster|addslotsrange",
                at_least(4),
                ProxyCommand::ClusterChange,
            )
            .flags(CHANGE)
            .doc(
                Group::Cluster,
                "7.0.0",
                "O(N) where N is the number of slots",
                "Assigns ranges of slots to this node.",
            )
            .args(&[block("range", &[integer("start-slot"), integer("end-slot")]).multiple()]),
            local(Id::ClusterBumpepoch, "cluster|bumpepoch", exactly(2), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .tips(&["nondeterministic_output"])
                .doc(Group::Cluster, "3.0.0", "O(1)", "Gives this node the highest config epoch."),
            local(
                Id::ClusterCountFailureReports,
                "cluster|count-failure-reports",
                exactly(3),
                ProxyCommand::ClusterCountFailureReports,
            )
            .flags(ADMIN | STALE)
            .tips(&["nondeterministic_output"])
            .doc(Group::Cluster, "3.0.0", "O(1)", "Answers how many nodes hold a node for failed.")
            .args(&[string("node-id")]),
            local(
                Id::ClusterCountkeysinslot,
                "cluster|countkeysinslot",
                exactly(3),
                ProxyCommand::ClusterCountKeysInSlot,
            )
            .flags(STALE)
            .doc(
                Group::Cluster,
                "3.0.0",
                "O(N) where N is the number of keys in the slot",
                "Counts the keys of a slot.",
            )
            .args(&[integer("slot")]),
            local(Id::ClusterDelslots, "cluster|delslots", at_least(3), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of slots",
                    "Takes slots from whoever owns them.",
                )
                .args(&[integer("slot").multiple()]),
            local(
                Id::ClusterDelslotsrange,
                "cluster|delslotsrange",
                at_least(4),
                ProxyCommand::ClusterChange,
            )
            .flags(CHANGE)
            .doc(
                Group::Cluster,
                "7.0.0",
                "O(N) where N is the number of slots",
                "Takes ranges of slots from whoever owns them.",
            )
            .args(&[block("range", &[integer("start-slot"), integer("end-slot")]).multiple()]),
            local(Id::ClusterFailover, "cluster|failover", at_least(2), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Makes this replica the master in place of its own.")
                .args(&[
                    one_of("options", &[word("force", "FORCE"), word("takeover", "TAKEOVER")]).optional()
                ]),
            local(Id::ClusterFlushslots, "cluster|flushslots", exactly(2), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Takes all its slots from this node."),
            local(Id::ClusterForget, "cluster|forget", exactly(3), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Removes a node from the cluster.")
                .args(&[string("node-id")]),
            local(
                Id::ClusterGetkeysinslot,
                "cluster|getkeysinslot",
                exactly(4),
                ProxyCommand::ClusterGetKeysInSlot,
            )
            .flags(STALE)
            .tips(&["nondeterministic_output"])
            .doc(
                Group::Cluster,
                "3.0.0",
                "O(N) where N is the number of keys asked for",
                "Lists keys of a slot.",
            )
            .args(&[integer("slot"), integer("count")]),
            local(Id::ClusterHelp, "cluster|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .doc(Group::Cluster, "5.0.0", "O(1)", "Lists the subcommands."),
            local(Id::ClusterInfo, "cluster|info", exactly(2), ProxyCommand::ClusterInfo)
                .flags(STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(1)",
                    "Answers the state of the cluster as this node sees it.",
                ),
            local(Id::ClusterKeyslot, "cluster|keyslot", exactly(3), ProxyCommand::ClusterKeySlot)
                .flags(STALE)
                .doc(Group::Cluster, "3.0.0", "O(N) in the length of the key", "Answers the slot of a key.")
                .args(&[string("key")]),
            local(Id::ClusterLinks, "cluster|links", exactly(2), ProxyCommand::ClusterLinks)
                .flags(STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "7.0.0",
                    "O(N) where N is the number of nodes",
                    "Describes the links to other nodes.",
                ),
            local(Id::ClusterMeet, "cluster|meet", at_least(4), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Joins this node and another into one cluster.")
                .args(&[
                    string("ip"),
                    integer("port"),
                    integer("cluster-bus-port").since("4.0.0").optional(),
                ]),
            local(Id::ClusterMetaraft, "cluster|metaraft", at_least(3), ProxyCommand::ClusterMetaRaft)
                .flags(ADMIN | STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "0.1.0",
                    "O(N) where N is the number of meta nodes",
                    "Looks at and changes the members of the meta service.",
                )
                .args(&[string("action"), string("argument").optional().multiple()]),
            local(Id::ClusterMyid, "cluster|myid", exactly(2), ProxyCommand::ClusterMyId).flags(STALE).doc(
                Group::Cluster,
                "3.0.0",
                "O(1)",
                "Answers the id of this node.",
            ),
            local(Id::ClusterMyshardid, "cluster|myshardid", exactly(2), ProxyCommand::ClusterMyShardId)
                .flags(STALE)
                .tips(&["nondeterministic_output"])
                .doc(Group::Cluster, "7.2.0", "O(1)", "Answers the id of this node's shard."),
            local(Id::ClusterNodes, "cluster|nodes", exactly(2), ProxyCommand::ClusterNodes)
                .flags(STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of nodes",
                    "Describes all nodes of the cluster.",
                ),
            local(Id::ClusterReplicas, "cluster|replicas", exactly(3), ProxyCommand::ClusterReplicas)
                .flags(ADMIN | STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "5.0.0",
                    "O(N) where N is the number of replicas",
                    "Describes the replicas of a node.",
                )
                .args(&[string("node-id")]),
            local(Id::ClusterReplicate, "cluster|replicate", exactly(3), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Makes this node a replica of a master.")
                .args(&[string("node-id")]),
            local(Id::ClusterReset, "cluster|reset", at_least(2), ProxyCommand::ClusterChange)
                .flags(ADMIN | STALE | NOSCRIPT)
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of known nodes",
                    "Takes this node out of its cluster.",
                )
                .args(&[one_of("reset-type", &[word("hard", "HARD"), word("soft", "SOFT")]).optional()]),
            local(Id::ClusterSaveconfig, "cluster|saveconfig", exactly(2), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(1)",
                    "Answers when the topology is durable, which it always is.",
                ),
            local(
                Id::ClusterSetConfigEpoch,
                "cluster|set-config-epoch",
                exactly(3),
                ProxyCommand::ClusterChange,
            )
            .flags(CHANGE)
            .doc(Group::Cluster, "3.0.0", "O(1)", "Sets the config epoch of a node that knows no other.")
            .args(&[integer("config-epoch")]),
            local(Id::ClusterSetslot, "cluster|setslot", at_least(4), ProxyCommand::ClusterChange)
                .flags(CHANGE)
                .doc(Group::Cluster, "3.0.0", "O(1)", "Sets how a slot is assigned, or that it is migrating.")
                .args(&[
                    integer("slot"),
                    one_of(
                        "subcommand",
                        &[
                            string("importing").display("node-id").token("IMPORTING"),
                            string("migrating").display("node-id").token("MIGRATING"),
                            string("node").display("node-id").token("NODE"),
                            word("stable", "STABLE"),
                        ],
                    ),
                ]),
            local(Id::ClusterShards, "cluster|shards", exactly(2), ProxyCommand::ClusterShards)
                .flags(LOADING | STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "7.0.0",
                    "O(N) where N is the number of nodes",
                    "Describes which nodes serve which slots.",
                ),
            local(Id::ClusterSlaves, "cluster|slaves", exactly(3), ProxyCommand::ClusterReplicas)
                .flags(ADMIN | STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of replicas",
                    "Describes the replicas of a node.",
                )
                .deprecated("5.0.0", "`CLUSTER REPLICAS`")
                .args(&[string("node-id")]),
            local(Id::ClusterSlots, "cluster|slots", exactly(2), ProxyCommand::ClusterSlots)
                .flags(LOADING | STALE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Cluster,
                    "3.0.0",
                    "O(N) where N is the number of nodes",
                    "Describes which nodes serve which slots, range by range.",
                )
                .deprecated("7.0.0", "`CLUSTER SHARDS`"),
        ],
    )
    .doc(Group::Cluster, "3.0.0", "Depends on the subcommand.", "Looks at and changes the cluster."),
    local(Id::Readonly, "readonly", exactly(1), ProxyCommand::ReadOnly)
        .flags(FAST | LOADING | STALE)
        .acl(category::CONNECTION)
        .doc(Group::Cluster, "3.0.0", "O(1)", "Allows reads from replicas on the connection."),
    local(Id::Readwrite, "readwrite", exactly(1), ProxyCommand::ReadWrite)
        .flags(FAST | LOADING | STALE)
        .acl(category::CONNECTION)
        .doc(Group::Cluster, "3.0.0", "O(1)", "Ends READONLY."),
];
