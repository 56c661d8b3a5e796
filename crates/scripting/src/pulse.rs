//! How a run is stopped: Luau asks at each loop and call whether it may go on, and so does what takes long
//! in Rust.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::error::StopReason;

/// The world outside, as far as a run depends on it.
pub trait Watch {
    /// Asked again and again while a script runs; `false` stops it.
    fn keep_going(&self) -> bool;

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
            StopReason::Steps
        } else if steps.is_multiple_of(STEPS_PER_LOOK) && !self.may_go_on() {
            StopReason::Killed
        } else {
            return Ok(());
        };
        self.stopped.set(Some(reason));
        self.again(steps, reason)
    }

    fn may_go_on(&self) -> bool {
        self.watch.borrow().as_ref().is_none_or(|watch| watch.keep_going())
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
