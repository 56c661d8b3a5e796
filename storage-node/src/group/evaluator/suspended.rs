//! A batch whose script takes longer than a slice. Until it has ended nothing else of the group is evaluated
//! and nothing is proposed, but what was gathered before it; the rest of the node goes on between slices.
//! Those whose batches wait are told that a script runs, and may stop it.

use std::{collections::VecDeque, sync::Arc};

use commands::{
    Id,
    wire::{self, FLAG_RESP3},
};
use proto::v1::{BatchReply, Refusal, RunningScript};
use raft_rocks::Payload;
use resp::{Protocol, Reply};
use tokio::time::{Duration, Instant};

use super::{Evaluator, InFlight, Role};
use crate::{
    group::{
        effects::EffectsBuilder,
        execute::{self, Executed},
        inbox::{Incoming, ReplyQueue, add_sink},
        view::{EntryId, Extent},
    },
    options::Reads,
};

/// How often the others have their turn between two slices: about as many hops as a request takes here.
const TURNS: usize = 8;
/// How long a script runs before anybody is told.
const TELL_AFTER: Duration = Duration::from_millis(10);
/// How often it is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// See the module's description.
pub(super) struct Suspended {
    incoming: Incoming,
    batch: execute::Suspended,
    /// Who is told.
    sinks: Vec<Arc<ReplyQueue>>,
    tell_at: Instant,
    /// Batches in the inbox that were looked at.
    seen: usize,
}

impl Suspended {
    pub fn settle(&mut self, eid: EntryId) {
        self.batch.settle(eid);
    }

    fn tell(&self, group: u64, over: bool) {
        let script = self.batch.script();
        let running = RunningScript {
            group,
            ran_ms: script.ran().as_millis() as u64,
            function: script.is_function,
            over,
        };
        self.sinks.iter().for_each(|sink| sink.tell(running));
    }

    fn answer(&self, incoming: &Incoming, scripts: &execute::scripts::Scripts) {
        let Some(Ok(command)) = wire::commands(&incoming.batch.commands).next() else { return };
        let script = self.batch.script();
        let reply = match command.args.first() {
            Some(kind) if command.id == Id::StopScript as u16 => script.kill(*kind == b"function"),
            _ => scripts.stats(script),
        };
        let is_resp3 = command.flags & FLAG_RESP3 != 0;
        respond(incoming, &reply, if is_resp3 { Protocol::Resp3 } else { Protocol::Resp2 });
    }
}

fn respond(incoming: &Incoming, reply: &Reply, protocol: Protocol) {
    let (mut encoded, mut replies) = (Vec::new(), Vec::new());
    resp::encode(reply, protocol, &mut encoded);
    wire::put_bytes(&mut replies, &encoded);
    let id = incoming.batch.id;
    incoming.sink.push(BatchReply { id, replies: replies.into(), ..BatchReply::default() });
}

/// What was gathered before a batch.
pub(super) struct Front {
    eid: EntryId,
    extent: Extent,
    is_empty: bool,
}

/// An entry that is to be proposed before whatever is gathered.
pub(super) struct Ahead {
    payload: Payload,
    pub entry: InFlight,
}

/// Lets the rest of the node do what it has to do.
pub(super) async fn breathe() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Evaluator {
    /// A batch begins. What it writes has a number of its own, so that what was gathered before can become
    /// an entry without it.
    pub(super) fn front(&mut self) -> Front {
        let extent = Extent {
            effects: self.effects.mark(),
            keys: self.written.keys.len(),
            events: self.written.events.len(),
        };
        let front = Front { eid: self.eid, extent, is_empty: self.effects.is_empty() };
        self.eid += u64::from(!front.is_empty);
        front
    }

    pub(super) fn suspend(&mut self, incoming: Incoming, mut batch: execute::Suspended, front: &Front) {
        if !front.is_empty {
            let mut effects = self.effects.split(&front.extent.effects);
            self.ahead = self.ahead(&mut effects, front);
            batch.shift(&front.extent);
        }
        let (sinks, tell_at) = (Vec::new(), Instant::now() + TELL_AFTER);
        let suspended = Suspended { incoming, batch, sinks, tell_at, seen: 0 };
        let urgent: VecDeque<Incoming>;
        (urgent, self.backlog) = self.backlog.drain(..).partition(Incoming::is_urgent);
        urgent.iter().for_each(|incoming| suspended.answer(incoming, &self.clients.scripts));
        self.suspended = Some(suspended);
    }

    fn ahead(&mut self, effects: &mut EffectsBuilder, front: &Front) -> Option<Ahead> {
        let Role::Serving(leader) = &self.role else { return None };
        let payload = Payload(effects.finish(leader.term, self.time_ms));
        let entry = InFlight {
            eid: front.eid,
            commands: std::mem::take(&mut self.commands),
            proposed_at: Instant::now(),
            written: self.written.split(&front.extent),
            waiting: std::mem::take(&mut self.waiting),
        };
        Some(Ahead { payload, entry })
    }

    /// Proposes what goes before, as soon as there is room.
    pub(super) fn propose_ahead(&mut self) {
        if self.in_flight.is_empty()
            && let Some(Ahead { payload, entry }) = self.ahead.take()
        {
            self.send(payload, entry);
        }
    }

    /// The next slice of the script.
    pub(super) async fn go_on(&mut self) {
        let Some(mut suspended) = self.suspended.take() else { return };
        for incoming in self.shared.inbox.take_urgent(&mut suspended.seen) {
            suspended.answer(&incoming, &self.clients.scripts);
        }
        self.tell_running(&mut suspended);
        let Suspended { incoming, batch, sinks, tell_at, seen } = suspended;
        let is_function = batch.script().is_function;
        let shared = self.shared.clone();
        let executed = self.execute(&shared.state.lock(), &incoming, Some(batch));
        if let Executed::Suspended(batch) = executed {
            self.suspended = Some(Suspended { incoming, batch: *batch, sinks, tell_at, seen });
            return;
        }
        let over = RunningScript { group: shared.group, function: is_function, over: true, ran_ms: 0 };
        sinks.iter().for_each(|sink| sink.tell(over));
        // The lease may have ended meanwhile.
        if incoming.batch.seq == 0 && !self.still_leads().await {
            return incoming.refuse(Refusal::NotLeader, 0, 0);
        }
        self.conclude(&shared.state.lock(), incoming, executed);
    }

    async fn still_leads(&mut self) -> bool {
        let holds_lease = self.shared.reads == Reads::Lease && self.lease_holds();
        holds_lease || self.shared.faults.stale_read || self.confirm().await
    }

    fn tell_running(&self, suspended: &mut Suspended) {
        let now = Instant::now();
        if now < suspended.tell_at {
            return;
        }
        suspended.tell_at = now + TELL_EVERY;
        let sinks = &mut suspended.sinks;
        sinks.retain(|sink| !sink.is_closed());
        add_sink(sinks, &suspended.incoming.sink);
        self.backlog.iter().for_each(|incoming| add_sink(sinks, &incoming.sink));
        self.shared.inbox.add_sinks(sinks);
        suspended.tell(self.shared.group, false);
    }

    /// Drops the batch: nothing of it was proposed.
    pub(super) fn drop_suspended(&mut self, leader_hint: u64) {
        if let Some(suspended) = self.suspended.take() {
            suspended.tell(self.shared.group, true);
            suspended.incoming.refuse(Refusal::NotLeader, leader_hint, 0);
        }
    }
}
