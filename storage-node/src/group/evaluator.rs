//! The evaluator: a small single-threaded Redis per group whose effects go through Raft.
//!
//! One task owns it. It takes batches in order, executes their commands over committed state plus
//! overlay, and gathers the effects of everything that waited into one entry. Invariants:
//!
//! - It serves only between applying the first entry of its own term and losing leadership.
//! - An entry is proposed for exactly the leadership it was evaluated under.
//! - A reply leaves only when every write that its command made or saw is committed and applied.
//! - A batch of a session executes only if it is the next of that session, counting those in flight.
//! - A batch in the middle of a script is the only one that is under way.

mod admission;
mod leadership;
mod namespaces;
mod past;
mod slots;
mod suspended;
mod ticks;
mod tracking_clients;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use proto::v1::{Aside, Batch, BatchReply, Refusal};
use raft_rocks::{CommittedLeaderId, Payload, Raft, WatchReceiver as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::{Namespaces, SlotSet};

use self::{
    namespaces::Search,
    past::Past,
    suspended::{Ahead, Suspended, breathe},
};
use super::{
    Shared,
    effects::EffectsBuilder,
    execute::{self, Clients, Executed, Execution, Served},
    inbox::{Incoming, ReplyQueue, refused},
    machine::StateMachine,
    state::GroupState,
    tracking,
    view::{EntryId, Overlay, Written},
};

/// Entries of one group on their way through Raft. Batching follows load: what arrives meanwhile
/// joins the next entry.
const ENTRIES_IN_FLIGHT_MAX: usize = 1;
/// Effects gathered for the next entry beyond which no more batches are taken.
const ENTRY_BYTES_MAX: usize = 4 << 20;
const TICK: Duration = Duration::from_millis(100);
/// Who has nothing to do only makes sure that it missed no change of leadership.
const IDLE_TICK: Duration = Duration::from_millis(500);

/// Why this replica does not serve, or that it does.
enum Role {
    Follower,
    /// Elected, but its state does not yet include the first entry of its term.
    CatchingUp(CommittedLeaderId),
    Serving(CommittedLeaderId),
}

/// A reply that waits for an entry.
struct Waiting {
    /// `None`: who waited was told to ask again.
    sink: Option<Arc<ReplyQueue>>,
    id: u64,
    session: u64,
    seq: u64,
    replies: Bytes,
    /// What was read for clients that track; `None` for one that only joined.
    reads: Option<Bytes>,
    aside: Option<Box<Aside>>,
    /// The batch has more commands.
    more: bool,
}

impl Waiting {
    fn answer(self) {
        let Self { id, replies, reads, more, .. } = self;
        if let Some(sink) = self.sink {
            let aside = self.aside.map(|aside| *aside);
            sink.push(BatchReply { id, replies, reads, aside, more, ..BatchReply::default() });
        }
    }

    fn refuse(&mut self, refusal: Refusal, hint: u64) {
        if let Some(sink) = self.sink.take() {
            sink.push(refused(self.id, refusal, hint, 0));
        }
    }
}

struct InFlight {
    /// What it writes has this number, or one after that of the entry before.
    eid: EntryId,
    /// Of batches that may write.
    commands: u64,
    proposed_at: Instant,
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
    /// Commands in batches that may write.
    commands: u64,
    /// Its number, so far.
    eid: EntryId,
    /// Entries up to this one are settled.
    settled: EntryId,
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
    /// Ticks in a row without a lease.
    doubtful_ticks: u32,
    /// Commands that waited and are served by what is being gathered.
    served: Vec<Served>,
    /// Slots proposed in this leadership, and their version: commands are evaluated after that entry.
    slots_proposed: Option<(u64, SlotSet)>,
    /// Version of the libraries that this leadership proposed or found, and the entry in flight that
    /// brings them.
    libraries: (u64, Option<EntryId>),
    /// Likewise rules for namespaces.
    namespaces_proposed: Option<(u64, Namespaces)>,
    /// The search for keys in the way of such rules.
    search: Option<Search>,
    suspended: Option<Suspended>,
    ahead: Option<Ahead>,
    /// Of this leadership, as long as a session may be idle.
    past: Past,
    /// Nothing expires before that time, unless something is written in that entry or a later one.
    no_expiry: (EntryId, u64),
}

impl Evaluator {
    pub fn new(shared: Arc<Shared>, raft: Raft<StateMachine>) -> Self {
        Self {
            seed: shared.entropy.next_u64(),
            past: Past::new(shared.session_idle),
            shared,
            raft,
            role: Role::Follower,
            overlay: Overlay::default(),
            effects: EffectsBuilder::default(),
            written: Written::default(),
            waiting: Vec::new(),
            commands: 0,
            eid: 1,
            settled: 0,
            in_flight: VecDeque::new(),
            proposals: FuturesOrdered::new(),
            evaluated_seq: HashMap::new(),
            time_ms: 0,
            backlog: VecDeque::new(),
            clients: Clients::new(0),
            doubtful_ticks: 0,
            served: Vec::new(),
            slots_proposed: None,
            libraries: (0, None),
            namespaces_proposed: None,
            search: None,
            suspended: None,
            ahead: None,
            no_expiry: (0, 0),
        }
    }

    /// Runs until `stop`, or until the group's Raft has stopped for good.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut server = self.raft.server_metrics();
        let mut tick = std::pin::pin!(tokio::time::sleep(TICK));
        let mut dozes = false;
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
                        self.adopt();
                    }
                }
                () = self.shared.applied.notified(), if matches!(self.role, Role::CatchingUp(_)) => {
                    self.serve_if_caught_up();
                }
                () = self.shared.inbox.ready(), if self.has_room() => {}
                () = self.shared.pacer.opened(), if self.has_entry() => {}
                () = breathe(), if self.suspended.is_some() || self.goes_on() => {}
                () = &mut tick => {
                    self.on_tick();
                    let pause = self.pause();
                    dozes = pause > TICK;
                    tick.as_mut().reset(Instant::now() + pause);
                }
            }
            self.work().await;
            if dozes && self.pause() <= TICK {
                dozes = false;
                tick.as_mut().reset(Instant::now() + TICK);
            }
        }
        self.step_down(Refusal::StorageFailed);
        for incoming in self.shared.inbox.take() {
            incoming.refuse(Refusal::NotLeader, 0, 0);
        }
    }

    fn has_room(&self) -> bool {
        self.backlog.is_empty() && self.effects.len() < ENTRY_BYTES_MAX && self.may_evaluate()
    }

    /// Evaluates what waits and proposes what was gathered.
    async fn work(&mut self) {
        if self.suspended.is_some() {
            self.go_on().await;
        }
        self.propose_ahead();
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
        if !self.backlog.is_empty() && self.may_evaluate() {
            self.drain_backlog().await;
        }
    }

    /// No script is under way, nor anything that was gathered before one.
    fn may_evaluate(&self) -> bool {
        self.suspended.is_none() && self.ahead.is_none()
    }

    /// The next batch has been executed in part: the rest of the node has its turn first.
    fn is_in_a_batch(&self) -> bool {
        self.backlog.front().is_some_and(|incoming| incoming.done > 0)
    }

    /// The rest of it can be executed.
    fn goes_on(&self) -> bool {
        self.is_in_a_batch() && self.effects.len() < ENTRY_BYTES_MAX && self.may_evaluate()
    }

    /// There is something to propose, and room for it.
    fn has_entry(&self) -> bool {
        !self.effects.is_empty() && self.may_evaluate() && self.in_flight.len() < ENTRIES_IN_FLIGHT_MAX
    }

    fn may_propose(&self) -> bool {
        self.has_entry() && self.shared.pacer.is_open(Instant::now())
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
        while self.effects.len() < ENTRY_BYTES_MAX && self.suspended.is_none() {
            let Some(incoming) = self.backlog.pop_front() else { break };
            self.admit(&state, incoming);
            if self.is_in_a_batch() {
                break;
            }
        }
        if self.effects.is_empty() && self.suspended.is_none() {
            if !self.written.events.is_empty() {
                self.announce_reads();
            }
            if !self.written.told.is_empty() {
                self.tell_of_reads();
            }
        }
    }

    /// Events of commands that wrote nothing: behind those of what is in flight.
    fn announce_reads(&mut self) {
        let events = std::mem::take(&mut self.written.events);
        match self.in_flight.back_mut() {
            Some(entry) => entry.written.events.extend(events),
            None => self.shared.events.announce(self.shared.group, &events),
        }
    }

    /// Group time: the leader's clock, never below what any entry has seen.
    fn advance_time(&mut self) {
        let applied = self.shared.state.lock().applied.time_ms;
        self.time_ms = self.time_ms.max(applied).max(self.shared.clock.now_ms());
    }

    fn evaluate(&mut self, state: &GroupState, incoming: Incoming) {
        let front = self.front();
        match self.execute(state, &incoming, None) {
            Executed::Suspended(batch) => self.suspend(incoming, *batch, &front),
            executed => self.conclude(state, incoming, executed),
        }
    }

    /// Executes a batch, or goes on with one.
    fn execute(
        &mut self,
        state: &GroupState,
        incoming: &Incoming,
        suspended: Option<execute::Suspended>,
    ) -> Executed {
        let batch = &incoming.batch;
        let desired = self.shared.desired.load();
        let slots = self.slots_proposed.as_ref().map_or(&state.applied.slots, |(_, slots)| slots);
        self.overlay.announced = desired.notifications;
        let (namespaces_version, namespaces) = match &self.namespaces_proposed {
            Some((version, namespaces)) => (*version, namespaces),
            None => (state.applied.namespaces_version, &state.applied.namespaces),
        };
        let execution = Execution {
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
            namespaces,
            namespaces_version,
            asked_version: batch.topology_version,
            routed_right: batch.topology_version == desired.version
                && *slots == desired.slots
                && *namespaces == desired.namespaces,
            limits: commands::limits::from_numbers(&batch.limits),
            read_only: self.shared.is_read_only(),
            clock: &self.shared.clock,
            raft: &self.raft,
            durable: self.shared.durable,
            stream: &incoming.sink,
            broadcasts: self.shared.events.broadcasts(),
            reads: None,
            reader: None,
            writer: 0,
            script_limit: self.shared.script_limit,
            shows_calls: batch.shows_calls,
            stats: &self.shared.stats,
            group: self.shared.group,
            events: &self.shared.events,
            aside: Aside::default(),
        };
        match suspended {
            None => execution.run(&incoming.batch, incoming.done),
            Some(suspended) => execution.resume(&incoming.batch, suspended),
        }
    }

    /// Answers a batch, or keeps the answer until it may leave.
    fn conclude(&mut self, state: &GroupState, incoming: Incoming, executed: Executed) {
        let Incoming { batch, sink, .. } = incoming;
        let (replies, seen, reads, aside, left) = match executed {
            Executed::Done { replies, seen, commands, reads, aside, more } => {
                if batch.seq > 0 {
                    self.commands += commands;
                    self.shared.pacer.arrived(commands);
                }
                let aside = (aside != Aside::default()).then(|| Box::new(aside));
                (Bytes::from(replies), seen, reads.map(Bytes::from), aside, more.then_some(commands))
            }
            Executed::Waits(heads) => {
                // Its number is used when it is served.
                self.evaluated_seq.remove(&batch.session);
                return self.clients.waiters.wait(Incoming::new(batch, sink), heads);
            }
            Executed::Refused(refusal) => {
                if batch.seq > 0 {
                    // Nothing ran, and the number is free again.
                    self.evaluated_seq.insert(batch.session, batch.seq - 1);
                }
                let version = state.applied.slots_version.max(self.shared.desired.load().version);
                sink.push(refused(batch.id, refusal, 0, version));
                return;
            }
            Executed::Suspended(_) => unreachable!("it was suspended"),
        };
        let mut due = seen;
        if batch.seq > 0 {
            self.effects.session(batch.session, batch.seq, batch.acked_seq, &replies);
            batch.finished_sessions.iter().for_each(|&id| self.effects.drop_session(id));
            due = self.eid;
        }
        self.answer_served();
        let Batch { id, session, seq, .. } = batch;
        let waiting = Waiting {
            sink: Some(sink.clone()),
            id,
            session,
            seq,
            replies,
            reads,
            aside,
            more: left.is_some(),
        };
        if let Some(done) = left {
            self.backlog.push_front(Incoming { batch, sink, done });
        }
        if due <= self.settled || self.shared.faults.early_reply {
            return waiting.answer();
        }
        let ahead = self.ahead.iter_mut().map(|ahead| &mut ahead.entry);
        match self.in_flight.iter_mut().chain(ahead).find(|entry| entry.eid >= due) {
            Some(entry) => entry.waiting.push(waiting),
            None => self.waiting.push(waiting),
        }
    }

    /// The commands that were served get their answers with the entry that served them.
    fn answer_served(&mut self) {
        for Served { sink, id, session, replies } in self.served.drain(..) {
            self.evaluated_seq.insert(session, 1);
            let sink = Some(sink);
            let (reads, aside, more) = (None, None, false);
            self.waiting.push(Waiting { sink, id, session, seq: 1, replies, reads, aside, more });
        }
    }

    /// Sends the gathered effects into Raft, if there are any and there is room in flight.
    fn propose(&mut self) {
        let Role::Serving(leader) = &self.role else { return };
        if !self.has_entry() {
            return;
        }
        let eid = self.eid;
        self.eid += 1;
        let payload = Payload(self.effects.finish(leader.term, self.time_ms));
        let entry = InFlight {
            eid,
            commands: std::mem::take(&mut self.commands),
            proposed_at: Instant::now(),
            written: std::mem::take(&mut self.written),
            waiting: std::mem::take(&mut self.waiting),
        };
        self.send(payload, entry);
    }

    fn send(&mut self, payload: Payload, mut entry: InFlight) {
        let Role::Serving(leader) = &self.role else { return };
        let (raft, leader, eid) = (self.raft.clone(), *leader, entry.eid);
        entry.proposed_at = Instant::now();
        self.in_flight.push_back(entry);
        self.proposals.push_back(Box::pin(async move { (eid, propose(raft, payload, leader).await) }));
    }

    fn on_outcome(&mut self, (eid, result): Outcome) {
        let Some(entry) = self.in_flight.pop_front() else { return };
        debug_assert_eq!(entry.eid, eid);
        match result {
            Ok(()) => {
                self.overlay.settle(eid, &entry.written);
                self.settled = eid;
                self.suspended.iter_mut().for_each(|suspended| suspended.settle(eid));
                self.shared.pacer.answered(entry.commands, entry.proposed_at, Instant::now());
                if !entry.written.events.is_empty() {
                    self.shared.events.announce(self.shared.group, &entry.written.events);
                }
                self.announce_changes(&entry.written.changed);
                entry.waiting.into_iter().for_each(Waiting::answer);
                // Behind the replies: some of them are to what was so before.
                tracking::tell(self.shared.group, entry.written.told);
                if self.in_flight.is_empty() && self.effects.is_empty() && self.may_evaluate() {
                    self.evaluated_seq.clear();
                }
                self.shed_proposed_slots();
                self.report_libraries(eid);
                self.shed_proposed_namespaces();
            }
            Err(refusal) => {
                // Raft may still call this replica the leader: the next tick asks again, so that a
                // leader whose proposals are refused does not spin.
                self.in_flight.push_front(entry);
                self.step_down(refusal);
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
