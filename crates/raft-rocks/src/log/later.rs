//! Which turns leave their sync to a later one.
//!
//! An entry is committed when a majority has synced it. Where the other replicas answer in time, nobody
//! waits for the sync of the one that proposed it: many turns can share one. Callbacks wait for that
//! sync, as always; so what counts towards the majority does not change.
//!
//! Whether the others answer in time is measured: the time from a turn to the commit of its entry with a
//! sync of its own and without, in periods that take turns.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::queue::GroupShared;
use crate::types::LogId;

/// When a turn is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncWhen {
    Now,
    /// By a later turn, or by one of the looks at what is left, whichever is first.
    Later,
}

/// Written and not synced bytes that may wait.
const BYTES_MAX: u64 = 256 << 10;
/// Looks after which what was left is synced in any case.
const LOOKS_MAX: u32 = 16;
/// Time between looks, on a disk that takes no time.
pub(super) const LOOK_AFTER: Duration = Duration::from_millis(3);
/// Turns of a period: of the better way, and of the other, which is tried now and then.
const PERIOD: u32 = 512;
const TRIAL: u32 = 8;

/// How long commits take, one way or the other: follows the median.
#[derive(Debug, Clone, Copy, Default)]
struct Latency(Option<Duration>);

impl Latency {
    fn add(&mut self, sample: Duration) {
        self.0 = Some(match self.0 {
            None => sample,
            Some(median) if sample > median => median + median / 8,
            Some(median) => median - median / 8,
        });
    }
}

/// A turn whose commit is waited for.
struct Sample {
    group: Arc<GroupShared>,
    id: LogId,
    written: Instant,
}

type Written = (Arc<GroupShared>, LogId);

pub(super) struct Later {
    /// The last entry of each group since the last sync.
    unsynced: Vec<Written>,
    /// The same as it was at the last look: by the next all of it should be committed.
    seen: Vec<Written>,
    looks: u32,
    /// The next turn syncs, even if nothing is queued.
    due: bool,
    /// Somebody looks at what is left from time to time.
    watched: bool,
    period: SyncWhen,
    turns_left: u32,
    /// Periods without own syncs that ended because the others did not answer, since one that did not.
    missed: u32,
    now: Latency,
    later: Latency,
    sample: Option<Sample>,
}

impl Default for Later {
    fn default() -> Self {
        Self {
            unsynced: Vec::new(),
            seen: Vec::new(),
            looks: 0,
            due: false,
            watched: false,
            period: SyncWhen::Now,
            turns_left: TRIAL,
            missed: 0,
            now: Latency::default(),
            later: Latency::default(),
            sample: None,
        }
    }
}

impl Later {
    /// A turn wrote `last`, the last entries of some groups, proposed by this node; `bytes` are not synced.
    pub fn turn(&mut self, last: impl Iterator<Item = Written>, bytes: u64) -> SyncWhen {
        self.take_sample();
        if self.turns_left == 0 {
            self.next_period();
        }
        self.turns_left -= 1;
        for (group, id) in last {
            if self.sample.is_none() {
                self.sample = Some(Sample { group: group.clone(), id, written: Instant::now() });
            }
            match self.unsynced.iter_mut().find(|(known, _)| known.id == group.id) {
                Some((_, last)) => *last = id,
                None => self.unsynced.push((group, id)),
            }
        }
        if bytes > BYTES_MAX { SyncWhen::Now } else { self.period }
    }

    fn take_sample(&mut self) {
        let Some(Sample { group, id, written }) = self.sample.take() else { return };
        if let Some(at) = committed_at(&group, &id) {
            let latency = match self.period {
                SyncWhen::Now => &mut self.now,
                SyncWhen::Later => &mut self.later,
            };
            latency.add(at.saturating_duration_since(written));
        }
    }

    /// Later is better unless commits take half as long again.
    fn next_period(&mut self) {
        let later_pays = match (self.now.0, self.later.0) {
            (Some(now), Some(later)) => later <= now * 3 / 2,
            _ => true,
        };
        (self.period, self.turns_left) = match self.period {
            SyncWhen::Now => (SyncWhen::Later, if later_pays { PERIOD } else { TRIAL }),
            SyncWhen::Later => {
                self.missed = 0;
                (SyncWhen::Now, if later_pays { TRIAL } else { 2 * PERIOD })
            }
        };
    }

    /// The next turn is to sync.
    pub fn make_due(&mut self) {
        self.due = true;
    }

    /// Whether this turn is to sync.
    pub fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }

    /// Whether nobody looks at what is left. From now on somebody does, until a [`look`](Self::look) finds
    /// nothing.
    pub fn begin_watch(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// How long until the next [`look`](Self::look).
    pub fn look_after(&self) -> Duration {
        LOOK_AFTER + self.now.0.unwrap_or_default() * 2
    }

    /// Whether the next turn is to sync what is left. `None` if nothing is left.
    pub fn look(&mut self) -> Option<SyncWhen> {
        self.watched = !self.unsynced.is_empty();
        self.due = self.watched && self.must_sync();
        let when = if self.due { SyncWhen::Now } else { SyncWhen::Later };
        self.watched.then_some(when)
    }

    fn must_sync(&mut self) -> bool {
        if self.seen.iter().any(|(group, id)| committed_at(group, id).is_none()) {
            // The others do not answer: the majority needs this node.
            self.sample = None;
            self.period = SyncWhen::Now;
            self.turns_left = (TRIAL << self.missed).min(2 * PERIOD);
            self.missed = (self.missed + 1).min(PERIOD.ilog2());
            return true;
        }
        self.looks += 1;
        self.seen.clone_from(&self.unsynced);
        self.looks >= LOOKS_MAX
    }

    /// Everything written is synced, or never will be.
    pub fn synced(&mut self) {
        self.unsynced.clear();
        self.seen.clear();
        self.looks = 0;
    }
}

/// When the entry was known to be committed, or a later one of its group.
fn committed_at(group: &GroupShared, id: &LogId) -> Option<Instant> {
    let state = group.state.lock();
    state.committed_at.filter(|_| state.committed.as_ref() >= Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::committed_leader_id;

    /// The share of turns that waited, where commits take so long with a sync of this node and without.
    fn share_of_later(now_ms: u64, later_ms: u64) -> f64 {
        let mut later = Later::default();
        let group = Arc::new(GroupShared { id: 1, state: Default::default() });
        let turns = 10_000;
        let waited = (1..=turns).filter(|&index| {
            let id = LogId::new(committed_leader_id(1, 1), index);
            let when = later.turn(std::iter::once((group.clone(), id)), 0);
            let took = if when == SyncWhen::Now { now_ms } else { later_ms };
            let mut state = group.state.lock();
            state.committed = Some(id);
            state.committed_at = Some(Instant::now() + Duration::from_millis(took));
            when == SyncWhen::Later
        });
        waited.count() as f64 / turns as f64
    }

    #[test]
    fn turns_wait_unless_the_others_take_much_longer() {
        assert!(share_of_later(10, 5) > 0.9);
        assert!(share_of_later(10, 12) > 0.9);
        assert!(share_of_later(10, 30) < 0.1);
    }

    #[test]
    fn turns_do_not_wait_for_others_that_do_not_answer() {
        let mut later = Later::default();
        let group = Arc::new(GroupShared { id: 1, state: Default::default() });
        let mut missed = 0;
        for index in 1..=10_000 {
            let id = LogId::new(committed_leader_id(1, 1), index);
            if later.turn(std::iter::once((group.clone(), id)), 0) == SyncWhen::Later {
                assert_eq!(later.look(), Some(SyncWhen::Later));
                assert_eq!(later.look(), Some(SyncWhen::Now));
                missed += 1;
            }
            later.synced();
            assert_eq!(later.look(), None);
        }
        assert!((10..20).contains(&missed), "{missed}");
    }

    #[test]
    fn no_turn_waits_for_long() {
        let mut later = Later { period: SyncWhen::Later, turns_left: 10, ..Later::default() };
        let group = Arc::new(GroupShared { id: 1, state: Default::default() });
        let id = LogId::new(committed_leader_id(1, 1), 1);
        group.state.lock().committed = Some(id);
        group.state.lock().committed_at = Some(Instant::now());
        assert_eq!(later.turn(std::iter::once((group.clone(), id)), BYTES_MAX + 1), SyncWhen::Now);
        assert_eq!(later.turn(std::iter::once((group, id)), 100), SyncWhen::Later);
        let looks = std::iter::from_fn(|| (later.look() == Some(SyncWhen::Later)).then_some(())).count();
        assert_eq!(looks as u32, LOOKS_MAX - 1);
    }
}
