//! Entries: adding, deleting, reading.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Stream;
use super::codec::{Source, put_bytes};
use super::id::StreamId;
use super::limits::StreamLimits;
use super::parts::{first_id, owned, scan_ids};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::corrupt;

/// The only form of an entry so far.
const FORM_PLAIN: u8 = 0;

/// An entry, its texts names and values by turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    pub id: StreamId,
    pub fields: Vec<Bytes>,
}

impl StreamEntry {
    fn decode(id: StreamId, value: Bytes) -> Result<Self, StoreError> {
        let (form, texts) = value.split_first().ok_or_else(corrupt)?;
        if *form != FORM_PLAIN {
            return Err(corrupt());
        }
        let (mut source, mut fields) = (Source::new(texts), Vec::new());
        while !source.is_empty() {
            let span = source.span()?;
            fields.push(value.slice(span.start + 1..span.end + 1));
        }
        Ok(Self { id, fields })
    }
}

fn encode<T: AsRef<[u8]>>(fields: &[T]) -> Bytes {
    let bytes: usize = fields.iter().map(|text| text.as_ref().len() + 2).sum();
    let mut value = Vec::with_capacity(1 + bytes);
    value.push(FORM_PLAIN);
    fields.iter().for_each(|text| put_bytes(&mut value, text.as_ref()));
    Bytes::from(value)
}

impl Stream {
    /// Adds an entry behind all others: `id` is greater than the last one. `fields` are names and
    /// values by turns.
    pub fn append(&mut self, kv: &mut dyn KvMut, id: StreamId, fields: &[&[u8]], limits: StreamLimits) {
        self.put_entry(kv, id, fields);
        self.add_to_leaf(kv, id, fields, limits);
        self.state.len += 1;
        self.state.added = self.state.added.wrapping_add(1);
        self.state.last = id;
        if self.state.len == 1 {
            self.state.first = id;
        }
    }

    pub(super) fn put_entry<T: AsRef<[u8]>>(&self, kv: &mut dyn KvMut, id: StreamId, fields: &[T]) {
        kv.put(owned(&self.parts.entry(id)), encode(fields));
    }

    /// Whether the entry was there.
    pub fn delete(&mut self, kv: &mut dyn KvMut, id: StreamId) -> Result<bool, StoreError> {
        if !self.has(kv.as_kv(), id)? {
            return Ok(false);
        }
        let mut leaf = self.leaf_before(kv.as_kv(), id)?.ok_or_else(corrupt)?;
        kv.delete(owned(&self.parts.entry(id)));
        leaf.live = leaf.live.saturating_sub(1);
        self.keep_leaf(kv, leaf)?;
        self.state.len = self.state.len.saturating_sub(1);
        self.state.max_deleted = self.state.max_deleted.max(id);
        if self.state.first == id {
            self.find_first(kv.as_kv(), id)?;
        }
        Ok(true)
    }

    /// Finds the first entry, of which is known that it is after `id`.
    pub(super) fn find_first(&mut self, kv: &mut dyn Kv, id: StreamId) -> Result<(), StoreError> {
        self.state.first = match self.state.len {
            0 => StreamId::MIN,
            _ => self.id_after(kv, id)?.ok_or_else(corrupt)?,
        };
        Ok(())
    }

    /// The id of the first entry after `id`.
    pub fn id_after(&self, kv: &mut dyn Kv, id: StreamId) -> Result<Option<StreamId>, StoreError> {
        first_id(kv, &self.parts.entries_after(id), &self.parts.entries_after(StreamId::MAX))
    }

    pub fn has(&self, kv: &mut dyn Kv, id: StreamId) -> Result<bool, StoreError> {
        Ok(kv.get(&self.parts.entry(id))?.is_some())
    }

    pub fn get(&self, kv: &mut dyn Kv, id: StreamId) -> Result<Option<StreamEntry>, StoreError> {
        kv.get(&self.parts.entry(id))?.map(|value| StreamEntry::decode(id, value)).transpose()
    }

    /// The first `most` entries from `start` to `end`, both included.
    pub fn range(
        &self,
        kv: &mut dyn Kv,
        start: StreamId,
        end: StreamId,
        most: usize,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let mut found = Vec::new();
        // What is before the first entry has been deleted; no need to walk through what is left of it.
        let start = start.max(self.state.first);
        if start > end || most == 0 || self.state.len == 0 {
            return Ok(found);
        }
        scan_ids(kv, &self.parts.entry(start), &self.parts.entries_after(end), &mut |id, value| {
            found.push(StreamEntry::decode(id, Bytes::copy_from_slice(value))?);
            Ok(if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }

    /// The last `most` entries from `start` to `end`, both included, the last one first: leaf by leaf.
    pub fn range_back(
        &self,
        kv: &mut dyn Kv,
        start: StreamId,
        end: StreamId,
        most: usize,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let mut found = Vec::new();
        let mut upper = Some(end);
        while let Some(until) = upper.filter(|&until| until >= start && found.len() < most) {
            let Some(leaf) = self.leaf_before(kv, until)? else { break };
            let part = self.range(kv, start.max(leaf.first), until.min(leaf.last), usize::MAX)?;
            found.extend(part.into_iter().rev().take(most - found.len()));
            upper = leaf.first.previous();
        }
        Ok(found)
    }

    /// The id of the last entry there is.
    pub fn last_entry_id(&self, kv: &mut dyn Kv) -> Result<Option<StreamId>, StoreError> {
        Ok(self.range_back(kv, StreamId::MIN, StreamId::MAX, 1)?.first().map(|entry| entry.id))
    }
}
