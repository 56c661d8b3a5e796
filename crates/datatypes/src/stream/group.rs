//! Groups and consumers as they are stored, and how far a group has read.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Stream;
use super::codec::{Source, put_i64, put_id, put_u64};
use super::id::StreamId;
use super::parts::{owned, scan};
use super::state::State;
use crate::kv::{Kv, KvMut, StoreError};

/// A group of consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Names its parts.
    pub(super) number: u64,
    /// last-delivered-id
    pub last: StreamId,
    /// How many entries were added up to the last one delivered, as far as known.
    pub entries_read: Option<u64>,
    pub consumers: u64,
    pub pending: u64,
}

/// A consumer of a group. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumer {
    /// When it last tried to read or claim.
    pub seen_ms: i64,
    /// When it last got something; `None`: never.
    pub active_ms: Option<i64>,
    pub pending: u64,
}

impl Group {
    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(32);
        put_u64(&mut out, self.number);
        put_id(&mut out, self.last);
        put_u64(&mut out, self.entries_read.map_or(0, |_| 1));
        put_u64(&mut out, self.entries_read.unwrap_or(0));
        put_u64(&mut out, self.consumers);
        put_u64(&mut out, self.pending);
        Bytes::from(out)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, StoreError> {
        let mut source = Source::new(value);
        let (number, last) = (source.u64()?, source.id()?);
        let (known, read) = (source.u64()? != 0, source.u64()?);
        let (consumers, pending) = (source.u64()?, source.u64()?);
        source.end()?;
        Ok(Self { number, last, entries_read: known.then_some(read), consumers, pending })
    }

    /// How many entries of the stream are yet to be delivered, as far as that can be told.
    pub fn lag(&self, stream: &State) -> Option<i64> {
        if stream.added == 0 {
            return Some(0);
        }
        let counted = self.entries_read.filter(|_| !stream.has_gap_after(self.last));
        let read = counted.or_else(|| stream.added_until(self.last))?;
        Some(stream.added.wrapping_sub(read).cast_signed())
    }

    /// Notes that the entry `id`, if later than what was delivered so far, is delivered.
    pub(super) fn advance(&mut self, stream: &State, id: StreamId) {
        if id <= self.last {
            return;
        }
        match self.entries_read {
            Some(read) if !stream.has_gap_after(id) => self.entries_read = Some(read.wrapping_add(1)),
            _ if stream.added != 0 => self.entries_read = stream.added_until(id),
            _ => {}
        }
        self.last = id;
    }
}

impl Consumer {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { seen_ms: now_ms, active_ms: None, pending: 0 }
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(24);
        put_i64(&mut out, self.seen_ms);
        put_u64(&mut out, self.active_ms.map_or(0, |_| 1));
        put_i64(&mut out, self.active_ms.unwrap_or(0));
        put_u64(&mut out, self.pending);
        Bytes::from(out)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, StoreError> {
        let mut source = Source::new(value);
        let (seen_ms, known, active) = (source.i64()?, source.u64()? != 0, source.i64()?);
        let pending = source.u64()?;
        source.end()?;
        Ok(Self { seen_ms, active_ms: known.then_some(active), pending })
    }
}

impl Stream {
    pub fn group(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<Group>, StoreError> {
        kv.get(&self.parts.group(name))?.map(|value| Group::decode(&value)).transpose()
    }

    /// All groups, in the order of their names.
    pub fn groups(&self, kv: &mut dyn Kv) -> Result<Vec<(Bytes, Group)>, StoreError> {
        let mut found = Vec::new();
        if self.state.groups == 0 {
            return Ok(found);
        }
        let (from, to) = (self.parts.group(b""), self.parts.groups_end());
        scan(kv, &from, &to, from.len(), &mut |name, value| {
            found.push((Bytes::copy_from_slice(name), Group::decode(value)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    pub fn consumer(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        name: &[u8],
    ) -> Result<Option<Consumer>, StoreError> {
        kv.get(&self.parts.consumer(group.number, name))?.map(|value| Consumer::decode(&value)).transpose()
    }

    /// All consumers of a group, in the order of their names.
    pub fn consumers(&self, kv: &mut dyn Kv, group: &Group) -> Result<Vec<(Bytes, Consumer)>, StoreError> {
        let mut found = Vec::new();
        let (from, to) = (self.parts.consumer(group.number, b""), self.parts.consumers_end(group.number));
        scan(kv, &from, &to, from.len(), &mut |name, value| {
            found.push((Bytes::copy_from_slice(name), Consumer::decode(value)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Whether the name was free for a new group.
    pub fn create_group(
        &mut self,
        kv: &mut dyn KvMut,
        name: &[u8],
        last: StreamId,
        entries_read: Option<u64>,
    ) -> Result<bool, StoreError> {
        if self.group(kv.as_kv(), name)?.is_some() {
            return Ok(false);
        }
        let number = self.state.next_group;
        self.state.next_group += 1;
        self.state.groups += 1;
        self.put_group(kv, name, &Group { number, last, entries_read, consumers: 0, pending: 0 });
        Ok(true)
    }

    /// Whether there was such a group.
    pub fn destroy_group(&mut self, kv: &mut dyn KvMut, name: &[u8]) -> Result<bool, StoreError> {
        let Some(group) = self.group(kv.as_kv(), name)? else { return Ok(false) };
        kv.delete(owned(&self.parts.group(name)));
        if group.consumers > 0 {
            let (from, to) = self.parts.all_of_group(group.number);
            kv.delete_range(owned(&from), owned(&to));
        }
        self.state.groups = self.state.groups.saturating_sub(1);
        Ok(true)
    }

    pub(super) fn put_group(&self, kv: &mut dyn KvMut, name: &[u8], group: &Group) {
        kv.put(owned(&self.parts.group(name)), group.encode());
    }
}
