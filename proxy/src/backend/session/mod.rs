//! One worker's commands on their way: which group, which batch, which storage node, and what to do
//! when it goes wrong. Pure: time, randomness, topology and answers come in; answers for clients,
//! stores to wake and batches to send come out. [`super::node`] does the I/O around it.
//!
//! Exactly once: a batch with a write has a sequence number, contiguous per (session, group). It is
//! repeated under the same number until it is answered, so what was executed before a failure
//! answers from the storage side's table, and what was not is executed then. A batch refused
//! because its slots moved is *withdrawn*: an empty batch uses up its number, and only when that is
//! confirmed are its commands routed again, so no attempt of it can be executed later.
//!
//! Order: commands of one origin for one slot are executed in the order of submission, across
//! retries and across moves of slots (`Barrier`). Two exceptions, both within one client's pipeline,
//! where the commands are concurrent to an observer: a read repeated after a failure may see a later
//! write, since reads leave no record to answer the repetition from; and a request that outlives its
//! broken stream may be executed between two of the empty batches that withdraw its like.

mod backoff;
mod batch;
mod deadlines;
mod queue;
mod refusals;
mod routing;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use commands::wire;
use proto::v1::{Aside, Batch, BatchReply, DeniedCall, LeaderHint, Refusal};
use topology::{GroupId, Slot, StoreId, Version};

use self::{
    backoff::Rng,
    batch::{Closed, Entry, Flight, Payload},
    queue::{Collect, Moving, Queue},
    routing::{Barrier, Place},
};
use super::routes::Routes;
use crate::backend_api::{Outgoing, RouteError};

/// How often deadlines are looked at.
const SWEEP_MS: u64 = 50;
/// How long commands have time after their group told that it runs a script: enough for another leader to
/// run it again and tell.
const BUSY_MS: u64 = 5000;
/// Index of the queue for commands that came before any topology.
const NOWHERE: usize = 0;
/// Batch ids carry the index of their queue in the low bits.
const QUEUE_BITS: u32 = 16;

/// The reply of one command goes there.
pub trait Origin {
    /// The client connection: its commands keep their order.
    fn origin(&self) -> u64;

    /// Its reply is late, and comes now; `command` is encoded.
    fn late(&self, _command: &[u8]) {}
}

/// Bounds on what waits here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Batches with a write under way per group; more wait, and grow.
    pub write_batches_in_flight_max: usize,
    /// Batches of reads under way per group.
    pub read_batches_in_flight_max: usize,
    /// A batch takes no further command past this size.
    pub batch_bytes_max: usize,
    /// A message takes no further batch past this size.
    pub message_bytes_max: usize,
    /// From here on clients should not be read.
    pub waiting_bytes_congested: usize,
    /// From here on commands are refused.
    pub waiting_bytes_max: usize,
    /// How long a command may take.
    pub deadline_ms: u64,
    /// Whoever waits longer for a reply is told what for; negative: nobody is.
    pub late_us: Arc<AtomicI64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            write_batches_in_flight_max: 4,
            read_batches_in_flight_max: 4,
            batch_bytes_max: 1 << 20,
            message_bytes_max: 4 << 20,
            waiting_bytes_congested: 64 << 20,
            waiting_bytes_max: 256 << 20,
            deadline_ms: 10_000,
            late_us: Arc::new(AtomicI64::new(-1)),
        }
    }
}

/// What the caller must do after an event.
#[derive(Debug)]
pub struct Effects<S> {
    /// What scripts did beside, to be told before their answers.
    pub asides: Vec<Aside>,
    /// By client, what its scripts were refused.
    pub denied: Vec<(u64, DeniedCall)>,
    /// Answers, in the order they came.
    pub replies: Vec<(S, Result<Bytes, RouteError>)>,
    /// By client, what is remembered of that which these replies say.
    pub reads: Vec<(u64, Bytes)>,
    /// Clients that track, of which nothing was remembered.
    pub unsure: Vec<u64>,
    /// Stores for which `collect` has something now.
    pub wake: Vec<StoreId>,
    /// `next_timer_ms` may be earlier than it was.
    pub rearm: bool,
}

impl<S> Default for Effects<S> {
    fn default() -> Self {
        Self {
            asides: Vec::new(),
            denied: Vec::new(),
            replies: Vec::new(),
            reads: Vec::new(),
            unsure: Vec::new(),
            wake: Vec::new(),
            rearm: false,
        }
    }
}

/// The commands of one worker.
#[derive(Debug)]
pub struct Session<S> {
    limits: Limits,
    rng: Rng,
    routes: Arc<Routes>,
    /// One for each group ever seen, after the one for commands that came before any topology.
    queues: Vec<Queue<S>>,
    by_group: HashMap<GroupId, usize>,
    /// Queue of each group of `routes`, by its index there.
    by_route: Vec<usize>,
    barriers: Vec<Barrier>,
    next_batch: u64,
    /// Weight of everything waiting or un-answered.
    waiting_bytes: usize,
    effects: Effects<S>,
}

impl<S: Origin> Session<S> {
    pub fn new(limits: Limits, seed: u64) -> Self {
        let mut session = Self {
            limits,
            rng: Rng::new(seed),
            routes: Arc::new(Routes::empty()),
            queues: vec![Queue::new(GroupId(u64::MAX), 0)],
            by_group: HashMap::new(),
            by_route: Vec::new(),
            barriers: Vec::new(),
            next_batch: 0,
            waiting_bytes: 0,
            effects: Effects::default(),
        };
        session.queues[NOWHERE].moving = Some(Moving { version: Version(1), retry_at_ms: u64::MAX });
        session
    }

    /// What must be done; empties it. `into` lends its memory.
    pub fn take_effects(&mut self, into: &mut Effects<S>) {
        std::mem::swap(&mut self.effects, into);
    }

    pub fn has_effects(&self) -> bool {
        !self.effects.asides.is_empty()
            || !self.effects.replies.is_empty()
            || !self.effects.wake.is_empty()
            || self.effects.rearm
    }

    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub fn is_congested(&self) -> bool {
        self.waiting_bytes >= self.limits.waiting_bytes_congested
    }

    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The group of a slot, and who is believed to lead it.
    pub fn leader_of(&self, slot: Slot) -> Option<(GroupId, StoreId)> {
        let index = self.routes.index_of(slot)?;
        let queue = &self.queues[self.by_route[index]];
        Some((queue.group, queue.target?))
    }

    /// Takes a command in. Its answer may be among the effects at once.
    pub fn submit(&mut self, now_ms: u64, command: &Outgoing<'_>, sink: S) {
        if self.waiting_bytes >= self.limits.waiting_bytes_max {
            return self.effects.replies.push((sink, Err(RouteError::Overloaded)));
        }
        let deadline_ms = now_ms + self.limits.deadline_ms;
        let entry = Entry { sink: Some(sink), target: command.target, write: command.write, deadline_ms };
        self.dispatch(now_ms, entry, &Payload::Command(command));
    }

    fn dispatch(&mut self, now_ms: u64, mut entry: Entry<S>, payload: &Payload<'_>) {
        match self.place(entry.target) {
            Place::Queue(at) => {
                let queue = &mut self.queues[at];
                self.waiting_bytes += queue.push(entry, payload, &self.limits);
                self.effects.wake.extend(queue.take_wake(now_ms, &self.limits));
            }
            Place::Nobody(why) => {
                let answer = entry.sink.take().map(|sink| (sink, Err(RouteError::ClusterDown(why))));
                self.effects.replies.extend(answer);
            }
        }
    }

    /// The stream to `store` can take a message: everything that may be sent there now.
    pub fn collect(&mut self, now_ms: u64, store: StoreId) -> Vec<Batch> {
        let mut out = Vec::new();
        let mut bytes = 0;
        for (at, queue) in self.queues.iter_mut().enumerate() {
            if queue.target != Some(store) || bytes >= self.limits.message_bytes_max {
                continue;
            }
            let next_batch = &mut self.next_batch;
            let mut next_id = || {
                *next_batch += 1;
                (*next_batch << QUEUE_BITS) | at as u64
            };
            let mut cx = Collect {
                now_ms,
                version: self.routes.version,
                limits: &self.limits,
                next_id: &mut next_id,
                out: &mut out,
                bytes,
            };
            queue.collect(&mut cx);
            bytes = cx.bytes;
        }
        out
    }

    /// Something waits for `store`.
    pub fn wants(&self, now_ms: u64, store: StoreId) -> bool {
        self.queues.iter().any(|q| q.target == Some(store) && q.can_send(now_ms, &self.limits))
    }

    /// An answer came.
    pub fn reply(&mut self, now_ms: u64, reply: BatchReply) {
        let at = (reply.id & ((1 << QUEUE_BITS) - 1)) as usize;
        let position = self.queues.get(at).and_then(|queue| queue.position(reply.id));
        // The answer of an attempt that was given up: the repetition brings its own.
        let Some(position) = position else { return };
        match Refusal::try_from(reply.refusal) {
            Ok(Refusal::None) => self.answered(now_ms, at, position, reply),
            Ok(refusal) => self.refused(now_ms, at, position, refusal, reply),
            Err(_) => self.refused(now_ms, at, position, Refusal::UnknownOutcome, reply),
        }
        self.settle(now_ms, at);
    }

    fn answered(&mut self, now_ms: u64, at: usize, position: usize, reply: BatchReply) {
        let BatchReply { replies, reads, aside, more, .. } = reply;
        let queue = &mut self.queues[at];
        let batch = &queue.unanswered[position];
        if batch.seq == 0 && queue.follows_refused_write(position) {
            queue.refuse(position, true);
            return;
        }
        if batch.withdraw && replies.is_empty() && batch.has_sink() {
            queue.unanswered[position].flight = Flight::Withdrawn;
            queue.count_in_flight();
            queue.reached(now_ms);
            return;
        }
        queue.reached(now_ms);
        queue.reroutes = 0;
        let batch = &mut queue.unanswered[position];
        let mut commands = std::mem::take(&mut batch.commands);
        if commands.has_tracked {
            self.note_reads(&commands, reads.as_ref());
        }
        if let Some(mut aside) = aside {
            let denied = std::mem::take(&mut aside.denied);
            let of_client = |call: DeniedCall| Some((commands.origin_of(call.command as usize)?, call));
            self.effects.denied.extend(denied.into_iter().filter_map(of_client));
            self.effects.asides.push(aside);
        }
        let answered = self.queues[at].unanswered[position].answered;
        let answered = self.deliver(now_ms, &mut commands, answered, &replies, more);
        let queue = &mut self.queues[at];
        if more {
            commands.allow_until(now_ms + self.limits.deadline_ms);
            let batch = &mut queue.unanswered[position];
            (batch.commands, batch.answered, batch.sent_at_ms) = (commands, answered, now_ms);
        } else {
            queue.take(position);
            self.waiting_bytes -= commands.weight();
        }
    }

    /// What the storage node remembers of reads for clients that track.
    fn note_reads(&mut self, commands: &Closed<S>, reads: Option<&Bytes>) {
        let client = |at: usize| commands.origin_of(at);
        match reads {
            Some(reads) => {
                let keys =
                    wire::reads(reads).filter_map(|(at, key)| Some((client(at)?, reads.slice_ref(key))));
                self.effects.reads.extend(keys);
            }
            None => {
                let tracked = (0..commands.entries.len()).filter(|&at| commands.is_tracked(at));
                self.effects.unsure.extend(tracked.filter_map(client));
                self.effects.unsure.dedup();
            }
        }
    }

    /// Hands out replies, from the one to command `from` on. Answers up to where; to the end unless `more` come.
    fn deliver(
        &mut self,
        now_ms: u64,
        commands: &mut Closed<S>,
        from: usize,
        replies: &Bytes,
        more: bool,
    ) -> usize {
        if self.is_late(now_ms, commands.deadline_min_ms) {
            self.tell_late(now_ms, commands, from);
        }
        let mut rest: &[u8] = replies;
        for (at, entry) in commands.entries.iter_mut().enumerate().skip(from) {
            if more && rest.is_empty() {
                return at;
            }
            let result = match wire::take_bytes(&mut rest) {
                Ok(b"+OK\r\n") => Ok(Bytes::from_static(b"+OK\r\n")),
                Ok(bytes) => Ok(replies.slice_ref(bytes)),
                Err(wire::Malformed) => Err(RouteError::Unknown),
            };
            self.effects.replies.extend(entry.sink.take().map(|sink| (sink, result)));
        }
        commands.entries.len()
    }

    /// Whether a command with this deadline has waited long.
    fn is_late(&self, now_ms: u64, deadline_ms: u64) -> bool {
        // The clock of the limit is another one.
        const MARGIN_MS: u64 = 2;
        let waited_ms = (now_ms + self.limits.deadline_ms + MARGIN_MS).saturating_sub(deadline_ms);
        u64::try_from(self.limits.late_us.load(Relaxed)).is_ok_and(|limit| waited_ms * 1000 >= limit)
    }

    fn tell_late(&self, now_ms: u64, commands: &Closed<S>, from: usize) {
        let mut start = from.checked_sub(1).map_or(0, |last| commands.ends[last]);
        for (entry, &end) in commands.entries.iter().zip(&commands.ends).skip(from) {
            if let Some(sink) = entry.sink.as_ref().filter(|_| self.is_late(now_ms, entry.deadline_ms)) {
                sink.late(&commands.bytes[start..end]);
            }
            start = end;
        }
    }

    /// The stream to `store` broke, or it cannot be reached.
    pub fn disconnected(&mut self, now_ms: u64, store: StoreId) {
        for at in 0..self.queues.len() {
            let queue = &mut self.queues[at];
            if queue.target != Some(store) {
                continue;
            }
            queue.lose_all();
            if queue.is_idle() {
                continue;
            }
            queue.recover(now_ms, &mut self.rng);
            queue.redirect(None, now_ms);
            self.effects.rearm = true;
            self.settle(now_ms, at);
        }
    }

    /// Meta told who leads.
    pub fn leaders(&mut self, now_ms: u64, leaders: &[LeaderHint]) {
        for hint in leaders {
            let Some(&at) = self.by_group.get(&GroupId(hint.group)) else { continue };
            self.queues[at].follow(StoreId(hint.store_id), hint.term, now_ms);
            self.settle(now_ms, at);
        }
    }

    /// The group runs a script, and answers when that is over: its commands have time.
    pub fn is_busy(&mut self, now_ms: u64, group: GroupId) {
        if let Some(&at) = self.by_group.get(&group) {
            self.queues[at].busy_until_ms = now_ms + BUSY_MS;
        }
    }

    /// Who is believed to lead a group.
    pub fn target_of(&self, group: GroupId) -> Option<StoreId> {
        self.queues[*self.by_group.get(&group)?].target
    }

    /// Time passes: deadlines, ends of pauses. To be called when `next_timer_ms` says so.
    pub fn tick(&mut self, now_ms: u64) {
        for at in 0..self.queues.len() {
            if !self.queues[at].is_idle() && now_ms >= self.queues[at].busy_until_ms {
                if self.queues[at].give_up(now_ms, self.limits.deadline_ms) {
                    self.queues[at].recover(now_ms, &mut self.rng);
                }
                self.expire(now_ms, at);
                self.settle(now_ms, at);
            }
        }
    }

    /// When `tick` is due; none while nothing waits.
    pub fn next_timer_ms(&self, now_ms: u64) -> Option<u64> {
        let sweep = now_ms + SWEEP_MS;
        let busy = self.queues.iter().filter(|q| !q.is_idle());
        busy.map(|q| q.next_timer_ms().filter(|&t| t > now_ms).map_or(sweep, |t| t.min(sweep))).min()
    }

    /// Whatever an event made possible for a queue.
    fn settle(&mut self, now_ms: u64, at: usize) {
        let queue = &mut self.queues[at];
        queue.finish_drain(now_ms);
        self.waiting_bytes -= std::mem::take(&mut queue.freed_bytes);
        if queue.session_is_lost() {
            self.renew_session(at);
        }
        let queue = &mut self.queues[at];
        if let Some(moving) = queue.moving {
            let over = now_ms >= moving.retry_at_ms || self.routes.version >= moving.version;
            if over && queue.is_withdrawn() {
                self.reroute(now_ms, at);
            }
        }
        self.effects.wake.extend(self.queues[at].take_wake(now_ms, &self.limits));
    }

    fn renew_session(&mut self, at: usize) {
        let mut failed = Vec::new();
        let session = self.rng.next_u64();
        self.waiting_bytes -= self.queues[at].renew_session(session, &mut failed);
        self.effects.replies.extend(failed.into_iter().map(|(sink, error)| (sink, Err(error))));
    }
}
