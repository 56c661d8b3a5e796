//! The map in memory: for tests, here and in other crates, and for benchmarks.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use bytes::Bytes;

use crate::event::Event;
use crate::kv::{Kv, KvMut, Savepoints, StoreError, Visit};

/// A sorted map with the means to undo a failed command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MemKv {
    map: BTreeMap<Bytes, Bytes>,
    counts: BTreeMap<u8, u64>,
    undo: Option<Undo>,
    /// Of a transaction; what was not kept yet, the latest last.
    marks: Vec<Mark>,
    /// Kept while somebody wants to know.
    announced: Option<Vec<Announced>>,
}

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    pub db: u8,
    pub key: Bytes,
    pub event: Event,
}

/// What to put back: the oldest value of each change last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Undo {
    changes: Vec<(Bytes, Option<Bytes>)>,
    counts: BTreeMap<u8, u64>,
}

/// A moment of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    changes: usize,
    counts: BTreeMap<u8, u64>,
}

impl MemKv {
    fn range(&self, from: &[u8], to: &[u8]) -> btree_map::Range<'_, Bytes, Bytes> {
        self.map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to.max(from))))
    }

    /// Runs `work`; when it fails, everything it wrote is undone.
    pub fn transact<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.undo = Some(Undo { changes: Vec::new(), counts: self.counts.clone() });
        let announced = self.announced.as_ref().map_or(0, Vec::len);
        let result = work(self);
        let undo = self.undo.take();
        self.marks.clear();
        if let (Err(_), Some(undo)) = (&result, undo) {
            self.undo(undo.changes, undo.counts);
            self.announced.iter_mut().for_each(|events| events.truncate(announced));
        }
        result
    }

    /// Events are kept from here on.
    pub fn listen(&mut self) {
        self.announced.get_or_insert_default();
    }

    /// The events since the last call.
    pub fn take_announced(&mut self) -> Vec<Announced> {
        self.announced.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Number of stored pairs, of any kind.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// All pairs in key order.
    pub fn pairs(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.map.iter()
    }

    fn undo(&mut self, changes: Vec<(Bytes, Option<Bytes>)>, counts: BTreeMap<u8, u64>) {
        for (key, value) in changes.into_iter().rev() {
            match value {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
        self.counts = counts;
    }

    fn remember(&mut self, key: Bytes, old: Option<Bytes>) {
        if let Some(undo) = &mut self.undo {
            undo.changes.push((key, old));
        }
    }
}

impl Kv for MemKv {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let _ = self.range(from, to).try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn scan_back(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let _ = self.range(from, to).rev().try_for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn key_count(&self, db: u8) -> u64 {
        self.counts.get(&db).copied().unwrap_or_default()
    }

    fn announce(&mut self, db: u8, key: &[u8], event: Event) {
        if let Some(announced) = &mut self.announced {
            announced.push(Announced { db, key: Bytes::copy_from_slice(key), event });
        }
    }

    fn announces(&self) -> bool {
        self.announced.is_some()
    }
}

impl KvMut for MemKv {
    fn put(&mut self, key: Bytes, value: Bytes) {
        let old = self.map.insert(key.clone(), value);
        self.remember(key, old);
    }

    fn delete(&mut self, key: Bytes) {
        if let Some(old) = self.map.remove(&key) {
            self.remember(key, Some(old));
        }
    }

    fn delete_range(&mut self, from: Bytes, to: Bytes) {
        if from >= to {
            return;
        }
        let doomed: Vec<Bytes> = self.map.range(from..to).map(|(key, _)| key.clone()).collect();
        for key in doomed {
            self.delete(key);
        }
    }

    fn add_key_count(&mut self, db: u8, delta: i64) {
        let count = self.counts.entry(db).or_default();
        *count = count.checked_add_signed(delta).expect("key count never goes below zero");
    }

    fn as_kv(&mut self) -> &mut dyn Kv {
        self
    }
}

/// Within [`MemKv::transact`] only.
impl Savepoints for MemKv {
    fn mark(&mut self) {
        let changes = self.undo.as_ref().expect("marks are set in a transaction").changes.len();
        self.marks.push(Mark { changes, counts: self.counts.clone() });
    }

    fn keep(&mut self) {
        self.marks.pop().expect("a mark was set");
    }

    fn roll_back(&mut self) {
        let mark = self.marks.pop().expect("a mark was set");
        let undo = self.undo.as_mut().expect("marks are set in a transaction");
        let changes = undo.changes.split_off(mark.changes);
        self.undo(changes, mark.counts);
    }

    fn as_kv_mut(&mut self) -> &mut dyn KvMut {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_leaves_no_trace() {
        let mut kv = MemKv::default();
        kv.put(Bytes::from("a"), Bytes::from("1"));
        kv.add_key_count(0, 1);
        let before = kv.clone();
        let failed: Result<(), ()> = kv.transact(|kv| {
            kv.put(Bytes::from("a"), Bytes::from("2"));
            kv.put(Bytes::from("a"), Bytes::from("3"));
            kv.put(Bytes::from("b"), Bytes::from("2"));
            kv.delete_range(Bytes::from("a"), Bytes::from("z"));
            kv.add_key_count(0, 5);
            Err(())
        });
        assert!(failed.is_err());
        assert_eq!(kv, before);
    }

    #[test]
    fn marks_take_back_what_came_after_them() {
        let mut kv = MemKv::default();
        let put = |kv: &mut MemKv, value: &'static str| kv.put(Bytes::from("a"), Bytes::from(value));
        let done: Result<(), ()> = kv.transact(|kv| {
            put(kv, "1");
            kv.mark();
            put(kv, "2");
            kv.add_key_count(0, 1);
            kv.mark();
            put(kv, "3");
            kv.delete(Bytes::from("a"));
            kv.roll_back();
            assert_eq!(kv.get(b"a").unwrap().unwrap(), "2");
            kv.roll_back();
            kv.mark();
            put(kv, "4");
            kv.keep();
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(kv.get(b"a").unwrap().unwrap(), "4");
        assert_eq!(kv.key_count(0), 0);
    }
}
