//! Where things are stored in a group's map.
//!
//! ```text
//! head record    slot:u16be  db:u8  01  user-key            slot < 16384
//! parts          slot:u16be  db:u8  10  collection-id:u64be  part     of a large collection
//! expiry index   FF 03  when_ms:u64be  slot:u16be  db:u8  user-key      (no value)
//! ```
//!
//! A slot is one contiguous range, and so are the head records of one database in it, and so is all
//! that one large collection has outside its head record. A collection is named by an id of its own
//! and not by its key, so that RENAME moves the head record alone; see [`crate::collection`].
//! `FF 01` and `FF 02` belong to the storage node.

use bytes::Bytes;
use smallvec::SmallVec;
use topology::{SLOT_COUNT, Slot, slot_of};

/// A stored key on the stack, when it is only looked up.
pub type KeyBuf = SmallVec<[u8; 96]>;

const KIND_HEAD: u8 = 0x01;
const KIND_PART: u8 = 0x10;
const HEAD_PREFIX: usize = 4;
/// Bytes before what names a part within its collection.
pub const PART_PREFIX: usize = HEAD_PREFIX + 8;
const EXPIRY_MARK: [u8; 2] = [0xFF, 0x03];
const EXPIRY_PREFIX: usize = 2 + 8 + 3;

/// A half-open range of stored keys.
#[derive(Debug, Clone, Copy)]
pub struct Range<const N: usize> {
    pub from: [u8; N],
    pub to: [u8; N],
}

/// Key of the head record of `key`, for a lookup.
pub fn head_buf(db: u8, key: &[u8]) -> KeyBuf {
    let mut buf = KeyBuf::with_capacity(HEAD_PREFIX + key.len());
    buf.extend_from_slice(&head_prefix(slot_of(key).number(), db));
    buf.extend_from_slice(key);
    buf
}

/// Key of the head record of `key`, for a write.
pub fn head(db: u8, key: &[u8]) -> Bytes {
    let mut buf = Vec::with_capacity(HEAD_PREFIX + key.len());
    buf.extend_from_slice(&head_prefix(slot_of(key).number(), db));
    buf.extend_from_slice(key);
    Bytes::from(buf)
}

fn head_prefix(slot: u16, db: u8) -> [u8; HEAD_PREFIX] {
    let [high, low] = slot.to_be_bytes();
    [high, low, db, KIND_HEAD]
}

/// All head records of `db` in `slot`.
pub fn heads_of_slot(slot: Slot, db: u8) -> Range<HEAD_PREFIX> {
    let from = head_prefix(slot.number(), db);
    let mut to = from;
    to[3] += 1;
    Range { from, to }
}

/// Everything stored for `db` in `slot`.
pub fn database_in_slot(slot: Slot, db: u8) -> Range<4> {
    let [high, low] = slot.number().to_be_bytes();
    Range { from: [high, low, db, 0x00], to: [high, low, db, 0xFF] }
}

/// Everything stored for the slots `first..end`, all databases.
pub fn slots(first: u16, end: u16) -> Range<2> {
    Range { from: first.to_be_bytes(), to: end.to_be_bytes() }
}

/// Everything stored for all slots, all databases.
pub fn all_slots() -> Range<2> {
    slots(0, SLOT_COUNT)
}

/// A decoded head key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadKey<'a> {
    pub slot: Slot,
    pub db: u8,
    pub key: &'a [u8],
}

/// Decodes a stored key; `None` unless it is that of a head record.
pub fn parse_head(stored: &[u8]) -> Option<HeadKey<'_>> {
    let (prefix, key) = stored.split_at_checked(HEAD_PREFIX)?;
    let slot = Slot::new(u16::from_be_bytes([prefix[0], prefix[1]]))?;
    (prefix[3] == KIND_HEAD).then_some(HeadKey { slot, db: prefix[2], key })
}

/// Whether a range that begins at `from` holds head records of more than one key: it is that of a
/// flush, not of a collection's parts.
pub fn spans_heads(from: &[u8]) -> bool {
    from.first().is_some_and(|&first| first != EXPIRY_MARK[0])
        && from.get(HEAD_PREFIX - 1).is_none_or(|&kind| kind <= KIND_HEAD)
}

/// The user key inside the stored key of a head record.
pub fn user_key(head: &Bytes) -> Bytes {
    head.slice(HEAD_PREFIX..)
}

/// Slot and database of a stored head.
pub fn place(head: &[u8]) -> &[u8] {
    &head[..HEAD_PREFIX - 1]
}

/// The stored key of a head record or a part, as it is in another database.
pub fn in_database(stored: &[u8], db: u8) -> Bytes {
    let mut moved = stored.to_vec();
    if let Some(at) = moved.get_mut(2) {
        *at = db;
    }
    Bytes::from(moved)
}

/// Everything that collection `id`, in the slot and database of `head`, has outside its head record.
pub fn parts(head: &[u8], id: u64) -> Range<PART_PREFIX> {
    let mut from = [0; PART_PREFIX];
    from[..HEAD_PREFIX].copy_from_slice(&head[..HEAD_PREFIX]);
    from[HEAD_PREFIX - 1] = KIND_PART;
    from[HEAD_PREFIX..].copy_from_slice(&id.to_be_bytes());
    let mut to = from;
    match id.checked_add(1) {
        Some(next) => to[HEAD_PREFIX..].copy_from_slice(&next.to_be_bytes()),
        None => {
            to[HEAD_PREFIX - 1] += 1;
            to[HEAD_PREFIX..].fill(0);
        }
    }
    Range { from, to }
}

/// A decoded key of a part of a large collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartKey<'a> {
    pub slot: Slot,
    pub db: u8,
    pub id: u64,
    /// What names the part within its collection.
    pub part: &'a [u8],
}

/// Decodes a stored key; `None` unless it is that of a part of a large collection.
pub fn parse_part(stored: &[u8]) -> Option<PartKey<'_>> {
    let (prefix, part) = stored.split_first_chunk::<PART_PREFIX>()?;
    let slot = Slot::new(u16::from_be_bytes([prefix[0], prefix[1]]))?;
    let id = u64::from_be_bytes(*prefix.last_chunk()?);
    (prefix[3] == KIND_PART).then_some(PartKey { slot, db: prefix[2], id, part })
}

/// Key of the expiry index entry for the head record stored under `head`: see [`crate::Record::due`].
pub fn expiry(when_ms: u64, head: &[u8]) -> Bytes {
    let mut buf = Vec::with_capacity(EXPIRY_PREFIX + head.len() - HEAD_PREFIX);
    buf.extend_from_slice(&EXPIRY_MARK);
    buf.extend_from_slice(&when_ms.to_be_bytes());
    buf.extend_from_slice(&head[..3]);
    buf.extend_from_slice(&head[HEAD_PREFIX..]);
    Bytes::from(buf)
}

/// The part of the expiry index that is due at `now_ms`.
pub fn expiry_due(now_ms: u64) -> Range<10> {
    let bound = |ms: u64| {
        let mut key = [0; 10];
        key[..2].copy_from_slice(&EXPIRY_MARK);
        key[2..].copy_from_slice(&ms.to_be_bytes());
        key
    };
    Range { from: bound(0), to: bound(now_ms.saturating_add(1)) }
}

/// The whole expiry index.
pub fn expiry_all() -> Range<2> {
    Range { from: EXPIRY_MARK, to: [0xFF, 0x04] }
}

/// A decoded entry of the expiry index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryKey {
    pub when_ms: u64,
    pub db: u8,
    /// Key of the head record that it points to.
    pub head: Bytes,
}

/// Decodes a stored key; `None` unless it is that of an expiry index entry.
pub fn parse_expiry(stored: &[u8]) -> Option<ExpiryKey> {
    let (prefix, key) = stored.split_at_checked(EXPIRY_PREFIX)?;
    let when = prefix[2..10].try_into().ok().filter(|_| prefix[..2] == EXPIRY_MARK)?;
    let mut head = Vec::with_capacity(HEAD_PREFIX + key.len());
    head.extend_from_slice(&prefix[10..13]);
    head.push(KIND_HEAD);
    head.extend_from_slice(key);
    Some(ExpiryKey { when_ms: u64::from_be_bytes(when), db: prefix[12], head: Bytes::from(head) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_survive_the_round_trip(db in any::<u8>(), key in any::<Vec<u8>>()) {
            let stored = head(db, &key);
            prop_assert_eq!(&stored[..], &head_buf(db, &key)[..]);
            prop_assert_eq!(parse_head(&stored), Some(HeadKey { slot: slot_of(&key), db, key: &key }));
            let range = heads_of_slot(slot_of(&key), db);
            prop_assert!((&range.from[..]..&range.to[..]).contains(&&stored[..]));
            let all = all_slots();
            prop_assert!((&all.from[..]..&all.to[..]).contains(&&stored[..]));
        }

        #[test]
        fn expiry_entries_survive_the_round_trip(when_ms in any::<u64>(), db in any::<u8>(), key in any::<Vec<u8>>()) {
            let head = head(db, &key);
            let stored = expiry(when_ms, &head);
            prop_assert_eq!(parse_expiry(&stored), Some(ExpiryKey { when_ms, db, head }));
            let all = expiry_all();
            prop_assert!((&all.from[..]..&all.to[..]).contains(&&stored[..]));
        }

        #[test]
        fn parts_lie_in_the_range_of_their_collection(
            db in any::<u8>(), key in any::<Vec<u8>>(), id in prop_oneof![any::<u64>(), Just(u64::MAX)], part in any::<Vec<u8>>(),
        ) {
            let range = parts(&head(db, &key), id);
            let stored = [&range.from[..], &part].concat();
            prop_assert_eq!(parse_part(&stored), Some(PartKey { slot: slot_of(&key), db, id, part: &part }));
            prop_assert!((&range.from[..]..&range.to[..]).contains(&&stored[..]));
            let database = database_in_slot(slot_of(&key), db);
            prop_assert!((&database.from[..]..&database.to[..]).contains(&&stored[..]));
            prop_assert_eq!(parse_head(&stored), None);
        }

        #[test]
        fn foreign_keys_never_panic(stored in any::<Vec<u8>>()) {
            let _ = (parse_head(&stored), parse_expiry(&stored), parse_part(&stored));
        }
    }
}
