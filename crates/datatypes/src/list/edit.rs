//! Changing a list.

use bytes::Bytes;

use super::{End, List, ListLimit, VisitItem};
use crate::collection::Large;
use crate::keyspace::{Entry, Keyspace};
use crate::kv::StoreError;
use crate::record::{Record, Type};

/// A list that is being changed. Nothing is changed for good before [`Self::save`].
#[must_use = "what was changed must be saved"]
pub struct ListEdit<'a, 'kv> {
    keyspace: &'a mut Keyspace<'kv>,
    entry: Entry,
    expiry_ms: Option<u64>,
    limit: ListLimit,
    list: List,
    changed: bool,
    /// Something was removed or replaced.
    reduced: bool,
    /// The id under which it became large here.
    grown: Option<u64>,
}

impl<'a, 'kv> ListEdit<'a, 'kv> {
    pub(crate) fn open(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        limit: ListLimit,
    ) -> Result<Self, StoreError> {
        let list = match entry.live() {
            None => List::default(),
            Some(record) => List::decode(record, entry.head())?,
        };
        let expiry_ms = entry.live().and_then(|record| record.expiry_ms);
        Ok(Self { keyspace, entry, expiry_ms, limit, list, changed: false, reduced: false, grown: None })
    }

    pub(crate) fn create(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        limit: ListLimit,
        expiry_ms: Option<u64>,
    ) -> Self {
        let list = List::default();
        Self { keyspace, entry, expiry_ms, limit, list, changed: false, reduced: false, grown: None }
    }

    pub fn len(&self) -> u64 {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// See [`List::each`].
    pub fn each(&mut self, from: u64, direction: End, visit: &mut VisitItem<'_>) -> Result<(), StoreError> {
        self.list.each(self.keyspace.as_kv(), from, direction, visit)
    }

    /// Adds elements at an end, one after the other.
    pub fn push(&mut self, end: End, elements: &[&[u8]]) -> Result<(), StoreError> {
        self.expect(elements)?;
        for element in elements {
            self.list.push(self.keyspace.kv, end, element)?;
            // Very many of very few bytes take more than was expected.
            if self.list.id().is_none() && self.limit.is_far_below(self.list.bytes()) {
                self.grow()?;
            }
        }
        self.changed |= !elements.is_empty();
        Ok(())
    }

    /// Fills a new list.
    pub fn fill(&mut self, elements: &[Bytes]) -> Result<(), StoreError> {
        self.changed |= !elements.is_empty();
        let mut filled = elements.iter();
        for element in filled.by_ref() {
            self.list.push(self.keyspace.kv, End::Back, element)?;
            if !self.limit.holds(self.list.bytes(), self.list.len()) {
                break;
            }
        }
        if !self.limit.holds(self.list.bytes(), self.list.len()) {
            self.grow()?;
        }
        for element in filled {
            self.list.push(self.keyspace.kv, End::Back, element)?;
        }
        Ok(())
    }

    /// Takes the element at an end.
    pub fn pop(&mut self, end: End) -> Result<Option<Bytes>, StoreError> {
        Ok(self.pop_many(end, 1)?.pop())
    }

    /// Takes up to `count` elements from an end, the outermost first.
    pub fn pop_many(&mut self, end: End, count: u64) -> Result<Vec<Bytes>, StoreError> {
        let from = if end == End::Front { 0 } else { self.len().saturating_sub(1) };
        let taken = self.list.range(self.keyspace.as_kv(), from, end, count)?;
        self.drop(end, taken.len() as u64)?;
        Ok(taken)
    }

    /// Removes up to `count` elements from an end.
    pub fn drop(&mut self, end: End, count: u64) -> Result<(), StoreError> {
        self.changed |= count > 0;
        self.reduced |= count > 0;
        if count >= self.len() {
            // What is stored goes as a whole.
            self.list = List::default();
            return Ok(());
        }
        self.list.drop(self.keyspace.kv, end, count)
    }

    /// Replaces the element at `index`; whether there is one.
    pub fn set(&mut self, index: u64, element: &[u8]) -> Result<bool, StoreError> {
        if index >= self.len() {
            return Ok(false);
        }
        self.expect(&[element])?;
        self.list.set(self.keyspace.kv, index, element)?;
        self.changed = true;
        self.reduced = true;
        Ok(true)
    }

    /// Inserts an element before the one at `index`, behind the last one if there are not as many.
    pub fn insert(&mut self, index: u64, element: &[u8]) -> Result<(), StoreError> {
        self.expect(&[element])?;
        self.list.insert(self.keyspace.kv, index, element)?;
        self.changed = true;
        Ok(())
    }

    /// Removes the elements at `indices`, which ascend.
    pub fn remove(&mut self, indices: &[u64]) -> Result<(), StoreError> {
        self.list.remove(self.keyspace.kv, indices)?;
        self.changed |= !indices.is_empty();
        self.reduced |= !indices.is_empty();
        Ok(())
    }

    /// Counts as a change, for those who watch, though the elements stay as they are.
    pub fn touch(&mut self) {
        self.changed |= !self.is_empty();
    }

    /// Writes the head record if something changed; a list without elements is no key.
    pub fn save(mut self) -> Result<(), StoreError> {
        if !self.changed {
            return Ok(());
        }
        if self.reduced && self.list.id().is_some() && self.limit.half_holds(self.list.bytes(), self.len()) {
            self.list.shrink(self.keyspace.as_kv())?;
        }
        if let Some(id) = self.grown.filter(|_| self.list.id().is_none()) {
            Large::drop_id(self.keyspace.kv, self.entry.head(), id);
        }
        if self.is_empty() {
            self.keyspace.remove(self.entry);
            return Ok(());
        }
        self.list.save(self.keyspace.kv);
        let large = self.list.id().is_some();
        let string = Record::string(self.list.payload());
        let record = Record { kind: Type::List, expiry_ms: self.expiry_ms, large, ..string };
        self.keyspace.put(self.entry, &record);
        Ok(())
    }

    /// Makes the list large if the limit does not hold `elements` besides what is there. Counted as
    /// Redis does: what it would take to hold them is not known before, so their bytes alone.
    fn expect(&mut self, elements: &[&[u8]]) -> Result<(), StoreError> {
        let bytes: u64 = elements.iter().map(|element| element.len() as u64).sum();
        let holds = self.limit.holds(self.list.bytes() + bytes, self.len() + elements.len() as u64);
        if holds { Ok(()) } else { self.grow() }
    }

    fn grow(&mut self) -> Result<(), StoreError> {
        if self.list.id().is_some() {
            return Ok(());
        }
        let id = self.keyspace.fresh_id(self.entry.head())?;
        self.changed = true;
        self.grown = Some(id);
        self.list.grow(self.keyspace.kv, self.entry.head(), id)
    }
}
