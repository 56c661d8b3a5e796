//! What a queue does about refusals, lost attempts and lost sessions.

use std::collections::VecDeque;

use topology::StoreId;

use super::{
    super::{
        Origin,
        backoff::{self, Rng},
        batch::{Filling, Flight, Payload, Unanswered},
    },
    Queue,
};
use crate::backend_api::RouteError;

/// How long a refused batch waits for the answers of those sent after it before they count as lost.
pub(super) const DRAIN_MS: u64 = 500;
/// A target that answered so recently is not given up because meta names another.
const DEPOSED_AFTER_MS: u64 = 300;

impl<S: Origin> Queue<S> {
    pub(super) fn drained(&self, now_ms: u64) -> bool {
        !self.any_in_flight() || self.recovering_since_ms.is_some_and(|since| now_ms >= since + DRAIN_MS)
    }

    /// If everything under way was answered or given up: prepares what must be sent again.
    pub fn finish_drain(&mut self, now_ms: u64) -> bool {
        let over = self.recovering_since_ms.is_some() && self.drained(now_ms);
        if over {
            self.lose_all();
        }
        over
    }

    /// The group answered.
    pub fn reached(&mut self, now_ms: u64) {
        self.attempts = 0;
        self.answered_at_ms = Some(now_ms);
    }

    /// The attempt of batch `at` was refused: it is to be sent again.
    pub fn refuse(&mut self, at: usize, outcome_known: bool) {
        let batch = &mut self.unanswered[at];
        batch.flight = Flight::Ready;
        batch.unknown |= !outcome_known;
        self.count_in_flight();
    }

    /// Nothing new is sent until what was refused has been sent again. True if that starts now.
    pub fn recover(&mut self, now_ms: u64, rng: &mut Rng) -> bool {
        if self.recovering_since_ms.is_some() {
            return false;
        }
        self.recovering_since_ms = Some(now_ms);
        self.attempts += 1;
        self.not_before_ms = now_ms + backoff::delay_ms(self.attempts, rng);
        self.woken = false;
        true
    }

    /// Goes to another replica. A hint that was not tried yet is followed at once, the first time.
    pub fn redirect(&mut self, hint: Option<StoreId>, now_ms: u64) {
        match hint {
            Some(leader) if Some(leader) != self.target => {
                self.target = Some(leader);
                if self.attempts <= 1 {
                    self.not_before_ms = now_ms;
                }
            }
            _ => self.target = self.next_replica(),
        }
        self.woken = false;
    }

    /// Refusals in a row without a success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    pub fn retry_at_once(&mut self, now_ms: u64) {
        if self.attempts <= 1 {
            self.not_before_ms = now_ms;
        }
    }

    fn next_replica(&self) -> Option<StoreId> {
        let at = self.replicas.iter().position(|&r| Some(r) == self.target);
        let next = at.map_or(0, |at| (at + 1) % self.replicas.len());
        self.replicas.get(next).copied()
    }

    /// Meta names the leader. Attempts under way at a deposed one count as lost, unless it answered
    /// just now: then what meta says is old.
    pub fn follow(&mut self, leader: StoreId, term: u64, now_ms: u64) {
        let answers =
            self.any_in_flight() && self.answered_at_ms.is_some_and(|at| now_ms < at + DEPOSED_AFTER_MS);
        if term <= self.leader_term || !self.replicas.contains(&leader) || answers {
            return;
        }
        self.leader_term = term;
        if self.target == Some(leader) {
            return;
        }
        self.target = Some(leader);
        self.not_before_ms = now_ms;
        self.woken = false;
        self.lose_all();
    }

    /// An answer so late does not come: whoever waited for it is gone. True if there is such a batch.
    pub fn give_up(&mut self, now_ms: u64, patience_ms: u64) -> bool {
        let is_stale = |b: &Unanswered<S>| b.in_flight() && now_ms >= b.sent_at_ms + patience_ms;
        let stale: Vec<_> = (0..self.unanswered.len()).filter(|&at| is_stale(&self.unanswered[at])).collect();
        for &at in &stale {
            self.refuse(at, false);
        }
        !stale.is_empty()
    }

    /// No attempt under way will be answered.
    pub fn lose_all(&mut self) {
        self.unanswered.iter_mut().for_each(Unanswered::lose);
        self.count_in_flight();
        self.prepare_again();
    }

    /// With no attempt under way: applies what refusals said about the batches to be sent again.
    fn prepare_again(&mut self) {
        // Reads that nobody waits for any more need no answer; a sequence number does.
        let freed = &mut self.freed_bytes;
        self.unanswered.retain(|b| {
            let keep = b.seq > 0 || b.has_sink();
            *freed += if keep { 0 } else { b.commands.weight() };
            keep
        });
        for batch in self.unanswered.iter_mut().filter(|b| b.flight == Flight::Ready) {
            if self.moving.is_some() && batch.seq == 0 {
                batch.flight = Flight::Withdrawn;
            }
            batch.withdraw |= self.moving.is_some() || !batch.has_sink();
        }
    }

    pub fn lose_session(&mut self) {
        self.session_lost = true;
    }

    pub fn session_is_lost(&self) -> bool {
        self.session_lost && !self.any_in_flight()
    }

    /// Begins a new session: what may have been executed in the old one fails, the rest is numbered
    /// anew. Failed sinks go to `failed`.
    pub fn renew_session(&mut self, session: u64, failed: &mut Vec<(S, RouteError)>) -> usize {
        self.session = session;
        self.session_lost = false;
        self.last_seq = 0;
        let mut freed = 0;
        let mut again = VecDeque::new();
        for batch in std::mem::take(&mut self.unanswered) {
            if batch.seq == 0 || batch.flight == Flight::Withdrawn {
                again.push_back(Unanswered { seq: 0, ..batch });
            } else if batch.unknown {
                freed += batch.commands.weight();
                let (reads, weight) = fail_writes(batch, failed);
                freed -= weight;
                again.extend(reads);
            } else if batch.withdraw {
                again.push_back(Unanswered { seq: 0, flight: Flight::Withdrawn, ..batch });
            } else {
                self.last_seq += 1;
                again.push_back(Unanswered { seq: self.last_seq, ..batch });
            }
        }
        self.unanswered = again;
        freed
    }
}

/// Splits a batch of unknown outcome: its writes fail, its reads may be executed (again).
fn fail_writes<S: Origin>(
    batch: Unanswered<S>,
    failed: &mut Vec<(S, RouteError)>,
) -> (Option<Unanswered<S>>, usize) {
    let mut reads = Filling::default();
    let mut weight = 0;
    batch.commands.each(|mut entry, bytes| {
        if entry.write {
            failed.extend(entry.sink.take().map(|sink| (sink, RouteError::Unknown)));
        } else if entry.sink.is_some() {
            weight += reads.push(entry, &Payload::Encoded(bytes));
        }
    });
    let kept = (!reads.is_empty()).then(|| Unanswered {
        seq: 0,
        commands: reads.close(),
        flight: Flight::Ready,
        answered: 0,
        sent_at_ms: 0,
        unknown: false,
        withdraw: false,
    });
    (kept, weight)
}
