//! Keyspace events: what is published when something happened to a key.

use bytes::Bytes;
use datatypes::{Event, kv::SHARDS};
use topology::{Classes, notifications};

/// What happened to a key, and on which channels it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    db: u8,
    key: Bytes,
    event: &'static str,
    channels: Classes,
}

impl Announced {
    /// `None` if `wanted` says that nobody wants to know, and for shards of namespaces: what happens to
    /// one of them does not happen to the whole.
    pub fn new(wanted: Classes, db: u8, key: &[u8], event: Event) -> Option<Self> {
        let is_wanted = wanted.contains(event.class) && db & SHARDS == 0;
        let announced = || Self { db, key: Bytes::copy_from_slice(key), event: event.name, channels: wanted };
        is_wanted.then(announced)
    }

    /// Channels and payloads, in Redis's order.
    pub fn messages(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        let by_key = self.channels.contains(Classes::KEYSPACE).then(|| {
            let channel = notifications::keyspace_channel(self.db, &self.key);
            (Bytes::from(channel), Bytes::from_static(self.event.as_bytes()))
        });
        let by_event = self.channels.contains(Classes::KEYEVENT).then(|| {
            let channel = notifications::keyevent_channel(self.db, self.event);
            (Bytes::from(channel), self.key.clone())
        });
        by_key.into_iter().chain(by_event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_on_the_channels_that_are_wanted() {
        let told = |classes: &[u8]| {
            let wanted = Classes::parse(classes).unwrap();
            let announced = Announced::new(wanted, 3, b"k", Event::list("lpush"));
            announced.iter().flat_map(|event| event.messages().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let by_key = (Bytes::from("__keyspace@3__:k"), Bytes::from("lpush"));
        let by_event = (Bytes::from("__keyevent@3__:lpush"), Bytes::from("k"));
        assert_eq!(told(b"KEA"), [by_key.clone(), by_event.clone()]);
        assert_eq!(told(b"El"), [by_event]);
        assert_eq!(told(b"Kl"), [by_key]);
        assert_eq!(told(b"KEg"), []);
        let wanted = Classes::parse(b"KEA").unwrap();
        assert_eq!(Announced::new(wanted, 3 | SHARDS, b"{000}k", Event::list("lpush")), None);
    }
}
