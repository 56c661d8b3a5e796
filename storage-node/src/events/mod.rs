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
mod outbox;
mod service;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{Event, EventMessage, event};
use tokio::sync::Notify;

use book::Book;
pub use book::{Full, Kind};
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

    /// The replica here leads `group` no more.
    pub fn close(&self, group: u64) {
        let mut state = self.state.lock();
        for stream in state.book.drop_group(group) {
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
