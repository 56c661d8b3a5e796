//! Replies of one connection on their way out: in the order of the commands, whatever order they
//! come in. Messages, which answer no command, have their places among them.
//!
//! Invariants:
//!
//! - `slots` starts with a reply that has not come (or is empty), so everything that may be written is
//!   in `buffer`; `slots[i]` belongs to token `first + i`.
//! - A message comes behind every reply that was there before it, so that nobody reads that a key has
//!   changed and then what it was before. It overtakes commands that have no reply yet (one of them may
//!   wait for ever), but for those that hold messages: parts of their replies may be there.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use commands::Spec;
use daemon::env::BoxIo;
use resp::{Protocol, Reply, encode};
use tokio::io::AsyncWrite;

use crate::slowlog::Words;

/// Buffer kept allocated while replies come and go.
const BUFFER_BYTES_KEPT: usize = 4 * 1024;
/// Slots kept allocated likewise.
const SLOTS_KEPT: usize = 64;

/// A reply in its place in the queue.
#[derive(Debug)]
struct Slot {
    reply: Option<Bytes>,
    /// The client does not want it (CLIENT REPLY).
    silent: bool,
    /// Messages wait for the reply.
    holds: bool,
    /// `None`: it was answered at once.
    call: Option<Call>,
    /// Its arguments, if it may turn out to be slow.
    words: Option<Box<Words>>,
}

/// A command under way.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub spec: &'static Spec,
    /// Microseconds since the process started.
    pub started_us: u64,
    /// Its name was written in capitals.
    pub in_capitals: bool,
}

/// A command that has its reply.
pub struct Completed {
    pub call: Call,
    pub words: Option<Box<Words>>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Output {
    slots: VecDeque<Slot>,
    /// Token of `slots[0]`.
    first: u64,
    buffer: Vec<u8>,
    /// So much of `buffer` is written.
    written: usize,
    /// Bytes that the socket took and nobody has counted.
    uncounted: u64,
    /// Messages behind the reply of a token; tokens ascend.
    messages: VecDeque<(u64, Vec<u8>)>,
    /// Bytes in `slots` and `messages`.
    held: usize,
    /// The socket takes no more for now; the connection's task waits until it does.
    blocked: bool,
    /// Someone promised to flush.
    flush_asked: bool,
    /// The connection's task waits for replies, even for those that leave nothing to write.
    watched: bool,
    /// The connection is gone: everything is dropped.
    closed: bool,
}

impl Output {
    /// Commands whose replies have not come, and those behind them.
    pub fn waiting(&self) -> usize {
        self.slots.len()
    }

    /// Bytes the client has not taken.
    pub fn bytes(&self) -> usize {
        self.buffer.len() - self.written + self.held
    }

    /// Nothing waits, nothing is left to write.
    pub fn is_done(&self) -> bool {
        self.slots.is_empty() && self.is_written()
    }

    fn is_written(&self) -> bool {
        self.written == self.buffer.len()
    }

    /// Takes the next place in the queue, for a reply that comes later.
    pub fn open(&mut self, call: Call, silent: bool) -> u64 {
        self.slots.push_back(Slot { reply: None, silent, holds: false, call: Some(call), words: None });
        self.first + self.slots.len() as u64 - 1
    }

    /// A reply that is there already.
    pub fn push(&mut self, reply: &Reply, protocol: Protocol) {
        if self.closed {
            return;
        }
        if self.slots.is_empty() {
            encode(reply, protocol, &mut self.buffer);
            return;
        }
        let mut bytes = Vec::new();
        encode(reply, protocol, &mut bytes);
        self.held += bytes.len();
        let reply = Some(bytes.into());
        self.slots.push_back(Slot { reply, silent: false, holds: false, call: None, words: None });
    }

    /// Messages come behind the reply of `token` from here on.
    pub fn hold_messages(&mut self, token: u64) {
        if let Some(slot) = self.slot(token) {
            slot.holds = true;
        }
    }

    /// The last command has nothing of its reply yet, and may wait for long: messages overtake it.
    pub fn overtake_last(&mut self) {
        let Some(slot) = self.slots.back_mut().filter(|slot| slot.holds && slot.reply.is_none()) else {
            return;
        };
        slot.holds = false;
        let last = self.first + self.slots.len() as u64 - 1;
        if let Some((_, messages)) = self.messages.pop_back_if(|(token, _)| *token == last) {
            self.held -= messages.len();
            let place = self.place();
            self.push_message(place, &messages);
        }
    }

    /// Where messages go that come now: behind the reply of a token, or (`None`) before all that wait.
    pub fn place(&self) -> Option<u64> {
        let at = self.slots.iter().rposition(|slot| slot.reply.is_some() || slot.holds)?;
        Some(self.first + at as u64)
    }

    /// A message, or a line of MONITOR.
    pub fn push_message(&mut self, place: Option<u64>, message: &[u8]) {
        if self.closed {
            return;
        }
        let Some(token) = place else { return self.buffer.extend_from_slice(message) };
        self.held += message.len();
        match self.messages.back_mut().filter(|(last, _)| *last == token) {
            Some((_, messages)) => messages.extend_from_slice(message),
            None => self.messages.push_back((token, message.to_vec())),
        }
    }

    fn slot(&mut self, token: u64) -> Option<&mut Slot> {
        let at = usize::try_from(token.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }

    /// Keeps the arguments of a command that has no reply yet.
    pub fn note(&mut self, token: u64, words: impl FnOnce(Call) -> Words) {
        if let Some(slot) = self.slot(token)
            && let Some(call) = slot.call
            // What the client sent is known already: it may travel in other words.
            && slot.words.is_none()
        {
            slot.words = Some(Box::new(words(call)));
        }
    }

    /// Puts a reply into its place. Answers the call it belongs to; `None`: unknown token, or the
    /// connection is closed.
    pub fn complete(&mut self, token: u64, bytes: Bytes) -> Option<Completed> {
        let at = usize::try_from(token.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(at)?;
        let completed = Completed { call: slot.call.take()?, words: slot.words.take() };
        let bytes = if slot.silent { Bytes::new() } else { bytes };
        if at > 0 {
            self.held += bytes.len();
            slot.reply = Some(bytes);
            return Some(completed);
        }
        self.buffer.extend_from_slice(&bytes);
        self.pop();
        while let Some(reply) = self.slots.front_mut().and_then(|s| s.reply.take()) {
            self.held -= reply.len();
            self.buffer.extend_from_slice(&reply);
            self.pop();
        }
        Some(completed)
    }

    /// The first reply is in the buffer.
    fn pop(&mut self) {
        self.slots.pop_front();
        let first = self.first;
        self.first += 1;
        if let Some((_, messages)) = self.messages.pop_front_if(|(token, _)| *token == first) {
            self.held -= messages.len();
            self.buffer.extend_from_slice(&messages);
        }
        if self.slots.is_empty() && self.slots.capacity() > SLOTS_KEPT {
            self.slots = VecDeque::new();
        }
    }

    /// The task wants to be told of every reply, or no more.
    pub fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// Whether to ask for a flush now (asked once until it happens).
    pub fn wants_flush(&mut self) -> bool {
        let something = self.watched || (!self.is_written() && !self.blocked);
        let wants = something && !self.flush_asked;
        self.flush_asked |= wants;
        wants
    }

    /// Drops everything, and whatever still comes.
    pub fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    /// Writes until everything is written or the socket is full (`Pending`).
    pub fn poll_write(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush_asked = false;
        while !self.is_written() {
            match Pin::new(&mut *io).poll_write(cx, &self.buffer[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.uncounted += count as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.blocked = true;
                    self.compact();
                    return Poll::Pending;
                }
            }
        }
        self.blocked = false;
        self.buffer.clear();
        self.written = 0;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes that the socket took since this was asked last.
    pub fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Forgets what is written when that is most of it.
    fn compact(&mut self) {
        if self.written > BUFFER_BYTES_KEPT && self.written * 2 > self.buffer.len() {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call { spec: commands::lookup(b"get").unwrap(), started_us: 0, in_capitals: false }
    }

    fn open(output: &mut Output) -> u64 {
        output.open(call(), false)
    }

    #[test]
    fn replies_leave_in_the_order_of_commands() {
        let mut output = Output::default();
        output.push(&Reply::Int(0), Protocol::Resp2);
        let (a, b) = (open(&mut output), open(&mut output));
        output.push(&Reply::Int(3), Protocol::Resp2);
        let d = output.open(call(), true);
        let e = open(&mut output);
        for (token, text) in [(e, ":5\r\n"), (b, ":2\r\n"), (d, ":4\r\n"), (a, ":1\r\n")] {
            assert!(output.complete(token, Bytes::from_static(text.as_bytes())).is_some());
        }
        assert_eq!(output.buffer, b":0\r\n:1\r\n:2\r\n:3\r\n:5\r\n");
        assert_eq!((output.waiting(), output.held), (0, 0));
    }

    fn message(output: &mut Output, text: &str) {
        let place = output.place();
        output.push_message(place, text.as_bytes());
    }

    fn complete(output: &mut Output, token: u64, text: &'static str) {
        assert!(output.complete(token, Bytes::from_static(text.as_bytes())).is_some());
    }

    #[test]
    fn messages_come_behind_the_replies_that_were_there() {
        let mut output = Output::default();
        message(&mut output, "A");
        let [a, b, c, d] = [0; 4].map(|_| open(&mut output));
        message(&mut output, "B");
        complete(&mut output, b, "2");
        message(&mut output, "C");
        message(&mut output, "D");
        complete(&mut output, d, "4");
        message(&mut output, "E");
        assert_eq!((&output.buffer[..], output.held), (&b"AB"[..], 5));
        complete(&mut output, a, "1");
        assert_eq!(output.buffer, b"AB12CD");
        complete(&mut output, c, "3");
        assert_eq!(output.buffer, b"AB12CD34E");
        assert_eq!((output.waiting(), output.held), (0, 0));
    }

    #[test]
    fn messages_wait_for_each_reply_that_holds_them() {
        let mut output = Output::default();
        let [a, b, _c] = [0; 3].map(|_| open(&mut output));
        output.hold_messages(a);
        output.hold_messages(b);
        message(&mut output, "A");
        complete(&mut output, a, "1");
        message(&mut output, "B");
        assert_eq!(output.buffer, b"1");
        complete(&mut output, b, "2");
        assert_eq!(output.buffer, b"12AB");
        message(&mut output, "C");
        assert_eq!(output.buffer, b"12ABC");
    }

    #[test]
    fn a_command_that_waits_lets_messages_pass() {
        let mut output = Output::default();
        let [a, b] = [0; 2].map(|_| open(&mut output));
        output.hold_messages(a);
        output.hold_messages(b);
        message(&mut output, "A");
        output.overtake_last();
        assert_eq!(output.buffer, b"");
        complete(&mut output, a, "1");
        assert_eq!(output.buffer, b"1A");
        let c = open(&mut output);
        output.hold_messages(c);
        message(&mut output, "B");
        output.overtake_last();
        assert_eq!((&output.buffer[..], output.held), (&b"1AB"[..], 0));
    }

    #[test]
    fn a_token_is_good_for_one_reply() {
        let mut output = Output::default();
        let token = open(&mut output);
        assert!(output.complete(token, Bytes::new()).is_some());
        assert!(output.complete(token, Bytes::new()).is_none());
        assert!(output.complete(token + 1, Bytes::new()).is_none());
    }

    #[test]
    fn a_flush_is_asked_for_once() {
        let mut output = Output::default();
        assert!(!output.wants_flush());
        output.push(&Reply::OK, Protocol::Resp2);
        assert!(output.wants_flush());
        assert!(!output.wants_flush());
    }

    #[test]
    fn nothing_is_kept_for_a_closed_connection() {
        let mut output = Output::default();
        let token = open(&mut output);
        output.close();
        assert!(output.complete(token, Bytes::from_static(b"+OK\r\n")).is_none());
        output.push(&Reply::OK, Protocol::Resp2);
        assert_eq!(output.bytes(), 0);
    }
}
