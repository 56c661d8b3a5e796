//! The cluster as clients see it. The proxy executes all of these itself.

use crate::doc::{Group, integer, string};
use crate::flags::category;
use crate::flags::flag::{ADMIN, FAST, LOADING, STALE};
use crate::spec::{container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

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
