//! The storage seam of the evaluator: an ordered map of bytes, as one command sees it.
//!
//! Implemented by the in-memory store of the tests and by the storage node's view of committed
//! state plus writes in flight. A command that returns an error leaves no trace: the owner of the
//! view discards what it wrote.
//!
//! Nothing here knows slots, groups or Raft; a view may later span several groups.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::event::Event;

/// Databases that SELECT offers.
pub const DATABASES: u8 = 16;

/// Set in the number of a database: where the shards of its namespaces are, unseen by whatever is about
/// all of its keys.
pub const SHARDS: u8 = 0x80;

/// Set in the number of a database: those of its keys that expire are counted there.
pub const EXPIRING: u8 = 0x40;

/// Every database, each with that of its shards.
pub fn databases() -> impl Iterator<Item = u8> {
    (0..DATABASES).flat_map(|db| [db, db | SHARDS])
}

/// The store could not answer; the command fails and changes nothing.
#[derive(Debug, thiserror::Error)]
#[error("storage error: {0}")]
pub struct StoreError(pub String);

/// Called for each pair of a scan, in key order.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Read access.
pub trait Kv {
    /// The value stored under `key`.
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the pairs with `from <= key < to` in key order until `visit` breaks.
    fn scan(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Likewise in descending order.
    fn scan_back(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// A scan within `from <= key < to` is about to come, one of many: what is there may be worth keeping
    /// at hand.
    fn expect_walk(&mut self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let _ = (from, to);
        Ok(())
    }

    /// Exact number of keys in database `db`, expired ones that are not yet deleted included; with
    /// [`EXPIRING`], of those that expire.
    fn key_count(&self, db: u8) -> u64;

    /// Something happened to a key. It is told to clients when the command's writes are committed, if
    /// they want to know.
    fn announce(&mut self, db: u8, key: &[u8], event: Event) {
        let _ = (db, key, event);
    }

    /// The key of the head record `head` is used now.
    fn touch(&mut self, head: &[u8], now_ms: u64) {
        let _ = (head, now_ms);
    }

    /// A key was looked up to read it, and was there or not.
    fn looked_up(&mut self, found: bool) {
        let _ = found;
    }

    /// For how long that key has not been used, as far as is known.
    fn idle_ms(&self, head: &[u8], now_ms: u64) -> u64 {
        let _ = (head, now_ms);
        0
    }

    /// Whether anybody wants to know of events.
    fn announces(&self) -> bool {
        false
    }
}

/// Read and write access. Writes are visible to later reads of the same view.
pub trait KvMut: Kv {
    /// Stores `value` under `key`.
    fn put(&mut self, key: Bytes, value: Bytes);

    /// Removes `key`; removing what is not there is no error.
    fn delete(&mut self, key: Bytes);

    /// Removes every pair with `from <= key < to`.
    fn delete_range(&mut self, from: Bytes, to: Bytes);

    /// What belongs to the key of the head record `head` changed, and the record did not: clients that
    /// watch the key want to know. (A write of the record itself speaks for itself.)
    fn modified(&mut self, head: &[u8]) {
        let _ = head;
    }

    /// Adjusts the key count of `db`.
    fn add_key_count(&mut self, db: u8, delta: i64);

    /// The same view, for code that only reads.
    fn as_kv(&mut self) -> &mut dyn Kv;
}

/// A view whose latest writes can be taken back while earlier ones stay: what a command of a script
/// needs, which fails without a trace of its own. Marks nest; each is kept or rolled back once, the
/// latest first.
pub trait Savepoints: KvMut {
    /// Marks this moment.
    fn mark(&mut self);

    /// Forgets the latest mark; what was written since stays.
    fn keep(&mut self);

    /// Takes back what was written since the latest mark, and forgets it.
    fn roll_back(&mut self);

    /// More was written since the latest mark than can be: some of it is missing, and it must be rolled back.
    fn is_overfull(&self) -> bool {
        false
    }

    /// The same view, for code that does not care for marks.
    fn as_kv_mut(&mut self) -> &mut dyn KvMut;
}
