//! When the groups of a node propose: together, and once those who were just answered had time to ask
//! for more.
//!
//! A round (an entry for each group, the syncs and messages of its replicas) costs about the same
//! whether it carries ten commands or fifty. Clients that send when they have their reply fall into two
//! halves, one in flight while the other gathers, and each round carries one of them. So after answers
//! the node waits until nearly as many commands have come as were answered, for at most about as long as
//! a round takes. Where clients do not come back like that, it gives up waiting, for longer each time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Of the commands that were answered, how many must come back: three in four.
const BACK_OF_FOUR: u64 = 3;
/// One and a half rounds are waited, up to this; where a single round takes longer, one round.
const LONG_WAIT: Duration = Duration::from_micros(1500);
/// The longest wait, whatever a round takes.
const WAIT_MAX: Duration = Duration::from_millis(5);
/// Weight of the last round in the average: one in so many.
const AVERAGE_OVER: u32 = 8;
/// After waiting in vain the next rounds are not paced: 1, 3, 7, … up to so many.
const UNPACED_MAX: u32 = 63;

/// Shared by the groups that a node leads.
pub struct Pacer {
    state: Mutex<State>,
    opened: Notify,
}

struct State {
    /// Commands answered since groups could last propose; 0: they can.
    answered: u64,
    /// The last of them.
    answered_at: Instant,
    /// Commands that came since the first of them.
    arrived: u64,
    /// How long a round takes, on average.
    round: Duration,
    /// Rounds that will not be paced.
    unpaced: u32,
    /// What `unpaced` was set to last.
    penalty: u32,
}

impl State {
    fn deadline(&self) -> Instant {
        self.answered_at + (self.round * 3 / 2).min(self.round.clamp(LONG_WAIT, WAIT_MAX))
    }

    fn open(&mut self) {
        self.answered = 0;
        self.arrived = 0;
    }
}

impl Pacer {
    pub fn new() -> Self {
        let state = State {
            answered: 0,
            answered_at: Instant::now(),
            arrived: 0,
            round: Duration::ZERO,
            unpaced: 0,
            penalty: 0,
        };
        Self { state: Mutex::new(state), opened: Notify::new() }
    }

    /// An entry with so many commands was proposed at `since`, and they have their answers.
    pub fn answered(&self, commands: u64, since: Instant, now: Instant) {
        let mut state = self.state.lock();
        state.round = (state.round * (AVERAGE_OVER - 1) + (now - since)) / AVERAGE_OVER;
        if commands == 0 {
            return;
        }
        if state.answered == 0 && state.unpaced > 0 {
            state.unpaced -= 1;
            return;
        }
        state.answered += commands;
        state.answered_at = now;
    }

    /// So many commands were gathered for the next entry of a group.
    pub fn arrived(&self, commands: u64) {
        let mut state = self.state.lock();
        if state.answered == 0 {
            return;
        }
        state.arrived += commands;
        if state.arrived * 4 >= state.answered * BACK_OF_FOUR {
            state.open();
            state.penalty = 0;
            drop(state);
            self.opened.notify_waiters();
        }
    }

    /// Groups may propose now.
    pub fn is_open(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        if state.answered == 0 {
            return true;
        }
        if now < state.deadline() {
            return false;
        }
        state.open();
        state.penalty = (state.penalty * 2 + 1).min(UNPACED_MAX);
        state.unpaced = state.penalty;
        drop(state);
        self.opened.notify_waiters();
        true
    }

    /// Resolves when groups may propose, or a moment later.
    pub async fn opened(&self) {
        let deadline = self.state.lock().deadline();
        tokio::select! {
            biased;
            () = self.opened.notified() => {}
            () = sleep_until(deadline) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(4);

    fn pacer_after(commands: u64, now: Instant) -> Pacer {
        let pacer = Pacer::new();
        pacer.answered(commands, now - ROUND, now);
        pacer
    }

    #[test]
    fn those_who_were_answered_are_waited_for() {
        let now = Instant::now();
        let pacer = pacer_after(8, now);
        assert!(!pacer.is_open(now));
        pacer.arrived(5);
        assert!(!pacer.is_open(now));
        pacer.arrived(1);
        assert!(pacer.is_open(now), "six of eight came back");
        pacer.answered(8, now - ROUND, now);
        pacer.answered(8, now - ROUND, now);
        pacer.arrived(6);
        assert!(!pacer.is_open(now), "the groups of a node are one round");
    }

    #[test]
    fn a_long_round_is_waited_for_once() {
        let now = Instant::now();
        let pacer = Pacer::new();
        (0..50).for_each(|_| pacer.answered(8, now - ROUND, now));
        assert!(!pacer.is_open(now + ROUND * 3 / 4), "longer than one and a half short rounds");
        assert!(pacer.is_open(now + ROUND));
    }

    #[test]
    fn one_client_never_waits() {
        let now = Instant::now();
        let pacer = pacer_after(1, now);
        pacer.arrived(1);
        assert!(pacer.is_open(now));
    }

    #[test]
    fn waiting_ends_and_is_given_up_where_nobody_comes_back() {
        let mut now = Instant::now();
        let pacer = pacer_after(8, now);
        pacer.arrived(2);
        assert!(pacer.is_open(now + WAIT_MAX));
        for paced in [false, true, false, false, false, true] {
            now += ROUND;
            pacer.answered(8, now - ROUND, now);
            assert_eq!(!pacer.is_open(now), paced);
            assert!(pacer.is_open(now + WAIT_MAX));
        }
    }

    #[tokio::test]
    async fn whoever_brings_the_last_command_opens_for_all() {
        let pacer = pacer_after(4, Instant::now());
        let mut waiting = std::pin::pin!(pacer.opened.notified());
        assert!(futures::poll!(&mut waiting).is_pending());
        pacer.arrived(3);
        assert!(futures::poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let pacer = pacer_after(4, Instant::now());
        pacer.opened().await;
        assert!(pacer.is_open(Instant::now()));
    }
}
