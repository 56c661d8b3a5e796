//! Walks over the keys of whole slots, and their removal.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::key::{self, HeadKey, KeyBuf};
use crate::kv::{EXPIRING, Kv, KvMut, SHARDS, StoreError, databases};
use crate::record::{self, Type};
use topology::{SLOT_COUNT, Slot};

/// Called for each live key of a slot, in key order.
pub type VisitKey<'a> = dyn FnMut(&[u8], Type) -> ControlFlow<()> + 'a;

/// Visits the keys of `db` in `slot` that are live at `now_ms`.
pub fn keys_of_slot(
    kv: &mut dyn Kv,
    slot: Slot,
    db: u8,
    now_ms: u64,
    visit: &mut VisitKey<'_>,
) -> Result<(), StoreError> {
    keys_of_slot_from(kv, slot, db, b"", now_ms, visit)
}

/// Likewise, from the key `first` on.
pub fn keys_of_slot_from(
    kv: &mut dyn Kv,
    slot: Slot,
    db: u8,
    first: &[u8],
    now_ms: u64,
    visit: &mut VisitKey<'_>,
) -> Result<(), StoreError> {
    let range = key::heads_of_slot(slot, db);
    let mut from = KeyBuf::from_slice(&range.from);
    from.extend_from_slice(first);
    let mut failed = None;
    kv.scan(&from, &range.to, &mut |stored, value| {
        let Some(HeadKey { key, .. }) = key::parse_head(stored) else { return ControlFlow::Continue(()) };
        match record::peek(value) {
            Ok((kind, expiry_ms)) if expiry_ms.is_none_or(|when| now_ms < when) => visit(key, kind),
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The first key of `db` in `slot` that is `from` or behind it, expired or not.
pub fn first_key_from(kv: &mut dyn Kv, slot: Slot, db: u8, from: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let range = key::heads_of_slot(slot, db);
    let mut first = None;
    kv.scan(&[&range.from[..], from].concat(), &range.to, &mut keep_key(&mut first))?;
    Ok(first)
}

/// The last key of `db` in `slot` that begins with `prefix`, expired or not.
pub fn last_key_with(
    kv: &mut dyn Kv,
    slot: Slot,
    db: u8,
    prefix: &[u8],
) -> Result<Option<Bytes>, StoreError> {
    let range = key::heads_of_slot(slot, db);
    let from = [&range.from[..], prefix].concat();
    let mut to = from.clone();
    while to.pop_if(|byte| *byte == u8::MAX).is_some() {}
    to.last_mut().into_iter().for_each(|byte| *byte += 1);
    let mut last = None;
    kv.scan_back(&from, &to, &mut keep_key(&mut last))?;
    Ok(last)
}

fn keep_key(kept: &mut Option<Bytes>) -> impl FnMut(&[u8], &[u8]) -> ControlFlow<()> {
    |stored, _| {
        *kept = key::parse_head(stored).map(|head| Bytes::copy_from_slice(head.key));
        ControlFlow::Break(())
    }
}

/// The last slot with a pair of any database.
pub fn last_used_slot(kv: &mut dyn Kv) -> Result<Option<Slot>, StoreError> {
    let all = key::all_slots();
    let mut last = None;
    kv.scan_back(&all.from, &all.to, &mut |stored, _| {
        last = stored.first_chunk().and_then(|number| Slot::new(u16::from_be_bytes(*number)));
        ControlFlow::Break(())
    })?;
    Ok(last)
}

/// Number of keys of `db` in `slot`, expired ones that are not yet deleted included.
pub fn count_of_slot(kv: &mut dyn Kv, slot: Slot, db: u8) -> Result<u64, StoreError> {
    let range = key::heads_of_slot(slot, db);
    let mut count = 0;
    kv.scan(&range.from, &range.to, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// The first slot in `from..end` with a key of `db`, expired or not. Skips what other databases
/// hold without reading it.
pub fn next_used_slot(kv: &mut dyn Kv, from: u16, end: u16, db: u8) -> Result<Option<Slot>, StoreError> {
    let end = end.min(SLOT_COUNT);
    let mut next = from;
    while let Some(slot) = Slot::new(next).filter(|_| next < end) {
        let start = key::heads_of_slot(slot, db).from;
        let mut found = None;
        kv.scan(&start, &end.to_be_bytes(), &mut |stored, _| {
            found = stored.first_chunk::<4>().copied();
            ControlFlow::Break(())
        })?;
        let Some([high, low, at_db, kind]) = found else { return Ok(None) };
        let number = u16::from_be_bytes([high, low]);
        next = match [at_db, kind].as_slice().cmp(&start[2..]) {
            Ordering::Equal => return Ok(Slot::new(number)),
            Ordering::Less => number,
            Ordering::Greater => number + 1,
        };
    }
    Ok(None)
}

/// Removes every key and every namespace of `db`; other databases keep theirs.
pub fn flush_database(kv: &mut dyn KvMut, db: u8) -> Result<(), StoreError> {
    if [db, db | SHARDS].iter().all(|&db| kv.key_count(db) == 0) {
        return Ok(());
    }
    let flushed = |other: u8| other & !SHARDS == db;
    if databases().all(|other| flushed(other) || kv.key_count(other) == 0) {
        flush_all(kv);
        return Ok(());
    }
    for db in [db, db | SHARDS] {
        if kv.key_count(db) > 0 {
            remove_keys(kv, db)?;
            count_none(kv, db);
        }
    }
    Ok(())
}

/// No key is left, nor one that expires.
fn count_none(kv: &mut dyn KvMut, db: u8) {
    for counted in [db, db | EXPIRING] {
        let count = kv.key_count(counted);
        if count > 0 {
            kv.add_key_count(counted, -count.cast_signed());
        }
    }
}

fn remove_keys(kv: &mut dyn KvMut, db: u8) -> Result<(), StoreError> {
    for slot in used_slots(kv.as_kv(), db)? {
        let range = key::database_in_slot(slot, db);
        kv.delete_range(Bytes::copy_from_slice(&range.from), Bytes::copy_from_slice(&range.to));
    }
    let mut entries = Vec::new();
    let index = key::expiry_all();
    kv.scan(&index.from, &index.to, &mut |stored, _| {
        if key::parse_expiry(stored).is_some_and(|entry| entry.db == db) {
            entries.push(Bytes::copy_from_slice(stored));
        }
        ControlFlow::Continue(())
    })?;
    entries.into_iter().for_each(|entry| kv.delete(entry));
    Ok(())
}

/// Slots with a key of `db`, in one walk: a walk per slot would merge what is in memory each time.
fn used_slots(kv: &mut dyn Kv, db: u8) -> Result<Vec<Slot>, StoreError> {
    let mut used = Vec::new();
    let all = key::all_slots();
    kv.scan(&all.from, &all.to, &mut |stored, _| {
        if let Some(&[high, low, at_db, _]) = stored.first_chunk::<4>()
            && at_db == db
            && let Some(slot) = Slot::new(u16::from_be_bytes([high, low]))
            && used.last() != Some(&slot)
        {
            used.push(slot);
        }
        ControlFlow::Continue(())
    })?;
    Ok(used)
}

/// Removes every key of every database: two range deletes.
pub fn flush_all(kv: &mut dyn KvMut) {
    let (data, index) = (key::all_slots(), key::expiry_all());
    kv.delete_range(Bytes::copy_from_slice(&data.from), Bytes::copy_from_slice(&data.to));
    kv.delete_range(Bytes::copy_from_slice(&index.from), Bytes::copy_from_slice(&index.to));
    for db in databases() {
        count_none(kv, db);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::Keyspace;
    use crate::mem::MemKv;

    fn set(kv: &mut MemKv, db: u8, key: &[u8], expiry_ms: Option<u64>) {
        let mut keyspace = Keyspace::new(kv, db, 1000, 1);
        let entry = keyspace.entry(key).unwrap();
        keyspace.put_string(entry, b"v", expiry_ms);
    }

    fn filled() -> MemKv {
        let mut kv = MemKv::default();
        for i in 0..300u32 {
            let key = format!("key:{i}");
            set(&mut kv, (i % 3) as u8, key.as_bytes(), (i % 2 == 0).then_some(5000));
        }
        kv
    }

    fn walk(kv: &mut MemKv, db: u8, now_ms: u64) -> (u64, u64) {
        let (mut stored, mut live, mut from) = (0, 0, 0);
        while let Some(slot) = next_used_slot(kv, from, SLOT_COUNT, db).unwrap() {
            let here = count_of_slot(kv, slot, db).unwrap();
            assert!(here > 0);
            stored += here;
            keys_of_slot(kv, slot, db, now_ms, &mut |_, _| {
                live += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
            from = slot.number() + 1;
        }
        (stored, live)
    }

    #[test]
    fn a_walk_over_used_slots_meets_every_key_of_its_database() {
        let mut kv = filled();
        for db in 0..3 {
            assert_eq!(walk(&mut kv, db, 1000), (100, 100));
            assert_eq!(walk(&mut kv, db, 5000), (100, 50));
        }
        assert_eq!(walk(&mut kv, 3, 1000), (0, 0));
    }

    #[test]
    fn flushing_one_database_spares_the_others() {
        let mut kv = filled();
        flush_database(&mut kv, 1).unwrap();
        assert_eq!([0, 1, 2].map(|db| kv.key_count(db)), [100, 0, 100]);
        assert_eq!([0, 1, 2].map(|db| kv.key_count(db | EXPIRING)), [50, 0, 50]);
        assert_eq!(walk(&mut kv, 0, 1000), (100, 100));
        assert_eq!(walk(&mut kv, 1, 1000), (0, 0));
        assert_eq!(kv.len(), 300, "200 head records and 100 index entries");
        flush_all(&mut kv);
        assert!(kv.is_empty());
        assert_eq!([0, 1, 2].map(|db| kv.key_count(db)), [0, 0, 0]);
        assert_eq!([0, 1, 2].map(|db| kv.key_count(db | EXPIRING)), [0, 0, 0]);
    }
}
