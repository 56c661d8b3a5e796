//! The one `openraft` type configuration of the project, for data groups and for meta, and the
//! names the rest of the project uses for its types.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use futures::stream::BoxStream;
pub use openraft::async_runtime::watch::WatchReceiver;
use openraft::{type_config::TypeConfigExt, vote::RaftLeaderId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

openraft::declare_raft_types!(
    /// Entries carry opaque bytes; replica ids are `u64` and never reused in a group.
    pub TypeConfig:
        D = Payload,
        R = Response,
        NodeId = u64,
        Node = Member,
        AsyncRuntime = openraft_rt_tokio::TokioRuntime,
);

/// Replica id: unique in a group for all time.
pub type NodeId = u64;
pub type Raft<SM> = openraft::Raft<TypeConfig, SM>;
pub type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
pub type CommittedLeaderId = openraft::alias::CommittedLeaderIdOf<TypeConfig>;
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
pub type EntryPayload = openraft::EntryPayload<Payload, NodeId, Member>;
pub type Membership = openraft::Membership<NodeId, Member>;
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot, sent and received as a stream of pieces.
pub type Snapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotData>;
/// Pieces of a snapshot in order; the receiver sees the pieces as the sender cut them.
pub type SnapshotData = BoxStream<'static, io::Result<Bytes>>;
/// What a state machine applies: an entry, and the responder of whoever proposed it here.
pub type ApplyItem = openraft::storage::EntryResponder<TypeConfig>;
pub type RaftMetrics = openraft::RaftMetrics<TypeConfig>;
pub type IOFlushed = openraft::storage::IOFlushed<TypeConfig>;
pub type WriteResult = openraft::raft::ClientWriteResult<TypeConfig>;
pub type WriteResponder = openraft::impls::ProgressResponder<TypeConfig, WriteResult>;
pub type WriteOutcome = openraft::alias::OneshotReceiverOf<TypeConfig, WriteResult>;

/// A responder for `raft.write(..).responder(..)` and what resolves when the entry was applied.
pub fn write_responder() -> (WriteResponder, WriteOutcome) {
    WriteResponder::complete_only()
}

/// The metrics of this moment.
pub fn metrics<SM: openraft::storage::RaftStateMachine<TypeConfig>>(raft: &Raft<SM>) -> RaftMetrics {
    raft.metrics().borrow_watched().clone()
}

/// The leader as this replica knows it.
pub fn leader_member<SM: openraft::storage::RaftStateMachine<TypeConfig>>(raft: &Raft<SM>) -> Option<Member> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let leader = metrics.current_leader?;
    metrics.membership_config.membership().get_node(&leader).cloned()
}

/// Who answered this leader less than `within` ago, itself not counted; nobody if it does not lead.
pub fn answering(metrics: &RaftMetrics, within: Duration) -> impl Iterator<Item = NodeId> {
    let now = <TypeConfig as TypeConfigExt>::now();
    let heard = metrics.heartbeat.iter().flatten();
    heard.filter(move |(_, at)| at.as_ref().is_some_and(|at| now < **at + within)).map(|(id, _)| *id)
}

/// Whether this replica heard from whom it follows less than `within` ago.
pub async fn follows<SM: openraft::storage::RaftStateMachine<TypeConfig>>(
    raft: &Raft<SM>,
    within: Duration,
) -> Result<bool, openraft::errors::Fatal<TypeConfig>> {
    let heard = raft.with_raft_state(|state| state.vote_last_modified()).await?;
    let is_fresh = heard.is_some_and(|at| <TypeConfig as TypeConfigExt>::now() < at + within);
    Ok(is_fresh && metrics(raft).current_leader.is_some())
}

type Leading<SM> = openraft::raft::Leader<TypeConfig, SM>;

/// A leader that was started again is none before it is elected again, though its vote still says so.
fn leading<SM: openraft::storage::RaftStateMachine<TypeConfig>>(raft: &Raft<SM>) -> Option<Leading<SM>> {
    let leads = raft.server_metrics().borrow_watched().state == openraft::ServerState::Leader;
    leads.then(|| raft.as_leader().ok()).flatten()
}

/// As what this replica leads, if it does.
pub fn leads_as<SM: openraft::storage::RaftStateMachine<TypeConfig>>(
    raft: &Raft<SM>,
) -> Option<CommittedLeaderId> {
    leading(raft).map(|leader| leader.to_committed_leader_id())
}

/// Whether this replica leads as `leader` and a quorum acknowledged that less than `lease` ago,
/// counted from when the acknowledged message was sent. Without other voters there is nobody to ask.
pub fn holds_lease<SM: openraft::storage::RaftStateMachine<TypeConfig>>(
    raft: &Raft<SM>,
    leader: &CommittedLeaderId,
    lease: Duration,
) -> bool {
    let current = leading(raft).filter(|current| current.to_committed_leader_id() == *leader);
    let Some(current) = current else { return false };
    let is_fresh = |at| <TypeConfig as TypeConfigExt>::now() < at + lease;
    current.last_quorum_acked().is_some_and(is_fresh) || votes_alone(raft)
}

/// Whether this replica is the only voter.
fn votes_alone<SM: openraft::storage::RaftStateMachine<TypeConfig>>(raft: &Raft<SM>) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let configs = metrics.membership_config.membership().get_joint_config();
    !configs.is_empty() && configs.iter().all(|voters| voters.iter().eq([&metrics.id]))
}

/// The committed leader id of `(term, node)`.
pub fn committed_leader_id(term: u64, node: NodeId) -> CommittedLeaderId {
    LeaderId::new(term, node).to_committed()
}

/// What an entry carries. Opaque here.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Bytes);

/// What applying an entry answers to its proposer. Opaque here.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Response(pub Bytes);

macro_rules! opaque {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} bytes", self.0.len())
            }
        }

        impl From<Bytes> for $name {
            fn from(bytes: Bytes) -> Self {
                Self(bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Vec::<u8>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
            }
        }
    };
}

opaque!(Payload);
opaque!(Response);

/// Where a replica lives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// The store (data directory) that holds the replica.
    pub store: u64,
    /// host:port of its node's gRPC listener.
    pub addr: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.store, self.addr)
    }
}
