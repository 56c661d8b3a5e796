//! Publish and subscribe. The proxy executes all of these; messages meet in the storage nodes.

use crate::doc::{Group, pattern, string};
use crate::flags::flag::{FAST, LOADING, NOSCRIPT, PUBSUB, STALE};
use crate::keyspec::{KeySpec, key, key_flag::NOT_KEY, keys};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

static SHARD_CHANNEL: &[KeySpec] = &[key(1, NOT_KEY)];
static SHARD_CHANNELS: &[KeySpec] = &[keys(1, -1, 1, NOT_KEY)];

const SUBSCRIBING: u32 = PUBSUB | NOSCRIPT | LOADING | STALE;

pub static ROWS: &[Spec] = &[
    local(Id::Psubscribe, "psubscribe", at_least(2), ProxyCommand::Psubscribe)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "2.0.0",
            "O(N) where N is the number of patterns",
            "Receives what is published to channels whose names match patterns.",
        )
        .args(&[pattern("pattern").multiple()]),
    local(Id::Publish, "publish", exactly(3), ProxyCommand::Publish)
        .flags(PUBSUB | LOADING | STALE | FAST)
        .doc(
            Group::PubSub,
            "2.0.0",
            "O(N+M) where N is the number of subscribers and M the number of patterns",
            "Sends a message to the subscribers of a channel.",
        )
        .args(&[string("channel"), string("message")]),
    container(
        Id::Pubsub,
        "pubsub",
        &[
            local(Id::PubsubChannels, "pubsub|channels", at_least(2), ProxyCommand::PubsubChannels)
                .flags(PUBSUB | LOADING | STALE)
                .doc(
                    Group::PubSub,
                    "2.8.0",
                    "O(N) where N is the number of channels with subscribers",
                    "Lists the channels that have subscribers.",
                )
                .args(&[pattern("pattern").optional()]),
            local(Id::PubsubHelp, "pubsub|help", exactly(2), ProxyCommand::Help).flags(LOADING | STALE).doc(
                Group::PubSub,
                "6.2.0",
                "O(1)",
                "Lists the subcommands.",
            ),
            local(Id::PubsubNumpat, "pubsub|numpat", exactly(2), ProxyCommand::PubsubNumPat)
                .flags(PUBSUB | LOADING | STALE)
                .doc(Group::PubSub, "2.8.0", "O(1)", "Counts the patterns that have subscribers."),
            local(Id::PubsubNumsub, "pubsub|numsub", at_least(2), ProxyCommand::PubsubNumSub)
                .flags(PUBSUB | LOADING | STALE)
                .doc(
                    Group::PubSub,
                    "2.8.0",
                    "O(N) where N is the number of channels",
                    "Counts the subscribers of channels, those of patterns not included.",
                )
                .args(&[string("channel").optional().multiple()]),
            local(
                Id::PubsubShardchannels,
                "pubsub|shardchannels",
                at_least(2),
                ProxyCommand::PubsubShardChannels,
            )
            .flags(PUBSUB | LOADING | STALE)
            .doc(
                Group::PubSub,
                "7.0.0",
                "O(N) where N is the number of shard channels with subscribers",
                "Lists the shard channels that have subscribers.",
            )
            .args(&[pattern("pattern").optional()]),
            local(Id::PubsubShardnumsub, "pubsub|shardnumsub", at_least(2), ProxyCommand::PubsubShardNumSub)
                .flags(PUBSUB | LOADING | STALE)
                .doc(
                    Group::PubSub,
                    "7.0.0",
                    "O(N) where N is the number of shard channels",
                    "Counts the subscribers of shard channels.",
                )
                .args(&[string("shardchannel").optional().multiple()]),
        ],
    )
    .doc(Group::PubSub, "2.8.0", "Depends on the subcommand.", "Tells who subscribes to what."),
    local(Id::Punsubscribe, "punsubscribe", at_least(1), ProxyCommand::Punsubscribe)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "2.0.0",
            "O(N) where N is the number of patterns",
            "Ends subscriptions to patterns.",
        )
        .args(&[pattern("pattern").optional().multiple()]),
    local(Id::Spublish, "spublish", exactly(3), ProxyCommand::Spublish)
        .keys(SHARD_CHANNEL)
        .flags(PUBSUB | LOADING | STALE | FAST)
        .doc(
            Group::PubSub,
            "7.0.0",
            "O(N) where N is the number of subscribers",
            "Sends a message to the subscribers of a shard channel.",
        )
        .args(&[string("shardchannel"), string("message")]),
    local(Id::Ssubscribe, "ssubscribe", at_least(2), ProxyCommand::Ssubscribe)
        .keys(SHARD_CHANNELS)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "7.0.0",
            "O(N) where N is the number of shard channels",
            "Receives what is published to shard channels.",
        )
        .args(&[string("shardchannel").multiple()]),
    local(Id::Subscribe, "subscribe", at_least(2), ProxyCommand::Subscribe)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "2.0.0",
            "O(N) where N is the number of channels",
            "Receives what is published to channels.",
        )
        .args(&[string("channel").multiple()]),
    local(Id::Sunsubscribe, "sunsubscribe", at_least(1), ProxyCommand::Sunsubscribe)
        .keys(SHARD_CHANNELS)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "7.0.0",
            "O(N) where N is the number of shard channels",
            "Ends subscriptions to shard channels.",
        )
        .args(&[string("shardchannel").optional().multiple()]),
    local(Id::Unsubscribe, "unsubscribe", at_least(1), ProxyCommand::Unsubscribe)
        .flags(SUBSCRIBING)
        .doc(
            Group::PubSub,
            "2.0.0",
            "O(N) where N is the number of channels",
            "Ends subscriptions to channels.",
        )
        .args(&[string("channel").optional().multiple()]),
];
