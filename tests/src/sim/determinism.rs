//! What the process asks the operating system for behind the seams' back: hash seeds, the random
//! choices of libraries, time stamps. The `sim` binary answers those calls from here, so that a
//! seed decides them as well.
//!
//! Only the simulation's own thread is fooled, and only between [`enter`] and [`leave`]: RocksDB's
//! background threads keep their real clocks, or their timed waits would never end.

use std::cell::Cell;

use super::rng;

/// The simulated epoch, ms since 1970: a constant, so that time stamps repeat.
pub const EPOCH_MS: u64 = 1_750_000_000_000;

#[derive(Clone, Copy)]
struct State {
    active: bool,
    stream: u64,
    since_epoch_ns: u64,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State { active: false, stream: 0, since_epoch_ns: 0 }) };
}

/// From now on this thread's randomness and clocks are the seed's.
pub fn enter(seed: u64) {
    STATE.set(State { active: true, stream: rng::mix(seed), since_epoch_ns: EPOCH_MS * 1_000_000 });
}

/// Back to the operating system.
pub fn leave() {
    STATE.set(State { active: false, ..STATE.get() });
}

/// Moves the clocks of this thread to `elapsed_ms` after the simulation began.
pub fn advance(elapsed_ms: u64) {
    STATE.set(State { since_epoch_ns: (EPOCH_MS + elapsed_ms) * 1_000_000, ..STATE.get() });
}

/// The next random number of a simulating thread.
pub fn random() -> Option<u64> {
    let mut state = STATE.get();
    if !state.active {
        return None;
    }
    let next = rng::next(&mut state.stream);
    STATE.set(state);
    Some(next)
}

/// Time since 1970 on a simulating thread, ns.
pub fn now_ns() -> Option<u64> {
    let state = STATE.get();
    state.active.then_some(state.since_epoch_ns)
}
