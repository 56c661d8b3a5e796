//! What the head record tells about a stream.

use bytes::Bytes;

use super::codec::{Source, put_id, put_u64};
use super::id::StreamId;
use super::leaf::Leaf;
use crate::kv::StoreError;
use crate::record::corrupt;

/// Counters and ids of a stream, in Redis's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Entries there are.
    pub len: u64,
    /// last-generated-id
    pub last: StreamId,
    /// recorded-first-entry-id: that of the first entry, 0-0 if there is none.
    pub first: StreamId,
    /// max-deleted-entry-id
    pub max_deleted: StreamId,
    /// entries-added
    pub added: u64,
    pub groups: u64,
    /// Number of the next group.
    pub(super) next_group: u64,
    /// Leaves that are stored as parts.
    pub(super) closed: u64,
    /// The last leaf, to which entries are added. There is one if there are entries.
    pub(super) tail: Option<Leaf>,
}

impl State {
    /// Payload of the head record of collection `id`: `id:u64be len:u64be` as of any large
    /// collection, then the other fields in their order.
    pub(super) fn payload(&self, id: u64) -> Bytes {
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
        for id in [self.last, self.first, self.max_deleted] {
            put_id(&mut out, id);
        }
        for number in [self.added, self.groups, self.next_group, self.closed] {
            put_u64(&mut out, number);
        }
        if let Some(tail) = &self.tail {
            put_id(&mut out, tail.first);
            tail.encode(&mut out);
        }
        Bytes::from(out)
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, StoreError> {
        let (head, rest) = payload.split_first_chunk::<16>().ok_or_else(corrupt)?;
        let len = u64::from_be_bytes(*head.last_chunk().ok_or_else(corrupt)?);
        let mut source = Source::new(rest);
        let (last, first, max_deleted) = (source.id()?, source.id()?, source.id()?);
        let (added, groups) = (source.u64()?, source.u64()?);
        let (next_group, closed) = (source.u64()?, source.u64()?);
        let tail = match source.is_empty() {
            true => None,
            false => Some(source.id().and_then(|first| Leaf::decode(first, &mut source))?),
        };
        source.end()?;
        Ok(Self { len, last, first, max_deleted, added, groups, next_group, closed, tail })
    }

    /// Leaves there are; Redis's radix-tree-keys.
    pub fn leaves(&self) -> u64 {
        self.closed + u64::from(self.tail.is_some())
    }

    /// Whether an entry was deleted from the middle, at or after `from`.
    pub fn has_gap_after(&self, from: StreamId) -> bool {
        let none = self.len == 0 || self.max_deleted == StreamId::MIN || self.first > self.max_deleted;
        !none && from <= self.max_deleted
    }

    /// How many entries were added up to `id`, if that can be told without counting.
    pub fn added_until(&self, id: StreamId) -> Option<u64> {
        let whole = self.max_deleted == StreamId::MIN || self.max_deleted < self.first;
        match () {
            () if self.added == 0 => Some(0),
            () if self.len == 0 && id <= self.last => Some(self.added),
            () if id == self.last => Some(self.added),
            () if id > self.last => None,
            () if whole && id < self.first => Some(self.added.wrapping_sub(self.len)),
            () if whole && id == self.first => Some(self.added.wrapping_sub(self.len).wrapping_add(1)),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn states_survive_the_round_trip(numbers in any::<[u64; 16]>(), has_tail in any::<bool>()) {
            let [a, b, c, d, e, f, len, added, groups, next_group, closed, g, h, live, total, bytes] = numbers;
            let id = |ms, seq| StreamId { ms, seq };
            let tail = Leaf { first: id(a, b), last: id(g, h), live, added: total, bytes };
            let tail = has_tail.then_some(tail);
            let (last, first, max_deleted) = (id(a, b), id(c, d), id(e, f));
            let state = State { len, last, first, max_deleted, added, groups, next_group, closed, tail };
            prop_assert_eq!(State::decode(&state.payload(7)).unwrap(), state);
        }

        #[test]
        fn corrupt_heads_never_panic(noise in any::<Vec<u8>>()) {
            let _ = State::decode(&noise);
        }
    }
}
