//! The parts of a large collection.

use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::key::{self, KeyBuf, PART_PREFIX, Range};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::{Record, corrupt};

/// The only form of a part so far.
const FORM_PLAIN: u8 = 0;
const POSITION_BYTES: usize = 4;
/// Where a part that is no element begins: behind the last position.
pub(super) const OTHER_PARTS: [u8; POSITION_BYTES] = [0xFF; POSITION_BYTES];
/// Parts copied at a time.
const COPY_CHUNK: usize = 512;

/// Called for each element: position, name and value.
pub type VisitPart<'a> = dyn FnMut(u32, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A large collection: what its head record tells, and where its parts are.
#[derive(Debug, Clone)]
pub struct Large {
    id: u64,
    len: u64,
    /// What the type keeps behind the length.
    rest: Bytes,
    range: Range<PART_PREFIX>,
}

impl Large {
    /// A new one without elements, in the slot and database of `head`.
    pub fn new(head: &[u8], id: u64) -> Self {
        Self { id, len: 0, rest: Bytes::new(), range: key::parts(head, id) }
    }

    /// That of a record stored under `head`; `None` if the record is not of a large collection.
    pub fn of(record: &Record, head: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(id) = record.collection_id() else { return Ok(None) };
        let (fields, _) = record.payload.split_first_chunk::<16>().ok_or_else(corrupt)?;
        let len = u64::from_be_bytes(*fields.last_chunk().ok_or_else(corrupt)?);
        Ok(Some(Self { id, len, rest: record.payload.slice(16..), range: key::parts(head, id) }))
    }

    /// Payload of the head record.
    pub fn payload(&self) -> Bytes {
        let mut payload = BytesMut::with_capacity(16 + self.rest.len());
        payload.put_u64(self.id);
        payload.put_u64(self.len);
        payload.put_slice(&self.rest);
        payload.freeze()
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<Bytes>, StoreError> {
        kv.get(&self.part(name))?.map(decode).transpose()
    }

    /// Stores an element; whether it is new.
    pub fn put(&mut self, kv: &mut dyn KvMut, name: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let part = self.part(name);
        let is_new = kv.get(&part)?.is_none();
        self.put_part(kv, &part, value);
        self.len += u64::from(is_new);
        Ok(is_new)
    }

    /// Stores an element of which is known that it is new.
    pub fn put_new(&mut self, kv: &mut dyn KvMut, name: &[u8], value: &[u8]) {
        self.put_part(kv, &self.part(name), value);
        self.len += 1;
    }

    /// Whether the element was there.
    pub fn remove(&mut self, kv: &mut dyn KvMut, name: &[u8]) -> Result<bool, StoreError> {
        let part = self.part(name);
        if kv.get(&part)?.is_none() {
            return Ok(false);
        }
        kv.delete(Bytes::copy_from_slice(&part));
        self.len = self.len.saturating_sub(1);
        Ok(true)
    }

    /// Visits the elements from a position on, in order of their positions.
    pub fn scan(&self, kv: &mut dyn Kv, from: u32, visit: &mut VisitPart<'_>) -> Result<(), StoreError> {
        let mut failed = false;
        let mut start = KeyBuf::from_slice(&self.range.from);
        start.extend_from_slice(&from.to_be_bytes());
        let mut end = KeyBuf::from_slice(&self.range.from);
        end.extend_from_slice(&OTHER_PARTS);
        kv.scan(&start, &end, &mut |stored, value| match split_part(stored, value) {
            Some((position, name, value)) => visit(position, name, value),
            None => {
                failed = true;
                ControlFlow::Break(())
            }
        })?;
        if failed { Err(corrupt()) } else { Ok(()) }
    }

    /// Copies all parts, whatever they are, to those of collection `id` in the place of `head`.
    pub fn copy_parts(&self, kv: &mut dyn KvMut, head: &[u8], id: u64) -> Result<Self, StoreError> {
        let copy = Self { id, range: key::parts(head, id), ..self.clone() };
        let mut from = self.range.from.to_vec();
        loop {
            let mut chunk = Vec::new();
            kv.scan(&from, &self.range.to, &mut |stored, value| {
                chunk.push((Bytes::copy_from_slice(stored), Bytes::copy_from_slice(value)));
                if chunk.len() < COPY_CHUNK { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let Some((last, _)) = chunk.last() else { return Ok(copy) };
            // The key that follows.
            from.clear();
            from.extend_from_slice(last);
            from.push(0);
            for (stored, value) in chunk {
                kv.put(Bytes::from([&copy.range.from[..], &stored[PART_PREFIX..]].concat()), value);
            }
        }
    }

    /// Whether nothing is stored under `id` in the place of `head`.
    pub fn is_vacant(kv: &mut dyn Kv, head: &[u8], id: u64) -> Result<bool, StoreError> {
        let range = key::parts(head, id);
        let mut vacant = true;
        kv.scan(&range.from, &range.to, &mut |_, _| {
            vacant = false;
            ControlFlow::Break(())
        })?;
        Ok(vacant)
    }

    /// Deletes everything stored under `id` in the place of `head`: one range.
    pub fn drop_id(kv: &mut dyn KvMut, head: &[u8], id: u64) {
        let range = key::parts(head, id);
        kv.delete_range(Bytes::copy_from_slice(&range.from), Bytes::copy_from_slice(&range.to));
    }

    fn part(&self, name: &[u8]) -> KeyBuf {
        let mut part = KeyBuf::with_capacity(PART_PREFIX + POSITION_BYTES + name.len());
        part.extend_from_slice(&self.range.from);
        part.extend_from_slice(&position(name).to_be_bytes());
        part.extend_from_slice(name);
        part
    }

    fn put_part(&self, kv: &mut dyn KvMut, part: &[u8], value: &[u8]) {
        kv.put(Bytes::copy_from_slice(part), Bytes::from([&[FORM_PLAIN], value].concat()));
    }
}

/// Drops the parts of the record stored under `head`, if it has any.
pub fn drop_parts(kv: &mut dyn KvMut, head: &[u8], record: &Record) {
    if let Some(id) = record.collection_id() {
        Large::drop_id(kv, head, id);
    }
}

/// Where an element lies among those of its large collection: the upper half of a hash. Part of what
/// is stored and of what cursors mean, so it never changes. What is behind the last position is no
/// element.
pub fn position(name: &[u8]) -> u32 {
    let upper = (mixed(0xcbf2_9ce4_8422_2325, name) >> 32) as u32;
    upper.min(u32::MAX - 1)
}

/// A hash: FNV-1a from a seed on, mixed (the finalizer of MurmurHash3).
pub(super) fn mixed(seed: u64, bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(seed, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

fn split_part<'a>(stored: &'a [u8], value: &'a [u8]) -> Option<(u32, &'a [u8], &'a [u8])> {
    let (position, name) = stored.get(PART_PREFIX..)?.split_first_chunk::<POSITION_BYTES>()?;
    let (&form, value) = value.split_first()?;
    (form == FORM_PLAIN).then_some((u32::from_be_bytes(*position), name, value))
}

fn decode(stored: Bytes) -> Result<Bytes, StoreError> {
    match stored.first() {
        Some(&FORM_PLAIN) => Ok(stored.slice(1..)),
        _ => Err(corrupt()),
    }
}
