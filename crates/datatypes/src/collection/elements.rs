//! Reading a collection, small or large.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::large::Large;
use super::small::{self, Small, Walk};
use crate::key;
use crate::kv::{Kv, StoreError};
use crate::record::Record;

/// Called for each element: name and value.
pub type VisitElement<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A field and its value, or a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    pub name: Bytes,
    pub value: Bytes,
}

/// A field of a hash, and when it expires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    pub name: Bytes,
    pub value: Bytes,
    pub expiry_ms: Option<u64>,
}

/// The elements under a key at one moment.
#[derive(Debug, Clone, Default)]
pub enum Elements {
    /// The key is missing.
    #[default]
    None,
    /// Payload of the head record.
    Small(Bytes),
    Large(Large),
}

/// Some elements of an iteration, and where it goes on.
#[derive(Debug, Default)]
pub struct Page {
    pub elements: Vec<Element>,
    /// `None`: these were the last ones.
    pub next: Option<u32>,
}

impl Elements {
    /// Those of `record`, stored under `key` in database `db`; what has expired included, until it is
    /// looked at as it is [`Self::at`] a moment.
    pub fn of(record: &Record, db: u8, key: &[u8]) -> Result<Self, StoreError> {
        if !record.large {
            return Ok(Self::Small(record.payload.clone()));
        }
        Ok(Large::of(record, &key::head_buf(db, key))?.map_or(Self::None, Self::Large))
    }

    /// As they are at a moment: fields that have expired are gone.
    pub fn at(self, kv: &mut dyn Kv, now_ms: u64) -> Result<Self, StoreError> {
        match self {
            Self::Small(payload) if small::due(&payload).is_some_and(|due| due <= now_ms) => {
                let mut small = Small::decode(&payload)?;
                small.purge(now_ms)?;
                Ok(if small.len() == 0 { Self::None } else { Self::Small(small.into_payload()) })
            }
            Self::Large(large) => {
                let large = large.at(kv, now_ms)?;
                Ok(if large.seen_len() == 0 { Self::None } else { Self::Large(large) })
            }
            other => Ok(other),
        }
    }

    pub fn len(&self) -> Result<u64, StoreError> {
        match self {
            Self::None => Ok(0),
            Self::Small(payload) => Walk::over(payload)?.count(),
            Self::Large(large) => Ok(large.seen_len()),
        }
    }

    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// The value of the element called `name`.
    pub fn get(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self {
            Self::None => Ok(None),
            Self::Small(payload) => {
                let found = Walk::over(payload)?.find(name)?;
                Ok(found.map(|found| payload.slice_ref(found.value)))
            }
            Self::Large(large) => large.get(kv, name),
        }
    }

    /// The value of the field called `name`, and when it expires.
    pub fn field(&self, kv: &mut dyn Kv, name: &[u8]) -> Result<Option<(Bytes, Option<u64>)>, StoreError> {
        match self {
            Self::None => Ok(None),
            Self::Small(payload) => {
                let found = Walk::over(payload)?.find(name)?;
                Ok(found.map(|found| (payload.slice_ref(found.value), found.expiry_ms)))
            }
            Self::Large(large) => large.field(kv, name),
        }
    }

    /// All fields, in the order of [`Self::each`].
    pub fn fields(&self, kv: &mut dyn Kv) -> Result<Vec<Field>, StoreError> {
        let mut fields = Vec::new();
        let mut add = |name: &[u8], value: &[u8], expiry_ms| {
            let Element { name, value } = element(name, value);
            fields.push(Field { name, value, expiry_ms });
        };
        match self {
            Self::None => {}
            Self::Small(payload) => {
                let mut walk = Walk::over(payload)?;
                while let Some(found) = walk.next()? {
                    add(found.name, found.value, found.expiry_ms);
                }
            }
            Self::Large(large) => large.scan_parts(kv, 0, &mut |part| {
                add(part.name, part.value, part.expiry_ms);
                ControlFlow::Continue(())
            })?,
        }
        Ok(fields)
    }

    /// Visits all elements: in order of insertion if small, in no particular order if large.
    pub fn each(&self, kv: &mut dyn Kv, visit: &mut VisitElement<'_>) -> Result<(), StoreError> {
        match self {
            Self::None => Ok(()),
            Self::Small(payload) => {
                let mut walk = Walk::over(payload)?;
                while let Some(found) = walk.next()? {
                    if visit(found.name, found.value).is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Self::Large(large) => large.scan(kv, 0, &mut |_, name, value| visit(name, value)),
        }
    }

    pub fn all(&self, kv: &mut dyn Kv) -> Result<Vec<Element>, StoreError> {
        let mut all = Vec::new();
        self.each(kv, &mut |name, value| {
            all.push(element(name, value));
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// At least `count` elements from a position on, fewer only at the end; all that are left if
    /// the collection is small. Who asks on from `next` until there is none gets each element that
    /// is there all the time, whatever happens to others.
    pub fn page(&self, kv: &mut dyn Kv, from: u64, count: usize) -> Result<Page, StoreError> {
        let Self::Large(large) = self else {
            return Ok(Page { elements: self.all(kv)?, next: None });
        };
        let mut page = Page::default();
        // Past every position, nothing is left.
        let Ok(from) = u32::try_from(from) else { return Ok(page) };
        let mut last = from;
        large.scan(kv, from, &mut |position, name, value| {
            if page.elements.len() >= count && position != last {
                page.next = Some(position);
                return ControlFlow::Break(());
            }
            last = position;
            page.elements.push(element(name, value));
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }
}

pub(super) fn element(name: &[u8], value: &[u8]) -> Element {
    Element { name: Bytes::copy_from_slice(name), value: Bytes::copy_from_slice(value) }
}
