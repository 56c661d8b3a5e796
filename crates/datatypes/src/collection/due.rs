//! Fields of hashes that expire, each by itself.
//!
//! ```text
//! small   payload := 02  due:u64be  (length name  length value  expiry_ms:LEB128)*     0: does not expire
//! large   payload := id:u64be  len:u64be  due:u64be            `due` once a field has had an expiry
//!         part    := … id:u64be  position:u32be  name  →  01  expiry_ms:u64be  value
//!                  | … id:u64be  FFFFFFFF 02  expiry_ms:u64be  name              (no value)
//! ```
//!
//! The parts without values tell which field expires next, so that nobody needs to look at the others.
//! `due` is not later than any field's expiry, FF… if none has one: a key is in the expiry index
//! under `due`, unless it expires as a whole before. It may be earlier, because it is not brought
//! up to date when a field loses its expiry; whoever expires what is due does that.
//!
//! Who reads a hash at a moment sees no field that has expired, and no hash all of whose fields have.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::large::{Large, OTHER_PARTS};
use super::small::{self, Small, Walk};
use crate::key::{KeyBuf, PART_PREFIX};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::{Record, Type, corrupt};

/// What names these among the other parts of a collection.
const KIND: u8 = 0x02;
const PREFIX: usize = PART_PREFIX + OTHER_PARTS.len() + 1;
/// Of a hash whose fields do not expire now, though some had an expiry.
pub(super) const NEVER: u64 = u64::MAX;

/// When a field of the hash may expire next.
pub fn field_due(record: &Record) -> Option<u64> {
    if record.kind != Type::Hash {
        return None;
    }
    let due = if record.large { large_due(&record.payload) } else { small::due(&record.payload) };
    due.filter(|&due| due != NEVER)
}

/// What the payload of a large hash tells behind id and length.
pub(super) fn large_due(payload: &[u8]) -> Option<u64> {
    payload.get(16..).and_then(<[u8]>::first_chunk).map(|due| u64::from_be_bytes(*due))
}

/// Whether all fields of the hash stored under `head` have expired.
pub fn is_spent(kv: &mut dyn Kv, record: &Record, head: &[u8], now_ms: u64) -> Result<bool, StoreError> {
    if field_due(record).is_none_or(|due| due > now_ms) {
        return Ok(false);
    }
    if let Some(large) = Large::of(record, head)? {
        return Ok(large.count_due(kv, now_ms)? >= large.len());
    }
    let mut walk = Walk::over(&record.payload)?;
    while let Some(found) = walk.next()? {
        if found.expiry_ms.is_none_or(|when| when > now_ms) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes fields that are due from a hash, `limit` at most of a large one. Answers the record that is
/// left, `None` if no field is, and how many fields are gone.
pub fn expire_fields(
    kv: &mut dyn KvMut,
    record: &Record,
    head: &[u8],
    now_ms: u64,
    limit: usize,
) -> Result<(Option<Record>, usize), StoreError> {
    let (left, payload, removed) = match Large::of(record, head)? {
        Some(mut large) => {
            let removed = large.expire_due(kv, now_ms, limit)?;
            (large.len(), large.payload(), removed)
        }
        None => {
            let mut small = Small::decode(&record.payload)?;
            let removed = small.purge(now_ms)?;
            (small.len(), small.into_payload(), removed)
        }
    };
    Ok(((left > 0).then(|| Record { payload, ..record.clone() }), removed))
}

/// Panics if the parts that tell what expires do not agree with the elements of a large hash: for
/// tests. Answers how many there are.
pub fn check(kv: &mut dyn Kv, record: &Record, head: &[u8]) -> u64 {
    let large = Large::of(record, head).expect("a readable head record");
    let Some(large) = large.filter(|large| large.due.is_some()) else { return 0 };
    let mut expected = Vec::new();
    large
        .scan_parts(kv, 0, &mut |part| {
            expected.extend(part.expiry_ms.map(|when| (when, Bytes::copy_from_slice(part.name))));
            ControlFlow::Continue(())
        })
        .expect("readable parts");
    expected.sort();
    let stored = large.due_fields(kv, NEVER, usize::MAX).expect("readable parts");
    assert_eq!(stored, expected, "what expires and what is told about it");
    let first = stored.first().map_or(NEVER, |(when, _)| *when);
    assert!(field_due(record).unwrap_or(NEVER) <= first, "a field expires before it is told to");
    stored.len() as u64
}

impl Large {
    /// Keeps in step what tells when the field called `name` expires.
    pub(super) fn reindex(&mut self, kv: &mut dyn KvMut, name: &[u8], old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        if let Some(when) = old {
            kv.delete(self.due_part(when, name));
        }
        if let Some(when) = new {
            kv.put(self.due_part(when, name), Bytes::new());
            self.due = Some(self.due.map_or(when, |due| due.min(when)));
        }
    }

    /// Number of fields that have expired and are still stored.
    pub(super) fn count_due(&self, kv: &mut dyn Kv, now_ms: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        if self.due.is_some_and(|due| due <= now_ms) {
            self.visit_due(kv, now_ms, &mut |_, _| {
                count += 1;
                ControlFlow::Continue(())
            })?;
        }
        Ok(count)
    }

    /// Removes up to `limit` fields that are due.
    fn expire_due(&mut self, kv: &mut dyn KvMut, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        let due = self.due_fields(kv.as_kv(), now_ms, limit)?;
        for (_, name) in &due {
            self.remove(kv, name)?;
        }
        let next = self.due_fields(kv.as_kv(), NEVER, 1)?;
        self.due = Some(next.first().map_or(NEVER, |(when, _)| *when));
        Ok(due.len())
    }

    /// The first `limit` fields that have an expiry up to `until_ms`.
    fn due_fields(
        &self,
        kv: &mut dyn Kv,
        until_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let mut due = Vec::new();
        if limit == 0 {
            return Ok(due);
        }
        self.visit_due(kv, until_ms, &mut |when, name| {
            due.push((when, Bytes::copy_from_slice(name)));
            if due.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(due)
    }

    fn visit_due(
        &self,
        kv: &mut dyn Kv,
        until_ms: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (from, mut to) = (self.due_prefix(0), self.due_prefix(until_ms.saturating_add(1)));
        if until_ms == NEVER {
            to.truncate(PREFIX);
            to[PREFIX - 1] += 1;
        }
        let mut failed = false;
        kv.scan(
            &from,
            &to,
            &mut |stored, _| match stored.get(PREFIX..).and_then(<[u8]>::split_first_chunk) {
                Some((when, name)) => visit(u64::from_be_bytes(*when), name),
                None => {
                    failed = true;
                    ControlFlow::Break(())
                }
            },
        )?;
        if failed { Err(corrupt()) } else { Ok(()) }
    }

    fn due_part(&self, when_ms: u64, name: &[u8]) -> Bytes {
        Bytes::from([&self.due_prefix(when_ms), name].concat())
    }

    fn due_prefix(&self, when_ms: u64) -> KeyBuf {
        let mut prefix = KeyBuf::from_slice(&self.range.from);
        prefix.extend_from_slice(&OTHER_PARTS);
        prefix.push(KIND);
        prefix.extend_from_slice(&when_ms.to_be_bytes());
        prefix
    }
}
