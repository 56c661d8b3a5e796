//! Changing a collection, small or large.

use bytes::Bytes;

use super::large::Large;
use super::limits::SmallLimits;
use super::small::{Small, Walk};
use crate::keyspace::{Entry, Keyspace};
use crate::kv::StoreError;
use crate::number::parse_i64;
use crate::record::{Record, Type};

/// A collection that is being changed. Nothing is changed for good before [`Self::save`].
#[must_use = "what was changed must be saved"]
pub struct Edit<'a, 'kv> {
    keyspace: &'a mut Keyspace<'kv>,
    entry: Entry,
    kind: Type,
    expiry_ms: Option<u64>,
    limits: SmallLimits,
    body: Body,
    /// The head record is not what is stored.
    changed: bool,
}

enum Body {
    Small(Small),
    Large(Large),
}

impl<'a, 'kv> Edit<'a, 'kv> {
    pub(crate) fn open(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        kind: Type,
        limits: SmallLimits,
    ) -> Result<Self, StoreError> {
        let body = match entry.live() {
            None => Body::Small(empty(kind)),
            Some(record) => match Large::of(record, entry.head())? {
                Some(large) => Body::Large(large),
                None => Body::Small(Small::decode(&record.payload)?),
            },
        };
        let expiry_ms = entry.live().and_then(|record| record.expiry_ms);
        Ok(Self { keyspace, entry, kind, expiry_ms, limits, body, changed: false })
    }

    pub(crate) fn create(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        kind: Type,
        limits: SmallLimits,
        expiry_ms: Option<u64>,
    ) -> Self {
        let body = Body::Small(empty(kind));
        Self { keyspace, entry, kind, expiry_ms, limits, body, changed: false }
    }

    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Small(small) => small.len(),
            Body::Large(large) => large.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is a set of integers, kept as such.
    pub fn is_of_integers(&self) -> bool {
        matches!(&self.body, Body::Small(small) if small.is_of_integers())
    }

    pub fn get(&mut self, name: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match &self.body {
            Body::Small(small) => {
                Ok(small.walk().find(name)?.map(|found| Bytes::copy_from_slice(found.value)))
            }
            Body::Large(large) => large.get(self.keyspace.as_kv(), name),
        }
    }

    /// Sets an element; whether it is new. A small collection grows large when a limit is passed.
    pub fn put(&mut self, name: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        if self.limits.is_long(name.len()) || self.limits.is_long(value.len()) {
            self.grow()?;
        }
        let is_new = match &mut self.body {
            Body::Small(small) => {
                self.changed = true;
                small.put(name, value)?
            }
            Body::Large(large) => {
                let is_new = large.put(self.keyspace.kv, name, value)?;
                self.changed |= is_new;
                is_new
            }
        };
        if self.len() > self.limits.entries {
            self.grow()?;
        }
        Ok(is_new)
    }

    /// Adds a member to a set; whether it is new. A set of integers holds up to `integers_max` of them
    /// in order, and is like any other once another member comes.
    pub fn add(&mut self, member: &[u8], integers_max: u64) -> Result<bool, StoreError> {
        let Body::Small(small) = &mut self.body else { return self.put(member, b"") };
        if !small.is_of_integers() {
            return self.put(member, b"");
        }
        let Some(number) = parse_i64(member) else {
            small.forget_integers();
            return self.put(member, b"");
        };
        let is_new = small.put_integer(number, member)?;
        self.changed |= is_new;
        if self.len() > integers_max {
            self.grow()?;
        }
        Ok(is_new)
    }

    /// Holds the members of a set in order of insertion from now on, also if they are integers.
    pub fn forget_integers(&mut self) {
        if let Body::Small(small) = &mut self.body {
            small.forget_integers();
        }
    }

    /// Whether the element was there.
    pub fn remove(&mut self, name: &[u8]) -> Result<bool, StoreError> {
        let removed = match &mut self.body {
            Body::Small(small) => small.remove(name)?,
            Body::Large(large) => large.remove(self.keyspace.kv, name)?,
        };
        self.changed |= removed;
        Ok(removed)
    }

    /// Makes the collection large, if it is not: its elements become parts under a fresh id.
    pub fn grow(&mut self) -> Result<(), StoreError> {
        let Body::Small(small) = &self.body else { return Ok(()) };
        let id = self.keyspace.fresh_id(self.entry.head())?;
        let mut large = Large::new(self.entry.head(), id);
        let mut walk: Walk<'_> = small.walk();
        while let Some(found) = walk.next()? {
            large.put_new(self.keyspace.kv, found.name, found.value);
        }
        self.body = Body::Large(large);
        self.changed = true;
        Ok(())
    }

    /// Writes the head record if it changed; a collection without elements is no key.
    pub fn save(self) {
        if !self.changed {
            return;
        }
        if self.is_empty() {
            // Its parts were removed one by one; those of a predecessor may be left.
            return match &self.body {
                Body::Large(large) if self.entry.is_of(large.id()) => self.keyspace.remove_head(self.entry),
                _ => self.keyspace.remove(self.entry),
            };
        }
        let (large, payload) = match &self.body {
            Body::Small(small) => (false, Bytes::copy_from_slice(small.payload())),
            Body::Large(large) => (true, large.payload()),
        };
        let string = Record::string(payload);
        self.keyspace
            .put(self.entry, &Record { kind: self.kind, expiry_ms: self.expiry_ms, large, ..string });
    }
}

/// A set is one of integers until another member comes.
fn empty(kind: Type) -> Small {
    if kind == Type::Set { Small::of_integers() } else { Small::new() }
}
