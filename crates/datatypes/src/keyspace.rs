//! Keys as commands see them: a lookup hides what has expired, a write keeps the key count and the
//! expiry index in step with the head record.
//!
//! Invariants of a store written only through [`Keyspace`], [`crate::active_expire`] and
//! [`crate::slots`]:
//! - the key count of a database equals the number of its head records;
//! - each head record with an expiry has exactly one index entry, under that expiry;
//! - each index entry points to such a record.

use bytes::Bytes;

use crate::key;
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::{self, Record};

/// One database at one moment, to read.
pub struct Reader<'a> {
    kv: &'a mut dyn Kv,
    db: u8,
    now_ms: u64,
}

impl<'a> Reader<'a> {
    pub fn new(kv: &'a mut dyn Kv, db: u8, now_ms: u64) -> Self {
        Self { kv, db, now_ms }
    }

    /// The record of `key`, unless it is missing or has expired.
    pub fn lookup(&mut self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let Some(stored) = self.kv.get(&key::head_buf(self.db, key))? else { return Ok(None) };
        let record = Record::decode(stored)?;
        Ok(record.is_live(self.now_ms).then_some(record))
    }
}

/// One database at one moment, to read and write.
pub struct Keyspace<'a> {
    kv: &'a mut dyn KvMut,
    db: u8,
    now_ms: u64,
}

/// A key that was looked up in order to write it. Valid until the key is next written.
#[derive(Debug)]
pub struct Entry {
    head: Bytes,
    db: u8,
    /// As stored; kept when it has expired, because it still counts and is still indexed.
    stored: Option<Record>,
    live: bool,
}

impl Entry {
    /// The record, unless the key is missing or has expired.
    pub fn live(&self) -> Option<&Record> {
        self.stored.as_ref().filter(|_| self.live)
    }

    fn stored_expiry(&self) -> Option<u64> {
        self.stored.as_ref().and_then(|r| r.expiry_ms)
    }
}

impl<'a> Keyspace<'a> {
    pub fn new(kv: &'a mut dyn KvMut, db: u8, now_ms: u64) -> Self {
        Self { kv, db, now_ms }
    }

    /// Looks `key` up to write it: one read.
    pub fn entry(&mut self, key: &[u8]) -> Result<Entry, StoreError> {
        self.entry_in(self.db, key)
    }

    /// Like [`Self::entry`], in another database.
    pub fn entry_in(&mut self, db: u8, key: &[u8]) -> Result<Entry, StoreError> {
        let head = key::head(db, key);
        let stored = self.kv.get(&head)?.map(Record::decode).transpose()?;
        let live = stored.as_ref().is_some_and(|r| r.is_live(self.now_ms));
        Ok(Entry { head, db, stored, live })
    }

    /// Replaces whatever is under the entry's key. A record that is already due removes the key.
    pub fn put(&mut self, entry: Entry, record: &Record) {
        self.put_encoded(entry, record.encode(), record.expiry_ms);
    }

    /// [`Self::put`] of a string that is still borrowed.
    pub fn put_string(&mut self, entry: Entry, value: &[u8], expiry_ms: Option<u64>) {
        self.put_encoded(entry, record::encode_string(value, expiry_ms), expiry_ms);
    }

    /// Changes the expiry of a live key; one that is already due removes the key.
    pub fn set_expiry(&mut self, mut entry: Entry, expiry_ms: Option<u64>) {
        let Some(mut record) = entry.stored.take_if(|_| entry.live) else { return };
        let old_expiry = std::mem::replace(&mut record.expiry_ms, expiry_ms);
        let encoded = record.encode();
        record.expiry_ms = old_expiry;
        entry.stored = Some(record);
        self.put_encoded(entry, encoded, expiry_ms);
    }

    /// Removes the key, if it is stored at all.
    pub fn remove(&mut self, entry: Entry) {
        if entry.stored.is_none() {
            return;
        }
        self.reindex(&entry, None);
        self.kv.add_key_count(entry.db, -1);
        self.kv.delete(entry.head);
    }

    fn put_encoded(&mut self, entry: Entry, encoded: Bytes, expiry_ms: Option<u64>) {
        if expiry_ms.is_some_and(|when| when <= self.now_ms) {
            return self.remove(entry);
        }
        self.reindex(&entry, expiry_ms);
        if entry.stored.is_none() {
            self.kv.add_key_count(entry.db, 1);
        }
        self.kv.put(entry.head, encoded);
    }

    fn reindex(&mut self, entry: &Entry, expiry_ms: Option<u64>) {
        let stored = entry.stored_expiry();
        if stored == expiry_ms {
            return;
        }
        if let Some(when) = stored {
            self.kv.delete(key::expiry(when, &entry.head));
        }
        if let Some(when) = expiry_ms {
            self.kv.put(key::expiry(when, &entry.head), Bytes::new());
        }
    }
}
