//! The meeting point of publishers and subscribers: the leader of a channel's group. Proxies subscribe
//! for their clients, and publish; a message goes to every stream that subscribes to its channel or to
//! a pattern that matches it.
//!
//! Nothing here is durable or replicated. Invariants:
//!
//! - A group's subscriptions exist only while its replica here leads: when it does no more, they are
//!   dropped and their streams are told, so that proxies subscribe at the next leader.
//! - Events reach a stream in the order in which they took effect.
//! - A stream that does not take its events is ended; it never holds up another one.

mod book;
mod changed;
mod keyspace;
mod outbox;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{Event, EventChanged, EventMessage, event};
use tokio::sync::Notify;

use book::Book;
pub use book::{Full, Kind};
pub use changed::ChangedKeys;
pub use keyspace::Announced;
use outbox::Outbox;
pub use service::{EventsService, watch_leadership};

/// Who published a message, and the id it was published under.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    pub publisher: u64,
    pub id: u64,
}

#[derive(Default)]
struct State {
    book: Book,
    streams: BTreeMap<u64, Arc<Outbox>>,
    last_stream: u64,
}

/// The meeting point of one storage node, for all groups it leads.
#[derive(Default)]
pub struct Hub {
    /// Held for moments, never across an await.
    state: Mutex<State>,
    /// Signalled at the first subscription.
    in_use: Notify,
    /// Somebody wants to be told of keys by their beginnings.
    broadcasts: AtomicBool,
}

impl Hub {
    /// A new stream: its number, and where its events wait to be sent.
    fn join(&self) -> (u64, Arc<Outbox>) {
        let mut state = self.state.lock();
        state.last_stream += 1;
        let (number, outbox) = (state.last_stream, Arc::new(Outbox::default()));
        state.streams.insert(number, outbox.clone());
        (number, outbox)
    }

    fn leave(&self, stream: u64) {
        let mut state = self.state.lock();
        state.streams.remove(&stream);
        state.book.drop_stream(stream);
        self.broadcasts.store(state.book.has_prefixes(), Relaxed);
    }

    /// So many clients behind `stream` subscribe to the topic from here on.
    fn subscribe(
        &self,
        stream: u64,
        group: u64,
        kind: Kind,
        name: &[u8],
        subscribers: u64,
    ) -> Result<(), Full> {
        let mut state = self.state.lock();
        let was_in_use = !state.book.is_empty();
        state.book.subscribe(stream, group, kind, name, subscribers)?;
        if kind == Kind::Prefix {
            self.broadcasts.store(state.book.has_prefixes(), Relaxed);
        }
        if !was_in_use {
            self.in_use.notify_one();
        }
        Ok(())
    }

    /// Sends a message to whoever subscribes; answers to how many clients.
    pub fn publish(&self, group: u64, kind: Kind, channel: Bytes, payload: Bytes, origin: Origin) -> u64 {
        let state = self.state.lock();
        let audience = state.book.audience(group, kind, &channel);
        for stream in &audience.streams {
            let Some(outbox) = state.streams.get(stream) else { continue };
            outbox.push(event::Event::Message(EventMessage {
                group,
                kind: kind.to_proto().into(),
                channel: channel.clone(),
                payload: payload.clone(),
                publisher: origin.publisher,
                id: origin.id,
            }));
        }
        audience.receivers
    }

    /// Clients that a message would be sent to, as far as is known here: patterns are known to the leader of
    /// every group, a channel to that of its slot.
    pub fn receivers(&self, group: u64, kind: Kind, channel: &[u8]) -> u64 {
        self.state.lock().book.receivers(group, kind, channel)
    }

    /// Tells who subscribes what happened to keys of `group`.
    pub fn announce(&self, group: u64, events: &[Announced]) {
        if !self.state.lock().book.has_group(group) {
            return;
        }
        for (channel, payload) in events.iter().flat_map(Announced::messages) {
            self.publish(group, Kind::Channel, channel, payload, Origin::default());
        }
    }

    /// Whether anybody is to be told of keys by their beginnings.
    pub fn broadcasts(&self) -> bool {
        self.broadcasts.load(Relaxed)
    }

    /// Tells what one entry changed: one event for each beginning of keys that is asked for.
    pub fn announce_changes(&self, group: u64, changed: &ChangedKeys) {
        let state = self.state.lock();
        let mut flushed = BTreeSet::new();
        for (prefix, streams) in state.book.prefixes(group) {
            let event = changed.event(group, prefix);
            for stream in streams {
                let Some(outbox) = state.streams.get(&stream) else { continue };
                if changed.flushed && flushed.insert(stream) {
                    let everything = EventChanged { group, everything: true, ..EventChanged::default() };
                    outbox.push(event::Event::Changed(everything));
                }
                if let Some(event) = &event {
                    outbox.push(event::Event::Changed(event.clone()));
                }
            }
        }
    }

    /// The replica here leads `group` no more.
    pub fn close(&self, group: u64) {
        let mut state = self.state.lock();
        let streams = state.book.drop_group(group);
        self.broadcasts.store(state.book.has_prefixes(), Relaxed);
        for stream in streams {
            if let Some(outbox) = state.streams.get(&stream) {
                outbox.push(event::Event::ClosedGroup(group));
            }
        }
    }

    /// Groups that somebody subscribes in.
    fn groups(&self) -> Vec<u64> {
        self.state.lock().book.groups().collect()
    }
}

/// Bytes that an event occupies while it waits, about.
fn weight(event: &event::Event) -> usize {
    let content = match event {
        event::Event::Message(message) => message.channel.len() + message.payload.len(),
        event::Event::Changed(changed) => changed::weight(changed),
        event::Event::Answer(_) | event::Event::ClosedGroup(_) => 0,
    };
    content + size_of::<Event>()
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;

    use super::*;

    const GROUP: u64 = 7;

    fn drained(outbox: &Outbox) -> Vec<event::Event> {
        let waker = noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        match outbox.poll_message(&mut cx) {
            std::task::Poll::Ready(Some(reply)) => reply.events.into_iter().filter_map(|e| e.event).collect(),
            _ => Vec::new(),
        }
    }

    fn say(hub: &Hub, channel: &'static [u8], text: &'static [u8]) -> u64 {
        let (channel, text) = (Bytes::from_static(channel), Bytes::from_static(text));
        hub.publish(GROUP, Kind::Channel, channel, text, Origin::default())
    }

    fn texts(outbox: &Outbox) -> Vec<Bytes> {
        let events = drained(outbox).into_iter();
        let text = |event| match event {
            event::Event::Message(message) => Some(message.payload),
            _ => None,
        };
        events.filter_map(text).collect()
    }

    #[test]
    fn a_message_reaches_each_stream_once_and_counts_every_client() {
        let hub = Hub::default();
        let ((one, first), (two, second)) = (hub.join(), hub.join());
        hub.subscribe(one, GROUP, Kind::Channel, b"news", 2).unwrap();
        hub.subscribe(one, GROUP, Kind::Pattern, b"n*", 1).unwrap();
        hub.subscribe(two, GROUP, Kind::Pattern, b"*s", 3).unwrap();
        assert_eq!(say(&hub, b"news", b"a"), 6);
        assert_eq!(say(&hub, b"nothing", b"b"), 1);
        assert_eq!(say(&hub, b"other", b"c"), 0);
        assert_eq!(texts(&first), ["a", "b"]);
        assert_eq!(texts(&second), ["a"]);
    }

    #[test]
    fn who_leaves_gets_nothing_and_is_not_counted() {
        let hub = Hub::default();
        let (one, first) = hub.join();
        hub.subscribe(one, GROUP, Kind::Channel, b"news", 1).unwrap();
        hub.subscribe(one, GROUP, Kind::Channel, b"news", 0).unwrap();
        assert_eq!(say(&hub, b"news", b"a"), 0);
        hub.subscribe(one, GROUP, Kind::Channel, b"news", 1).unwrap();
        hub.leave(one);
        assert_eq!(say(&hub, b"news", b"a"), 0);
        assert!(texts(&first).is_empty() && hub.groups().is_empty());
    }

    #[test]
    fn a_group_that_is_led_elsewhere_is_closed() {
        let hub = Hub::default();
        let ((one, first), (_, second)) = (hub.join(), hub.join());
        hub.subscribe(one, GROUP, Kind::Shard, b"news", 1).unwrap();
        hub.close(GROUP);
        assert_eq!(drained(&first), [event::Event::ClosedGroup(GROUP)]);
        assert!(drained(&second).is_empty(), "it did not subscribe there");
        assert!(hub.groups().is_empty());
    }

    #[test]
    fn changes_are_told_by_prefix_and_once_for_each() {
        let hub = Hub::default();
        let ((one, first), (two, second)) = (hub.join(), hub.join());
        assert!(!hub.broadcasts());
        hub.subscribe(one, GROUP, Kind::Prefix, b"a:", 1).unwrap();
        hub.subscribe(one, GROUP, Kind::Prefix, b"b:", 1).unwrap();
        hub.subscribe(two, GROUP, Kind::Prefix, b"", 1).unwrap();
        assert!(hub.broadcasts());
        let mut changed = ChangedKeys::default();
        for (key, writer) in [("a:1", 7), ("c:1", 0), ("a:2", 0)] {
            changed.add(Bytes::from(key), writer);
        }
        hub.announce_changes(GROUP, &changed);
        hub.announce_changes(GROUP + 1, &changed);
        let told = |outbox: &Outbox| {
            let events = drained(outbox).into_iter().map(|event| match event {
                event::Event::Changed(changed) => (changed.prefix, changed.keys, changed.writers),
                other => panic!("{other:?}"),
            });
            events.collect::<Vec<_>>()
        };
        let keys = |names: &[&'static str]| names.iter().map(|name| Bytes::from(*name)).collect::<Vec<_>>();
        assert_eq!(told(&first), [(Bytes::from("a:"), keys(&["a:1", "a:2"]), vec![7, 0])]);
        assert_eq!(told(&second), [(Bytes::new(), keys(&["a:1", "a:2", "c:1"]), vec![7, 0, 0])]);
        let mut flushed = ChangedKeys::default();
        flushed.flushed = true;
        hub.announce_changes(GROUP, &flushed);
        let everything = |outbox: &Outbox| drained(outbox).len();
        assert_eq!((everything(&first), everything(&second)), (1, 1));
        hub.close(GROUP);
        assert!(!hub.broadcasts());
    }

    #[test]
    fn a_stream_that_takes_nothing_is_ended() {
        let hub = Hub::default();
        let (one, first) = hub.join();
        hub.subscribe(one, GROUP, Kind::Channel, b"news", 1).unwrap();
        let large = Bytes::from(vec![b'x'; 1 << 20]);
        let message = || {
            hub.publish(GROUP, Kind::Channel, Bytes::from_static(b"news"), large.clone(), Origin::default())
        };
        while !first.is_overrun() {
            message();
        }
        let waker = noop_waker();
        let mut cx = std::task::Context::from_waker(&waker);
        assert_eq!(first.poll_message(&mut cx), std::task::Poll::Ready(None));
    }
}
