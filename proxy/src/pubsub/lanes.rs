//! What goes to the leaders of all groups: pure, without I/O or clock.
//!
//! A topic has its lane by its slot; one that may match anything published anywhere has a place in
//! every lane. When the topology changes, what has another place now moves there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use proto::v1::{EventAnswer, EventItem, LeaderHint, Refusal};
use topology::{GroupId, StoreId, slot_of};

use super::{
    lane::{Action, Item, Lane, Next},
    topic::{Kind, Topic},
};
use crate::{
    backend::{RoutedGroup, Routes},
    backend_api::RouteError,
};

/// What waits for leaders, of all clients together; more messages are refused.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// About what one message of a stream holds.
const MESSAGE_BYTES: usize = 1 << 20;
/// How often those who wait are looked at.
const TICK_MS: u64 = 100;

/// How something ended: for a message, how many clients it was sent to.
pub type Outcome = Result<u64, RouteError>;

/// What is to be done for the lanes.
#[derive(Debug)]
pub struct Effects<W> {
    /// Stores with something to send to.
    pub wake: BTreeSet<StoreId>,
    pub done: Vec<(W, Outcome)>,
    /// Something is to be done earlier than `next_pause_ms` said last.
    pub rearm: bool,
}

impl<W> Default for Effects<W> {
    fn default() -> Self {
        Self { wake: BTreeSet::new(), done: Vec::new(), rearm: false }
    }
}

/// See the module's documentation. `W` names who waits for an outcome.
pub struct Lanes<W> {
    routes: Arc<Routes>,
    leaders: BTreeMap<GroupId, LeaderHint>,
    lanes: BTreeMap<GroupId, Lane<W>>,
    /// Every topic with subscribers, and how many.
    topics: BTreeMap<Topic, u64>,
    last_id: u64,
    /// Of what waits in all lanes.
    bytes: usize,
    deadline_ms: u64,
    effects: Effects<W>,
    /// Someone looks at the lanes again without being asked.
    armed: bool,
}

impl<W> Lanes<W> {
    pub fn new(deadline_ms: u64) -> Self {
        Self {
            routes: Arc::new(Routes::empty()),
            leaders: BTreeMap::new(),
            lanes: BTreeMap::new(),
            topics: BTreeMap::new(),
            last_id: 0,
            bytes: 0,
            deadline_ms,
            effects: Effects::default(),
            armed: false,
        }
    }

    pub fn has_effects(&self) -> bool {
        !self.effects.done.is_empty() || !self.effects.wake.is_empty() || self.effects.rearm
    }

    pub fn take_effects(&mut self) -> Effects<W> {
        std::mem::take(&mut self.effects)
    }

    /// The groups whose leaders must know of a topic's subscribers, if any can.
    pub fn places(&self, topic: &Topic) -> Result<Vec<GroupId>, RouteError> {
        if !self.routes.is_known() {
            return Err(RouteError::ClusterDown("The cluster is down"));
        }
        match topic.slot() {
            Some(slot) => {
                let group = self.routes.group_of(slot);
                Ok(vec![group.ok_or(RouteError::ClusterDown("Hash slot not served"))?])
            }
            None => Ok(self.groups().map(|group| group.id).collect()),
        }
    }

    /// Those that serve slots.
    fn groups(&self) -> impl Iterator<Item = &RoutedGroup> {
        let state = &self.routes.state;
        let serves = |group: &&RoutedGroup| state.groups.get(&group.id).is_some_and(|g| !g.slots.is_empty());
        self.routes.groups().iter().filter(serves)
    }

    /// Tells the leaders how many clients subscribe to a topic from here on. `waiter` is called once
    /// for each of them; answers how often.
    pub fn subscribers(
        &mut self,
        now_ms: u64,
        topic: &Topic,
        count: u64,
        waiter: impl Fn() -> Option<W>,
    ) -> usize {
        match count {
            0 => self.topics.remove(topic),
            _ => self.topics.insert(topic.clone(), count),
        };
        let places = self.places(topic).unwrap_or_default();
        for &group in &places {
            self.enqueue(now_ms, group, topic.clone(), Action::Subscribers(count), waiter());
        }
        places.len()
    }

    /// Sends a message on its way; its outcome is among the effects, sooner or later.
    pub fn publish(&mut self, now_ms: u64, topic: Topic, payload: Bytes, waiter: W) {
        let place = self.routes.group_of(slot_of(&topic.name));
        let error = match place {
            _ if !self.routes.is_known() => RouteError::ClusterDown("The cluster is down"),
            None => RouteError::ClusterDown("Hash slot not served"),
            Some(_) if self.bytes > WAITING_BYTES_MAX => RouteError::Overloaded,
            Some(group) => {
                return self.enqueue(now_ms, group, topic, Action::Publish(payload), Some(waiter));
            }
        };
        self.effects.done.push((waiter, Err(error)));
    }

    fn enqueue(&mut self, now_ms: u64, group: GroupId, topic: Topic, action: Action, waiter: Option<W>) {
        self.last_id += 1;
        let deadline_ms = now_ms + self.deadline_ms;
        let item = Item { id: self.last_id, topic, action, waiter, deadline_ms, restores: false };
        if !self.lanes.contains_key(&group) {
            let Some(routed) = self.routes.groups().iter().find(|routed| routed.id == group) else { return };
            let leader = self.leaders.get(&group).map(|hint| StoreId(hint.store_id));
            self.lanes.insert(group, Lane::new(routed, leader));
        }
        let Some(lane) = self.lanes.get_mut(&group) else { return };
        self.bytes += item.weight();
        lane.push(item);
        if lane.is_due(now_ms) {
            self.effects.wake.extend(lane.target);
        }
        self.effects.rearm |= !self.armed;
        self.armed = true;
    }

    /// What is to be sent to `store` next; empty: nothing for now.
    pub fn collect(&mut self, now_ms: u64, store: StoreId) -> Vec<EventItem> {
        let mut items = Vec::new();
        let mut room = MESSAGE_BYTES;
        for lane in self.lanes.values_mut() {
            if lane.target == Some(store) && lane.is_due(now_ms) {
                room = room.saturating_sub(lane.collect(room, &mut items));
            }
        }
        items
    }

    /// Whether there is something to send to `store`.
    pub fn address(&self, store: StoreId) -> Option<Arc<str>> {
        self.routes.address(store).cloned()
    }

    /// Answers the prefix of which a leader tells since now, if that is so.
    pub fn answered(&mut self, now_ms: u64, store: StoreId, answer: &EventAnswer) -> Option<Topic> {
        let group = GroupId(answer.group);
        let lane = self.lanes.get_mut(&group)?;
        if lane.target != Some(store) || !lane.expects(answer.id, answer.attempt) {
            return None;
        }
        let next = match answer.refusal() {
            Refusal::None | Refusal::Overloaded => {
                let taken = answer.refusal() == Refusal::None;
                let item = lane.answered(taken)?;
                self.bytes = self.bytes.saturating_sub(item.weight());
                let outcome = if taken { Ok(answer.receivers) } else { Err(RouteError::Overloaded) };
                let begins = taken && item.waiter.is_none() && item.begins();
                self.effects.done.extend(item.waiter.map(|waiter| (waiter, outcome)));
                return (begins && item.topic.kind == Kind::Prefix).then_some(item.topic);
            }
            Refusal::WrongGroup => Next::Same,
            _ => match StoreId(answer.leader_hint) {
                hint if hint.0 != 0 && hint != store => Next::Store(hint),
                _ => Next::Another,
            },
        };
        self.restart(now_ms, group, next);
        if next == Next::Same {
            self.move_messages(now_ms);
        }
        None
    }

    /// A store gave up what it knew of a group.
    pub fn closed(&mut self, now_ms: u64, store: StoreId, group: GroupId) {
        if self.lanes.get(&group).is_some_and(|lane| lane.target == Some(store)) {
            self.restart(now_ms, group, Next::Another);
        }
    }

    /// The stream to a store ended.
    pub fn disconnected(&mut self, now_ms: u64, store: StoreId) {
        let there = |(_, lane): &(&GroupId, &Lane<W>)| lane.target == Some(store);
        let groups: Vec<GroupId> = self.lanes.iter().filter(there).map(|(group, _)| *group).collect();
        for group in groups {
            self.restart(now_ms, group, Next::Another);
        }
    }

    fn restart(&mut self, now_ms: u64, group: GroupId, next: Next) {
        let Some(lane) = self.lanes.get_mut(&group) else { return };
        let restored: usize = lane.queue.iter().filter(|item| item.restores).map(Item::weight).sum();
        let dropped = lane.restart(now_ms, next, &mut self.last_id);
        let restores: usize = lane.queue.iter().filter(|item| item.restores).map(Item::weight).sum();
        debug_assert!(dropped >= restored);
        self.bytes = (self.bytes + restores).saturating_sub(dropped);
        if lane.is_due(now_ms) {
            self.effects.wake.extend(lane.target);
        }
        self.effects.rearm = true;
        self.armed = true;
    }

    /// Who leads, as meta knows it.
    pub fn leaders(&mut self, now_ms: u64, hints: &[LeaderHint]) {
        for hint in hints {
            let (group, store) = (GroupId(hint.group), StoreId(hint.store_id));
            if self.leaders.get(&group).is_some_and(|known| known.term >= hint.term) {
                continue;
            }
            self.leaders.insert(group, *hint);
            let is_news = |lane: &Lane<W>| lane.target != Some(store) && lane.replicas.contains(&store);
            if self.lanes.get(&group).is_some_and(is_news) {
                self.restart(now_ms, group, Next::Store(store));
            }
        }
    }

    /// A topology is in force.
    pub fn routes_changed(&mut self, now_ms: u64, routes: Arc<Routes>) {
        if routes.version == self.routes.version {
            return;
        }
        let moved = !self.routes.lost_to(&routes).is_empty();
        self.routes = routes;
        let mut changed = moved;
        let serving: BTreeMap<GroupId, RoutedGroup> = self.groups().map(|g| (g.id, g.clone())).collect();
        changed |= !serving.keys().all(|group| self.lanes.contains_key(group));
        let known: Vec<GroupId> = self.lanes.keys().copied().collect();
        for group in known {
            match serving.get(&group) {
                Some(routed) => self.follow_replicas(now_ms, routed),
                None => {
                    changed = true;
                    self.give_up(now_ms, group);
                }
            }
        }
        if changed {
            self.move_topics(now_ms);
            self.move_messages(now_ms);
        }
    }

    fn follow_replicas(&mut self, now_ms: u64, routed: &RoutedGroup) {
        let Some(lane) = self.lanes.get_mut(&routed.id) else { return };
        lane.replicas.clone_from(&routed.replicas);
        if lane.target.is_none_or(|target| !routed.replicas.contains(&target)) {
            self.restart(now_ms, routed.id, Next::Another);
        }
    }

    /// A group serves nothing any more: what waits for it has another place, or none.
    fn give_up(&mut self, now_ms: u64, group: GroupId) {
        let Some(lane) = self.lanes.remove(&group) else { return };
        for item in lane.queue {
            self.bytes = self.bytes.saturating_sub(item.weight());
            let Some(waiter) = item.waiter else { continue };
            match item.action {
                Action::Publish(payload) => self.publish(now_ms, item.topic, payload, waiter),
                Action::Subscribers(_) => self.wait_elsewhere(now_ms, &item.topic, waiter),
            }
        }
    }

    /// Lets someone who waits for a subscription wait for it at its new place.
    fn wait_elsewhere(&mut self, now_ms: u64, topic: &Topic, waiter: W) {
        let count = self.topics.get(topic).copied().unwrap_or(0);
        match self.places(topic).ok().and_then(|places| places.first().copied()) {
            Some(group) => {
                self.enqueue(now_ms, group, topic.clone(), Action::Subscribers(count), Some(waiter));
            }
            None => self.effects.done.push((waiter, Ok(0))),
        }
    }

    /// Tells each leader of the topics that have their place there, and of no others.
    fn move_topics(&mut self, now_ms: u64) {
        let topics = self.topics.clone();
        let mut waiting = Vec::new();
        let lanes: Vec<GroupId> = self.lanes.keys().copied().collect();
        for group in lanes {
            let Some(lane) = self.lanes.get_mut(&group) else { continue };
            let known: Vec<Topic> = lane.known.keys().cloned().collect();
            for topic in known {
                if self.places(&topic).is_ok_and(|places| places.contains(&group)) {
                    continue;
                }
                let forgotten = self.lanes.get_mut(&group).map(|lane| lane.forget(&topic));
                let (waiters, dropped) = forgotten.unwrap_or_default();
                self.bytes = self.bytes.saturating_sub(dropped);
                waiting.extend(waiters.into_iter().map(|waiter| (topic.clone(), waiter)));
                self.enqueue(now_ms, group, topic, Action::Subscribers(0), None);
            }
        }
        for (topic, count) in topics {
            for group in self.places(&topic).unwrap_or_default() {
                let known = self.lanes.get(&group).and_then(|lane| lane.known.get(&topic));
                if known != Some(&count) {
                    self.enqueue(now_ms, group, topic.clone(), Action::Subscribers(count), None);
                }
            }
        }
        for (topic, waiter) in waiting {
            self.wait_elsewhere(now_ms, &topic, waiter);
        }
    }

    /// Messages that were not sent follow their slot.
    fn move_messages(&mut self, now_ms: u64) {
        let mut moved = Vec::new();
        for (group, lane) in &mut self.lanes {
            let routes = &self.routes;
            let is_elsewhere = |item: &Item<W>| {
                item.is_message() && routes.group_of(slot_of(&item.topic.name)) != Some(*group)
            };
            moved.extend(lane.extract(is_elsewhere));
        }
        for item in moved {
            self.bytes = self.bytes.saturating_sub(item.weight());
            if let (Action::Publish(payload), Some(waiter)) = (item.action, item.waiter) {
                self.publish(now_ms, item.topic, payload, waiter);
            }
        }
    }

    /// Ends what has waited too long, and goes on where a pause is over.
    pub fn tick(&mut self, now_ms: u64) {
        for lane in self.lanes.values_mut() {
            let (expired, dropped) = lane.expire(now_ms);
            self.bytes = self.bytes.saturating_sub(dropped);
            let outcome =
                |was_sent: bool| Err(if was_sent { RouteError::Unknown } else { RouteError::Timeout });
            self.effects.done.extend(expired.into_iter().map(|(waiter, sent)| (waiter, outcome(sent))));
            if lane.is_due(now_ms) {
                self.effects.wake.extend(lane.target);
            }
        }
    }

    /// How long until `tick` has something to do; `None`: until something comes.
    pub fn next_pause_ms(&mut self, now_ms: u64) -> Option<u64> {
        let pauses = self.lanes.values().filter(|lane| !lane.queue.is_empty()).map(|lane| {
            let paused = lane.has_unsent() && lane.not_before_ms > now_ms;
            let retry_ms = if paused { lane.not_before_ms } else { u64::MAX };
            retry_ms.min(lane.first_deadline_ms().unwrap_or(u64::MAX)).min(now_ms + TICK_MS)
        });
        let next_ms = pauses.min();
        self.armed = next_ms.is_some();
        next_ms.map(|at| at.saturating_sub(now_ms))
    }

    /// Bytes of what waits.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
