//! Changing a sorted set, small or large.

use super::read::index_of;
use super::{Place, Scored, mark, score, weigh};
use crate::collection::edit::{Left, save};
use crate::collection::large::Large;
use crate::collection::limits::SmallLimits;
use crate::collection::ranked::Ranked;
use crate::collection::small::Small;
use crate::keyspace::{Entry, Keyspace};
use crate::kv::StoreError;
use crate::record::Type;

/// From here on, a run of elements is removed from the index as a range.
const RUN_MIN: usize = 32;

/// A sorted set that is being changed. Nothing is changed for good before [`Self::save`].
#[must_use = "what was changed must be saved"]
pub struct SortedEdit<'a, 'kv> {
    keyspace: &'a mut Keyspace<'kv>,
    entry: Entry,
    expiry_ms: Option<u64>,
    limits: SmallLimits,
    body: Body,
    /// What is stored is another set, or none.
    replaces: bool,
    changed: bool,
    /// A score of a large set was written.
    touched: bool,
}

enum Body {
    Small(Small),
    Large(Large, Ranked),
}

impl<'a, 'kv> SortedEdit<'a, 'kv> {
    pub(crate) fn open(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        limits: SmallLimits,
    ) -> Result<Self, StoreError> {
        let body = match entry.live() {
            None => Body::Small(Small::new()),
            Some(record) => match Large::of(record, entry.head())? {
                Some(large) => {
                    let index = index_of(&large, entry.head())?;
                    Body::Large(large, index)
                }
                None => Body::Small(Small::decode(&record.payload)?),
            },
        };
        let expiry_ms = entry.live().and_then(|record| record.expiry_ms);
        let replaces = entry.live().is_none();
        Ok(Self { keyspace, entry, expiry_ms, limits, body, replaces, changed: false, touched: false })
    }

    pub(crate) fn create(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        limits: SmallLimits,
        expiry_ms: Option<u64>,
    ) -> Self {
        let body = Body::Small(Small::new());
        Self { keyspace, entry, expiry_ms, limits, body, replaces: true, changed: false, touched: false }
    }

    pub fn len(&self) -> u64 {
        match &self.body {
            Body::Small(small) => small.len(),
            Body::Large(large, _) => large.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn score(&mut self, member: &[u8]) -> Result<Option<f64>, StoreError> {
        let value = match &self.body {
            Body::Small(small) => {
                small.walk().find(member)?.map(|found| score::decode(found.value)).transpose()
            }
            Body::Large(large, _) => {
                large.get(self.keyspace.as_kv(), member)?.map(|value| score::decode(&value)).transpose()
            }
        }?;
        Ok(value)
    }

    /// Adds a member; whether it is new. One that is there gets the score.
    pub fn put(&mut self, member: &[u8], score: f64) -> Result<bool, StoreError> {
        let old = self.score(member)?;
        self.replace(member, old, score)?;
        Ok(old.is_none())
    }

    /// Like [`Self::put`], for a member whose score is known; `None`: it is new.
    pub fn replace(&mut self, member: &[u8], old: Option<f64>, score: f64) -> Result<(), StoreError> {
        if old.is_none() && (self.limits.is_long(member.len()) || self.len() >= self.limits.entries) {
            self.grow()?;
        }
        match &mut self.body {
            Body::Small(small) => {
                if old.is_some() {
                    small.remove(member)?;
                }
                insert(small, member, score)?;
                self.changed = true;
            }
            Body::Large(large, index) => {
                self.touched = true;
                let kv = &mut *self.keyspace.kv;
                let new = Place::before(score, member);
                match old {
                    None => {
                        large.put_new(kv, member, &score::encode(score));
                        index.put_new(kv, new.key(), mark(score))?;
                    }
                    Some(old) => {
                        large.replace(kv, member, &score::encode(score));
                        let old = Place::before(old, member);
                        if old == new {
                            index.put(kv, new.key(), mark(score))?;
                        } else {
                            index.rekey(kv, old.key(), new.key(), mark(score))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the member was there.
    pub fn remove(&mut self, member: &[u8]) -> Result<bool, StoreError> {
        let removed = match &mut self.body {
            Body::Small(small) => small.remove(member)?,
            Body::Large(..) => match self.score(member)? {
                None => false,
                Some(score) => {
                    self.remove_parts(member, score)?;
                    true
                }
            },
        };
        self.changed |= removed;
        Ok(removed)
    }

    /// Removes elements that are there and follow one another.
    pub fn remove_run(&mut self, run: &[Scored]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        if run.len() as u64 >= self.len() {
            self.clear();
            return Ok(());
        }
        match &mut self.body {
            Body::Large(large, index) if run.len() >= RUN_MIN => {
                let kv = &mut *self.keyspace.kv;
                run.iter().for_each(|element| large.remove_known(kv, &element.member));
                let from = Place::before(first.score, &first.member);
                let to = Place::behind(last.score, &last.member);
                index.remove_range(kv, from.key(), to.key())
            }
            _ => {
                for element in run {
                    self.remove(&element.member)?;
                }
                Ok(())
            }
        }
    }

    /// Makes the set large, if it is not: its elements become parts under a fresh id.
    pub fn grow(&mut self) -> Result<(), StoreError> {
        let Body::Small(small) = &self.body else { return Ok(()) };
        let id = self.keyspace.fresh_id(self.entry.head())?;
        let seed = self.keyspace.random();
        let mut large = Large::new(self.entry.head(), id);
        let mut index = Ranked::new(self.entry.head(), id, seed, weigh);
        let mut walk = small.walk();
        while let Some(found) = walk.next()? {
            large.put_new(self.keyspace.kv, found.name, found.value);
            let score = score::decode(found.value)?;
            index.put_new(self.keyspace.kv, Place::before(score, found.name).key(), mark(score))?;
        }
        self.body = Body::Large(large, index);
        self.replaces = true;
        Ok(())
    }

    /// Writes the head record if it changed; a set without members is no key.
    pub fn save(self) {
        let left = match self.body {
            Body::Small(_) if !self.changed => return,
            Body::Small(small) if small.len() == 0 => Left::Nothing,
            Body::Small(small) => Left::Small(small.into_payload()),
            Body::Large(large, _) if large.is_empty() => Left::NoneOf(large.id()),
            Body::Large(large, index) => {
                let payload = large.with_rest(index.state()).payload();
                let stored = self.entry.live().filter(|_| !self.replaces);
                if stored.is_some_and(|record| record.payload == payload) {
                    if self.touched {
                        self.keyspace.kv.modified(self.entry.head());
                    }
                    return;
                }
                Left::Large(payload)
            }
        };
        save(self.keyspace, self.entry, Type::SortedSet, self.expiry_ms, left);
    }

    fn remove_parts(&mut self, member: &[u8], score: f64) -> Result<(), StoreError> {
        if let Body::Large(large, index) = &mut self.body {
            large.remove_known(self.keyspace.kv, member);
            index.remove(self.keyspace.kv, Place::before(score, member).key())?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        if let Body::Large(large, _) = &self.body
            && !self.entry.is_of(large.id())
        {
            Large::drop_id(self.keyspace.kv, self.entry.head(), large.id());
        }
        self.body = Body::Small(Small::new());
        self.changed = true;
    }
}

/// Puts a new element in its place. As in Redis, a small set does not tell -0 from 0.
fn insert(small: &mut Small, member: &[u8], score: f64) -> Result<(), StoreError> {
    let score = if score == 0.0 { 0.0 } else { score };
    let place = Place::before(score, member);
    small.insert(member, &score::encode(score), |other| {
        Ok(place.is_behind(score::decode(other.value)?, other.name))
    })
}
