//! The one writer of a store: takes what all groups queued, writes it, syncs it, calls back.
//!
//! A turn has three steps, so that a simulation can put time, or a crash, between them:
//! [`LogWriter::write`], [`LogWriter::sync`], [`LogWriter::complete`].

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    disk::{Disk, DiskFile},
    index::Location,
    later::{Later, SyncWhen},
    queue::{Done, GroupShared, Op},
    record::{self, Header, Kind, PAYLOAD_BYTES_MAX},
    recovery::{FORMAT, Logged, WriterStart},
    segments::file_name,
    store::{Durability, LogUsage, Shared},
};
use crate::types::{Entry, EntryPayload, IOFlushed, LogId};

/// The buffer is written out when it holds so much, and not kept when it grew beyond.
const BUFFER_BYTES: usize = 8 << 20;

/// The open segment. `end` counts what is in the writer's buffer as well.
struct Current {
    number: u32,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    end: u64,
    durable: u64,
}

enum Callback {
    Flushed(IOFlushed),
    Done(Done),
}

impl Callback {
    fn call(self, result: io::Result<()>) {
        match self {
            Callback::Flushed(flushed) => flushed.io_completed(result),
            // The caller may have gone; then nobody needs to know.
            Callback::Done(done) => drop(done.send(result)),
        }
    }
}

/// See the module's description.
pub struct LogWriter {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    current: Option<Current>,
    next: u32,
    sizes: BTreeMap<u32, u64>,
    logged: BTreeMap<u64, Logged>,
    ops: Vec<Op>,
    committed: Vec<Arc<GroupShared>>,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    callbacks: Vec<Callback>,
    /// Where this turn's entries were put; published once they are written.
    placed: Vec<Placed>,
    /// The present turn's failure.
    failure: Option<Failure>,
    later: Later,
    /// A purge, a removal or a rotation may have made segments free.
    may_free: bool,
}

/// Entries of a group and where they were put.
type Placed = (Arc<GroupShared>, Vec<(LogId, Location)>);

/// An error that can be told to many.
#[derive(Clone)]
struct Failure(io::ErrorKind, String);

impl Failure {
    fn to_error(&self) -> io::Error {
        io::Error::new(self.0, self.1.clone())
    }
}

impl LogWriter {
    pub(super) fn start(shared: Arc<Shared>, disk: Arc<dyn Disk>, start: WriterStart) -> io::Result<Self> {
        let mut writer = Self {
            shared,
            disk,
            current: None,
            next: start.next,
            sizes: start.sizes,
            logged: start.logged,
            ops: Vec::new(),
            committed: Vec::new(),
            buffer: Vec::new(),
            scratch: Vec::new(),
            callbacks: Vec::new(),
            placed: Vec::new(),
            failure: None,
            later: Later::default(),
            may_free: true,
        };
        match start.current {
            None => writer.rotate()?,
            Some((number, file, end)) => writer.resume(number, file, end)?,
        }
        writer.write_buffer()?;
        writer.sync_current()?;
        writer.free_segments()?;
        Ok(writer)
    }

    /// Goes on behind the records of the last segment. What a torn write left there must not come
    /// back to life between new records, so it is cut first.
    fn resume(&mut self, number: u32, file: Arc<dyn DiskFile>, end: u64) -> io::Result<()> {
        let bytes = self.shared.options.segment_bytes.max(end + record::padded(0) as u64);
        file.reset_tail(end, bytes)?;
        file.sync()?;
        self.sizes.insert(number, bytes);
        self.current = Some(Current { number, file, bytes, end, durable: end });
        self.checkpoint()
    }

    /// Takes everything queued and writes it. `None` if there was nothing, and nothing is to be synced.
    pub fn write(&mut self) -> Option<SyncWhen> {
        let is_due = self.later.take_due();
        let mut when = SyncWhen::Now;
        let mut ops = std::mem::take(&mut self.ops);
        let mut committed = std::mem::take(&mut self.committed);
        let any = self.shared.queue.drain(&mut ops, &mut committed);
        if any {
            let may_wait = ops.iter().all(Op::may_wait);
            let failed_before = self.shared.is_failed();
            let result = match failed_before {
                true => Err(io::Error::other("the log store failed earlier")),
                false => self.encode_all(&mut ops, &committed).and_then(|()| self.write_buffer()),
            };
            if let Err(error) = result {
                self.fail(error, ops.drain(..));
            } else {
                if may_wait {
                    when = self.later();
                }
                self.publish_locations();
            }
        }
        ops.clear();
        committed.clear();
        (self.ops, self.committed) = (ops, committed);
        (any || is_due).then_some(if is_due { SyncWhen::Now } else { when })
    }

    /// Whether a turn of nothing but proposals may wait for its sync.
    fn later(&mut self) -> SyncWhen {
        if self.shared.options.durability == Durability::Os {
            return SyncWhen::Now;
        }
        let bytes = self.current.as_ref().map_or(0, |current| current.end - current.durable);
        let last = |(group, placed): &Placed| Some((group.clone(), placed.last()?.0));
        self.later.turn(self.placed.iter().filter_map(last), bytes)
    }

    /// What is not synced yet is to be synced by the next turn.
    pub fn sync_soon(&mut self) {
        self.later.make_due();
    }

    /// After a turn that waits for its sync: whether somebody must begin to [`look`](Self::look) at what is left,
    /// until nothing is.
    pub fn begin_watch(&mut self) -> bool {
        self.later.begin_watch()
    }

    /// How long until the next look.
    pub fn look_after(&self) -> Duration {
        self.later.look_after()
    }

    /// Whether a turn must now be taken, which syncs what is left; `None` if nothing is left.
    pub fn look(&mut self) -> Option<SyncWhen> {
        self.later.look()
    }

    /// Makes durable what was written.
    pub fn sync(&mut self) {
        let failed = self.failure.is_some() || self.shared.is_failed();
        if failed || self.shared.options.durability == Durability::Os {
            return;
        }
        if let Err(error) = self.sync_current() {
            self.fail(error, std::iter::empty());
        }
    }

    /// Tells everybody who waits, in order.
    pub fn complete(&mut self) {
        let failure = self.failure.take();
        for callback in self.callbacks.drain(..) {
            callback.call(failure.as_ref().map_or(Ok(()), |failure| Err(failure.to_error())));
        }
        if self.may_free
            && failure.is_none()
            && let Err(error) = self.free_segments()
        {
            tracing::warn!(%error, "log segments not freed");
        }
    }

    /// Marks the store failed. Operations that were not encoded are answered with the others.
    fn fail(&mut self, error: io::Error, rest: impl Iterator<Item = Op>) {
        if !self.shared.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the log store failed");
        }
        self.failure = Some(Failure(error.kind(), error.to_string()));
        self.buffer.clear();
        self.placed.clear();
        self.later.synced();
        for op in rest {
            self.callbacks.extend(match op {
                Op::Append { done, .. } => Some(Callback::Flushed(done)),
                Op::Vote { done, .. } | Op::Truncate { done, .. } | Op::Remove { done, .. } => {
                    Some(Callback::Done(done))
                }
                Op::Purge { .. } => None,
            });
        }
    }

    /// Encodes every operation. At an error those not encoded stay in `ops`.
    fn encode_all(&mut self, ops: &mut Vec<Op>, committed: &[Arc<GroupShared>]) -> io::Result<()> {
        ops.reverse();
        while let Some(op) = ops.pop() {
            if let Err(error) = self.encode(op) {
                ops.reverse();
                return Err(error);
            }
        }
        for group in committed {
            self.encode_committed(group)?;
        }
        Ok(())
    }

    /// Encodes one operation. Its callback is registered first, so that it is told of an error.
    fn encode(&mut self, op: Op) -> io::Result<()> {
        match op {
            Op::Append { group, entries, done, .. } => {
                self.callbacks.push(Callback::Flushed(done));
                self.encode_entries(group, entries)
            }
            Op::Vote { group, vote, done } => {
                self.callbacks.push(Callback::Done(done));
                self.put(Header::of_vote(group, &vote), &[])?;
                self.logged.entry(group).or_default().vote = Some(vote);
                Ok(())
            }
            Op::Truncate { group, last, done } => {
                self.callbacks.push(Callback::Done(done));
                let header = match &last {
                    Some(last) => Header::with_log_id(Kind::Truncate, group, last),
                    None => Header::new(Kind::TruncateAll, group),
                };
                self.put(header, &[])?;
                self.logged.entry(group).or_default().truncate_after(last);
                Ok(())
            }
            Op::Purge { group, upto } => {
                self.may_free = true;
                self.put(Header::with_log_id(Kind::Purge, group, &upto), &[])?;
                self.logged.entry(group).or_default().purge(upto);
                Ok(())
            }
            Op::Remove { group, done } => {
                self.may_free = true;
                self.callbacks.push(Callback::Done(done));
                self.put(Header::new(Kind::Removed, group), &[])?;
                self.logged.remove(&group);
                Ok(())
            }
        }
    }

    fn encode_entries(&mut self, group: Arc<GroupShared>, entries: Vec<Entry>) -> io::Result<()> {
        let mut placed = Vec::with_capacity(entries.len());
        let mut scratch = std::mem::take(&mut self.scratch);
        for Entry { log_id, payload } in &entries {
            let (kind, bytes) = match payload {
                EntryPayload::Normal(payload) => (Kind::Normal, &payload.0[..]),
                other => record::payload_of(other, &mut scratch)?,
            };
            let location = self.put(Header::with_log_id(kind, group.id, log_id), bytes)?;
            self.logged.entry(group.id).or_default().entry(location.segment, log_id.index);
            placed.push((*log_id, location));
        }
        self.scratch = scratch;
        self.placed.push((group, placed));
        Ok(())
    }

    fn encode_committed(&mut self, group: &GroupShared) -> io::Result<()> {
        let committed = {
            let mut state = group.state.lock();
            state.committed_dirty = false;
            state.committed
        };
        let Some(committed) = committed else { return Ok(()) };
        // A group removed meanwhile must not come back.
        let Some(logged) = self.logged.get_mut(&group.id) else { return Ok(()) };
        logged.committed = Some(committed);
        self.put(Header::with_log_id(Kind::Committed, group.id, &committed), &[]).map(drop)
    }

    /// Puts a record into the buffer, in a new segment if the present one is full.
    fn put(&mut self, header: Header, payload: &[u8]) -> io::Result<Location> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "an entry is too large for the log"));
        }
        let needed = record::padded(payload.len()) + record::padded(0);
        if self.current.as_ref().is_none_or(|current| current.end + needed as u64 > current.bytes) {
            self.seal()?;
            self.rotate_for(needed)?;
        }
        if self.buffer.len() + payload.len() > BUFFER_BYTES {
            self.write_buffer()?;
        }
        self.put_here(header, payload)
    }

    fn put_here(&mut self, mut header: Header, payload: &[u8]) -> io::Result<Location> {
        let current = self.current.as_mut().ok_or_else(|| io::Error::other("no open log segment"))?;
        header.durable = match self.shared.options.durability {
            Durability::Fsync => current.durable as u32,
            Durability::Os => 0,
        };
        let location = Location {
            segment: current.number,
            offset: current.end as u32,
            bytes: (record::HEADER_BYTES + payload.len()) as u32,
        };
        record::encode(&mut self.buffer, &header, payload);
        current.end += record::padded(payload.len()) as u64;
        Ok(location)
    }

    /// Ends the open segment for good: a successor is only begun behind a durable seal.
    fn seal(&mut self) -> io::Result<()> {
        if self.current.is_none() {
            return Ok(());
        }
        self.put_here(Header::new(Kind::Seal, 0), &[])?;
        self.write_buffer()?;
        self.sync_current()?;
        self.current = None;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.rotate_for(0)
    }

    /// Begins a segment with room for `needed` bytes behind its checkpoint.
    fn rotate_for(&mut self, needed: usize) -> io::Result<()> {
        let checkpoint = (self.logged.len() * 3 + 2) * record::padded(0);
        let bytes = self.shared.options.segment_bytes.max((checkpoint + needed) as u64);
        if bytes > u64::from(u32::MAX) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "log segment would be too large"));
        }
        let number = self.next;
        let file = self.disk.create(&file_name(number), bytes)?;
        self.disk.sync_dir()?;
        self.next += 1;
        self.sizes.insert(number, bytes);
        self.shared.segments.insert(number, file.clone());
        self.current = Some(Current { number, file, bytes, end: 0, durable: 0 });
        let mut header = Header::new(Kind::Segment, 0);
        (header.term, header.index) = (FORMAT, number.into());
        self.put_here(header, &[])?;
        self.may_free = true;
        self.checkpoint()
    }

    /// Writes the state of all groups, so that older segments are not needed for it.
    fn checkpoint(&mut self) -> io::Result<()> {
        let mut headers = Vec::with_capacity(self.logged.len() * 3);
        for (group, logged) in &self.logged {
            headers.extend(logged.vote.map(|vote| Header::of_vote(*group, &vote)));
            headers.extend(logged.purged.map(|id| Header::with_log_id(Kind::Purge, *group, &id)));
            headers.extend(logged.committed.map(|id| Header::with_log_id(Kind::Committed, *group, &id)));
        }
        for header in headers {
            self.put_checkpoint(header)?;
        }
        Ok(())
    }

    /// A resumed segment may be too full for the checkpoint; then a new one takes all of it.
    fn put_checkpoint(&mut self, header: Header) -> io::Result<()> {
        let room = 2 * record::padded(0) as u64;
        if self.current.as_ref().is_some_and(|current| current.end + room > current.bytes) {
            self.seal()?;
            return self.rotate();
        }
        self.put_here(header, &[]).map(drop)
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let current = self.current.as_ref().ok_or_else(|| io::Error::other("no open log segment"))?;
        current.file.write_at(current.end - self.buffer.len() as u64, &self.buffer)?;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    fn sync_current(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.durable < current.end {
            current.file.sync()?;
            current.durable = current.end;
        }
        self.later.synced();
        Ok(())
    }

    fn publish_locations(&mut self) {
        if self.placed.is_empty() {
            return;
        }
        let groups = self.shared.groups.lock().len();
        let cache_bytes = self.shared.cache_bytes_per_group(groups);
        for (group, placed) in self.placed.drain(..) {
            let mut state = group.state.lock();
            for (id, location) in placed {
                state.written(id, location);
            }
            state.trim_cache(cache_bytes);
        }
    }

    /// Removes the oldest segments that no group needs. Called when the records that say so are
    /// durable.
    fn free_segments(&mut self) -> io::Result<()> {
        self.may_free = false;
        let Some(current) = self.current.as_ref().map(|current| current.number) else { return Ok(()) };
        let oldest =
            self.logged.iter().filter_map(|(group, logged)| Some((logged.oldest_segment()?, *group)));
        let oldest = oldest.min();
        let keep_from = oldest.map_or(current, |(segment, _)| segment.min(current));
        let mut removed = false;
        while let Some((&number, _)) = self.sizes.first_key_value()
            && number < keep_from
        {
            self.disk.remove(&file_name(number))?;
            self.shared.segments.remove(number);
            self.sizes.remove(&number);
            removed = true;
        }
        if removed {
            self.disk.sync_dir()?;
        }
        let bytes = self.sizes.values().sum();
        let pinned = oldest.filter(|(segment, _)| *segment < current);
        let usage =
            LogUsage { segments: self.sizes.len(), bytes, oldest: pinned.map(|(_, group)| (group, bytes)) };
        *self.shared.usage.lock() = usage;
        Ok(())
    }
}
