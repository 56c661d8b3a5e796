//! The commands of one group: waiting in windows, then un-answered in batches, in order.
//!
//! Invariants:
//! - sequence numbers of `unanswered` batches with a write ascend by one up to `last_seq`, in order;
//! - nothing new is sent while an earlier batch is to be sent again (`recovering`), and the
//!   repetition starts only when every attempt under way was answered or given up: so a leader sees
//!   the batches of a session in order, and at most one attempt of each at a time;
//! - the target changes only while no attempt is under way.

mod recovery;

use std::collections::VecDeque;

use bytes::Bytes;
use proto::v1::Batch;
use smallvec::SmallVec;
use topology::{GroupId, StoreId, Version};

use self::recovery::DRAIN_MS;
use super::{
    Limits, Origin,
    batch::{Entry, Flight, Payload, Unanswered, Window},
};

/// Why and until when the commands of a queue wait to be routed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moving {
    /// Go on when this version is in force…
    pub version: Version,
    /// … or at this time, whichever comes first.
    pub retry_at_ms: u64,
}

/// The commands of one group.
#[derive(Debug)]
pub(super) struct Queue<S> {
    pub group: GroupId,
    /// Stores of its replicas, by the topology.
    pub replicas: SmallVec<[StoreId; 4]>,
    /// Who is believed to lead it.
    pub target: Option<StoreId>,
    /// Term of the newest leader that meta told.
    pub leader_term: u64,
    pub moving: Option<Moving>,
    pub unanswered: VecDeque<Unanswered<S>>,
    pub(super) windows: VecDeque<Window<S>>,
    session: u64,
    last_seq: u64,
    /// Since when batches wait to be sent again.
    recovering_since_ms: Option<u64>,
    /// Attempts without a success between them.
    attempts: u32,
    /// Times its commands were routed again without a success between them.
    pub reroutes: u32,
    not_before_ms: u64,
    /// Until then nothing is given up: the group runs a script.
    pub busy_until_ms: u64,
    /// When the target last answered.
    answered_at_ms: Option<u64>,
    /// The session is lost on the storage side.
    session_lost: bool,
    /// The writer of the target was woken and has not come yet.
    woken: bool,
    reads_in_flight: usize,
    writes_in_flight: usize,
    /// Weight of batches dropped since the session last asked.
    pub freed_bytes: usize,
}

impl<S: Origin> Queue<S> {
    pub fn new(group: GroupId, session: u64) -> Self {
        Self {
            group,
            replicas: SmallVec::new(),
            target: None,
            leader_term: 0,
            moving: None,
            unanswered: VecDeque::new(),
            windows: VecDeque::new(),
            session,
            last_seq: 0,
            recovering_since_ms: None,
            attempts: 0,
            reroutes: 0,
            not_before_ms: 0,
            busy_until_ms: 0,
            answered_at_ms: None,
            session_lost: false,
            woken: false,
            reads_in_flight: 0,
            writes_in_flight: 0,
            freed_bytes: 0,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.unanswered.is_empty() && self.windows.is_empty()
    }

    /// Appends a command; returns the weight it adds.
    pub fn push(&mut self, entry: Entry<S>, payload: &Payload<'_>, limits: &Limits) -> usize {
        match self.windows.back_mut() {
            Some(window) if window.bytes_max() < limits.batch_bytes_max => window.push(entry, payload),
            _ => {
                self.windows.push_back(Window::default());
                self.windows.back_mut().map_or(0, |w| w.push(entry, payload))
            }
        }
    }

    /// The store whose writer must be woken, if there is something for it that it does not know of.
    pub fn take_wake(&mut self, now_ms: u64, limits: &Limits) -> Option<StoreId> {
        if self.woken || !self.can_send(now_ms, limits) {
            return None;
        }
        self.woken = self.target.is_some();
        self.target
    }

    pub fn can_send(&self, now_ms: u64, limits: &Limits) -> bool {
        if now_ms < self.not_before_ms {
            return false;
        }
        if self.recovering_since_ms.is_some() {
            return self.drained(now_ms) && (!self.is_withdrawn() || self.can_close(limits));
        }
        self.unanswered.iter().any(|b| b.flight == Flight::Ready) || self.can_close(limits)
    }

    /// When `can_send`, or routing anew, may become possible by time alone; may lie in the past.
    pub fn next_timer_ms(&self) -> Option<u64> {
        let hold = self.moving.map(|m| m.retry_at_ms).filter(|_| self.is_withdrawn());
        let drain = self.recovering_since_ms.map(|since| match self.any_in_flight() {
            true => since + DRAIN_MS,
            false => self.not_before_ms,
        });
        hold.into_iter().chain(drain).min()
    }

    fn can_close(&self, limits: &Limits) -> bool {
        let Some(window) = self.windows.front().filter(|_| self.moving.is_none()) else { return false };
        if window.reads.is_empty() {
            !window.writes.is_empty() && self.writes_in_flight < limits.write_batches_in_flight_max
        } else {
            self.reads_in_flight < limits.read_batches_in_flight_max
        }
    }

    fn any_in_flight(&self) -> bool {
        self.reads_in_flight + self.writes_in_flight > 0
    }

    /// Every un-answered command may be routed anew.
    pub fn is_withdrawn(&self) -> bool {
        self.unanswered.iter().all(|b| b.flight == Flight::Withdrawn)
    }

    /// Puts what can be sent now into `cx.out`.
    pub fn collect(&mut self, cx: &mut Collect<'_>) {
        self.woken = false;
        if cx.now_ms < self.not_before_ms {
            return;
        }
        if self.recovering_since_ms.is_some() {
            if !self.finish_drain(cx.now_ms) {
                return;
            }
            self.recovering_since_ms = None;
        }
        let acked_seq = self.acked_seq();
        for at in 0..self.unanswered.len() {
            if self.unanswered[at].flight == Flight::Ready {
                self.send(at, acked_seq, cx);
            }
        }
        while self.can_close(cx.limits) && cx.bytes < cx.limits.message_bytes_max {
            self.close_next();
            self.send(self.unanswered.len() - 1, acked_seq, cx);
        }
    }

    fn send(&mut self, at: usize, acked_seq: u64, cx: &mut Collect<'_>) {
        let batch = &mut self.unanswered[at];
        let id = (cx.next_id)();
        batch.flight = Flight::Sent(id);
        batch.answered = 0;
        batch.sent_at_ms = cx.now_ms;
        let deadline = batch.commands.entries.iter().map(|e| e.deadline_ms).max().unwrap_or(0);
        let commands = if batch.withdraw { Bytes::new() } else { batch.commands.bytes.clone() };
        // A number must be used up whether or not someone still waits.
        let patience_ms = if batch.withdraw { 0 } else { deadline.saturating_sub(cx.now_ms).max(1) };
        cx.bytes += commands.len();
        cx.out.push(Batch {
            group: self.group.0,
            topology_version: cx.version.0,
            id,
            session: self.session,
            seq: batch.seq,
            acked_seq,
            commands,
            deadline_ms: u32::try_from(patience_ms).unwrap_or(u32::MAX),
            finished_sessions: Vec::new(),
            limits: Vec::new(),
            shows_calls: false,
        });
        self.count_in_flight();
    }

    /// Moves the next lane of the first window to the un-answered batches.
    fn close_next(&mut self) {
        let Some(window) = self.windows.front_mut() else { return };
        let lane = if window.reads.is_empty() { &mut window.writes } else { &mut window.reads };
        let filled = std::mem::take(lane);
        if window.is_empty() {
            self.windows.pop_front();
        }
        let seq = if filled.has_write { self.last_seq + 1 } else { 0 };
        self.last_seq = self.last_seq.max(seq);
        self.unanswered.push_back(Unanswered {
            seq,
            commands: filled.close(),
            flight: Flight::Ready,
            answered: 0,
            sent_at_ms: 0,
            unknown: false,
            withdraw: false,
        });
    }

    /// Every sequence number up to this one was answered.
    fn acked_seq(&self) -> u64 {
        self.unanswered.iter().find(|b| b.seq > 0).map_or(self.last_seq, |b| b.seq - 1)
    }

    pub fn count_in_flight(&mut self) {
        let in_flight = |b: &&Unanswered<S>| b.in_flight();
        self.reads_in_flight = self.unanswered.iter().filter(in_flight).filter(|b| b.seq == 0).count();
        self.writes_in_flight = self.unanswered.iter().filter(in_flight).count() - self.reads_in_flight;
    }

    /// Position of the batch whose attempt has this id; none for the answer of a given-up attempt.
    pub fn position(&self, id: u64) -> Option<usize> {
        self.unanswered.iter().position(|b| b.flight == Flight::Sent(id))
    }

    /// A batch before `at` must be sent again: an answer to reads behind it may miss its writes.
    pub fn follows_refused_write(&self, at: usize) -> bool {
        self.unanswered.iter().take(at).any(|b| b.seq > 0 && b.flight == Flight::Ready)
    }

    /// Takes an answered batch out.
    pub fn take(&mut self, at: usize) -> Option<Unanswered<S>> {
        let batch = self.unanswered.remove(at);
        self.count_in_flight();
        batch
    }

    /// The replicas by a new topology.
    pub fn set_replicas(&mut self, replicas: &[StoreId]) {
        self.replicas = SmallVec::from_slice(replicas);
        let stays = self.target.is_some_and(|t| replicas.contains(&t));
        if !stays && !self.any_in_flight() {
            self.target = replicas.first().copied();
            self.woken = false;
        }
    }

    /// Everything that waits, in order: for another queue, or for this one again.
    pub fn take_all(&mut self) -> impl Iterator<Item = Unanswered<S>> + use<S> {
        self.moving = None;
        self.recovering_since_ms = None;
        self.woken = false;
        let unanswered = std::mem::take(&mut self.unanswered);
        let windows = std::mem::take(&mut self.windows);
        self.count_in_flight();
        let fresh = windows.into_iter().flat_map(|w| [w.reads, w.writes]).filter(|f| !f.is_empty());
        unanswered.into_iter().chain(fresh.map(|filling| Unanswered {
            seq: 0,
            commands: filling.close(),
            flight: Flight::Withdrawn,
            answered: 0,
            sent_at_ms: 0,
            unknown: false,
            withdraw: false,
        }))
    }
}

/// What `collect` needs from its session.
pub(super) struct Collect<'a> {
    pub now_ms: u64,
    pub version: Version,
    pub limits: &'a Limits,
    pub next_id: &'a mut dyn FnMut() -> u64,
    pub out: &'a mut Vec<Batch>,
    /// Bytes of commands in `out`.
    pub bytes: usize,
}
