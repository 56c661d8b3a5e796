//! One replica of one group: its state, its state machine under Raft, and its evaluator.

pub mod effects;
mod evaluator;
mod execute;
mod idle;
mod inbox;
mod machine;
mod memory;
mod pacer;
mod ranges;
mod replica;
mod sessions;
mod state;
#[cfg(test)]
mod state_tests;
mod tracking;
mod view;
mod waiters;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use daemon::env::{Clock, Entropy};
use parking_lot::Mutex;
use raft_rocks::{CommittedLeaderId, Raft};
use tokio::sync::Notify;
use topology::{Classes, Namespaces, SlotSet, namespace};

pub use inbox::{Incoming, ReplyQueue};
pub use machine::{Blocking, StateMachine};
pub use memory::Budget;
pub use pacer::Pacer;
pub use replica::{Replica, ReplicaConfig};

use crate::{events::Hub, faults::Faults, options::Reads};
use inbox::Inbox;
use memory::Share;
use state::GroupState;

/// The libraries of functions as meta has them, for all groups.
#[derive(Debug, Default)]
pub struct Assigned {
    /// 0: meta has not told.
    pub version: u64,
    /// In the form in which groups store them.
    pub encoded: bytes::Bytes,
}

impl Assigned {
    pub fn new<'a>(version: u64, libraries: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { version, encoded: execute::scripts::encode(libraries) }
    }
}

/// What meta assigned to the group, as far as this node knows.
#[derive(Debug, Default)]
pub struct Desired {
    pub version: u64,
    pub slots: SlotSet,
    /// Taken from the group; it may still hold keys of theirs.
    pub parked: SlotSet,
    pub libraries: Arc<Assigned>,
    /// Which keyspace events are announced.
    pub notifications: Classes,
    pub namespaces: Namespaces,
}

/// What a leader found in the parked slots of a topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParkedSlots {
    /// Of the topology; the group serves none of its parked slots. 0: not looked yet.
    pub version: u64,
    pub in_use: SlotSet,
    /// Group time when it looked.
    pub looked_ms: u64,
}

/// Keys in parked slots may expire: those that hold some are looked at again after so long.
const LOOK_AGAIN_MS: u64 = 5_000;

impl ParkedSlots {
    fn is_current(&self, desired: &Desired, now_ms: u64) -> bool {
        let in_use = !desired.parked.intersection(&self.in_use).is_empty();
        self.version == desired.version && !(in_use && now_ms >= self.looked_ms + LOOK_AGAIN_MS)
    }
}

/// Counters of one replica.
#[derive(Debug, Default)]
pub struct GroupStats {
    pub expired_keys: AtomicU64,
    pub entries_applied: AtomicU64,
}

/// What the parts of one replica share.
pub struct Shared {
    pub group: u64,
    pub replica: u64,
    /// Held for the evaluation or application of a batch, never across an await. One thread uses it
    /// in practice; the lock exists because Raft's tasks must be Send.
    pub state: Mutex<GroupState>,
    /// Memory for changes that RocksDB does not have yet.
    pub delta_share: Share,
    /// Signalled after each application.
    pub applied: Notify,
    pub inbox: Inbox,
    pub desired: ArcSwap<Desired>,
    /// Signalled after each change of `desired`.
    pub assigned: Notify,
    /// Held for moments.
    pub parked: Mutex<ParkedSlots>,
    /// What a leader found in the way of rules for namespaces. Held for moments.
    pub namespaces: Mutex<namespace::Found>,
    /// Signalled when `parked`, `namespaces`, or the version of the libraries has news for meta.
    pub report: Arc<Notify>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub reads: Reads,
    /// The log is synced before an entry counts as written.
    pub durable: bool,
    /// How long after a quorum's acknowledgement reads are answered without asking again.
    pub lease: Duration,
    pub session_idle: Duration,
    /// How long a script may run.
    pub script_limit: Duration,
    /// Set while the node's disk is nearly full.
    pub read_only: Arc<AtomicBool>,
    pub faults: Faults,
    pub stats: GroupStats,
    /// Where publishers and subscribers of the node meet.
    pub events: Arc<Hub>,
    /// When the groups that the node leads propose.
    pub pacer: Arc<Pacer>,
    serving: AtomicBool,
    /// This replica asked another to lead: there is no lease any more.
    leaving: AtomicBool,
}

/// The index up to which a stored state is applied, and what else its record says but for the membership:
/// an entry without effects changes nothing of it.
pub fn applied_record(db: &crate::engine::GroupDb) -> Result<(u64, Vec<u8>), state::StateError> {
    let stored = state::stored_applied(db)?;
    let index = stored.index();
    let rest = state::Applied { log_id: None, membership: Default::default(), ..stored };
    Ok((index, serde_json::to_vec(&rest).unwrap_or_default()))
}

/// Whether a stored key is that of the record of what is applied.
pub fn is_applied_record(key: &[u8]) -> bool {
    key == state::APPLIED_KEY
}

impl Shared {
    fn leader_hint(&self, raft: &Raft<StateMachine>) -> u64 {
        raft_rocks::leader_member(raft).map_or(0, |member| member.store)
    }

    fn slots_version(&self) -> u64 {
        self.state.lock().applied.slots_version
    }

    /// Version of the libraries of functions in an applied state.
    pub fn libraries_version(&self, state: &GroupState) -> u64 {
        execute::scripts::libraries_version(state)
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    fn publish(&self, serving: bool) {
        let served = self.serving.swap(serving, Ordering::Relaxed);
        if served && !serving {
            self.events.close(self.group);
        }
        if served != serving {
            self.report.notify_one();
        }
    }

    /// Whether nobody but `leader`, which is this replica, leads at this moment.
    fn holds_lease(&self, raft: &Raft<StateMachine>, leader: &CommittedLeaderId) -> bool {
        !self.leaving.load(Ordering::Relaxed) && raft_rocks::holds_lease(raft, leader, self.lease)
    }

    /// This replica leads and answers.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }
}
