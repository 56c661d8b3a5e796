//! Ranges of RocksDB that are walked again and again, in memory: making an iterator and placing it
//! costs more than all else that such a walk does.
//!
//! Invariant: what is kept of a range is what RocksDB holds of it. RocksDB changes when a layer is
//! handed to it; all is forgotten then ([`Ranges::clear`]). Layers lie on top, as they do on RocksDB.

use std::{
    collections::{BTreeMap, btree_map},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{memory::Key, state::Direction};
use crate::engine::{EngineError, GroupDb, StoredPairs};

/// A range is kept when it is walked so often between two changes of RocksDB.
const WALKS_MIN: u32 = 8;
/// Of one range; a larger one is not kept.
const RANGE_BYTES_MAX: usize = 4 << 20;
/// Of all ranges of a group.
const BYTES_MAX: usize = 16 << 20;
/// Ranges whose walks are counted.
const RANGES_MAX: usize = 4096;
/// What a pair takes besides its value, about.
const PAIR_BYTES: usize = 96;

type Pairs = BTreeMap<Key, Bytes>;

/// See the module's description.
#[derive(Default)]
pub struct Ranges(Mutex<State>);

#[derive(Default)]
struct State {
    /// By their beginnings. They do not overlap.
    ranges: BTreeMap<Key, Range>,
    bytes: usize,
}

struct Range {
    to: Box<[u8]>,
    walks: u32,
    pairs: Option<Arc<Pairs>>,
}

impl Ranges {
    /// A walk within `from <= key < to` is about to come, one of many.
    pub fn note(&self, db: &GroupDb, from: &[u8], to: &[u8]) -> Result<(), EngineError> {
        let mut state = self.0.lock();
        let has_room = state.bytes + RANGE_BYTES_MAX <= BYTES_MAX;
        let counts_more = state.ranges.len() < RANGES_MAX;
        let Some(range) = state.ranges.get_mut(from) else {
            if counts_more {
                state.ranges.insert(from.into(), Range { to: to.into(), walks: 1, pairs: None });
            }
            return Ok(());
        };
        range.walks = range.walks.saturating_add(1);
        if range.walks == WALKS_MIN
            && has_room
            && let Some((pairs, bytes)) = load(db, from, to)?
        {
            range.pairs = Some(Arc::new(pairs));
            state.bytes += bytes;
        }
        Ok(())
    }

    /// What is kept of a range that `from..to` is part of.
    pub fn covering(&self, from: &[u8], to: &[u8]) -> Option<Arc<Pairs>> {
        let state = self.0.lock();
        let (_, range) =
            state.ranges.range::<[u8], _>((Bound::Unbounded, Bound::Included(from))).next_back()?;
        range.pairs.clone().filter(|_| to <= &*range.to)
    }

    pub fn clear(&mut self) {
        *self.0.get_mut() = State::default();
    }
}

/// The pairs of a range and what they take; `None`: it is too large.
fn load(db: &GroupDb, from: &[u8], to: &[u8]) -> Result<Option<(Pairs, usize)>, EngineError> {
    let (mut pairs, mut bytes) = (Pairs::new(), 0);
    let mut stored = db.range(from, to);
    while let Some((key, value)) = stored.item() {
        bytes += PAIR_BYTES + value.len();
        if bytes > RANGE_BYTES_MAX {
            return Ok(None);
        }
        pairs.insert(Key::from(key), Bytes::copy_from_slice(value));
        stored.next();
    }
    stored.status()?;
    Ok(Some((pairs, bytes)))
}

/// A walk over what RocksDB holds of a range.
pub enum Stored<'a> {
    Disk(StoredPairs<'a>, Direction),
    Memory {
        next: Option<(&'a Key, &'a Bytes)>,
        rest: btree_map::Range<'a, Key, Bytes>,
        direction: Direction,
    },
}

impl<'a> Stored<'a> {
    /// `kept`: of a range that `from..to` is part of.
    pub fn walk(
        db: &'a GroupDb,
        kept: Option<&'a Pairs>,
        direction: Direction,
        from: &[u8],
        to: &[u8],
    ) -> Self {
        let Some(pairs) = kept else {
            return match direction {
                Direction::Forward => Self::Disk(db.range(from, to), direction),
                Direction::Backward => Self::Disk(db.range_back(from, to), direction),
            };
        };
        let mut rest = pairs.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Self::Memory { next: step(&mut rest, direction), rest, direction }
    }

    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Disk(iterator, _) => iterator.key(),
            Self::Memory { next, .. } => next.map(|(key, _)| &key[..]),
        }
    }

    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Disk(iterator, _) => iterator.value(),
            Self::Memory { next, .. } => next.map(|(_, value)| &value[..]),
        }
    }

    pub fn pass(&mut self) {
        match self {
            Self::Disk(iterator, Direction::Forward) => iterator.next(),
            Self::Disk(iterator, Direction::Backward) => iterator.prev(),
            Self::Memory { next, rest, direction } => *next = step(rest, *direction),
        }
    }

    pub fn status(&self) -> Result<(), EngineError> {
        match self {
            Self::Disk(iterator, _) => iterator.status(),
            Self::Memory { .. } => Ok(()),
        }
    }
}

fn step<'a>(
    rest: &mut btree_map::Range<'a, Key, Bytes>,
    direction: Direction,
) -> Option<(&'a Key, &'a Bytes)> {
    match direction {
        Direction::Forward => rest.next(),
        Direction::Backward => rest.next_back(),
    }
}
