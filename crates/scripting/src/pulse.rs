//! How a run is stopped: Luau asks at each loop and call whether it may go on, and so does what takes long
//! in Rust.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::error::StopReason;

/// The world outside, as far as a run depends on it.
pub trait Watch {
    /// Asked again and again while a script runs; `false` stops it.
    fn keep_going(&self) -> bool;

    /// What to call it when [`keep_going`](Self::keep_going) has said no.
    fn reason(&self) -> StopReason {
        StopReason::Killed
    }

    /// Others are to have their turn: the run goes on when its caller says so.
    fn slice_is_over(&self) -> bool {
        false
    }

    /// What `os.clock` answers: seconds, from any moment on.
    fn seconds(&self) -> f64 {
        0.0
    }
}

/// The watch is asked once for this many steps.
const STEPS_PER_LOOK: u64 = 16;
/// After a stop, the error is raised anew after fewer and fewer steps: a script that catches it does not
/// come far, and the handler that finds its place does.
const GRACE_STEPS: u64 = 64;

/// The heartbeat of one machine. Between runs nothing is stopped.
pub struct Pulse {
    watch: RefCell<Option<Rc<dyn Watch>>>,
    steps: Cell<u64>,
    steps_max: Cell<u64>,
    stopped: Cell<Option<StopReason>>,
    grace: Cell<u64>,
    /// A slice is over, and its place to pause has not come.
    is_due: Cell<bool>,
    /// No place to pause was passed in this slice.
    is_fresh: Cell<bool>,
    next_raise: Cell<u64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            watch: RefCell::new(None),
            steps: Cell::new(0),
            steps_max: Cell::new(u64::MAX),
            stopped: Cell::new(None),
            grace: Cell::new(GRACE_STEPS),
            is_due: Cell::new(false),
            is_fresh: Cell::new(true),
            next_raise: Cell::new(0),
        }
    }
}

impl Pulse {
    pub fn start(&self, watch: Rc<dyn Watch>, steps_max: u64) {
        self.watch.replace(Some(watch));
        self.steps.set(0);
        self.steps_max.set(steps_max);
        self.stopped.set(None);
        self.grace.set(GRACE_STEPS);
        self.begin_slice();
        self.next_raise.set(0);
    }

    /// The run is over: whether it was stopped.
    pub fn end(&self) -> Option<StopReason> {
        self.watch.replace(None);
        self.steps_max.set(u64::MAX);
        self.stopped.take()
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.get().is_some()
    }

    pub fn seconds(&self) -> f64 {
        self.watch.borrow().as_ref().map_or(0.0, |watch| watch.seconds())
    }

    /// One step; the reason if the script must not go on.
    pub fn step(&self) -> Result<(), StopReason> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if let Some(reason) = self.stopped.get() {
            return self.again(steps, reason);
        }
        let reason = if steps > self.steps_max.get() {
            StopReason::Limit
        } else if steps.is_multiple_of(STEPS_PER_LOOK)
            && let Some(reason) = self.objection()
        {
            reason
        } else {
            return Ok(());
        };
        self.stopped.set(Some(reason));
        self.again(steps, reason)
    }

    /// One step of Lua's own; whether to pause there. Where that is not possible, the next step asks again.
    pub fn beat(&self, can_pause: impl FnOnce() -> bool) -> Result<bool, StopReason> {
        self.step()?;
        let looks = self.is_due.get() || self.steps.get().is_multiple_of(STEPS_PER_LOOK);
        let is_over = || self.watch.borrow().as_ref().is_some_and(|watch| watch.slice_is_over());
        if !looks || self.is_stopped() || !is_over() {
            return Ok(false);
        }
        // The step where the run was left is taken again: passing over one place, it comes on.
        let pauses = can_pause() && !self.is_fresh.take();
        self.is_due.set(!pauses);
        Ok(pauses)
    }

    /// A slice begins.
    pub fn begin_slice(&self) {
        self.is_fresh.set(true);
        self.is_due.set(false);
    }

    fn objection(&self) -> Option<StopReason> {
        let watch = self.watch.borrow();
        watch.as_ref().filter(|watch| !watch.keep_going()).map(|watch| watch.reason())
    }

    fn again(&self, steps: u64, reason: StopReason) -> Result<(), StopReason> {
        if steps < self.next_raise.get() {
            return Ok(());
        }
        let grace = self.grace.get().max(1);
        self.grace.set(grace - 1);
        self.next_raise.set(steps + grace);
        Err(reason)
    }
}
