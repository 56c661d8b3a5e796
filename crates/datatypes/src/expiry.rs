//! Active expiry: the owner of a group removes what is due, found through the expiry index.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::collection;
use crate::event::{self, Event};
use crate::key::{self, ExpiryKey};
use crate::kv::{EXPIRING, Kv, KvMut, StoreError};
use crate::record::Record;

/// Removes up to `limit` keys, and fields of hashes, that are due at `now_ms`. Answers how much it
/// worked off: less than `limit` means that nothing more is due.
pub fn active_expire(kv: &mut dyn KvMut, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
    let mut done = 0;
    for entry in &due_entries(kv, now_ms, limit)? {
        if done >= limit {
            break;
        }
        done += expire(kv, entry, now_ms, limit - done)?;
    }
    Ok(done)
}

/// When something is due next; `None`: never, as things are.
pub fn next_expiry(kv: &mut dyn Kv) -> Result<Option<u64>, StoreError> {
    let mut next = None;
    let range = key::expiry_due(u64::MAX);
    kv.scan(&range.from, &range.to, &mut |stored, _| {
        next = key::parse_expiry(stored).map(|entry| entry.when_ms);
        ControlFlow::Break(())
    })?;
    Ok(next)
}

fn due_entries(kv: &mut dyn KvMut, now_ms: u64, limit: usize) -> Result<Vec<ExpiryKey>, StoreError> {
    let mut due = Vec::new();
    if limit == 0 {
        return Ok(due);
    }
    let range = key::expiry_due(now_ms);
    kv.scan(&range.from, &range.to, &mut |stored, _| {
        due.extend(key::parse_expiry(stored));
        if due.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(due)
}

/// Works one index entry off; how many keys and fields that were, at least 1.
fn expire(kv: &mut dyn KvMut, entry: &ExpiryKey, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
    let stored = kv.get(&entry.head)?.map(Record::decode).transpose()?;
    kv.delete(key::expiry(entry.when_ms, &entry.head));
    let Some(record) = stored.filter(|record| record.due() == Some(entry.when_ms)) else { return Ok(1) };
    if !record.is_live(now_ms) {
        collection::drop_parts(kv, &entry.head, &record);
        remove_head(kv, entry, &record);
        announce(kv, entry, event::EXPIRED);
        return Ok(1);
    }
    let (left, removed) = collection::expire_fields(kv, &record, &entry.head, now_ms, limit)?;
    if removed > 0 {
        announce(kv, entry, event::HASH_EXPIRED);
    }
    match left {
        None => {
            remove_head(kv, entry, &record);
            announce(kv, entry, event::DEL);
        }
        Some(record) => {
            if let Some(when) = record.due() {
                kv.put(key::expiry(when, &entry.head), Bytes::new());
            }
            kv.put(entry.head.clone(), record.encode());
        }
    }
    Ok(removed.max(1))
}

fn announce(kv: &mut dyn KvMut, entry: &ExpiryKey, event: Event) {
    if let Some(at) = key::parse_head(&entry.head) {
        kv.announce(at.db, at.key, event);
    }
}

fn remove_head(kv: &mut dyn KvMut, entry: &ExpiryKey, record: &Record) {
    kv.delete(entry.head.clone());
    kv.add_key_count(entry.db, -1);
    if record.expiry_ms.is_some() {
        kv.add_key_count(entry.db | EXPIRING, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Keyspace, Reader};
    use crate::mem::MemKv;

    fn set(kv: &mut MemKv, key: &[u8], expiry_ms: Option<u64>) {
        let mut keyspace = Keyspace::new(kv, 0, 1000, 1);
        let entry = keyspace.entry(key).unwrap();
        keyspace.put_string(entry, b"v", expiry_ms);
    }

    #[test]
    fn what_is_due_leaves_the_store_and_nothing_else() {
        let mut kv = MemKv::default();
        set(&mut kv, b"stays", None);
        set(&mut kv, b"later", Some(3000));
        set(&mut kv, b"first", Some(1500));
        set(&mut kv, b"second", Some(2000));
        set(&mut kv, b"renewed", Some(1500));
        set(&mut kv, b"renewed", Some(4000));
        assert_eq!(kv.key_count(0), 5);
        assert_eq!(next_expiry(&mut kv).unwrap(), Some(1500));
        assert_eq!(active_expire(&mut kv, 2000, 1).unwrap(), 1);
        assert_eq!(active_expire(&mut kv, 2000, 10).unwrap(), 1);
        assert_eq!(active_expire(&mut kv, 2000, 10).unwrap(), 0);
        assert_eq!(kv.key_count(0), 3);
        for key in [b"stays" as &[u8], b"later", b"renewed"] {
            assert!(Reader::new(&mut kv, 0, 2000).lookup(key).unwrap().is_some());
        }
        assert_eq!(active_expire(&mut kv, 5000, 10).unwrap(), 2);
        assert_eq!((kv.len(), kv.key_count(0)), (1, 1));
        assert_eq!(next_expiry(&mut kv).unwrap(), None);
    }

    #[test]
    fn a_key_expires_in_the_millisecond_it_names() {
        let mut kv = MemKv::default();
        set(&mut kv, b"k", Some(2000));
        assert!(Reader::new(&mut kv, 0, 1999).lookup(b"k").unwrap().is_some());
        assert!(Reader::new(&mut kv, 0, 2000).lookup(b"k").unwrap().is_none());
    }

    #[test]
    fn an_overwritten_expired_key_is_counted_once() {
        let mut kv = MemKv::default();
        set(&mut kv, b"k", Some(2000));
        let mut keyspace = Keyspace::new(&mut kv, 0, 3000, 1);
        let entry = keyspace.entry(b"k").unwrap();
        assert!(entry.live().is_none());
        keyspace.put_string(entry, b"new", None);
        assert_eq!((kv.len(), kv.key_count(0)), (1, 1));
    }
}
