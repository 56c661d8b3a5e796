//! Who subscribes to what: per group, topics and the streams behind which clients subscribe to them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proto::v1::TopicKind;

/// Topics of one group; more are refused.
const TOPICS_MAX: usize = 1 << 20;

/// What a subscription is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
    /// A channel of sharded pub/sub; patterns do not match it.
    Shard,
    /// Keys that begin so: who changes them is told.
    Prefix,
}

impl Kind {
    pub fn from_proto(kind: TopicKind) -> Self {
        match kind {
            TopicKind::Channel => Self::Channel,
            TopicKind::Pattern => Self::Pattern,
            TopicKind::Shard => Self::Shard,
            TopicKind::Prefix => Self::Prefix,
        }
    }

    pub fn to_proto(self) -> TopicKind {
        match self {
            Self::Channel => TopicKind::Channel,
            Self::Pattern => TopicKind::Pattern,
            Self::Shard => TopicKind::Shard,
            Self::Prefix => TopicKind::Prefix,
        }
    }
}

/// The group has as many topics as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many topics")]
pub struct Full;

/// Clients by stream.
type Streams = BTreeMap<u64, u64>;

/// The topics of one group. Names are copied: a slice of a message would keep all of it.
#[derive(Debug, Default)]
struct Group {
    channels: BTreeMap<Bytes, Streams>,
    patterns: BTreeMap<Bytes, Streams>,
    shards: BTreeMap<Bytes, Streams>,
    prefixes: BTreeMap<Bytes, Streams>,
}

impl Group {
    fn topics(&mut self, kind: Kind) -> &mut BTreeMap<Bytes, Streams> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
            Kind::Prefix => &mut self.prefixes,
        }
    }

    fn all(&mut self) -> [&mut BTreeMap<Bytes, Streams>; 4] {
        [&mut self.channels, &mut self.patterns, &mut self.shards, &mut self.prefixes]
    }

    fn len(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shards.len() + self.prefixes.len()
    }
}

/// Whom a message goes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audience {
    pub streams: BTreeSet<u64>,
    /// Clients, counted once for each subscription.
    pub receivers: u64,
}

impl Audience {
    fn add(&mut self, streams: &Streams) {
        self.streams.extend(streams.keys());
        self.receivers += streams.values().sum::<u64>();
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Book {
    groups: BTreeMap<u64, Group>,
}

impl Book {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether anybody subscribes to anything in the group.
    pub fn has_group(&self, group: u64) -> bool {
        self.groups.contains_key(&group)
    }

    /// Groups with a topic.
    pub fn groups(&self) -> impl Iterator<Item = u64> {
        self.groups.keys().copied()
    }

    /// So many clients behind `stream` subscribe to the topic from here on.
    pub fn subscribe(
        &mut self,
        stream: u64,
        group: u64,
        kind: Kind,
        name: &[u8],
        subscribers: u64,
    ) -> Result<(), Full> {
        if subscribers == 0 {
            self.unsubscribe(stream, group, kind, name);
            return Ok(());
        }
        let group = self.groups.entry(group).or_default();
        let is_full = group.len() >= TOPICS_MAX;
        let topics = group.topics(kind);
        match topics.get_mut(name) {
            Some(streams) => {
                streams.insert(stream, subscribers);
            }
            None if is_full => return Err(Full),
            None => {
                topics.insert(Bytes::copy_from_slice(name), Streams::from([(stream, subscribers)]));
            }
        }
        Ok(())
    }

    fn unsubscribe(&mut self, stream: u64, number: u64, kind: Kind, name: &[u8]) {
        let Some(group) = self.groups.get_mut(&number) else { return };
        let topics = group.topics(kind);
        if let Some(streams) = topics.get_mut(name) {
            streams.remove(&stream);
            if streams.is_empty() {
                topics.remove(name);
            }
        }
        if group.len() == 0 {
            self.groups.remove(&number);
        }
    }

    pub fn audience(&self, group: u64, kind: Kind, channel: &[u8]) -> Audience {
        let mut audience = Audience::default();
        let Some(group) = self.groups.get(&group) else { return audience };
        if kind == Kind::Shard {
            group.shards.get(channel).into_iter().for_each(|streams| audience.add(streams));
            return audience;
        }
        group.channels.get(channel).into_iter().for_each(|streams| audience.add(streams));
        for (pattern, streams) in &group.patterns {
            if datatypes::glob::matches(pattern, channel) {
                audience.add(streams);
            }
        }
        audience
    }

    /// Whether anybody asked for keys by their beginnings.
    pub fn has_prefixes(&self) -> bool {
        self.groups.values().any(|group| !group.prefixes.is_empty())
    }

    /// The beginnings of keys of one group that somebody asked for, with the streams that did.
    pub fn prefixes(&self, group: u64) -> impl Iterator<Item = (&Bytes, impl Iterator<Item = u64>)> {
        let prefixes = self.groups.get(&group).into_iter().flat_map(|group| &group.prefixes);
        prefixes.map(|(prefix, streams)| (prefix, streams.keys().copied()))
    }

    /// How many a channel has in any group, and those whose patterns match it in `group`.
    pub fn receivers(&self, group: u64, kind: Kind, channel: &[u8]) -> u64 {
        let is_shard = kind == Kind::Shard;
        let named = self.groups.values().filter_map(|group| match is_shard {
            true => group.shards.get(channel),
            false => group.channels.get(channel),
        });
        let patterns = self.groups.get(&group).filter(|_| !is_shard).map(|group| &group.patterns);
        let matching = patterns.into_iter().flatten();
        let matching = matching.filter(|(pattern, _)| datatypes::glob::matches(pattern, channel));
        named.chain(matching.map(|(_, streams)| streams)).flat_map(Streams::values).sum()
    }

    pub fn drop_stream(&mut self, stream: u64) {
        self.groups.retain(|_, group| {
            for topics in group.all() {
                topics.retain(|_, streams| {
                    streams.remove(&stream);
                    !streams.is_empty()
                });
            }
            group.len() > 0
        });
    }

    /// Forgets a group; answers the streams that subscribed there.
    pub fn drop_group(&mut self, group: u64) -> BTreeSet<u64> {
        let mut group = self.groups.remove(&group).unwrap_or_default();
        let streams = group.all().into_iter().flat_map(|topics| topics.values()).flat_map(|s| s.keys());
        streams.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_kinds_are_apart() {
        let mut book = Book::default();
        book.subscribe(1, 5, Kind::Channel, b"a", 1).unwrap();
        book.subscribe(2, 5, Kind::Shard, b"a", 4).unwrap();
        book.subscribe(3, 5, Kind::Pattern, b"?", 8).unwrap();
        book.subscribe(4, 6, Kind::Channel, b"a", 16).unwrap();
        let audience = |group, kind| {
            let found = book.audience(group, kind, b"a");
            (found.streams.into_iter().collect::<Vec<_>>(), found.receivers)
        };
        assert_eq!(audience(5, Kind::Channel), (vec![1, 3], 9));
        assert_eq!(audience(5, Kind::Shard), (vec![2], 4));
        assert_eq!(audience(6, Kind::Channel), (vec![4], 16));
        assert_eq!(audience(7, Kind::Channel), (vec![], 0));
    }

    #[test]
    fn nothing_is_kept_without_subscribers() {
        let mut book = Book::default();
        let kinds = [Kind::Channel, Kind::Pattern, Kind::Shard, Kind::Prefix];
        for kind in kinds {
            book.subscribe(1, 5, kind, b"a", 1).unwrap();
            book.subscribe(2, 5, kind, b"a", 1).unwrap();
        }
        book.subscribe(1, 6, Kind::Channel, b"b", 1).unwrap();
        assert_eq!(book.drop_group(6), BTreeSet::from([1]));
        book.drop_stream(1);
        assert_eq!(book.prefixes(5).map(|(_, streams)| streams.count()).sum::<usize>(), 1);
        for kind in kinds {
            book.subscribe(2, 5, kind, b"a", 0).unwrap();
            book.subscribe(2, 5, kind, b"never", 0).unwrap();
        }
        assert!(book.is_empty() && !book.has_prefixes());
    }
}
