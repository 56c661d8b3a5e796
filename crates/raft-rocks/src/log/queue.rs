//! What the groups hand to the writer.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::index::GroupState;
use crate::types::{Entry, IOFlushed, LogId, Vote};

/// A group's part of the store.
#[derive(Debug)]
pub(super) struct GroupShared {
    pub id: u64,
    /// Locked for moments only, by the group's tasks and by the writer; never across an await.
    pub state: Mutex<GroupState>,
}

pub(super) type Done = oneshot::Sender<std::io::Result<()>>;

pub(super) enum Op {
    /// `proposed`: by this node, so that others are asked to sync it too.
    Append {
        group: Arc<GroupShared>,
        entries: Vec<Entry>,
        proposed: bool,
        done: IOFlushed,
    },
    Vote {
        group: u64,
        vote: Vote,
        done: Done,
    },
    Truncate {
        group: u64,
        last: Option<LogId>,
        done: Done,
    },
    Purge {
        group: u64,
        upto: LogId,
    },
    Remove {
        group: u64,
        done: Done,
    },
}

impl Op {
    /// Nobody depends on its sync, as long as other nodes do theirs.
    pub fn may_wait(&self) -> bool {
        matches!(self, Op::Append { proposed: true, .. })
    }
}

#[derive(Default)]
struct State {
    ops: Vec<Op>,
    /// Groups whose commit state changed: written with the next operation.
    committed: Vec<Arc<GroupShared>>,
    /// The writer found nothing to do and waits to be woken.
    asleep: bool,
}

/// The one queue of a store. Bounded by its users: a group has a bounded number of appends in
/// flight, and waits for everything else but purges, which are rare.
pub(super) struct Queue(Mutex<State>);

impl Queue {
    pub fn new() -> Self {
        Self(Mutex::new(State { asleep: true, ..State::default() }))
    }

    /// Returns true if the writer must be woken.
    #[must_use]
    pub fn push(&self, op: Op) -> bool {
        let mut state = self.0.lock();
        state.ops.push(op);
        std::mem::take(&mut state.asleep)
    }

    /// Lets the group's commit state ride along with the next operation.
    pub fn push_committed(&self, group: Arc<GroupShared>) {
        self.0.lock().committed.push(group);
    }

    /// Moves everything queued into the (empty) vectors; if there is nothing to write, the writer
    /// counts as asleep.
    pub fn drain(&self, ops: &mut Vec<Op>, committed: &mut Vec<Arc<GroupShared>>) -> bool {
        let mut state = self.0.lock();
        if state.ops.is_empty() {
            state.asleep = true;
            return false;
        }
        std::mem::swap(&mut state.ops, ops);
        std::mem::swap(&mut state.committed, committed);
        true
    }
}
