//! The invariants of [`crate::keyspace`], executed: for tests, here and in other crates.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::collection::sorted::{Scored, SortedSet};
use crate::collection::{Elements, Large, check_due};
use crate::json::Document;
use crate::key;
use crate::kv::{EXPIRING, Kv};
use crate::list;
use crate::mem::MemKv;
use crate::record::{Record, Type};
use crate::stream;

/// Slot, database and id of a large collection.
type Collection = (u16, u8, u64);

/// Panics if head records, key counts, expiry index and parts of collections do not agree.
pub fn check_invariants(kv: &MemKv) {
    let mut counts = [0u64; 256];
    let (mut indexed, mut expiring) = (Vec::new(), Vec::new());
    let mut named: BTreeMap<Collection, u64> = BTreeMap::new();
    let mut stored_parts: BTreeMap<Collection, u64> = BTreeMap::new();
    for (stored, value) in kv.pairs() {
        if let Some(head) = key::parse_head(stored) {
            counts[usize::from(head.db)] += 1;
            let record = Record::decode(value.clone()).expect("a readable record");
            counts[usize::from(head.db | EXPIRING)] += u64::from(record.expiry_ms.is_some());
            expiring.extend(record.due().map(|when| key::expiry(when, stored)));
            if record.kind == Type::Json {
                check_document(&record);
            }
            if let Some((id, parts)) = check_collection(kv, stored, &record) {
                let other = named.insert((head.slot.number(), head.db, id), parts);
                assert!(other.is_none(), "two keys with the elements of one collection");
            }
        } else if let Some(part) = key::parse_part(stored) {
            *stored_parts.entry((part.slot.number(), part.db, part.id)).or_default() += 1;
        } else {
            assert!(key::parse_expiry(stored).is_some(), "a stray key {stored:?}");
            indexed.push(stored.clone());
        }
    }
    expiring.sort();
    assert_eq!(indexed, expiring);
    assert_eq!(stored_parts, named, "parts of collections that no key has, or not as many as it tells");
    for db in 0..=u8::MAX {
        assert_eq!(kv.key_count(db), counts[usize::from(db)], "key count of db {db}");
    }
}

/// A document is stored as it would be written again, and can be read.
fn check_document(record: &Record) {
    let document = Document::read(&record.payload).expect("a readable document");
    assert_eq!(document.payload().expect("a document within bounds"), record.payload);
}

/// Id and number of parts of a large collection. Only a stream may be empty.
fn check_collection(kv: &MemKv, stored: &Bytes, record: &Record) -> Option<(u64, u64)> {
    if record.kind == Type::List {
        let parts = list::check::check(&mut kv.clone(), record, stored);
        return record.collection_id().map(|id| (id, parts));
    }
    if record.kind == Type::Stream {
        return Some((record.collection_id()?, stream::check(kv, stored, record)));
    }
    if let Some(large) = Large::of(record, stored).expect("a readable head record") {
        assert!(!large.is_empty());
        let others = match record.kind {
            Type::SortedSet => check_index(kv, stored, record),
            Type::Hash => check_due(&mut kv.clone(), record, stored),
            _ => 0,
        };
        return Some((record.collection_id()?, large.len() + others));
    }
    if matches!(record.kind, Type::Hash | Type::Set | Type::SortedSet) {
        let len = Elements::Small(record.payload.clone()).len().expect("readable elements");
        assert!(len > 0);
    }
    None
}

/// Number of parts of the index of a large sorted set, which has the same elements.
fn check_index(kv: &MemKv, stored: &Bytes, record: &Record) -> u64 {
    let head = key::parse_head(stored).expect("a head record");
    let set = SortedSet::of(record, head.db, head.key).expect("a readable head record");
    let kv = &mut kv.clone();
    let ordered = set.slice(kv, 0..u64::MAX).expect("a readable index");
    assert_eq!(ordered.len() as u64, set.len().expect("a length"));
    for Scored { member, score } in ordered {
        let element = set.score(kv, &member).expect("a readable element").expect("a member of the index");
        assert_eq!(element.to_bits(), score.to_bits());
    }
    set.check_index(kv)
}
