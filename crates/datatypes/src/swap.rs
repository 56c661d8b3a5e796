//! SWAPDB: two databases change places. The database is part of every stored key, so this rewrites
//! all of both; a limit keeps it from becoming an entry of the log that nobody can take.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::key;
use crate::kv::{EXPIRING, Kv, KvMut, StoreError};
use crate::record::Record;
use crate::slots::next_used_slot;
use topology::{SLOT_COUNT, Slot};

/// Stored pairs, and their bytes, that are moved at most.
pub const SWAP_PAIRS_MAX: usize = 100_000;
pub const SWAP_BYTES_MAX: usize = 64 << 20;

/// All that one database holds.
#[derive(Default)]
struct Contents {
    slots: Vec<Slot>,
    pairs: Vec<(Bytes, Bytes)>,
    bytes: usize,
}

impl Contents {
    /// `None` if it is too much.
    fn read(kv: &mut dyn Kv, db: u8) -> Result<Option<Self>, StoreError> {
        let mut contents = Self::default();
        let mut from = 0;
        while let Some(slot) = next_used_slot(kv, from, SLOT_COUNT, db)? {
            let range = key::database_in_slot(slot, db);
            kv.scan(&range.from, &range.to, &mut |stored, value| {
                contents.bytes += stored.len() + value.len();
                contents.pairs.push((Bytes::copy_from_slice(stored), Bytes::copy_from_slice(value)));
                if contents.is_too_much() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if contents.is_too_much() {
                return Ok(None);
            }
            contents.slots.push(slot);
            from = slot.number() + 1;
        }
        Ok(Some(contents))
    }

    fn is_too_much(&self) -> bool {
        self.pairs.len() > SWAP_PAIRS_MAX || self.bytes > SWAP_BYTES_MAX
    }

    fn remove(&self, kv: &mut dyn KvMut, db: u8) -> Result<(), StoreError> {
        for &slot in &self.slots {
            let range = key::database_in_slot(slot, db);
            kv.delete_range(Bytes::copy_from_slice(&range.from), Bytes::copy_from_slice(&range.to));
        }
        for (stored, value) in &self.pairs {
            if let Some(when) = due(stored, value)? {
                kv.delete(key::expiry(when, stored));
            }
        }
        Ok(())
    }

    fn write(self, kv: &mut dyn KvMut, db: u8) -> Result<(), StoreError> {
        for (stored, value) in self.pairs {
            let moved = key::in_database(&stored, db);
            if let Some(when) = due(&moved, &value)? {
                kv.put(key::expiry(when, &moved), Bytes::new());
            }
            kv.put(moved, value);
        }
        Ok(())
    }
}

/// When a head record is in the expiry index.
fn due(stored: &[u8], value: &Bytes) -> Result<Option<u64>, StoreError> {
    match key::parse_head(stored) {
        Some(_) => Ok(Record::decode(value.clone())?.due()),
        None => Ok(None),
    }
}

/// Exchanges the keys of two databases. `false`, and nothing is changed: they hold too much.
pub fn swap_databases(kv: &mut dyn KvMut, a: u8, b: u8) -> Result<bool, StoreError> {
    if a == b {
        return Ok(true);
    }
    let (Some(of_a), Some(of_b)) = (Contents::read(kv.as_kv(), a)?, Contents::read(kv.as_kv(), b)?) else {
        return Ok(false);
    };
    of_a.remove(kv, a)?;
    of_b.remove(kv, b)?;
    of_a.write(kv, b)?;
    of_b.write(kv, a)?;
    swap_counts(kv, a, b);
    swap_counts(kv, a | EXPIRING, b | EXPIRING);
    Ok(true)
}

fn swap_counts(kv: &mut dyn KvMut, a: u8, b: u8) {
    let more_in_b = kv.key_count(b).cast_signed() - kv.key_count(a).cast_signed();
    kv.add_key_count(a, more_in_b);
    kv.add_key_count(b, -more_in_b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_invariants;
    use crate::collection::SmallLimits;
    use crate::keyspace::Keyspace;
    use crate::mem::MemKv;
    use crate::record::Type;

    const LIMITS: SmallLimits = SmallLimits { entries: 2, value_bytes: 8 };

    fn fill(kv: &mut MemKv, db: u8, keys: u32) {
        let mut keyspace = Keyspace::new(kv, db, 1000, u64::from(db));
        for number in 0..keys {
            let name = format!("key:{number}");
            let entry = keyspace.entry(name.as_bytes()).unwrap();
            if number % 3 == 0 {
                let mut hash = keyspace.create(entry, Type::Hash, LIMITS, Some(5000));
                (0..number % 7 + 1).for_each(|field| assert!(hash.put(&[field as u8], b"v").unwrap()));
                hash.save();
            } else {
                keyspace.put_string(entry, b"v", (number % 2 == 0).then_some(7000));
            }
        }
    }

    #[test]
    fn everything_changes_places_and_back() {
        let mut kv = MemKv::default();
        fill(&mut kv, 0, 50);
        fill(&mut kv, 1, 20);
        fill(&mut kv, 2, 30);
        let before = kv.clone();
        assert!(swap_databases(&mut kv, 0, 2).unwrap());
        check_invariants(&kv);
        assert_eq!([0, 1, 2].map(|db| kv.key_count(db)), [30, 20, 50]);
        assert!(swap_databases(&mut kv, 2, 9).unwrap());
        assert_eq!([2, 9].map(|db| kv.key_count(db)), [0, 50]);
        check_invariants(&kv);
        assert!(swap_databases(&mut kv, 9, 9).unwrap());
        assert!(swap_databases(&mut kv, 9, 2).unwrap());
        assert!(swap_databases(&mut kv, 2, 0).unwrap());
        assert!(kv.pairs().eq(before.pairs()));
    }

    #[test]
    fn too_much_stays_where_it_is() {
        let mut kv = MemKv::default();
        let mut keyspace = Keyspace::new(&mut kv, 3, 1000, 1);
        for key in ["a", "b"] {
            let entry = keyspace.entry(key.as_bytes()).unwrap();
            keyspace.put_string(entry, &vec![b'x'; SWAP_BYTES_MAX / 2], None);
        }
        assert!(!swap_databases(&mut kv, 3, 4).unwrap());
        assert_eq!((kv.key_count(3), kv.len()), (2, 2));
    }
}
