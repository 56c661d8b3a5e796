//! Which clients of this process subscribe to what, and the delivery of messages to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use commands::glob;
use resp::{Protocol, Reply, encode};

use super::{
    subscriber::{OutputLimits, Pushed, Subscriber},
    topic::{Kind, Topic},
};

/// A client at a topic.
struct Seat {
    subscriber: Arc<Subscriber>,
    /// The leaders know: messages are delivered.
    active: bool,
}

type Seats = BTreeMap<u64, Seat>;

/// A message for clients of this process.
#[derive(Debug, Clone)]
pub struct Message {
    /// Channel or Shard.
    pub kind: Kind,
    pub channel: Bytes,
    pub payload: Bytes,
}

/// How many subscriptions a client has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub channels: usize,
    pub patterns: usize,
    pub shards: usize,
}

impl Counts {
    /// The number of those of a kind; none for what no client subscribes to.
    fn of(&mut self, kind: Kind) -> Option<&mut usize> {
        match kind {
            Kind::Channel => Some(&mut self.channels),
            Kind::Pattern => Some(&mut self.patterns),
            Kind::Shard => Some(&mut self.shards),
            Kind::Prefix => None,
        }
    }

    /// As confirmations show it: shard channels are counted apart.
    pub fn shown(self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels + self.patterns,
            Kind::Shard => self.shards,
            Kind::Prefix => 0,
        }
    }
}

/// What one client subscribes to.
#[derive(Default)]
struct Subscriptions {
    topics: BTreeSet<Topic>,
    /// Of `topics`: each confirmation shows them.
    counts: Counts,
}

impl Subscriptions {
    /// Whether it is new.
    fn add(&mut self, topic: &Topic) -> bool {
        let is_new = self.topics.insert(topic.clone());
        if let Some(count) = self.counts.of(topic.kind).filter(|_| is_new) {
            *count += 1;
        }
        is_new
    }

    /// Whether it was there.
    fn remove(&mut self, topic: &Topic) -> bool {
        let was_there = self.topics.remove(topic);
        if let Some(count) = self.counts.of(topic.kind).filter(|_| was_there) {
            *count -= 1;
        }
        was_there
    }
}

/// See the module's documentation.
#[derive(Default)]
pub struct Registry {
    channels: BTreeMap<Bytes, Seats>,
    patterns: BTreeMap<Bytes, Seats>,
    shards: BTreeMap<Bytes, Seats>,
    clients: BTreeMap<u64, Subscriptions>,
}

impl Registry {
    /// Names of the topics with subscribers.
    pub fn names(&self, kind: Kind) -> impl ExactSizeIterator<Item = &Bytes> {
        self.seats(kind).keys()
    }

    fn seats(&self, kind: Kind) -> &BTreeMap<Bytes, Seats> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
            // No client has a seat there.
            Kind::Prefix => &self.patterns,
        }
    }

    fn seats_mut(&mut self, kind: Kind) -> &mut BTreeMap<Bytes, Seats> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
            Kind::Prefix => &mut self.patterns,
        }
    }

    /// Clients that subscribe to anything.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.seats(kind).get(name).map_or(0, BTreeMap::len)
    }

    /// Of one client, by name.
    pub fn topics_of(&self, client: u64, kind: Kind) -> Vec<Topic> {
        let topics = self.clients.get(&client).into_iter().flat_map(|client| &client.topics);
        topics.filter(|topic| topic.kind == kind).cloned().collect()
    }

    pub fn counts(&self, client: u64) -> Counts {
        self.clients.get(&client).map(|client| client.counts).unwrap_or_default()
    }

    /// Takes a seat; messages come once it is activated. Answers how many there are now, if it is new.
    pub fn add(&mut self, subscriber: &Arc<Subscriber>, topic: &Topic) -> Option<u64> {
        let client = subscriber.info.id;
        if !self.clients.entry(client).or_default().add(topic) {
            return None;
        }
        let seats = self.seats_mut(topic.kind).entry(topic.name.clone()).or_default();
        seats.insert(client, Seat { subscriber: subscriber.clone(), active: false });
        Some(seats.len() as u64)
    }

    /// Messages are delivered from here on, if the client is still there.
    pub fn activate(&mut self, client: u64, topic: &Topic) {
        let seats = self.seats_mut(topic.kind).get_mut(&topic.name);
        if let Some(seat) = seats.and_then(|seats| seats.get_mut(&client)) {
            seat.active = true;
        }
    }

    /// Answers how many seats are left, if there was one.
    pub fn remove(&mut self, client: u64, topic: &Topic) -> Option<u64> {
        let subscriptions = self.clients.get_mut(&client)?;
        if !subscriptions.remove(topic) {
            return None;
        }
        if subscriptions.topics.is_empty() {
            self.clients.remove(&client);
        }
        let all = self.seats_mut(topic.kind);
        let seats = all.get_mut(&topic.name)?;
        seats.remove(&client);
        let left = seats.len() as u64;
        if left == 0 {
            all.remove(&topic.name);
        }
        Some(left)
    }

    /// Everything the client subscribes to ends; what is left at each topic.
    pub fn leave(&mut self, client: u64) -> Vec<(Topic, u64)> {
        let topics = self.clients.get(&client).map(|client| client.topics.clone()).unwrap_or_default();
        let left = |topic: Topic| self.remove(client, &topic).map(|left| (topic, left));
        topics.into_iter().filter_map(left).collect()
    }

    /// Hands a message to everyone it concerns; answers how many were cut off for not reading.
    pub fn deliver(&self, message: &Message, limits: OutputLimits, now_ms: u64) -> u64 {
        let mut cut_off = 0;
        let mut give = |seats: &Seats, pattern: Option<&Bytes>| {
            let mut frames = Frames::new(message, pattern);
            for seat in seats.values().filter(|seat| seat.active) {
                let frame = frames.of(seat.subscriber.is_resp3());
                cut_off += u64::from(seat.subscriber.push(frame, limits, now_ms) == Pushed::CutOff);
            }
        };
        if let Some(seats) = self.seats(message.kind).get(&message.channel) {
            give(seats, None);
        }
        if message.kind == Kind::Channel {
            for (pattern, seats) in &self.patterns {
                if glob::matches(pattern, &message.channel) {
                    give(seats, Some(pattern));
                }
            }
        }
        cut_off
    }
}

/// A message as clients of either protocol read it, encoded once.
struct Frames<'a> {
    message: &'a Message,
    pattern: Option<&'a Bytes>,
    encoded: [Option<Bytes>; 2],
}

impl<'a> Frames<'a> {
    fn new(message: &'a Message, pattern: Option<&'a Bytes>) -> Self {
        Self { message, pattern, encoded: [None, None] }
    }

    fn of(&mut self, resp3: bool) -> &Bytes {
        let Self { message, pattern, encoded } = self;
        encoded[usize::from(resp3)].get_or_insert_with(|| {
            let kind = if pattern.is_some() { Kind::Pattern } else { message.kind };
            let mut items = vec![Reply::bulk(kind.message())];
            items.extend(pattern.map(|pattern| Reply::Bulk(pattern.clone())));
            items.push(Reply::Bulk(message.channel.clone()));
            items.push(Reply::Bulk(message.payload.clone()));
            let mut bytes = Vec::with_capacity(message.channel.len() + message.payload.len() + 64);
            let protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
            encode(&Reply::Push(items), protocol, &mut bytes);
            bytes.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::pubsub::subscriber::tests::subscriber;

    const LIMITS: OutputLimits = OutputLimits { hard_bytes: 1000, soft_bytes: 0, soft_ms: 0 };

    fn topic(kind: Kind, name: &'static str) -> Topic {
        Topic::new(kind, name.as_bytes())
    }

    fn join(registry: &mut Registry, subscriber: &Arc<Subscriber>, topic: &Topic) {
        registry.add(subscriber, topic).expect("new");
        registry.activate(subscriber.info.id, topic);
    }

    fn say(registry: &Registry, kind: Kind, channel: &'static str) {
        let message = Message { kind, channel: Bytes::from(channel), payload: Bytes::from("hi") };
        assert_eq!(registry.deliver(&message, LIMITS, 0), 0);
    }

    fn heard(subscriber: &Subscriber) -> String {
        let mut text = Vec::new();
        subscriber.take(usize::MAX, |bytes| text.extend_from_slice(bytes));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn messages_look_as_in_redis() {
        let mut registry = Registry::default();
        let (two, three) = (subscriber(2), subscriber(3));
        three.info.resp3.store(true, Relaxed);
        for subscriber in [&two, &three] {
            join(&mut registry, subscriber, &topic(Kind::Channel, "news"));
        }
        join(&mut registry, &three, &topic(Kind::Pattern, "n*"));
        join(&mut registry, &two, &topic(Kind::Shard, "news"));
        say(&registry, Kind::Channel, "news");
        say(&registry, Kind::Shard, "news");
        let message = "3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n";
        let shard = "*3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n";
        assert_eq!(heard(&two), format!("*{message}{shard}"));
        let by_pattern = ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n";
        assert_eq!(heard(&three), format!(">{message}{by_pattern}"));
    }

    #[test]
    fn nothing_comes_before_activation_or_after_removal() {
        let mut registry = Registry::default();
        let one = subscriber(1);
        let news = topic(Kind::Channel, "news");
        assert_eq!(registry.add(&one, &news), Some(1));
        assert_eq!(registry.add(&one, &news), None);
        say(&registry, Kind::Channel, "news");
        assert_eq!(heard(&one), "");
        registry.activate(1, &news);
        say(&registry, Kind::Channel, "news");
        assert_ne!(heard(&one), "");
        assert_eq!(registry.remove(1, &news), Some(0));
        assert_eq!(registry.remove(1, &news), None);
        say(&registry, Kind::Channel, "news");
        assert_eq!(heard(&one), "");
    }

    #[test]
    fn who_leaves_leaves_everything() {
        let mut registry = Registry::default();
        let (one, two) = (subscriber(1), subscriber(2));
        let topics = [topic(Kind::Channel, "a"), topic(Kind::Pattern, "a"), topic(Kind::Shard, "a")];
        for topic in &topics {
            join(&mut registry, &one, topic);
            join(&mut registry, &two, topic);
        }
        assert_eq!(registry.counts(1), Counts { channels: 1, patterns: 1, shards: 1 });
        assert_eq!(registry.add(&one, &topics[0]), None, "it counts once");
        assert_eq!(registry.counts(1), Counts { channels: 1, patterns: 1, shards: 1 });
        assert_eq!(registry.remove(1, &topics[1]), Some(1));
        assert_eq!(registry.counts(1), Counts { channels: 1, patterns: 0, shards: 1 });
        assert_eq!(registry.remove(1, &topics[1]), None);
        join(&mut registry, &one, &topics[1]);
        assert_eq!(registry.leave(1), topics.clone().map(|topic| (topic, 1)));
        assert_eq!(registry.leave(1), []);
        assert_eq!(registry.leave(2), topics.map(|topic| (topic, 0)));
        assert_eq!((registry.clients(), registry.names(Kind::Channel).len()), (0, 0));
    }
}
