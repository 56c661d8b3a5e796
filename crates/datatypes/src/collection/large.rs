//! The parts of a large collection.

use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use super::due::large_due;
use crate::key::{self, KeyBuf, PART_PREFIX, Range};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::{Record, Type, corrupt};

const FORM_PLAIN: u8 = 0;
/// Of a field that expires: when is before its value.
const FORM_EXPIRING: u8 = 1;
const POSITION_BYTES: usize = 4;
/// Where a part that is no element begins: behind the last position.
pub(super) const OTHER_PARTS: [u8; POSITION_BYTES] = [0xFF; POSITION_BYTES];
/// Parts copied at a time.
const COPY_CHUNK: usize = 512;

/// Called for each element: position, name and value.
pub type VisitPart<'a> = dyn FnMut(u32, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An element as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub position: u32,
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub expiry_ms: Option<u64>,
}

/// A large collection: what its head record tells, and where its parts are.
#[derive(Debug, Clone)]
pub struct Large {
    id: u64,
    len: u64,
    /// For hashes that have had fields with an expiry; see [`super::due`].
    pub(super) due: Option<u64>,
    /// What the type keeps behind the length.
    rest: Bytes,
    pub(super) range: Range<PART_PREFIX>,
    /// The moment at which it is looked at: what has expired by then is not seen.
    now_ms: u64,
    /// Elements that are stored but not seen.
    unseen: u64,
}

impl Large {
    /// A new one without elements, in the slot and database of `head`.
    pub fn new(head: &[u8], id: u64) -> Self {
        let range = key::parts(head, id);
        Self { id, len: 0, due: None, rest: Bytes::new(), range, now_ms: 0, unseen: 0 }
    }

    /// That of a record stored under `head`; `None` if the record is not of a large collection.
    pub fn of(record: &Record, head: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(id) = record.collection_id() else { return Ok(None) };
        let (fields, _) = record.payload.split_first_chunk::<16>().ok_or_else(corrupt)?;
        let len = u64::from_be_bytes(*fields.last_chunk().ok_or_else(corrupt)?);
        let due = large_due(&record.payload).filter(|_| record.kind == Type::Hash);
        let rest = if due.is_some() { Bytes::new() } else { record.payload.slice(16..) };
        Ok(Some(Self { id, len, due, rest, range: key::parts(head, id), now_ms: 0, unseen: 0 }))
    }

    /// As it is at a moment, to change it.
    pub fn from_moment(self, now_ms: u64) -> Self {
        Self { now_ms, ..self }
    }

    /// As it is at a moment, to read it.
    pub fn at(self, kv: &mut dyn Kv, now_ms: u64) -> Result<Self, StoreError> {
        let unseen = self.count_due(kv, now_ms)?;
        Ok(Self { now_ms, unseen, ..self })
    }

    /// Payload of the head record.
    pub fn payload(&self) -> Bytes {
        let mut payload = BytesMut::with_capacity(24 + self.rest.len());
        payload.put_u64(self.id);
        payload.put_u64(self.len);
        self.due.into_iter().for_each(|due| payload.put_u64(due));
        payload.put_slice(&self.rest);
        payload.freeze()
    }

    /// What the type keeps behind the length.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    pub fn with_rest(self, rest: Bytes) -> Self {
        Self { rest, ..self }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many elements are seen at the moment of [`Self::at`].
    pub fn seen_len(&self) -> u64 {
        self.len.saturating_sub(self.unseen)
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.field(kv, name)?.map(|(value, _)| value))
    }

    /// The value of an element and when it expires.
    pub fn field(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<(Bytes, Option<u64>)>, StoreError> {
        let stored = kv.get(&self.part(name))?.map(decode).transpose()?;
        Ok(stored.filter(|(_, expiry_ms)| self.sees(*expiry_ms)))
    }

    fn sees(&self, expiry_ms: Option<u64>) -> bool {
        expiry_ms.is_none_or(|when| when > self.now_ms)
    }

    /// Stores an element; whether it is new.
    pub fn put(&mut self, kv: &mut dyn KvMut, name: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        self.put_expiring(kv, name, value, None)
    }

    /// Stores an element that may expire; whether it is new.
    pub fn put_expiring(
        &mut self,
        kv: &mut dyn KvMut,
        name: &[u8],
        value: &[u8],
        expiry_ms: Option<u64>,
    ) -> Result<bool, StoreError> {
        let part = self.part(name);
        let old = kv.get(&part)?.map(decode).transpose()?.map(|(_, expiry_ms)| expiry_ms);
        self.reindex(kv, name, old.flatten(), expiry_ms);
        self.put_part(kv, &part, value, expiry_ms);
        self.len += u64::from(old.is_none());
        Ok(old.is_none_or(|expiry_ms| !self.sees(expiry_ms)))
    }

    /// Stores an element of which is known that it is new.
    pub fn put_new(&mut self, kv: &mut dyn KvMut, name: &[u8], value: &[u8]) {
        self.put_new_expiring(kv, name, value, None);
    }

    /// Likewise, a field that may expire.
    pub fn put_new_expiring(
        &mut self,
        kv: &mut dyn KvMut,
        name: &[u8],
        value: &[u8],
        expiry_ms: Option<u64>,
    ) {
        self.reindex(kv, name, None, expiry_ms);
        self.put_part(kv, &self.part(name), value, expiry_ms);
        self.len += 1;
    }

    /// Stores an element of which is known that it is there.
    pub fn replace(&self, kv: &mut dyn KvMut, name: &[u8], value: &[u8]) {
        self.put_part(kv, &self.part(name), value, None);
    }

    /// Removes an element of which is known that it is there.
    pub fn remove_known(&mut self, kv: &mut dyn KvMut, name: &[u8]) {
        kv.delete(Bytes::copy_from_slice(&self.part(name)));
        self.len = self.len.saturating_sub(1);
    }

    /// Whether the element was there.
    pub fn remove(&mut self, kv: &mut dyn KvMut, name: &[u8]) -> Result<bool, StoreError> {
        let part = self.part(name);
        let Some((_, expiry_ms)) = kv.get(&part)?.map(decode).transpose()? else { return Ok(false) };
        self.reindex(kv, name, expiry_ms, None);
        kv.delete(Bytes::copy_from_slice(&part));
        self.len = self.len.saturating_sub(1);
        Ok(self.sees(expiry_ms))
    }

    /// Visits the elements from a position on, in order of their positions.
    pub fn scan(&self, kv: &mut dyn Kv, from: u32, visit: &mut VisitPart<'_>) -> Result<(), StoreError> {
        self.scan_parts(kv, from, &mut |part| visit(part.position, part.name, part.value))
    }

    /// Likewise, with their expiry.
    pub fn scan_parts(
        &self,
        kv: &mut dyn Kv,
        from: u32,
        visit: &mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut failed = false;
        let mut start = KeyBuf::from_slice(&self.range.from);
        start.extend_from_slice(&from.to_be_bytes());
        let mut end = KeyBuf::from_slice(&self.range.from);
        end.extend_from_slice(&OTHER_PARTS);
        kv.scan(&start, &end, &mut |stored, value| match split_part(stored, value) {
            Some(part) if !self.sees(part.expiry_ms) => ControlFlow::Continue(()),
            Some(part) => visit(part),
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

    fn put_part(&self, kv: &mut dyn KvMut, part: &[u8], value: &[u8], expiry_ms: Option<u64>) {
        let stored = match expiry_ms {
            None => [&[FORM_PLAIN], value].concat(),
            Some(when) => [&[FORM_EXPIRING], &when.to_be_bytes()[..], value].concat(),
        };
        kv.put(Bytes::copy_from_slice(part), Bytes::from(stored));
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

fn split_part<'a>(stored: &'a [u8], value: &'a [u8]) -> Option<Part<'a>> {
    let (position, name) = stored.get(PART_PREFIX..)?.split_first_chunk::<POSITION_BYTES>()?;
    let (value, expiry_ms) = split_value(value)?;
    Some(Part { position: u32::from_be_bytes(*position), name, value, expiry_ms })
}

fn split_value(stored: &[u8]) -> Option<(&[u8], Option<u64>)> {
    let (&form, value) = stored.split_first()?;
    match form {
        FORM_PLAIN => Some((value, None)),
        FORM_EXPIRING => {
            let (when, value) = value.split_first_chunk()?;
            Some((value, Some(u64::from_be_bytes(*when))))
        }
        _ => None,
    }
}

fn decode(stored: Bytes) -> Result<(Bytes, Option<u64>), StoreError> {
    let (value, expiry_ms) = split_value(&stored).ok_or_else(corrupt)?;
    Ok((stored.slice_ref(value), expiry_ms))
}
