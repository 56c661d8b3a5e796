//! Keys of a stream's parts, and walks over them.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::id::{ID_BYTES, StreamId};
use crate::key::{self, KeyBuf, PART_PREFIX};
use crate::kv::{Kv, StoreError};
use crate::record::corrupt;

const ANCHOR: u8 = 0x00;
const ENTRY: u8 = 0x01;
const LEAF: u8 = 0x02;
const GROUP: u8 = 0x03;
const IN_GROUP: u8 = 0x04;

const CONSUMER: u8 = 0x01;
const PENDING: u8 = 0x02;
const PENDING_OF: u8 = 0x03;

/// Called for each part: what its key ends with, and its value.
pub(super) type VisitPart<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// Called for each part whose key ends with an id: that, and the part's value.
pub(super) type VisitId<'a> = dyn FnMut(StreamId, &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// What all keys of a stream's parts begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    prefix: [u8; PART_PREFIX],
}

/// A decoded key, for the checks of the tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartName {
    Anchor,
    Entry(StreamId),
    Leaf(StreamId),
    Group(Vec<u8>),
    Consumer(u64, Vec<u8>),
    Pending(u64, StreamId),
    PendingOf(u64, Vec<u8>, StreamId),
}

impl Parts {
    /// Of collection `id` in the slot and database of `head`.
    pub fn new(head: &[u8], id: u64) -> Self {
        Self { prefix: key::parts(head, id).from }
    }

    fn key(&self, pieces: &[&[u8]]) -> KeyBuf {
        let mut key = KeyBuf::from_slice(&self.prefix);
        pieces.iter().for_each(|piece| key.extend_from_slice(piece));
        key
    }

    pub fn anchor(&self) -> KeyBuf {
        self.key(&[&[ANCHOR]])
    }

    pub fn entry(&self, id: StreamId) -> KeyBuf {
        self.key(&[&[ENTRY], &id.to_bytes()])
    }

    /// Where the entries after `id` start.
    pub fn entries_after(&self, id: StreamId) -> KeyBuf {
        id.next().map_or_else(|| self.key(&[&[ENTRY + 1]]), |next| self.entry(next))
    }

    /// The last leaf has the least key.
    pub fn leaf(&self, first: StreamId) -> KeyBuf {
        self.key(&[&[LEAF], &first.complement().to_bytes()])
    }

    pub fn leaves_end(&self) -> KeyBuf {
        self.key(&[&[LEAF + 1]])
    }

    pub fn group(&self, name: &[u8]) -> KeyBuf {
        self.key(&[&[GROUP], name])
    }

    pub fn groups_end(&self) -> KeyBuf {
        self.key(&[&[GROUP + 1]])
    }

    /// All that belongs to the group with this number.
    pub fn all_of_group(&self, number: u64) -> (KeyBuf, KeyBuf) {
        let (from, to) = ([CONSUMER], [PENDING_OF + 1]);
        (self.in_group(number, &[&from]), self.in_group(number, &[&to]))
    }

    fn in_group(&self, number: u64, pieces: &[&[u8]]) -> KeyBuf {
        let mut key = self.key(&[&[IN_GROUP], &number.to_be_bytes()]);
        pieces.iter().for_each(|piece| key.extend_from_slice(piece));
        key
    }

    pub fn consumer(&self, group: u64, name: &[u8]) -> KeyBuf {
        self.in_group(group, &[&[CONSUMER], name])
    }

    pub fn consumers_end(&self, group: u64) -> KeyBuf {
        self.in_group(group, &[&[CONSUMER + 1]])
    }

    pub fn pending(&self, group: u64, id: StreamId) -> KeyBuf {
        self.in_group(group, &[&[PENDING], &id.to_bytes()])
    }

    /// Where the pending entries after `id` start.
    pub fn pending_after(&self, group: u64, id: StreamId) -> KeyBuf {
        let end = || self.in_group(group, &[&[PENDING + 1]]);
        id.next().map_or_else(end, |next| self.pending(group, next))
    }

    /// Names are shorter than 4 GiB: they are arguments of a command.
    pub fn pending_of(&self, group: u64, consumer: &[u8], id: StreamId) -> KeyBuf {
        let len = (consumer.len() as u32).to_be_bytes();
        self.in_group(group, &[&[PENDING_OF], &len, consumer, &id.to_bytes()])
    }

    /// Where the pending entries of `consumer` after `id` start.
    pub fn pending_of_after(&self, group: u64, consumer: &[u8], id: StreamId) -> KeyBuf {
        let mut key = self.pending_of(group, consumer, id);
        // Longer than any key of this consumer that is not after it.
        key.push(0);
        key
    }
}

impl PartName {
    /// What follows the collection's id.
    pub fn parse(part: &[u8]) -> Option<Self> {
        let (&kind, rest) = part.split_first()?;
        match kind {
            ANCHOR => rest.is_empty().then_some(Self::Anchor),
            ENTRY => Some(Self::Entry(StreamId::from_bytes(rest.try_into().ok()?))),
            LEAF => Some(Self::Leaf(StreamId::from_bytes(rest.try_into().ok()?).complement())),
            GROUP => Some(Self::Group(rest.to_vec())),
            IN_GROUP => Self::parse_in_group(rest),
            _ => None,
        }
    }

    fn parse_in_group(part: &[u8]) -> Option<Self> {
        let (number, rest) = part.split_first_chunk()?;
        let number = u64::from_be_bytes(*number);
        let (&kind, rest) = rest.split_first()?;
        match kind {
            CONSUMER => Some(Self::Consumer(number, rest.to_vec())),
            PENDING => Some(Self::Pending(number, StreamId::from_bytes(rest.try_into().ok()?))),
            PENDING_OF => {
                let (len, rest) = rest.split_first_chunk()?;
                let (name, id) = rest.split_last_chunk()?;
                let whole = u32::from_be_bytes(*len) as usize == name.len();
                whole.then(|| Self::PendingOf(number, name.to_vec(), StreamId::from_bytes(*id)))
            }
            _ => None,
        }
    }
}

/// Visits the parts with `from <= key < to`; each is shown without the first `known` bytes of its key.
pub(super) fn scan(
    kv: &mut dyn Kv,
    from: &[u8],
    to: &[u8],
    known: usize,
    visit: &mut VisitPart<'_>,
) -> Result<(), StoreError> {
    let mut result = Ok(());
    kv.scan(from, to, &mut |stored, value| {
        let rest = stored.get(known..).ok_or_else(corrupt);
        rest.and_then(|rest| visit(rest, value)).unwrap_or_else(|error| {
            result = Err(error);
            ControlFlow::Break(())
        })
    })?;
    result
}

/// Like [`scan`], for keys that end with an id.
pub(super) fn scan_ids(
    kv: &mut dyn Kv,
    from: &[u8],
    to: &[u8],
    visit: &mut VisitId<'_>,
) -> Result<(), StoreError> {
    scan(kv, from, to, 0, &mut |stored, value| {
        let id = stored.last_chunk::<ID_BYTES>().ok_or_else(corrupt)?;
        visit(StreamId::from_bytes(*id), value)
    })
}

/// The first id of [`scan_ids`].
pub(super) fn first_id(kv: &mut dyn Kv, from: &[u8], to: &[u8]) -> Result<Option<StreamId>, StoreError> {
    let mut found = None;
    scan_ids(kv, from, to, &mut |id, _| {
        found = Some(id);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

pub(super) fn owned(key: &KeyBuf) -> Bytes {
    Bytes::copy_from_slice(key)
}
