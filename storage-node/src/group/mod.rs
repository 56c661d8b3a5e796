//! One replica of one group: its state, its state machine under Raft, and its evaluator.

pub mod effects;
mod evaluator;
mod execute;
mod inbox;
mod machine;
mod memory;
mod replica;
mod sessions;
mod state;
#[cfg(test)]
mod state_tests;
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
use raft_rocks::Raft;
use tokio::sync::Notify;
use topology::SlotSet;

pub use inbox::{Incoming, ReplyQueue};
pub use machine::{Blocking, StateMachine};
pub use replica::{Replica, ReplicaConfig};

use crate::{events::Hub, faults::Faults, options::Reads};
use inbox::Inbox;
use state::GroupState;

/// What meta assigned to the group, as far as this node knows.
#[derive(Debug, Default)]
pub struct Desired {
    pub version: u64,
    pub slots: SlotSet,
    /// Taken from the group; it may still hold keys of theirs.
    pub parked: SlotSet,
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
    /// Signalled after each application.
    pub applied: Notify,
    pub inbox: Inbox,
    pub desired: ArcSwap<Desired>,
    /// Signalled after each change of `desired`.
    pub assigned: Notify,
    /// Held for moments.
    pub parked: Mutex<ParkedSlots>,
    /// Signalled when `parked` has news for meta.
    pub report: Arc<Notify>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub reads: Reads,
    /// How long after a quorum's acknowledgement reads are answered without asking again.
    pub lease: Duration,
    pub session_idle: Duration,
    /// Set while the node's disk is nearly full.
    pub read_only: Arc<AtomicBool>,
    pub faults: Faults,
    pub stats: GroupStats,
    /// Where publishers and subscribers of the node meet.
    pub events: Arc<Hub>,
    serving: AtomicBool,
}

/// The index up to which a stored state is applied.
pub fn applied_index(db: &crate::engine::GroupDb) -> Result<u64, state::StateError> {
    Ok(state::stored_applied(db)?.index())
}

impl Shared {
    fn leader_hint(&self, raft: &Raft<StateMachine>) -> u64 {
        raft_rocks::leader_member(raft).map_or(0, |member| member.store)
    }

    fn slots_version(&self) -> u64 {
        self.state.lock().applied.slots_version
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    fn publish(&self, serving: bool) {
        if self.serving.swap(serving, Ordering::Relaxed) && !serving {
            self.events.close(self.group);
        }
    }

    /// This replica leads and answers.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }
}
