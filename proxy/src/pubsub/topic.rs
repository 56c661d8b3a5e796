//! What a client subscribes to.

use bytes::Bytes;
use proto::v1::TopicKind;
use topology::{Slot, notifications::announces_events, slot_of};

/// Channels and patterns know one another; shard channels are a world of their own, and prefixes are
/// those of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Channel,
    Pattern,
    Shard,
    Prefix,
}

impl Kind {
    pub fn to_proto(self) -> TopicKind {
        match self {
            Self::Channel => TopicKind::Channel,
            Self::Pattern => TopicKind::Pattern,
            Self::Shard => TopicKind::Shard,
            Self::Prefix => TopicKind::Prefix,
        }
    }

    /// Word that begins a message.
    pub fn message(self) -> &'static str {
        match self {
            Self::Channel => "message",
            Self::Pattern => "pmessage",
            Self::Shard => "smessage",
            // Clients are told otherwise.
            Self::Prefix => "invalidate",
        }
    }
}

/// A channel, a pattern or a shard channel, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    pub kind: Kind,
    pub name: Bytes,
}

impl Topic {
    /// Copies the name, which may be a slice of something larger.
    pub fn new(kind: Kind, name: &[u8]) -> Self {
        Self { kind, name: Bytes::copy_from_slice(name) }
    }

    /// The slot at whose leader subscribers and publishers meet. `None`: at every leader, because
    /// what is published anywhere may match.
    pub fn slot(&self) -> Option<Slot> {
        match self.kind {
            Kind::Pattern | Kind::Prefix => None,
            Kind::Channel if announces_events(&self.name) => None,
            Kind::Channel | Kind::Shard => Some(slot_of(&self.name)),
        }
    }
}
