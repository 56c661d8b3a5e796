//! Leaves: runs of entries, about as Redis's radix tree holds them.
//!
//! Entries are stored one by one. Leaves say where to go on backwards, and what `~` may trim at once.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Stream;
use super::codec::{Source, put_id, put_u64};
use super::id::{ID_BYTES, StreamId};
use super::limits::StreamLimits;
use super::parts::{owned, scan};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::corrupt;

/// About what Redis's listpack of a leaf takes for itself, for each entry, and for each text.
const LEAF_BYTES: u64 = 16;
const ENTRY_BYTES: u64 = 8;
const TEXT_BYTES: u64 = 2;

/// Entries that follow one another: `first <= id <= last`, no entry of another leaf between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The first one that was added, which may be deleted.
    pub first: StreamId,
    /// The last one that was added.
    pub last: StreamId,
    /// Those that are there: at least one.
    pub live: u64,
    /// Those that were added.
    pub added: u64,
    /// About what Redis would need for them.
    pub bytes: u64,
}

impl Leaf {
    /// Without entries yet.
    pub(super) fn starting(id: StreamId) -> Self {
        Self { first: id, last: id, live: 0, added: 0, bytes: 0 }
    }

    /// Takes in an entry; `fields` are names and values by turns.
    pub(super) fn add<T: AsRef<[u8]>>(&mut self, id: StreamId, fields: &[T]) {
        let size = |text: &T| text.as_ref().len() as u64 + TEXT_BYTES;
        if self.added == 0 {
            self.bytes = LEAF_BYTES + fields.iter().step_by(2).map(size).sum::<u64>();
        }
        self.bytes += ENTRY_BYTES + fields.iter().skip(1).step_by(2).map(size).sum::<u64>();
        self.last = id;
        self.live += 1;
        self.added += 1;
    }

    /// Whether an entry with texts of `bytes` belongs into the next leaf.
    fn is_full(&self, bytes: u64, limits: StreamLimits) -> bool {
        let by_count = limits.node_entries > 0 && self.added >= limits.node_entries;
        let by_size = limits.node_bytes > 0 && self.bytes + bytes >= limits.node_bytes;
        by_count || by_size
    }

    /// All but the first id, which is the name.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_id(out, self.last);
        for number in [self.live, self.added, self.bytes] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(first: StreamId, source: &mut Source<'_>) -> Result<Self, StoreError> {
        let (last, live) = (source.id()?, source.u64()?);
        Ok(Self { first, last, live, added: source.u64()?, bytes: source.u64()? })
    }
}

impl Stream {
    /// The last leaf that starts at or before `id`.
    pub(super) fn leaf_before(&self, kv: &mut dyn Kv, id: StreamId) -> Result<Option<Leaf>, StoreError> {
        if let Some(tail) = self.state.tail.filter(|tail| tail.first <= id) {
            return Ok(Some(tail));
        }
        if self.state.closed == 0 {
            return Ok(None);
        }
        let (from, to) = (self.parts.leaf(id), self.parts.leaves_end());
        let mut found = None;
        scan(kv, &from, &to, from.len() - ID_BYTES, &mut |name, value| {
            let name = name.try_into().map_err(|_| corrupt())?;
            let mut source = Source::new(value);
            found = Some(Leaf::decode(StreamId::from_bytes(name).complement(), &mut source)?);
            source.end()?;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// The leaf of the first entry.
    pub(super) fn first_leaf(&self, kv: &mut dyn Kv) -> Result<Option<Leaf>, StoreError> {
        if self.state.len == 0 { Ok(None) } else { self.leaf_before(kv, self.state.first) }
    }

    /// Takes an entry, the last one, into a leaf.
    pub(super) fn add_to_leaf(
        &mut self,
        kv: &mut dyn KvMut,
        id: StreamId,
        fields: &[&[u8]],
        limits: StreamLimits,
    ) {
        let bytes = fields.iter().map(|text| text.len() as u64).sum();
        let mut tail = match self.state.tail {
            Some(tail) if !tail.is_full(bytes, limits) => tail,
            full => {
                self.close(kv, full);
                Leaf::starting(id)
            }
        };
        tail.add(id, fields);
        self.state.tail = Some(tail);
    }

    /// Makes `leaf` the last one; the tail until now becomes a part.
    pub(super) fn push_leaf(&mut self, kv: &mut dyn KvMut, leaf: Leaf) {
        self.close(kv, self.state.tail);
        self.state.tail = Some(leaf);
    }

    fn close(&mut self, kv: &mut dyn KvMut, tail: Option<Leaf>) {
        if let Some(leaf) = tail {
            self.put_leaf(kv, leaf);
            self.state.closed += 1;
        }
    }

    /// Keeps a leaf of which entries were deleted; one without entries is none.
    pub(super) fn keep_leaf(&mut self, kv: &mut dyn KvMut, leaf: Leaf) -> Result<(), StoreError> {
        if leaf.live == 0 {
            return self.drop_leaf(kv, leaf);
        }
        if self.is_tail(leaf) {
            self.state.tail = Some(leaf);
        } else {
            self.put_leaf(kv, leaf);
        }
        Ok(())
    }

    /// Forgets a leaf whose entries are gone. Without the tail, the leaf before it is the tail.
    pub(super) fn drop_leaf(&mut self, kv: &mut dyn KvMut, leaf: Leaf) -> Result<(), StoreError> {
        if self.is_tail(leaf) {
            self.state.tail = None;
            let Some(previous) = self.leaf_before(kv.as_kv(), StreamId::MAX)? else { return Ok(()) };
            self.state.tail = Some(previous);
            self.forget(kv, previous);
        } else {
            self.forget(kv, leaf);
        }
        Ok(())
    }

    fn is_tail(&self, leaf: Leaf) -> bool {
        self.state.tail.is_some_and(|tail| tail.first == leaf.first)
    }

    fn put_leaf(&self, kv: &mut dyn KvMut, leaf: Leaf) {
        let mut value = Vec::new();
        leaf.encode(&mut value);
        kv.put(owned(&self.parts.leaf(leaf.first)), Bytes::from(value));
    }

    fn forget(&mut self, kv: &mut dyn KvMut, leaf: Leaf) {
        kv.delete(owned(&self.parts.leaf(leaf.first)));
        self.state.closed = self.state.closed.saturating_sub(1);
    }
}
