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
    /// An element was written.
    touched: bool,
}

enum Body {
    Small(Small),
    Large(Large),
}

impl Body {
    /// As it is at a moment; whether fields that have expired went.
    fn at(self, now_ms: u64) -> Result<(Self, bool), StoreError> {
        match self {
            Self::Small(mut small) if small.due().is_some_and(|due| due <= now_ms) => {
                let removed = small.purge(now_ms)?;
                Ok((Self::Small(small), removed > 0))
            }
            Self::Large(large) => Ok((Self::Large(large.from_moment(now_ms)), false)),
            small => Ok((small, false)),
        }
    }
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
        let (body, changed) = body.at(keyspace.now_ms)?;
        let expiry_ms = entry.live().and_then(|record| record.expiry_ms);
        Ok(Self { keyspace, entry, kind, expiry_ms, limits, body, changed, touched: false })
    }

    pub(crate) fn create(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        kind: Type,
        limits: SmallLimits,
        expiry_ms: Option<u64>,
    ) -> Self {
        let body = Body::Small(empty(kind));
        Self { keyspace, entry, kind, expiry_ms, limits, body, changed: false, touched: false }
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
        Ok(self.field(name)?.map(|(value, _)| value))
    }

    /// The value of the field called `name`, and when it expires.
    pub fn field(&mut self, name: &[u8]) -> Result<Option<(Bytes, Option<u64>)>, StoreError> {
        match &self.body {
            Body::Small(small) => {
                let found = small.walk().find(name)?;
                Ok(found.map(|found| (Bytes::copy_from_slice(found.value), found.expiry_ms)))
            }
            Body::Large(large) => large.field(self.keyspace.as_kv(), name),
        }
    }

    /// Sets an element; whether it is new. A small collection grows large when a limit is passed. A
    /// field does not expire any more.
    pub fn put(&mut self, name: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        self.put_expiring(name, value, None)
    }

    /// [`Self::put`] of a field that may expire.
    pub fn put_expiring(
        &mut self,
        name: &[u8],
        value: &[u8],
        expiry_ms: Option<u64>,
    ) -> Result<bool, StoreError> {
        if self.limits.is_long(name.len()) || self.limits.is_long(value.len()) {
            self.grow()?;
        }
        let is_new = match &mut self.body {
            Body::Small(small) => {
                let is_new = small.put(name, value, expiry_ms)?;
                self.changed |= is_new || self.kind != Type::Set;
                is_new
            }
            Body::Large(large) => {
                let due = large.due;
                let is_new = large.put_expiring(self.keyspace.kv, name, value, expiry_ms)?;
                // A member that was there has no value to change.
                self.touched |= self.kind != Type::Set;
                self.changed |= is_new || large.due != due;
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
            Body::Large(large) => {
                let len = large.len();
                let removed = large.remove(self.keyspace.kv, name)?;
                self.changed |= large.len() != len;
                removed
            }
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
            large.put_new_expiring(self.keyspace.kv, found.name, found.value, found.expiry_ms);
        }
        self.body = Body::Large(large);
        self.changed = true;
        Ok(())
    }

    /// [`Self::save`] of a new collection that replaces what was there even if it has no elements.
    pub fn replace(mut self) {
        self.changed = true;
        self.save();
    }

    /// Writes the head record if it changed; a collection without elements is no key.
    pub fn save(self) {
        if !self.changed {
            if self.touched {
                self.keyspace.kv.modified(self.entry.head());
            }
            return;
        }
        let left = match self.body {
            Body::Small(small) if small.len() == 0 => Left::Nothing,
            Body::Large(large) if large.is_empty() => Left::NoneOf(large.id()),
            Body::Small(small) => Left::Small(small.into_payload()),
            Body::Large(large) => Left::Large(large.payload()),
        };
        save(self.keyspace, self.entry, self.kind, self.expiry_ms, left);
    }
}

/// What a change has left of a collection.
pub(super) enum Left {
    Nothing,
    /// No element of a large collection: its parts were removed one by one.
    NoneOf(u64),
    /// The payload of the head record.
    Small(Bytes),
    Large(Bytes),
}

/// Writes the head record of a collection; one without elements is no key.
pub(super) fn save(
    keyspace: &mut Keyspace<'_>,
    entry: Entry,
    kind: Type,
    expiry_ms: Option<u64>,
    left: Left,
) {
    let (large, payload) = match left {
        Left::NoneOf(id) if entry.is_of(id) => return keyspace.remove_head(entry),
        // Parts of a predecessor may be left.
        Left::Nothing | Left::NoneOf(_) => return keyspace.remove(entry),
        Left::Small(payload) => (false, payload),
        Left::Large(payload) => (true, payload),
    };
    keyspace.put(entry, &Record { kind, expiry_ms, large, ..Record::string(payload) });
}

/// A set is one of integers until another member comes.
fn empty(kind: Type) -> Small {
    if kind == Type::Set { Small::of_integers() } else { Small::new() }
}
