//! When a script is to make room for others, and when it is to end.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use daemon::env::Clock;
use scripting::{StopReason, Watch};

/// How long a script runs before others have their turn.
const SLICE: Duration = Duration::from_millis(2);
/// How long it may run where it cannot be left: inside a function that C calls, as `table.sort` does. Nothing
/// else happens on this node meanwhile, so it must be well below the time after which other replicas elect
/// another leader.
const SLICE_MAX: Duration = Duration::from_millis(500);
/// And how often it must have been looked at since the slice was over: the machine may have been busy with
/// something else.
const ASKED_MIN: u32 = 64;

/// Watches over one script.
pub struct Deadline {
    clock: Arc<dyn Clock>,
    limit: Duration,
    begun_ms: u64,
    /// When the present slice began.
    slice_ms: Cell<u64>,
    looked_ms: Cell<u64>,
    /// How often it was looked at in this slice when that was over.
    asked: Cell<u32>,
    killed: Cell<bool>,
}

impl Deadline {
    pub fn new(clock: &Arc<dyn Clock>, limit: Duration) -> Rc<Self> {
        let now_ms = clock.now_ms();
        Rc::new(Self {
            clock: clock.clone(),
            limit,
            begun_ms: now_ms,
            slice_ms: Cell::new(now_ms),
            looked_ms: Cell::new(now_ms),
            asked: Cell::new(0),
            killed: Cell::new(false),
        })
    }

    /// A slice begins.
    pub fn begin_slice(&self) {
        self.slice_ms.set(self.clock.now_ms());
        self.asked.set(0);
    }

    /// The script ends with its next step.
    pub fn kill(&self) {
        self.killed.set(true);
    }

    pub fn ran(&self) -> Duration {
        since(self.begun_ms, self.clock.now_ms())
    }
}

fn since(begun_ms: u64, now_ms: u64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(begun_ms))
}

impl Watch for Deadline {
    fn keep_going(&self) -> bool {
        let now_ms = self.clock.now_ms();
        self.looked_ms.set(now_ms);
        let in_slice = since(self.slice_ms.get(), now_ms);
        self.asked.set(self.asked.get() + u32::from(in_slice >= SLICE));
        !self.killed.get()
            && (in_slice < SLICE_MAX || self.asked.get() < ASKED_MIN)
            && since(self.begun_ms, now_ms) < self.limit
    }

    fn reason(&self) -> StopReason {
        if self.killed.get() { StopReason::Killed } else { StopReason::Limit }
    }

    fn slice_is_over(&self) -> bool {
        since(self.slice_ms.get(), self.looked_ms.get()) >= SLICE
    }

    fn seconds(&self) -> f64 {
        self.ran().as_secs_f64()
    }
}
