//! Publish and subscribe, for all workers of the process.
//!
//! ```text
//! SUBSCRIBE ─► Hub ─► registry (who subscribes here) ─► lanes (pure) ─► stream ─► leaders
//! PUBLISH ───► Hub ─► lanes ─► stream ─► the leader of the channel's slot
//! messages ◄── subscribers' feeds ◄── registry ◄── stream ◄── leaders
//! ```
//!
//! Proxies do not know one another: they meet at the leader of a channel's group, which is told how
//! many clients of each proxy subscribe. Invariants:
//!
//! - A subscription is confirmed when every leader that must know of it has acknowledged it.
//! - From there on, and while no leader changes, each message is delivered once, and those of a channel
//!   in the order in which its leader took them.
//! - A message that is sent again because its leader died or moved is delivered once, too: its publisher
//!   and number name it.
//! - What waits for a client that does not read is bounded; the client is closed.

mod lane;
mod lanes;
mod mailbox;
mod registry;
mod stream;
mod subscriber;
#[cfg(test)]
pub mod tests;
mod topic;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use commands::glob;
use parking_lot::{Mutex, MutexGuard};
use proto::v1::{Event, EventChanged, EventMessage, EventReply, TopicKind, event};
use tokio::sync::{Notify, oneshot};
use topology::StoreId;

#[cfg(test)]
pub use self::subscriber::tests::subscriber as subscriber_for_tests;
use self::{
    lanes::Lanes,
    registry::{Message, Registry},
    stream::Writer,
};
pub use self::{
    mailbox::{Mailbox, Publications},
    registry::Counts,
    stream::run,
    subscriber::{Feed, OutputLimits, Pushed, Subscriber},
    topic::{Kind, Topic},
};
use crate::backend_api::RouteError;

/// Publishers and groups whose last message is remembered; beyond, all are forgotten.
const SEEN_MAX: usize = 4096;

/// What is told of keys with a prefix.
pub enum KeyNews {
    Changed(EventChanged),
    /// A leader tells of them since now: what it has changed before is not known.
    Renewed(Bytes),
}

/// Who is told how something ended.
enum Waiter {
    /// A command that subscribes or unsubscribes.
    Ticket(u64),
    /// A client that published.
    Mail(Arc<Mailbox>, u64),
    /// Somebody who awaits how many a message was sent to.
    Once(oneshot::Sender<lanes::Outcome>),
}

/// A command that waits for leaders.
struct Ticket {
    /// Answers to come.
    left: usize,
    client: u64,
    topics: Vec<Topic>,
    subscribes: bool,
    failed: Option<RouteError>,
    done: oneshot::Sender<Result<(), RouteError>>,
}

/// Resolves when a command has taken effect.
pub type Settled = oneshot::Receiver<Result<(), RouteError>>;

struct State {
    registry: Registry,
    lanes: Lanes<Waiter>,
    tickets: BTreeMap<u64, Ticket>,
    last_ticket: u64,
    /// The last message delivered, by publisher and group.
    seen: BTreeMap<(u64, u64), u64>,
    /// Of streams that are open or being opened.
    writers: BTreeMap<StoreId, Arc<Writer>>,
    /// Stores to which a stream is to be opened.
    wanted: BTreeSet<StoreId>,
}

/// What the process counts.
#[derive(Debug, Default)]
pub struct Figures {
    /// Clients closed because they did not read their messages.
    pub cut_off: AtomicU64,
    /// Messages received from leaders.
    pub messages: AtomicU64,
}

/// See the module's documentation.
pub struct Hub {
    /// Used by every worker and by the streams; held for moments, never across an await.
    state: Mutex<State>,
    /// The streams' task is to look at the state.
    changed: Notify,
    publisher: u64,
    pub figures: Figures,
}

impl Hub {
    /// `publisher` names this process; a message may wait for `deadline_ms` until a leader takes it.
    pub fn new(publisher: u64, deadline_ms: u64) -> Self {
        let state = State {
            registry: Registry::default(),
            lanes: Lanes::new(deadline_ms),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            seen: BTreeMap::new(),
            writers: BTreeMap::new(),
            wanted: BTreeSet::new(),
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            publisher: publisher.max(1),
            figures: Figures::default(),
        }
    }

    /// Subscribes a client. Answers how many subscriptions it has after each topic; messages come once
    /// all leaders know, which is when the receiver resolves. If they cannot be told, nothing remains.
    pub fn subscribe(
        &self,
        now_ms: u64,
        subscriber: &Arc<Subscriber>,
        topics: &[Topic],
    ) -> Result<(Vec<usize>, Settled), RouteError> {
        let mut state = self.state.lock();
        for topic in topics {
            state.lanes.places(topic)?;
        }
        let client = subscriber.info.id;
        let mut added = Vec::new();
        let mut shown = Vec::with_capacity(topics.len());
        for topic in topics {
            if let Some(count) = state.registry.add(subscriber, topic) {
                added.push((topic.clone(), count));
            }
            shown.push(state.registry.counts(client).shown(topic.kind));
        }
        let settled = state.tell(now_ms, client, added, true);
        subscriber.info.set_subscriptions(state.registry.counts(client));
        self.settle(state, now_ms);
        Ok((shown, settled))
    }

    /// Ends subscriptions: no message of theirs comes any more. Answers how many are left after each
    /// topic; the receiver resolves when the leaders know.
    pub fn unsubscribe(
        &self,
        now_ms: u64,
        subscriber: &Subscriber,
        topics: &[Topic],
    ) -> (Vec<usize>, Settled) {
        let mut state = self.state.lock();
        let client = subscriber.info.id;
        let mut removed = Vec::new();
        let mut shown = Vec::with_capacity(topics.len());
        for topic in topics {
            removed.extend(state.registry.remove(client, topic).map(|left| (topic.clone(), left)));
            shown.push(state.registry.counts(client).shown(topic.kind));
        }
        let settled = state.tell(now_ms, client, removed, false);
        subscriber.info.set_subscriptions(state.registry.counts(client));
        self.settle(state, now_ms);
        (shown, settled)
    }

    /// Leaders tell, or need not tell any more, of keys that begin in these ways. Resolves when they know.
    pub fn follow_prefixes(&self, now_ms: u64, prefixes: &[Bytes], follow: bool) -> Settled {
        let mut state = self.state.lock();
        let topic = |prefix: &Bytes| (Topic { kind: Kind::Prefix, name: prefix.clone() }, u64::from(follow));
        let settled = state.tell(now_ms, 0, prefixes.iter().map(topic).collect(), false);
        self.settle(state, now_ms);
        settled
    }

    /// Whether there are leaders that could tell of changes.
    pub fn knows_leaders(&self) -> Result<(), RouteError> {
        let anywhere = Topic { kind: Kind::Prefix, name: Bytes::new() };
        self.state.lock().lanes.places(&anywhere).map(drop)
    }

    /// What this process is called among all.
    pub fn publisher(&self) -> u64 {
        self.publisher
    }

    /// What a client subscribes to.
    pub fn topics_of(&self, client: u64, kind: Kind) -> Vec<Topic> {
        self.state.lock().registry.topics_of(client, kind)
    }

    pub fn counts(&self, client: u64) -> Counts {
        self.state.lock().registry.counts(client)
    }

    /// The client is gone, or starts anew.
    pub fn leave(&self, now_ms: u64, subscriber: &Subscriber) {
        let mut state = self.state.lock();
        for (topic, left) in state.registry.leave(subscriber.info.id) {
            state.lanes.subscribers(now_ms, &topic, left, || None);
        }
        subscriber.info.set_subscriptions(Counts::default());
        self.settle(state, now_ms);
    }

    /// Publishes for a client that is told through its worker's mailbox.
    pub fn publish(&self, now_ms: u64, topic: Topic, payload: Bytes, (mailbox, number): (Arc<Mailbox>, u64)) {
        let mut state = self.state.lock();
        state.lanes.publish(now_ms, topic, payload, Waiter::Mail(mailbox, number));
        self.settle(state, now_ms);
    }

    /// Publishes; resolves with the number of clients that the message was sent to.
    pub fn publish_once(
        &self,
        now_ms: u64,
        topic: Topic,
        payload: Bytes,
    ) -> oneshot::Receiver<lanes::Outcome> {
        let (done, outcome) = oneshot::channel();
        let mut state = self.state.lock();
        state.lanes.publish(now_ms, topic, payload, Waiter::Once(done));
        self.settle(state, now_ms);
        outcome
    }

    /// Names of topics that clients of this process subscribe to.
    pub fn names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let state = self.state.lock();
        let matches = |name: &&Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        state.registry.names(kind).filter(matches).cloned().collect()
    }

    /// How many names there are.
    pub fn topics(&self, kind: Kind) -> usize {
        self.state.lock().registry.names(kind).len()
    }

    /// Clients of this process that subscribe to a topic.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.state.lock().registry.subscribers(kind, name)
    }

    /// Clients of this process that subscribe to anything.
    pub fn clients(&self) -> usize {
        self.state.lock().registry.clients()
    }

    /// What a store said; answers what it told of keys.
    fn received(&self, now_ms: u64, limits: OutputLimits, store: StoreId, reply: EventReply) -> Vec<KeyNews> {
        let mut state = self.state.lock();
        let (mut told, mut news) = (Vec::new(), Vec::new());
        for event in reply.events.into_iter().filter_map(|Event { event }| event) {
            match event {
                event::Event::Answer(answer) => {
                    let renewed = state.lanes.answered(now_ms, store, &answer);
                    news.extend(renewed.map(|topic| KeyNews::Renewed(topic.name)));
                    // A subscription is in force for the messages behind its answer.
                    state.tell_waiters(now_ms, &mut told);
                }
                event::Event::ClosedGroup(group) => {
                    state.lanes.closed(now_ms, store, topology::GroupId(group));
                }
                event::Event::Changed(changed) => news.push(KeyNews::Changed(changed)),
                event::Event::Message(message) => {
                    self.figures.messages.fetch_add(1, Relaxed);
                    let cut_off = state.deliver(message, limits, now_ms);
                    self.figures.cut_off.fetch_add(cut_off, Relaxed);
                }
            }
        }
        self.finish(state, now_ms, told);
        news
    }

    /// Does what the lanes ask for.
    fn settle(&self, state: MutexGuard<'_, State>, now_ms: u64) {
        if state.lanes.has_effects() {
            self.finish(state, now_ms, Vec::new());
        }
    }

    fn finish(&self, mut state: MutexGuard<'_, State>, now_ms: u64, mut told: Vec<Told>) {
        let (wake, rearm) = state.tell_waiters(now_ms, &mut told);
        let mut to_wake = Vec::new();
        let mut is_wanted = rearm;
        for store in wake {
            match state.writers.get(&store) {
                Some(writer) => to_wake.push(writer.clone()),
                None => is_wanted |= state.wanted.insert(store),
            }
        }
        drop(state);
        if is_wanted {
            self.changed.notify_one();
        }
        to_wake.iter().for_each(|writer| writer.wake());
        told.into_iter().for_each(Told::deliver);
    }
}

/// An outcome whose recipient is called without the lock.
struct Told(Waiter, lanes::Outcome);

impl Told {
    fn deliver(self) {
        match self {
            Self(Waiter::Mail(mailbox, number), outcome) => mailbox.put(number, outcome),
            // Whoever asked may be gone.
            Self(Waiter::Once(done), outcome) => drop(done.send(outcome)),
            Self(Waiter::Ticket(_), _) => {}
        }
    }
}

impl State {
    /// Tells the leaders of changed numbers of subscribers, on behalf of one command.
    fn tell(&mut self, now_ms: u64, client: u64, changed: Vec<(Topic, u64)>, subscribes: bool) -> Settled {
        let (done, settled) = oneshot::channel();
        self.last_ticket += 1;
        let number = self.last_ticket;
        let mut left = 0;
        for (topic, count) in &changed {
            left += self.lanes.subscribers(now_ms, topic, *count, || Some(Waiter::Ticket(number)));
        }
        let topics = changed.into_iter().map(|(topic, _)| topic).collect();
        let ticket = Ticket { left, client, topics, subscribes, failed: None, done };
        match left {
            0 => self.conclude(now_ms, ticket),
            _ => drop(self.tickets.insert(number, ticket)),
        }
        settled
    }

    /// Concludes the commands that have all their answers; the other outcomes are added to `told`.
    fn tell_waiters(&mut self, now_ms: u64, told: &mut Vec<Told>) -> (BTreeSet<StoreId>, bool) {
        let (mut wake, mut rearm) = (BTreeSet::new(), false);
        while self.lanes.has_effects() {
            let effects = self.lanes.take_effects();
            wake.extend(effects.wake);
            rearm |= effects.rearm;
            for (waiter, outcome) in effects.done {
                match waiter {
                    Waiter::Ticket(number) => self.answered(now_ms, number, outcome),
                    waiter => told.push(Told(waiter, outcome)),
                }
            }
        }
        (wake, rearm)
    }

    fn answered(&mut self, now_ms: u64, number: u64, outcome: lanes::Outcome) {
        let Some(ticket) = self.tickets.get_mut(&number) else { return };
        ticket.left -= 1;
        ticket.failed = ticket.failed.take().or(outcome.err());
        if ticket.left == 0
            && let Some(ticket) = self.tickets.remove(&number)
        {
            self.conclude(now_ms, ticket);
        }
    }

    fn conclude(&mut self, now_ms: u64, ticket: Ticket) {
        let Ticket { client, topics, subscribes, failed, done, .. } = ticket;
        for topic in topics.iter().filter(|_| subscribes) {
            match failed {
                None => self.registry.activate(client, topic),
                Some(_) => {
                    if let Some(left) = self.registry.remove(client, topic) {
                        self.lanes.subscribers(now_ms, topic, left, || None);
                    }
                }
            }
        }
        // The client may be gone.
        let _ = done.send(failed.map_or(Ok(()), Err));
    }

    fn deliver(&mut self, message: EventMessage, limits: OutputLimits, now_ms: u64) -> u64 {
        if message.publisher != 0 && !self.is_new(&message) {
            return 0;
        }
        let kind = match message.kind() {
            TopicKind::Shard => Kind::Shard,
            TopicKind::Channel | TopicKind::Pattern | TopicKind::Prefix => Kind::Channel,
        };
        let message = Message { kind, channel: message.channel, payload: message.payload };
        self.registry.deliver(&message, limits, now_ms)
    }

    /// Whether a message is not one that was sent again.
    fn is_new(&mut self, message: &EventMessage) -> bool {
        let from = (message.publisher, message.group);
        if self.seen.len() >= SEEN_MAX && !self.seen.contains_key(&from) {
            self.seen.clear();
        }
        let last = self.seen.entry(from).or_insert(0);
        let is_new = message.id > *last;
        *last = (*last).max(message.id);
        is_new
    }
}
