//! Reading a sorted set, small or large.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use super::score::{self, BYTES};
use super::{Place, Scored, weigh};
use crate::collection::Elements;
use crate::collection::large::Large;
use crate::collection::ranked::Ranked;
use crate::collection::small::Walk;
use crate::key;
use crate::kv::{Kv, StoreError};
use crate::record::{Record, corrupt};

/// Called for each element: member and score.
pub type VisitScored<'a> = dyn FnMut(&[u8], f64) -> ControlFlow<()> + 'a;

/// Likewise, for all that are meant.
pub type VisitAll<'a> = dyn FnMut(&[u8], f64) + 'a;

/// The sorted set under a key at one moment.
#[derive(Debug, Clone, Default)]
pub struct SortedSet {
    elements: Elements,
    /// Of a large one.
    index: Option<Ranked>,
}

impl SortedSet {
    /// That of `record`, stored under `key` in database `db`.
    pub fn of(record: &Record, db: u8, key: &[u8]) -> Result<Self, StoreError> {
        let elements = Elements::of(record, db, key)?;
        let index = match &elements {
            Elements::Large(large) => Some(index_of(large, &key::head_buf(db, key))?),
            _ => None,
        };
        Ok(Self { elements, index })
    }

    /// The members by name; their values are [scores](super::decode_score).
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Whether the key is missing.
    pub fn is_missing(&self) -> bool {
        matches!(self.elements, Elements::None)
    }

    pub fn len(&self) -> Result<u64, StoreError> {
        self.elements.len()
    }

    pub fn is_empty(&self) -> Result<bool, StoreError> {
        self.elements.is_empty()
    }

    pub fn score(&self, kv: &mut dyn Kv, member: &[u8]) -> Result<Option<f64>, StoreError> {
        self.elements.get(kv, member)?.map(|value| score::decode(&value)).transpose()
    }

    /// How many elements lie before a place.
    pub fn rank(&self, kv: &mut dyn Kv, place: &Place) -> Result<u64, StoreError> {
        if let Some(index) = &self.index {
            return index.rank(kv, place.key());
        }
        let mut rank = 0;
        self.scan(kv, &Place::start(), &mut |member, score| {
            if !place.is_behind(score, member) {
                return ControlFlow::Break(());
            }
            rank += 1;
            ControlFlow::Continue(())
        })?;
        Ok(rank)
    }

    /// Visits the elements behind a place, in order.
    pub fn scan(&self, kv: &mut dyn Kv, from: &Place, visit: &mut VisitScored<'_>) -> Result<(), StoreError> {
        match (&self.index, &self.elements) {
            (Some(index), _) => scan_index(index, kv, from, visit),
            (None, Elements::Small(payload)) => scan_small(payload, from, visit),
            (None, _) => Ok(()),
        }
    }

    /// The elements between two places.
    pub fn between(&self, kv: &mut dyn Kv, places: &Range<Place>) -> Result<Vec<Scored>, StoreError> {
        collect(|visit| self.visit_between(kv, places, 0, u64::MAX, visit))
    }

    /// The elements at some ranks; those past the end are not there.
    pub fn slice(&self, kv: &mut dyn Kv, ranks: Range<u64>) -> Result<Vec<Scored>, StoreError> {
        collect(|visit| self.visit_slice(kv, ranks, visit))
    }

    /// Visits the elements between two places: the first `skip` left out, then `take` at most.
    pub fn visit_between(
        &self,
        kv: &mut dyn Kv,
        places: &Range<Place>,
        skip: u64,
        take: u64,
        visit: &mut VisitAll<'_>,
    ) -> Result<(), StoreError> {
        let (mut skip, mut left) = (skip, take);
        if take == 0 {
            return Ok(());
        }
        self.scan(kv, &places.start, &mut |member, score| {
            if !places.end.is_behind(score, member) {
                return ControlFlow::Break(());
            }
            if skip > 0 {
                skip -= 1;
                return ControlFlow::Continue(());
            }
            visit(member, score);
            left -= 1;
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    /// Visits the elements at some ranks; those past the end are not there.
    pub fn visit_slice(
        &self,
        kv: &mut dyn Kv,
        ranks: Range<u64>,
        visit: &mut VisitAll<'_>,
    ) -> Result<(), StoreError> {
        let take = ranks.end.saturating_sub(ranks.start);
        let (from, skip) = match &self.index {
            Some(index) if ranks.start > 0 && take > 0 => match index.select(kv, ranks.start)? {
                Some(selected) => (Place::of_key(&selected.key), 0),
                None => return Ok(()),
            },
            _ => (Place::start(), ranks.start),
        };
        self.visit_between(kv, &(from..Place::end()), skip, take, visit)
    }

    /// Checks the index; answers how many parts it has.
    pub(crate) fn check_index(&self, kv: &mut dyn Kv) -> u64 {
        self.index.as_ref().map_or(0, |index| index.check(kv))
    }
}

/// What is visited.
pub fn collect<E>(visit_all: impl FnOnce(&mut VisitAll<'_>) -> Result<(), E>) -> Result<Vec<Scored>, E> {
    let mut found = Vec::new();
    visit_all(&mut |member, score| found.push(Scored { member: Bytes::copy_from_slice(member), score }))?;
    Ok(found)
}

pub(super) fn index_of(large: &Large, head: &[u8]) -> Result<Ranked, StoreError> {
    Ranked::decode(head, large.id(), large.rest(), weigh)
}

fn scan_small(payload: &[u8], from: &Place, visit: &mut VisitScored<'_>) -> Result<(), StoreError> {
    let mut walk = Walk::over(payload)?;
    while let Some(found) = walk.next()? {
        let score = score::decode(found.value)?;
        if !from.is_behind(score, found.name) && visit(found.name, score).is_break() {
            break;
        }
    }
    Ok(())
}

fn scan_index(
    index: &Ranked,
    kv: &mut dyn Kv,
    from: &Place,
    visit: &mut VisitScored<'_>,
) -> Result<(), StoreError> {
    let mut failed = false;
    index.scan(kv, from.key(), &mut |key, mark| match split_key(key, mark) {
        Some((score, member)) => visit(member, score),
        None => {
            failed = true;
            ControlFlow::Break(())
        }
    })?;
    if failed { Err(corrupt()) } else { Ok(()) }
}

fn split_key<'a>(key: &'a [u8], mark: &[u8]) -> Option<(f64, &'a [u8])> {
    let (ordered, member) = key.split_first_chunk::<BYTES>()?;
    let score = score::from_order(*ordered).ok()?;
    Some((if mark.is_empty() { score } else { -score }, member))
}
