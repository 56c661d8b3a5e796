//! The evaluator: a small single-threaded Redis per group whose effects go through Raft.
//!
//! One task owns it. It takes batches in order, executes their commands over committed state plus
//! overlay, and gathers the effects of everything that waited into one entry. Invariants:
//!
//! - It serves only between applying the first entry of its own term and losing leadership.
//! - An entry is proposed for exactly the leadership it was evaluated under.
//! - A reply leaves only when every write that its command made or saw is committed and applied.
//! - A batch of a session executes only if it is the next of that session, counting those in flight.

mod slots;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use proto::v1::{BatchReply, Refusal};
use raft_rocks::{CommittedLeaderId, Payload, Raft, ReadPolicy, WatchReceiver as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::SlotSet;

use super::{
    Shared,
    effects::EffectsBuilder,
    execute::{Clients, Executed, Execution, Served},
    inbox::{Incoming, ReplyQueue, refused},
    machine::StateMachine,
    state::GroupState,
    view::{EntryId, Overlay, View, Written},
};
use crate::options::Reads;

/// Entries of one group on their way through Raft. Batching follows load: what arrives meanwhile
/// joins the next entry.
const ENTRIES_IN_FLIGHT_MAX: usize = 1;
/// Effects gathered for the next entry beyond which no more batches are taken.
const ENTRY_BYTES_MAX: usize = 4 << 20;
const TICK: Duration = Duration::from_millis(100);
/// A follower only makes sure that it missed no change of leadership.
const FOLLOWER_TICK: Duration = Duration::from_millis(500);
/// Expired keys deleted per tick.
const EXPIRE_PER_TICK: usize = 1000;

/// Why this replica does not serve, or that it does.
enum Role {
    Follower,
    /// Elected, but its state does not yet include the first entry of its term.
    CatchingUp(CommittedLeaderId),
    Serving(CommittedLeaderId),
}

/// A reply that waits for an entry.
struct Waiting {
    sink: Arc<ReplyQueue>,
    id: u64,
    session: u64,
    seq: u64,
    replies: Bytes,
}

struct InFlight {
    eid: EntryId,
    written: Written,
    waiting: Vec<Waiting>,
}

type Outcome = (EntryId, Result<(), Refusal>);

/// See the module's description.
pub struct Evaluator {
    shared: Arc<Shared>,
    raft: Raft<StateMachine>,
    role: Role,
    overlay: Overlay,
    /// Effects, keys and replies of the entry that is being gathered.
    effects: EffectsBuilder,
    written: Written,
    waiting: Vec<Waiting>,
    /// Its number; entries before `eid - in_flight.len()` are settled.
    eid: EntryId,
    in_flight: VecDeque<InFlight>,
    proposals: FuturesOrdered<BoxFuture<'static, Outcome>>,
    /// Last sequence number evaluated per session, where it is ahead of the committed table.
    evaluated_seq: HashMap<u64, u64>,
    /// Group time as of the last evaluation.
    time_ms: u64,
    /// Batches taken from the inbox and not evaluated yet.
    backlog: VecDeque<Incoming>,
    /// Seed of the next command's randomness.
    seed: u64,
    /// Of this leadership.
    clients: Clients,
    /// Commands that waited and are served by what is being gathered.
    served: Vec<Served>,
    /// Slots proposed in this leadership, and their version: commands are evaluated after that entry.
    slots_proposed: Option<(u64, SlotSet)>,
}

impl Evaluator {
    pub fn new(shared: Arc<Shared>, raft: Raft<StateMachine>) -> Self {
        Self {
            seed: shared.entropy.next_u64(),
            shared,
            raft,
            role: Role::Follower,
            overlay: Overlay::default(),
            effects: EffectsBuilder::default(),
            written: Written::default(),
            waiting: Vec::new(),
            eid: 1,
            in_flight: VecDeque::new(),
            proposals: FuturesOrdered::new(),
            evaluated_seq: HashMap::new(),
            time_ms: 0,
            backlog: VecDeque::new(),
            clients: Clients::new(0),
            served: Vec::new(),
            slots_proposed: None,
        }
    }

    /// Runs until `stop`, or until the group's Raft has stopped for good.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut server = self.raft.server_metrics();
        let mut tick = std::pin::pin!(tokio::time::sleep(TICK));
        self.follow_leadership();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Before outcomes: refusals in a row must not hide that another leads by now.
                changed = server.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.follow_leadership();
                    tick.as_mut().reset(Instant::now() + TICK);
                }
                Some(outcome) = self.proposals.next(), if !self.proposals.is_empty() => {
                    self.on_outcome(outcome);
                }
                () = self.shared.assigned.notified() => {
                    if matches!(self.role, Role::Serving(_)) {
                        self.adopt_slots();
                    }
                }
                () = self.shared.applied.notified(), if matches!(self.role, Role::CatchingUp(_)) => {
                    self.serve_if_caught_up();
                }
                () = self.shared.inbox.ready(), if self.has_room() => {}
                () = &mut tick => {
                    self.on_tick();
                    let period = if matches!(self.role, Role::Follower) { FOLLOWER_TICK } else { TICK };
                    tick.as_mut().reset(Instant::now() + period);
                }
            }
            self.work().await;
        }
        self.step_down(Refusal::StorageFailed);
        for incoming in self.shared.inbox.take() {
            incoming.refuse(Refusal::NotLeader, 0, 0);
        }
    }

    fn has_room(&self) -> bool {
        self.backlog.is_empty() && self.effects.len() < ENTRY_BYTES_MAX
    }

    /// Evaluates what waits and proposes what was gathered.
    async fn work(&mut self) {
        self.evaluate_backlog().await;
        if self.may_propose() {
            // What is on its way here joins the entry, and replies leave before the disk is busy.
            tokio::task::yield_now().await;
            self.evaluate_backlog().await;
            self.propose();
        }
        self.shared.publish(matches!(self.role, Role::Serving(_)));
    }

    async fn evaluate_backlog(&mut self) {
        if self.has_room() {
            self.backlog.extend(self.shared.inbox.take());
        }
        if !self.backlog.is_empty() {
            self.drain_backlog().await;
        }
    }

    fn may_propose(&self) -> bool {
        !self.effects.is_empty() && self.in_flight.len() < ENTRIES_IN_FLIGHT_MAX
    }

    async fn drain_backlog(&mut self) {
        if !matches!(self.role, Role::Serving(_)) {
            let hint = self.shared.leader_hint(&self.raft);
            let version = self.shared.slots_version();
            for incoming in self.backlog.drain(..) {
                incoming.refuse(Refusal::NotLeader, hint, version);
            }
            return;
        }
        if !self.may_read().await {
            // Leadership cannot be confirmed now: whoever leads will answer.
            for incoming in self.backlog.drain(..) {
                incoming.refuse(Refusal::NotLeader, 0, 0);
            }
            return;
        }
        self.advance_time();
        let shared = self.shared.clone();
        let state = shared.state.lock();
        while self.effects.len() < ENTRY_BYTES_MAX {
            let Some(incoming) = self.backlog.pop_front() else { break };
            self.admit(&state, incoming);
        }
    }

    /// Group time: the leader's clock, never below what any entry has seen.
    fn advance_time(&mut self) {
        let applied = self.shared.state.lock().applied.time_ms;
        self.time_ms = self.time_ms.max(applied).max(self.shared.clock.now_ms());
    }

    /// Lets a batch in if it is the next of its session; answers it otherwise.
    fn admit(&mut self, state: &GroupState, incoming: Incoming) {
        let (session, seq) = (incoming.batch.session, incoming.batch.seq);
        if seq == 0 {
            return self.evaluate(state, incoming);
        }
        let committed = state.sessions.get(session);
        let last_committed = committed.map_or(0, |s| s.last_seq);
        let last = self.evaluated_seq.get(&session).copied().unwrap_or(0).max(last_committed);
        if seq == last + 1 {
            self.evaluated_seq.insert(session, seq);
            self.evaluate(state, incoming);
        } else if seq > last {
            // An acknowledged batch means that the session was here, and was dropped since.
            let expired = last == 0 && incoming.batch.acked_seq > 0;
            let refusal = if expired { Refusal::SessionExpired } else { Refusal::OutOfOrder };
            incoming.refuse(refusal, 0, 0);
        } else if self.shared.faults.lost_session {
            self.evaluate(state, incoming);
        } else if seq <= last_committed {
            match committed.and_then(|s| s.replies_of(seq)) {
                Some(replies) => answer(&incoming.sink, incoming.batch.id, replies),
                None => incoming.refuse(Refusal::SessionExpired, 0, 0),
            }
        } else {
            self.join_in_flight(incoming);
        }
    }

    /// A repeated batch whose first copy is in flight is answered with it.
    fn join_in_flight(&mut self, incoming: Incoming) {
        let (session, seq) = (incoming.batch.session, incoming.batch.seq);
        let entries = self.in_flight.iter_mut().map(|entry| &mut entry.waiting);
        for waiting in entries.chain(std::iter::once(&mut self.waiting)) {
            if let Some(first) = waiting.iter().find(|w| w.session == session && w.seq == seq) {
                let replies = first.replies.clone();
                waiting.push(Waiting { sink: incoming.sink, id: incoming.batch.id, session, seq, replies });
                return;
            }
        }
        incoming.refuse(Refusal::OutOfOrder, 0, 0);
    }

    fn evaluate(&mut self, state: &GroupState, incoming: Incoming) {
        let Incoming { batch, sink } = incoming;
        let settled = self.eid - 1 - self.in_flight.len() as u64;
        let desired = self.shared.desired.load();
        let slots = self.slots_proposed.as_ref().map_or(&state.applied.slots, |(_, slots)| slots);
        let executed = Execution {
            state,
            overlay: &mut self.overlay,
            effects: &mut self.effects,
            written: &mut self.written,
            clients: &mut self.clients,
            served: &mut self.served,
            eid: self.eid,
            time_ms: self.time_ms,
            seed: &mut self.seed,
            slots,
            routed_right: batch.topology_version == desired.version && *slots == desired.slots,
            limits: commands::limits::from_numbers(&batch.limits),
            read_only: self.shared.is_read_only(),
            clock: &self.shared.clock,
        }
        .run(&batch);
        let (replies, seen) = match executed {
            Executed::Done { replies, seen } => (Bytes::from(replies), seen),
            Executed::Waits(heads) => {
                // Its number is used when it is served.
                self.evaluated_seq.remove(&batch.session);
                return self.clients.waiters.wait(Incoming { batch, sink }, heads);
            }
            Executed::Refused(refusal) => {
                if batch.seq > 0 {
                    // Nothing ran, and the number is free again.
                    self.evaluated_seq.insert(batch.session, batch.seq - 1);
                }
                sink.push(refused(batch.id, refusal, 0, state.applied.slots_version.max(desired.version)));
                return;
            }
        };
        let mut due = seen;
        if batch.seq > 0 {
            self.effects.session(batch.session, batch.seq, batch.acked_seq, &replies);
            batch.finished_sessions.iter().for_each(|&id| self.effects.drop_session(id));
            due = self.eid;
        }
        self.answer_served();
        if due <= settled || self.shared.faults.early_reply {
            return answer(&sink, batch.id, replies);
        }
        let waiting = Waiting { sink, id: batch.id, session: batch.session, seq: batch.seq, replies };
        match self.in_flight.iter_mut().find(|entry| entry.eid == due) {
            Some(entry) => entry.waiting.push(waiting),
            None => self.waiting.push(waiting),
        }
    }

    /// The commands that were served get their answers with the entry that served them.
    fn answer_served(&mut self) {
        for Served { sink, id, session, replies } in self.served.drain(..) {
            self.evaluated_seq.insert(session, 1);
            self.waiting.push(Waiting { sink, id, session, seq: 1, replies });
        }
    }

    /// Sends the gathered effects into Raft, if there are any and there is room in flight.
    fn propose(&mut self) {
        let Role::Serving(leader) = &self.role else { return };
        if !self.may_propose() {
            return;
        }
        let eid = self.eid;
        self.eid += 1;
        let payload = Payload(self.effects.finish(leader.term, self.time_ms));
        self.in_flight.push_back(InFlight {
            eid,
            written: std::mem::take(&mut self.written),
            waiting: std::mem::take(&mut self.waiting),
        });
        let (raft, leader) = (self.raft.clone(), *leader);
        self.proposals.push_back(Box::pin(async move { (eid, propose(raft, payload, leader).await) }));
    }

    fn on_outcome(&mut self, (eid, result): Outcome) {
        let Some(entry) = self.in_flight.pop_front() else { return };
        debug_assert_eq!(entry.eid, eid);
        match result {
            Ok(()) => {
                self.overlay.settle(eid, &entry.written);
                for waiting in entry.waiting {
                    answer(&waiting.sink, waiting.id, waiting.replies);
                }
                if self.in_flight.is_empty() && self.effects.is_empty() {
                    self.evaluated_seq.clear();
                }
                self.shed_proposed_slots();
            }
            Err(refusal) => {
                // Raft may still call this replica the leader: the next tick asks again, so that a
                // leader whose proposals are refused does not spin.
                self.in_flight.push_front(entry);
                self.step_down(refusal);
            }
        }
    }

    /// Gives up everything evaluated and not applied. Its outcome is for the sessions to find out.
    fn step_down(&mut self, refusal: Refusal) {
        let refusal = if refusal == Refusal::StorageFailed { refusal } else { Refusal::UnknownOutcome };
        let hint = self.shared.leader_hint(&self.raft);
        let entries = self.in_flight.drain(..).flat_map(|entry| entry.waiting);
        for waiting in entries.chain(self.waiting.drain(..)) {
            waiting.sink.push(refused(waiting.id, refusal, hint, 0));
        }
        for incoming in self.backlog.drain(..) {
            incoming.refuse(Refusal::NotLeader, hint, 0);
        }
        self.proposals = FuturesOrdered::new();
        self.overlay = Overlay::default();
        self.effects = EffectsBuilder::default();
        self.written = Written::default();
        self.evaluated_seq.clear();
        self.eid += 1;
        self.slots_proposed = None;
        self.served.clear();
        self.clients.waiters.refuse_where(|_| Some(refusal), hint, 0);
        self.clients = Clients::new(self.shared.entropy.next_u64());
        self.role = Role::Follower;
    }

    /// Takes up or lays down the role that Raft says this replica has.
    fn follow_leadership(&mut self) {
        let leader = self.raft.as_leader().ok().map(|leader| leader.to_committed_leader_id());
        match (&self.role, leader) {
            (Role::Serving(current) | Role::CatchingUp(current), Some(new)) if *current == new => {}
            (_, new) => {
                if !matches!(self.role, Role::Follower) {
                    self.step_down(Refusal::UnknownOutcome);
                }
                if let Some(new) = new {
                    self.role = Role::CatchingUp(new);
                    self.serve_if_caught_up();
                }
            }
        }
    }

    fn serve_if_caught_up(&mut self) {
        let Role::CatchingUp(leader) = &self.role else { return };
        let applied = self.shared.state.lock().applied.log_id;
        if applied.is_some_and(|id| id.committed_leader_id() == leader) {
            tracing::info!(group = self.shared.group, term = leader.term, "leads");
            self.role = Role::Serving(*leader);
            self.advance_time();
            self.adopt_slots();
        }
    }

    /// Whether this replica is known to lead at this moment.
    async fn may_read(&mut self) -> bool {
        if self.shared.faults.stale_read {
            return true;
        }
        if self.shared.reads == Reads::Lease && self.lease_holds() {
            return true;
        }
        if self.backlog.iter().all(|incoming| incoming.batch.seq > 0) {
            // Its reads are answered with its writes; their commit confirms leadership.
            return true;
        }
        let confirm = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match tokio::time::timeout(self.shared.lease, confirm).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(group = self.shared.group, %error, "leadership not confirmed");
                false
            }
            Err(_) => false,
        }
    }

    fn lease_holds(&self) -> bool {
        let Role::Serving(serving) = &self.role else { return false };
        raft_rocks::holds_lease(&self.raft, serving, self.shared.lease)
    }

    fn on_tick(&mut self) {
        self.follow_leadership();
        if !matches!(self.role, Role::Serving(_)) {
            self.serve_if_caught_up();
            return;
        }
        if !self.is_at_rest() && !self.lease_holds() {
            self.release_stuck();
            return;
        }
        self.advance_time();
        self.adopt_slots();
        self.clients.waiters.forget_closed();
        self.expire_keys();
        self.expire_sessions();
    }

    /// Nobody waits for anything.
    fn is_at_rest(&self) -> bool {
        self.in_flight.is_empty() && self.clients.waiters.is_empty()
    }

    /// Cut off from the quorum: the callers look for another leader. The entries stay in flight.
    fn release_stuck(&mut self) {
        self.clients.waiters.refuse_where(|_| Some(Refusal::NotLeader), 0, 0);
        for entry in &mut self.in_flight {
            for waiting in entry.waiting.drain(..) {
                waiting.sink.push(refused(waiting.id, Refusal::UnknownOutcome, 0, 0));
            }
        }
    }

    fn expire_keys(&mut self) {
        let shared = self.shared.clone();
        let state = shared.state.lock();
        let before = self.written.keys.len();
        let mut view = View::new(&state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid);
        match datatypes::active_expire(&mut view, self.time_ms, EXPIRE_PER_TICK) {
            Ok(expired) => {
                shared.stats.expired_keys.fetch_add(expired as u64, std::sync::atomic::Ordering::Relaxed);
                view.commit();
                if !self.clients.watches.is_empty() {
                    let changes = self.written.changes_since(before);
                    changes.heads.iter().for_each(|head| self.clients.watches.expired(head));
                }
            }
            Err(error) => {
                tracing::error!(group = shared.group, %error, "active expiry");
                view.discard();
            }
        }
    }

    fn expire_sessions(&mut self) {
        let state = self.shared.state.lock();
        let horizon = self.time_ms.saturating_sub(self.shared.session_idle.as_millis() as u64);
        for id in state.sessions.idle_since(horizon).take(100) {
            if !self.evaluated_seq.contains_key(&id) {
                self.effects.drop_session(id);
            }
        }
    }
}

async fn propose(
    raft: Raft<StateMachine>,
    payload: Payload,
    leader: CommittedLeaderId,
) -> Result<(), Refusal> {
    let (responder, outcome) = raft_rocks::write_responder();
    if raft.write(payload).with_leader(leader).responder(responder).await.is_err() {
        return Err(Refusal::StorageFailed);
    }
    match outcome.await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Refusal::UnknownOutcome),
    }
}

fn answer(sink: &ReplyQueue, id: u64, replies: Bytes) {
    sink.push(BatchReply { id, replies, ..BatchReply::default() });
}
