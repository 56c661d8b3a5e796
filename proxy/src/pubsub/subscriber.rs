//! A client that subscribes, and the messages on their way to it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::clients::ClientInfo;

/// How much may wait for one subscriber: `client-output-buffer-limit pubsub`. 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    pub hard_bytes: usize,
    /// More than this for longer than `soft_ms` is too much as well.
    pub soft_bytes: usize,
    pub soft_ms: u64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    Waits,
    /// The client does not read: it is closed.
    CutOff,
}

/// Messages on their way to one client, wherever they come from.
#[derive(Debug, Default)]
pub struct Feed(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    /// Shared among the subscribers of a message.
    messages: VecDeque<Bytes>,
    bytes: usize,
    /// Since when more than the soft limit waits.
    soft_since_ms: Option<u64>,
    /// Nothing is taken any more.
    closed: bool,
}

/// See the module's documentation.
pub struct Subscriber {
    pub info: Arc<ClientInfo>,
    /// Of `info`. Locked for a push or a take; written by whoever delivers, read by the connection's task.
    feed: Arc<Feed>,
}

impl Subscriber {
    pub fn new(info: Arc<ClientInfo>) -> Arc<Self> {
        let feed = info.feed();
        Arc::new(Self { info, feed })
    }

    pub fn is_resp3(&self) -> bool {
        self.info.resp3.load(Relaxed)
    }

    /// Adds a message, unless too much waits already.
    pub fn push(&self, message: &Bytes, limits: OutputLimits, now_ms: u64) -> Pushed {
        let mut feed = self.feed.0.lock();
        if feed.closed {
            return Pushed::Waits;
        }
        feed.bytes += message.len();
        feed.messages.push_back(message.clone());
        if feed.is_beyond(limits, now_ms) {
            *feed = Messages { closed: true, ..Messages::default() };
            drop(feed);
            self.info.kill();
            return Pushed::CutOff;
        }
        let is_first = feed.messages.len() == 1;
        drop(feed);
        if is_first {
            self.info.wake();
        }
        Pushed::Waits
    }

    /// Hands messages to `out` until it has `room` bytes of them or more.
    pub fn take(&self, room: usize, mut out: impl FnMut(&[u8])) {
        let mut feed = self.feed.0.lock();
        let mut taken = 0;
        while taken < room
            && let Some(message) = feed.messages.pop_front()
        {
            taken += message.len();
            out(&message);
        }
        feed.bytes -= taken;
        if feed.messages.is_empty() {
            feed.messages = VecDeque::new();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.feed.0.lock().messages.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.feed.0.lock().bytes
    }

    /// Drops what waits.
    pub fn clear(&self) {
        let mut feed = self.feed.0.lock();
        *feed = Messages { closed: feed.closed, ..Messages::default() };
    }
}

impl Messages {
    fn is_beyond(&mut self, limits: OutputLimits, now_ms: u64) -> bool {
        let reaches = |limit: usize| limit > 0 && self.bytes > limit;
        if reaches(limits.hard_bytes) {
            return true;
        }
        if !reaches(limits.soft_bytes) {
            self.soft_since_ms = None;
            return false;
        }
        let since_ms = *self.soft_since_ms.get_or_insert(now_ms);
        now_ms.saturating_sub(since_ms) > limits.soft_ms
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::clients::Side;

    pub fn subscriber(id: u64) -> Arc<Subscriber> {
        let addr = "127.0.0.1:6000".parse().unwrap();
        Subscriber::new(Arc::new(ClientInfo::new(id, addr, addr, Side::Plain, 0)))
    }

    const LIMITS: OutputLimits = OutputLimits { hard_bytes: 100, soft_bytes: 20, soft_ms: 1000 };

    #[test]
    fn messages_are_taken_in_order_and_as_there_is_room() {
        let subscriber = subscriber(1);
        for text in ["one", "two", "three"] {
            assert_eq!(subscriber.push(&Bytes::from(text), LIMITS, 0), Pushed::Waits);
        }
        let mut got = Vec::new();
        subscriber.take(4, |text| got.extend_from_slice(text));
        assert_eq!((got.as_slice(), subscriber.bytes()), (&b"onetwo"[..], 5));
        subscriber.take(4, |text| got.extend_from_slice(text));
        assert!(subscriber.is_empty() && got == b"onetwothree");
    }

    #[test]
    fn who_does_not_read_is_cut_off() {
        let ten = Bytes::from_static(b"0123456789");
        let hard = subscriber(1);
        let pushed: Vec<Pushed> = (0..11).map(|_| hard.push(&ten, LIMITS, 0)).collect();
        assert_eq!(pushed.iter().position(|p| *p == Pushed::CutOff), Some(10));
        assert!(hard.info.is_killed() && hard.bytes() == 0);

        let soft = subscriber(2);
        let later = [(0, false), (1, false), (2, false), (1002, false), (1003, true)];
        for (now_ms, cut_off) in later {
            let pushed = soft.push(&ten, LIMITS, now_ms);
            assert_eq!(pushed == Pushed::CutOff, cut_off, "at {now_ms}");
        }
    }

    #[test]
    fn a_soft_limit_forgives_who_catches_up() {
        let subscriber = subscriber(1);
        let ten = Bytes::from_static(b"0123456789");
        for now_ms in [0, 900, 1800, 2700] {
            for _ in 0..3 {
                assert_eq!(subscriber.push(&ten, LIMITS, now_ms), Pushed::Waits);
            }
            subscriber.take(1000, |_| ());
        }
    }
}
