//! A store in memory that counts what a command costs: for tests of this crate.

use bytes::Bytes;

use crate::kv::{Kv, KvMut, StoreError, Visit};
use crate::mem::MemKv;

#[derive(Default)]
pub(crate) struct Counting {
    pub kv: MemKv,
    /// Lookups and walks.
    pub reads: usize,
    /// Pairs that were looked at.
    pub pairs: usize,
    pub writes: usize,
}

impl Kv for Counting {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reads += 1;
        self.pairs += 1;
        self.kv.get(key)
    }

    fn scan(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.reads += 1;
        self.kv.scan(from, to, &mut |key, value| {
            self.pairs += 1;
            visit(key, value)
        })
    }

    fn scan_back(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.reads += 1;
        self.kv.scan_back(from, to, &mut |key, value| {
            self.pairs += 1;
            visit(key, value)
        })
    }

    fn key_count(&self, db: u8) -> u64 {
        self.kv.key_count(db)
    }
}

impl KvMut for Counting {
    fn put(&mut self, key: Bytes, value: Bytes) {
        self.writes += 1;
        self.kv.put(key, value);
    }

    fn delete(&mut self, key: Bytes) {
        self.writes += 1;
        self.kv.delete(key);
    }

    fn delete_range(&mut self, from: Bytes, to: Bytes) {
        self.writes += 1;
        self.kv.delete_range(from, to);
    }

    fn add_key_count(&mut self, db: u8, delta: i64) {
        self.kv.add_key_count(db, delta);
    }

    fn as_kv(&mut self) -> &mut dyn Kv {
        self
    }
}
