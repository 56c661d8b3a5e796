//! Keys as commands see them: a lookup hides what has expired, a write keeps everything else that is
//! stored about a key in step with its head record.
//!
//! Invariants of a store written only through [`Keyspace`], [`crate::active_expire`] and
//! [`crate::slots`]:
//! - the key count of a database equals the number of its head records, that of those that expire
//!   the number of its records with an expiry;
//! - each head record that expires, or of whose fields one does, has exactly one index entry, under
//!   the moment at which it is [`Record::due`];
//! - each index entry points to such a record;
//! - each part belongs to the one head record in its slot and database that names its collection,
//!   and that record tells how many there are.

use bytes::Bytes;

use crate::collection::sorted::SortedEdit;
use crate::collection::{Edit, Large, SmallLimits, drop_parts, is_spent};
use crate::event::{self, Event};
use crate::key;
use crate::kv::{EXPIRING, Kv, KvMut, StoreError};
use crate::list::{ListEdit, ListLimit};
use crate::random::Random;
use crate::record::{self, Record, Type};
use crate::stream::StreamEdit;

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

    /// The record of `key`, unless it is missing or has expired, which is announced. That uses the key.
    pub fn lookup(&mut self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let head = key::head_buf(self.db, key);
        self.kv.touch(&head, self.now_ms);
        let found = self.find(&head)?;
        Ok(self.announced(key, found))
    }

    /// Likewise for what is not its value: the key is not used.
    pub fn glance(&mut self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let found = self.peek(key)?;
        Ok(self.announced(key, found))
    }

    /// Likewise, and announces nothing.
    pub fn peek(&mut self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.find(&key::head_buf(self.db, key))
    }

    fn announced(&mut self, key: &[u8], found: Option<Record>) -> Option<Record> {
        self.kv.looked_up(found.is_some());
        if found.is_none() {
            self.kv.announce(self.db, key, event::KEYMISS);
        }
        found
    }

    fn find(&mut self, head: &[u8]) -> Result<Option<Record>, StoreError> {
        let Some(stored) = self.kv.get(head)? else { return Ok(None) };
        let record = Record::decode(stored)?;
        let gone = !record.is_live(self.now_ms) || is_spent(self.kv, &record, head, self.now_ms)?;
        Ok((!gone).then_some(record))
    }
}

/// One database at one moment, to read and write.
pub struct Keyspace<'a> {
    pub(crate) kv: &'a mut dyn KvMut,
    db: u8,
    pub(crate) now_ms: u64,
    random: Random,
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

    /// Key of the head record.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether the record that is stored is of the large collection `id`.
    pub(crate) fn is_of(&self, id: u64) -> bool {
        self.stored_id() == Some(id)
    }

    fn stored_id(&self) -> Option<u64> {
        self.stored.as_ref().and_then(Record::collection_id)
    }

    fn stored_due(&self) -> Option<u64> {
        self.stored.as_ref().and_then(Record::due)
    }
}

impl<'a> Keyspace<'a> {
    /// Ids of collections are drawn from `seed`.
    pub fn new(kv: &'a mut dyn KvMut, db: u8, now_ms: u64, seed: u64) -> Self {
        Self { kv, db, now_ms, random: Random::new(seed) }
    }

    /// Looks `key` up to write it: one read.
    pub fn entry(&mut self, key: &[u8]) -> Result<Entry, StoreError> {
        self.entry_in(self.db, key)
    }

    /// Looks `key` up to answer what it holds and to write it: that it is missing is announced.
    pub fn read_entry(&mut self, key: &[u8]) -> Result<Entry, StoreError> {
        let entry = self.entry(key)?;
        self.kv.looked_up(entry.live().is_some());
        if entry.live().is_none() {
            self.announce(key, event::KEYMISS);
        }
        Ok(entry)
    }

    /// Like [`Self::entry`], in another database.
    pub fn entry_in(&mut self, db: u8, key: &[u8]) -> Result<Entry, StoreError> {
        let head = key::head(db, key);
        self.kv.touch(&head, self.now_ms);
        let stored = self.kv.get(&head)?.map(Record::decode).transpose()?;
        let live = match &stored {
            Some(record) if record.is_live(self.now_ms) => {
                !is_spent(self.kv.as_kv(), record, &head, self.now_ms)?
            }
            _ => false,
        };
        Ok(Entry { head, db, stored, live })
    }

    /// Something happened to `key`.
    pub fn announce(&mut self, key: &[u8], event: Event) {
        self.announce_in(self.db, key, event);
    }

    /// Something happened to `key` of another database.
    pub fn announce_in(&mut self, db: u8, key: &[u8], event: Event) {
        self.kv.announce(db, key, event);
    }

    /// Something was taken out of the collection under `key`: the key is gone with its last element.
    pub fn announce_taken(&mut self, key: &[u8], event: Event) -> Result<(), StoreError> {
        if self.kv.announces() {
            self.announce(key, event);
            if self.kv.get(&key::head_buf(self.db, key))?.is_none() {
                self.announce(key, event::DEL);
            }
        }
        Ok(())
    }

    /// The same view, to read from.
    pub fn as_kv(&mut self) -> &mut dyn Kv {
        self.kv.as_kv()
    }

    /// Replaces whatever is under the entry's key. A record that is already due removes the key.
    pub fn put(&mut self, entry: Entry, record: &Record) {
        let expiry = Expiry { key_ms: record.expiry_ms, due_ms: record.due() };
        self.put_encoded(entry, record.encode(), expiry, record.collection_id());
    }

    /// [`Self::put`] of a string that is still borrowed.
    pub fn put_string(&mut self, entry: Entry, value: &[u8], expiry_ms: Option<u64>) {
        self.put_encoded(entry, record::encode_string(value, expiry_ms), expiry_ms.into(), None);
    }

    /// [`Self::put`] of a string of `len` bytes that was edited in place: `fill` writes over zeros.
    /// Nothing is copied, so that a large string is written once.
    pub fn put_edited(
        &mut self,
        entry: Entry,
        expiry_ms: Option<u64>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        self.put_encoded(entry, record::encode_edited(expiry_ms, len, fill), expiry_ms.into(), None);
    }

    /// Changes the expiry of a live key; one that is already due removes the key.
    pub fn set_expiry(&mut self, mut entry: Entry, expiry_ms: Option<u64>) {
        let Some(mut record) = entry.stored.take_if(|_| entry.live) else { return };
        let old_expiry = std::mem::replace(&mut record.expiry_ms, expiry_ms);
        let (encoded, expiry) = (record.encode(), Expiry { key_ms: expiry_ms, due_ms: record.due() });
        record.expiry_ms = old_expiry;
        let id = record.collection_id();
        entry.stored = Some(record);
        self.put_encoded(entry, encoded, expiry, id);
    }

    /// Opens the collection under the entry's key, a new one of type `kind` if there is none. What is
    /// there must be of that type.
    pub fn edit(
        &mut self,
        entry: Entry,
        kind: Type,
        limits: SmallLimits,
    ) -> Result<Edit<'_, 'a>, StoreError> {
        Edit::open(self, entry, kind, limits)
    }

    /// A new collection that replaces whatever is under the entry's key when it is saved.
    pub fn create(
        &mut self,
        entry: Entry,
        kind: Type,
        limits: SmallLimits,
        expiry_ms: Option<u64>,
    ) -> Edit<'_, 'a> {
        Edit::create(self, entry, kind, limits, expiry_ms)
    }

    /// [`Self::edit`] of a sorted set.
    pub fn edit_sorted(
        &mut self,
        entry: Entry,
        limits: SmallLimits,
    ) -> Result<SortedEdit<'_, 'a>, StoreError> {
        SortedEdit::open(self, entry, limits)
    }

    /// [`Self::create`] of a sorted set.
    pub fn create_sorted(
        &mut self,
        entry: Entry,
        limits: SmallLimits,
        expiry_ms: Option<u64>,
    ) -> SortedEdit<'_, 'a> {
        SortedEdit::create(self, entry, limits, expiry_ms)
    }

    /// Opens the list under the entry's key, a new one if there is none. What is there must be one.
    pub fn edit_list(&mut self, entry: Entry, limit: ListLimit) -> Result<ListEdit<'_, 'a>, StoreError> {
        ListEdit::open(self, entry, limit)
    }

    /// A new list that replaces whatever is under the entry's key when it is saved.
    pub fn create_list(
        &mut self,
        entry: Entry,
        limit: ListLimit,
        expiry_ms: Option<u64>,
    ) -> ListEdit<'_, 'a> {
        ListEdit::create(self, entry, limit, expiry_ms)
    }

    /// Opens the stream under the entry's key; `None` if the key is missing. What is there must be one.
    pub fn stream(&mut self, entry: Entry) -> Result<Option<StreamEdit<'_, 'a>>, StoreError> {
        StreamEdit::open(self, entry)
    }

    /// A new stream that replaces whatever is under the entry's key when it is saved.
    pub fn create_stream(
        &mut self,
        entry: Entry,
        expiry_ms: Option<u64>,
    ) -> Result<StreamEdit<'_, 'a>, StoreError> {
        StreamEdit::create(self, entry, expiry_ms)
    }

    /// Moves the live key of `source`, its expiry included, to the key of `target`, whatever is there.
    ///
    /// Within a slot and database this is two writes, however large the value is.
    pub fn rename(&mut self, source: Entry, target: Entry) -> Result<(), StoreError> {
        let Some(record) = source.live().cloned() else { return Ok(()) };
        if !same_place(&source, &target) {
            self.copy(&source, target)?;
            self.remove(source);
            return Ok(());
        }
        self.remove_head(source);
        self.announce_replaced(&target);
        self.put(target, &record);
        Ok(())
    }

    /// Copies the live value of `source`, its expiry included, to the key of `target`, whatever is there.
    pub fn copy(&mut self, source: &Entry, target: Entry) -> Result<(), StoreError> {
        let Some(record) = source.live() else { return Ok(()) };
        let copy = match Large::of(record, &source.head)? {
            None => record.clone(),
            Some(large) => {
                let id = self.fresh_id(&target.head)?;
                let copy = large.copy_parts(self.kv, &target.head, id)?;
                Record { payload: copy.payload(), ..record.clone() }
            }
        };
        self.announce_replaced(&target);
        self.put(target, &copy);
        Ok(())
    }

    /// Removes the key, if it is stored at all.
    pub fn remove(&mut self, entry: Entry) {
        self.drop_parts_unless(&entry, None);
        self.remove_head(entry);
    }

    /// Removes the head record alone: its parts are gone, or belong to another key from now on.
    pub(crate) fn remove_head(&mut self, entry: Entry) {
        if entry.stored.is_none() {
            return;
        }
        self.announce_expired(&entry);
        self.reindex(&entry, None);
        self.count_expiring(&entry, false);
        self.kv.add_key_count(entry.db, -1);
        self.kv.delete(entry.head);
    }

    /// A number that nobody can foresee.
    pub(crate) fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// An id that no collection in the slot and database of `head` has: nothing is stored under it.
    pub(crate) fn fresh_id(&mut self, head: &[u8]) -> Result<u64, StoreError> {
        loop {
            let id = self.random.next_u64();
            if Large::is_vacant(self.kv.as_kv(), head, id)? {
                return Ok(id);
            }
        }
    }

    fn put_encoded(&mut self, entry: Entry, encoded: Bytes, expiry: Expiry, id: Option<u64>) {
        if expiry.key_ms.is_some_and(|when| when <= self.now_ms) {
            if let Some(id) = id.filter(|_| entry.stored_id() != id) {
                Large::drop_id(self.kv, &entry.head, id);
            }
            return self.remove(entry);
        }
        self.drop_parts_unless(&entry, id);
        self.reindex(&entry, expiry.due_ms);
        self.count_expiring(&entry, expiry.key_ms.is_some());
        if entry.stored.is_none() {
            self.kv.add_key_count(entry.db, 1);
        }
        if !entry.live {
            self.announce_expired(&entry);
            self.announce_of(&entry, event::NEW);
        }
        self.kv.put(entry.head, encoded);
    }

    /// The key is deleted and made anew, as Redis sees it, rather than changed.
    pub fn announce_replaced(&mut self, entry: &Entry) {
        if entry.live {
            self.announce_of(entry, event::NEW);
        }
    }

    /// What is stored under the entry's key has expired, and is gone only now.
    fn announce_expired(&mut self, entry: &Entry) {
        if entry.stored.is_some() && !entry.live {
            self.announce_of(entry, event::EXPIRED);
        }
    }

    fn announce_of(&mut self, entry: &Entry, event: Event) {
        if let Some(at) = key::parse_head(&entry.head) {
            self.kv.announce(at.db, at.key, event);
        }
    }

    /// Drops the parts of what is stored, unless they are those of the collection that replaces it.
    fn drop_parts_unless(&mut self, entry: &Entry, kept: Option<u64>) {
        if let Some(record) = &entry.stored
            && record.collection_id() != kept
        {
            drop_parts(self.kv, &entry.head, record);
        }
    }

    fn count_expiring(&mut self, entry: &Entry, expires: bool) {
        let stored = entry.stored.as_ref().is_some_and(|record| record.expiry_ms.is_some());
        if stored != expires {
            self.kv.add_key_count(entry.db | EXPIRING, if expires { 1 } else { -1 });
        }
    }

    fn reindex(&mut self, entry: &Entry, due_ms: Option<u64>) {
        let stored = entry.stored_due();
        if stored == due_ms {
            return;
        }
        if let Some(when) = stored {
            self.kv.delete(key::expiry(when, &entry.head));
        }
        if let Some(when) = due_ms {
            self.kv.put(key::expiry(when, &entry.head), Bytes::new());
        }
    }
}

/// When a key goes, and when it, or a field of it, is due.
#[derive(Debug, Clone, Copy)]
struct Expiry {
    key_ms: Option<u64>,
    due_ms: Option<u64>,
}

impl From<Option<u64>> for Expiry {
    fn from(key_ms: Option<u64>) -> Self {
        Self { key_ms, due_ms: key_ms }
    }
}

/// Whether ids of collections mean the same for both keys.
fn same_place(a: &Entry, b: &Entry) -> bool {
    key::place(&a.head) == key::place(&b.head)
}
