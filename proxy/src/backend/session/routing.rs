//! Which queue a command goes to, and what happens to those that wait when the topology changes.

use std::sync::Arc;

use topology::SlotSet;

use super::{
    NOWHERE, Origin, Session,
    batch::{Flight, Payload},
    queue::{Moving, Queue},
};
use crate::{
    backend::routes::Routes,
    backend_api::{RouteError, Target},
};

/// Slots that went from one group to another while commands for them were under way at the old
/// one: newer commands queue behind those.
#[derive(Debug)]
pub(super) struct Barrier {
    /// Index of the old group's queue.
    queue: usize,
    slots: SlotSet,
}

pub(super) enum Place {
    Queue(usize),
    Nobody(&'static str),
}

impl<S: Origin> Session<S> {
    pub(super) fn place(&self, target: Target) -> Place {
        let queue = match target {
            Target::Slot(slot) => {
                let barrier = self.barriers.iter().find(|b| b.slots.contains(slot)).map(|b| b.queue);
                barrier.or_else(|| self.routes.index_of(slot).map(|index| self.by_route[index]))
            }
            Target::Group(group) => {
                let known = self.routes.groups().iter().position(|g| g.id == group);
                known.map(|index| self.by_route[index])
            }
        };
        match (queue, target) {
            (Some(at), _) => Place::Queue(at),
            (None, _) if !self.routes.is_known() => Place::Queue(NOWHERE),
            (None, Target::Slot(_)) => Place::Nobody("Hash slot not served"),
            (None, Target::Group(_)) => Place::Nobody("The group is not part of the cluster any more"),
        }
    }

    /// A newer topology is in force.
    pub fn routes_changed(&mut self, now_ms: u64, routes: Arc<Routes>) {
        if routes.version <= self.routes.version {
            return;
        }
        let old = std::mem::replace(&mut self.routes, routes);
        self.index_groups();
        self.raise_barriers(&old);
        for at in 0..self.queues.len() {
            self.settle(now_ms, at);
        }
        self.drop_vanished(now_ms);
    }

    fn index_groups(&mut self) {
        let routes = self.routes.clone();
        self.by_route.clear();
        for group in routes.groups() {
            let next = self.queues.len();
            let at = *self.by_group.entry(group.id).or_insert(next);
            if at == next {
                self.queues.push(Queue::new(group.id, self.rng.next_u64()));
            }
            self.queues[at].set_replicas(&group.replicas);
            self.by_route.push(at);
        }
    }

    /// Commands for slots that moved wait until those under way at the old group are answered.
    fn raise_barriers(&mut self, old: &Routes) {
        let lost = old.lost_to(&self.routes);
        let version = self.routes.version;
        for (at, queue) in self.queues.iter_mut().enumerate().filter(|(_, q)| !q.is_idle()) {
            let slots = SlotSet::from_slots(lost.iter().filter(|(g, _)| *g == queue.group).map(|&(_, s)| s));
            if slots.is_empty() {
                continue;
            }
            queue.moving.get_or_insert(Moving { version, retry_at_ms: 0 });
            self.barriers.push(Barrier { queue: at, slots });
        }
    }

    /// Groups that are gone answer nothing any more.
    fn drop_vanished(&mut self, now_ms: u64) {
        for at in NOWHERE + 1..self.queues.len() {
            if self.by_route.contains(&at) || self.queues[at].is_idle() {
                continue;
            }
            self.queues[at].lose_all();
            self.queues[at].target = None;
            self.reroute(now_ms, at);
        }
    }

    /// Sends every command of a queue on its way again, in order, by the topology in force.
    pub(super) fn reroute(&mut self, now_ms: u64, at: usize) {
        self.barriers.retain(|b| b.queue != at);
        let batches: Vec<_> = self.queues[at].take_all().collect();
        for batch in batches {
            self.waiting_bytes -= batch.commands.weight();
            let unknown = batch.unknown;
            batch.commands.each(|mut entry, bytes| {
                if unknown && entry.write && batch.flight != Flight::Withdrawn {
                    let answer = entry.sink.take().map(|sink| (sink, Err(RouteError::Unknown)));
                    self.effects.replies.extend(answer);
                } else if entry.sink.is_some() {
                    self.dispatch(now_ms, entry, &Payload::Encoded(bytes));
                }
            });
        }
    }
}
