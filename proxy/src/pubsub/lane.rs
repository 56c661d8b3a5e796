//! What one group's leader has been told and is still to be told, in order.
//!
//! Invariants: `queue[..sent]` is under way at `target` in this attempt, the rest waits; answers come
//! in the order of the queue; ids of messages ascend along it. `held` is what some leader has
//! acknowledged: at the next leader it is restored before anything else.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proto::v1::{EventItem, event_item};
use smallvec::SmallVec;
use topology::{GroupId, StoreId};

use super::topic::Topic;
use crate::backend::RoutedGroup;

/// First pause before a leader is looked for again; doubled up to the last.
const PAUSE_MIN_MS: u64 = 10;
const PAUSE_MAX_MS: u64 = 200;

/// What a leader is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// So many clients of this process subscribe from here on.
    Subscribers(u64),
    Publish(Bytes),
}

/// One thing to tell.
#[derive(Debug)]
pub struct Item<W> {
    pub id: u64,
    pub topic: Topic,
    pub action: Action,
    /// Who waits for the answer.
    pub waiter: Option<W>,
    /// Until when, ms.
    pub deadline_ms: u64,
    /// Repeats to a new leader what an old one knew.
    pub restores: bool,
}

impl<W> Item<W> {
    pub fn is_message(&self) -> bool {
        matches!(self.action, Action::Publish(_))
    }

    /// It lets something be told from here on.
    pub fn begins(&self) -> bool {
        matches!(self.action, Action::Subscribers(1..))
    }

    /// Bytes it occupies, about.
    pub fn weight(&self) -> usize {
        let payload = if let Action::Publish(payload) = &self.action { payload.len() } else { 0 };
        size_of::<Self>() + self.topic.name.len() + payload
    }

    fn to_proto(&self, group: GroupId, attempt: u64) -> EventItem {
        let action = match &self.action {
            Action::Subscribers(count) => event_item::Action::Subscribers(*count),
            Action::Publish(payload) => event_item::Action::Payload(payload.clone()),
        };
        EventItem {
            id: self.id,
            group: group.0,
            attempt,
            kind: self.topic.kind.to_proto().into(),
            name: self.topic.name.clone(),
            action: Some(action),
        }
    }
}

/// Where to go on after a leader did not take something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It leads, someone says.
    Store(StoreId),
    /// Another replica knows, maybe.
    Another,
    /// It leads, but not all that it should yet.
    Same,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lane<W> {
    group: GroupId,
    pub replicas: SmallVec<[StoreId; 4]>,
    /// Whom we take for the leader.
    pub target: Option<StoreId>,
    attempt: u64,
    /// Attempts since something was answered.
    failures: u32,
    /// Nothing is sent before.
    pub not_before_ms: u64,
    /// What was last queued for each topic.
    pub known: BTreeMap<Topic, u64>,
    held: BTreeMap<Topic, u64>,
    pub queue: VecDeque<Item<W>>,
    sent: usize,
}

impl<W> Lane<W> {
    pub fn new(group: &RoutedGroup, leader: Option<StoreId>) -> Self {
        let leader = leader.filter(|store| group.replicas.contains(store));
        Self {
            group: group.id,
            replicas: group.replicas.clone(),
            target: leader.or(group.replicas.first().copied()),
            attempt: 1,
            failures: 0,
            not_before_ms: 0,
            known: BTreeMap::new(),
            held: BTreeMap::new(),
            queue: VecDeque::new(),
            sent: 0,
        }
    }

    pub fn push(&mut self, item: Item<W>) {
        if let Action::Subscribers(count) = item.action {
            match count {
                0 => self.known.remove(&item.topic),
                _ => self.known.insert(item.topic.clone(), count),
            };
        }
        self.queue.push_back(item);
    }

    /// Something waits to be sent, and may be now.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.sent < self.queue.len() && now_ms >= self.not_before_ms
    }

    pub fn has_unsent(&self) -> bool {
        self.sent < self.queue.len()
    }

    /// Takes what is to be sent, up to about `bytes`.
    pub fn collect(&mut self, bytes: usize, out: &mut Vec<EventItem>) -> usize {
        let mut taken = 0;
        while taken < bytes
            && let Some(item) = self.queue.get(self.sent)
        {
            taken += item.weight();
            out.push(item.to_proto(self.group, self.attempt));
            self.sent += 1;
        }
        taken
    }

    /// Whether an answer belongs to what is under way: to the first of it.
    pub fn expects(&self, id: u64, attempt: u64) -> bool {
        attempt == self.attempt && self.sent > 0 && self.queue.front().is_some_and(|item| item.id == id)
    }

    /// The first item is answered; `taken`: the leader did what it says.
    pub fn answered(&mut self, taken: bool) -> Option<Item<W>> {
        let item = self.queue.pop_front()?;
        self.sent = self.sent.saturating_sub(1);
        self.failures = 0;
        if let (Action::Subscribers(count), true) = (&item.action, taken) {
            match count {
                0 => self.held.remove(&item.topic),
                count => self.held.insert(item.topic.clone(), *count),
            };
        }
        Some(item)
    }

    /// Begins anew: everything that is not answered is sent again, in order. Messages for which nobody
    /// waits any more are dropped, and the bytes they occupied answered.
    pub fn restart(&mut self, now_ms: u64, next: Next, next_id: &mut u64) -> usize {
        self.attempt += 1;
        self.sent = 0;
        self.failures += 1;
        let before: usize = self.queue.iter().map(Item::weight).sum();
        self.queue.retain(|item| !item.restores && (item.waiter.is_some() || !item.is_message()));
        let after: usize = self.queue.iter().map(Item::weight).sum();
        for (topic, &count) in self.held.iter().rev() {
            *next_id += 1;
            self.queue.push_front(Item {
                id: *next_id,
                topic: topic.clone(),
                action: Action::Subscribers(count),
                waiter: None,
                deadline_ms: u64::MAX,
                restores: true,
            });
        }
        let hinted = match next {
            Next::Store(store) => Some(store).filter(|store| self.replicas.contains(store)),
            Next::Another | Next::Same => None,
        };
        if next != Next::Same {
            self.target = hinted.or_else(|| self.another());
        }
        let is_sure = hinted.is_some() && self.failures == 1;
        let pause_ms = (PAUSE_MIN_MS << self.failures.min(10)).min(PAUSE_MAX_MS);
        self.not_before_ms = if is_sure { 0 } else { now_ms + pause_ms };
        before - after
    }

    /// The replica after the present target.
    fn another(&self) -> Option<StoreId> {
        let at = self.replicas.iter().position(|store| Some(*store) == self.target);
        let next = at.map_or(0, |at| (at + 1) % self.replicas.len());
        self.replicas.get(next).copied()
    }

    /// Takes the waiters whose time is over, with whether their item had been sent, and drops messages
    /// that nobody waits for and that were not sent.
    pub fn expire(&mut self, now_ms: u64) -> (Vec<(W, bool)>, usize) {
        let mut expired = Vec::new();
        for (at, item) in self.queue.iter_mut().enumerate() {
            if item.deadline_ms > now_ms {
                if item.restores || item.waiter.is_none() {
                    continue;
                }
                break;
            }
            expired.extend(item.waiter.take().map(|waiter| (waiter, at < self.sent && item.is_message())));
        }
        if expired.is_empty() {
            return (expired, 0);
        }
        let (mut at, sent, mut dropped) = (0, self.sent, 0);
        self.queue.retain(|item| {
            let is_over = at >= sent && item.is_message() && item.waiter.is_none();
            dropped += if is_over { item.weight() } else { 0 };
            at += 1;
            !is_over
        });
        (expired, dropped)
    }

    /// Takes out what is not sent and `is_elsewhere`.
    pub fn extract(&mut self, is_elsewhere: impl Fn(&Item<W>) -> bool) -> Vec<Item<W>> {
        let mut extracted = Vec::new();
        let mut at = self.sent;
        while at < self.queue.len() {
            match is_elsewhere(&self.queue[at]) {
                true => extracted.extend(self.queue.remove(at)),
                false => at += 1,
            }
        }
        extracted
    }

    /// The topic has another place now: nothing of it is told any more. Answers who waited for that,
    /// and the bytes that were dropped.
    pub fn forget(&mut self, topic: &Topic) -> (Vec<W>, usize) {
        self.held.remove(topic);
        self.known.remove(topic);
        let (mut waiters, mut dropped, mut at) = (Vec::new(), 0, 0);
        let sent = self.sent;
        self.queue.retain_mut(|item| {
            let concerned = !item.is_message() && item.topic == *topic;
            let is_dropped = concerned && at >= sent;
            if concerned {
                waiters.extend(item.waiter.take());
                // What is under way is not sent again.
                item.restores = true;
            }
            dropped += if is_dropped { item.weight() } else { 0 };
            at += 1;
            !is_dropped
        });
        (waiters, dropped)
    }

    /// When the first of those who wait gives up.
    pub fn first_deadline_ms(&self) -> Option<u64> {
        self.queue.iter().find(|item| item.waiter.is_some()).map(|item| item.deadline_ms)
    }
}
