//! Batches: being filled, and waiting for their reply.
//!
//! Commands wait in *windows*, each with two lanes: reads and writes. A batch without a write needs
//! no log entry, so a read goes to the lane that does not wait for durability, unless its own
//! connection has a command in the write lane of the same window: the read lane is sent first, and
//! one connection's commands keep their order.

use bytes::Bytes;
use commands::wire;

use super::Origin;
use crate::backend_api::{Outgoing, Target};

/// What a waiting command costs beside its bytes, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 64;
/// Commands of the write lane that are searched for a connection. In a longer lane a read simply
/// joins the writes: order is kept, and it waits no longer than they do.
const ORIGIN_SEARCH_MAX: usize = 64;
/// Capacity a new batch starts with.
const FIRST_CAPACITY_BYTES: usize = 512;

/// One command of a batch.
#[derive(Debug)]
pub(super) struct Entry<S> {
    /// Gone once answered: a deadline may answer before the batch does.
    pub sink: Option<S>,
    pub target: Target,
    pub write: bool,
    pub deadline_ms: u64,
}

/// How a command comes: from the front, or out of a batch that is routed again.
pub(super) enum Payload<'a> {
    Command(&'a Outgoing<'a>),
    Encoded(&'a [u8]),
}

impl Payload<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Payload::Command(c) => wire::put_command_of(c.writer, out, c.id, c.flags, c.db, c.args),
            Payload::Encoded(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Commands with the ends of their encodings.
#[derive(Debug)]
pub(super) struct Commands<S, B> {
    pub bytes: B,
    pub entries: Vec<Entry<S>>,
    /// Where each command's encoding ends.
    pub ends: Vec<usize>,
    pub has_write: bool,
    /// Some are of clients that track.
    pub has_tracked: bool,
    /// Of the entry that runs out first.
    pub deadline_min_ms: u64,
}

pub(super) type Filling<S> = Commands<S, Vec<u8>>;
pub(super) type Closed<S> = Commands<S, Bytes>;

impl<S, B: AsRef<[u8]>> Commands<S, B> {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes this keeps in memory, as the limits count them.
    pub fn weight(&self) -> usize {
        self.bytes.as_ref().len() + self.entries.len() * ENTRY_OVERHEAD_BYTES
    }

    /// Whether the client of one command tracks.
    pub fn is_tracked(&self, at: usize) -> bool {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        wire::is_tracked(&self.bytes.as_ref()[start..])
    }

    /// The client of one command, if it waits for an answer.
    pub fn origin_of(&self, at: usize) -> Option<u64>
    where
        S: Origin,
    {
        self.entries.get(at)?.sink.as_ref().map(Origin::origin)
    }

    /// Those who still wait get more time.
    pub fn allow_until(&mut self, deadline_ms: u64) {
        let waiting = self.entries.iter_mut().filter(|entry| entry.sink.is_some());
        waiting.for_each(|entry| entry.deadline_ms = entry.deadline_ms.max(deadline_ms));
    }

    /// Takes it apart, in order.
    pub fn each(self, mut visit: impl FnMut(Entry<S>, &[u8])) {
        let bytes = self.bytes.as_ref();
        let mut start = 0;
        for (entry, end) in self.entries.into_iter().zip(self.ends) {
            visit(entry, &bytes[start..end]);
            start = end;
        }
    }
}

impl<S, B: Default> Default for Commands<S, B> {
    fn default() -> Self {
        Self {
            bytes: B::default(),
            entries: Vec::new(),
            ends: Vec::new(),
            has_write: false,
            has_tracked: false,
            deadline_min_ms: u64::MAX,
        }
    }
}

impl<S: Origin> Filling<S> {
    /// Appends a command; returns the weight it adds.
    pub fn push(&mut self, entry: Entry<S>, payload: &Payload<'_>) -> usize {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST_CAPACITY_BYTES);
        }
        let before = self.bytes.len();
        payload.put(&mut self.bytes);
        self.has_tracked |= wire::is_tracked(&self.bytes[before..]);
        self.has_write |= entry.write;
        self.deadline_min_ms = self.deadline_min_ms.min(entry.deadline_ms);
        self.entries.push(entry);
        self.ends.push(self.bytes.len());
        self.bytes.len() - before + ENTRY_OVERHEAD_BYTES
    }

    pub fn close(self) -> Closed<S> {
        let Commands { bytes, entries, ends, has_write, has_tracked, deadline_min_ms } = self;
        Commands { bytes: Bytes::from(bytes), entries, ends, has_write, has_tracked, deadline_min_ms }
    }

    fn holds_origin(&self, origin: u64) -> bool {
        self.entries.len() > ORIGIN_SEARCH_MAX
            || self.entries.iter().any(|e| e.sink.as_ref().is_some_and(|s| s.origin() == origin))
    }
}

/// What is sent together: the reads, then the writes.
#[derive(Debug)]
pub(super) struct Window<S> {
    pub reads: Filling<S>,
    pub writes: Filling<S>,
}

impl<S> Default for Window<S> {
    fn default() -> Self {
        Self { reads: Filling::default(), writes: Filling::default() }
    }
}

impl<S: Origin> Window<S> {
    pub fn push(&mut self, entry: Entry<S>, payload: &Payload<'_>) -> usize {
        let origin = entry.sink.as_ref().map_or(0, Origin::origin);
        let follows_write = || !self.writes.is_empty() && self.writes.holds_origin(origin);
        if entry.write || follows_write() {
            self.writes.push(entry, payload)
        } else {
            self.reads.push(entry, payload)
        }
    }

    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    pub fn bytes_max(&self) -> usize {
        self.reads.bytes.len().max(self.writes.bytes.len())
    }
}

/// Where a batch without an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flight {
    /// To be sent (again).
    Ready,
    /// On the way under this id.
    Sent(u64),
    /// Its sequence number is used up by an empty batch, or it needed none: nothing of it was
    /// executed, and its commands wait to be routed again.
    Withdrawn,
}

/// A batch without an answer.
#[derive(Debug)]
pub(super) struct Unanswered<S> {
    /// 0: reads only.
    pub seq: u64,
    pub commands: Closed<S>,
    pub flight: Flight,
    /// Commands that the present attempt has answered.
    pub answered: usize,
    /// When it was sent last, or a part of its answer came.
    pub sent_at_ms: u64,
    /// An attempt ended without an answer: it may have been executed.
    pub unknown: bool,
    /// The next attempt carries no commands: it only uses up the sequence number, or fetches the
    /// replies if an earlier attempt was executed.
    pub withdraw: bool,
}

impl<S: Origin> Unanswered<S> {
    pub fn in_flight(&self) -> bool {
        matches!(self.flight, Flight::Sent(_))
    }

    /// Someone still waits for a reply out of it.
    pub fn has_sink(&self) -> bool {
        self.commands.entries.iter().any(|e| e.sink.is_some())
    }

    /// Lets go of the commands of a batch that nobody waits for, which is sent without them from here
    /// on. Returns the weight freed.
    pub fn withdraw_unwanted(&mut self) -> usize {
        if self.has_sink() {
            return 0;
        }
        self.withdraw = true;
        std::mem::replace(&mut self.commands, Filling::default().close()).weight()
    }

    /// The attempt under way will bring no answer.
    pub fn lose(&mut self) {
        if self.in_flight() {
            self.flight = Flight::Ready;
            self.unknown = true;
        }
    }
}
