//! The replicated state of one group on this node: RocksDB, and in front of it the applied changes
//! that were not handed to RocksDB yet.
//!
//! Invariants:
//! - RocksDB always holds the state of exactly one applied index: data, applied record and sessions
//!   go in one batch. Between batches it lags behind; the log replays the difference.
//! - durable ≤ stored (in RocksDB) ≤ applied ≤ committed. The log is purged only up to durable.
//! - A read sees delta, then frozen, then RocksDB: the newest layer that mentions the key. The frozen
//!   layer stays when RocksDB has it too: what was written last is read from memory.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use bytes::Bytes;
use datatypes::kv::{self, Visit};
use parking_lot::Mutex;
use raft_rocks::{LogId, StoredMembership};
use serde::{Deserialize, Serialize};
use topology::{Namespaces, SlotSet};

use super::{
    effects::{Effects, Op},
    memory::{Found, Layer, Order, Point, Value},
    ranges::{Ranges, Stored},
    sessions::Sessions,
};
use crate::engine::{EngineError, GroupDb, Pages, WriteBatch};

const DATABASES: usize = kv::DATABASES as usize;
/// One count for each database, then one for the shards of each; then those of the keys that expire.
const COUNTS: usize = 2 * ALL_KEYS;
const ALL_KEYS: usize = 2 * DATABASES;

/// Something of each [`count_of`] place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts<T>([T; COUNTS]);

impl<T: Copy + Default> Default for Counts<T> {
    fn default() -> Self {
        Self([T::default(); COUNTS])
    }
}

impl<T> Deref for Counts<T> {
    type Target = [T; COUNTS];

    fn deref(&self) -> &[T; COUNTS] {
        &self.0
    }
}

impl<T> DerefMut for Counts<T> {
    fn deref_mut(&mut self) -> &mut [T; COUNTS] {
        &mut self.0
    }
}

/// The place of a database among counts.
pub fn count_of(db: u8) -> usize {
    let place = |bit: u8, at: usize| if db & bit == 0 { 0 } else { at };
    usize::from(db) % DATABASES + place(kv::SHARDS, DATABASES) + place(kv::EXPIRING, ALL_KEYS)
}

/// The database that is counted at a place.
pub fn counted(at: usize) -> u8 {
    let bit = |every: usize, bit: u8| if (at / every).is_multiple_of(2) { 0 } else { bit };
    (at % DATABASES) as u8 | bit(DATABASES, kv::SHARDS) | bit(ALL_KEYS, kv::EXPIRING)
}

/// Numbers of keys. Stored as a list, to which later builds may append.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct KeyCounts(Counts<u64>);

impl From<Vec<u64>> for KeyCounts {
    fn from(list: Vec<u64>) -> Self {
        let mut counts = Self::default();
        counts.0.iter_mut().zip(list).for_each(|(count, stored)| *count = stored);
        counts
    }
}

impl From<KeyCounts> for Vec<u64> {
    fn from(counts: KeyCounts) -> Self {
        counts.0.to_vec()
    }
}

impl KeyCounts {
    pub fn of(&self, db: u8) -> u64 {
        self.0[count_of(db)]
    }

    /// Of all databases, shards of namespaces included.
    pub fn sum(&self) -> u64 {
        self.0[..ALL_KEYS].iter().sum()
    }

    fn add(&mut self, db: u8, delta: i64) {
        let count = &mut self.0[count_of(db)];
        *count = count.saturating_add_signed(delta);
    }
}

pub const APPLIED_KEY: &[u8] = &[0xFF, 0x01];
const SESSION_PREFIX: [u8; 2] = [0xFF, 0x02];
const SESSION_END: [u8; 2] = [0xFF, 0x03];

/// Keys of a delta at which it is handed to RocksDB, however small they are.
const DELTA_KEYS: usize = 128 << 10;

/// Where the state stands; stored with the data it describes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Applied {
    pub log_id: Option<LogId>,
    pub membership: StoredMembership,
    /// Group time, ms: never goes back.
    pub time_ms: u64,
    /// Keys per database.
    pub key_counts: KeyCounts,
    /// Slots the group serves.
    pub slots: SlotSet,
    /// Topology version those slots come from.
    pub slots_version: u64,
    /// Which keys are namespaces.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Topology version those come from.
    #[serde(default)]
    pub namespaces_version: u64,
}

impl Applied {
    pub fn index(&self) -> u64 {
        self.log_id.as_ref().map_or(0, |id| id.index)
    }
}

/// The state cannot go on: this replica stops.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("entry {index}: {source}")]
    Entry { index: u64, source: super::effects::Malformed },
    #[error("stored record: {0}")]
    Record(String),
    #[error(transparent)]
    Rocks(#[from] EngineError),
}

/// See the module's description.
pub struct GroupState {
    db: GroupDb,
    delta: Layer<()>,
    frozen: Option<Arc<Layer<()>>>,
    /// The frozen layer is on its way into RocksDB.
    flushing: Option<Arc<FlushJob>>,
    ranges: Ranges,
    pub applied: Applied,
    pub sessions: Sessions,
}

impl GroupState {
    /// Loads what RocksDB holds.
    pub fn open(db: GroupDb) -> Result<Self, StateError> {
        let applied = stored_applied(&db)?;
        let sessions = load_sessions(&db)?;
        let (delta, ranges) = (Layer::default(), Ranges::default());
        Ok(Self { db, delta, frozen: None, flushing: None, ranges, applied, sessions })
    }

    /// The applied record inside a frozen copy.
    pub fn applied_in(pages: &Pages) -> std::io::Result<Option<Applied>> {
        let Some(json) = pages.get(APPLIED_KEY)? else { return Ok(None) };
        let applied: Applied = serde_json::from_slice(&json).map_err(std::io::Error::other)?;
        Ok(applied.log_id.is_some().then_some(applied))
    }

    pub fn db(&self) -> &GroupDb {
        &self.db
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if let Found::Here(value, ()) = self.delta.get(key) {
            return Ok(value);
        }
        if let Some(Found::Here(value, ())) = self.frozen.as_ref().map(|f| f.get(key)) {
            return Ok(value);
        }
        self.db.get(key)
    }

    /// Visits `from <= key < to` in order, with the changes of `upper` on top.
    pub fn scan<T: Copy>(
        &self,
        upper: &Layer<T>,
        direction: Direction,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), EngineError> {
        if from >= to {
            return Ok(());
        }
        // What a flush brought to RocksDB is read there.
        let empty = Layer::default();
        let frozen = self.frozen.as_deref().filter(|_| self.is_flushing()).unwrap_or(&empty);
        let (mut above, mut middle, mut below) = (upper.order(), self.delta.order(), frozen.order());
        let mut layers = [
            Walk::new(upper, &mut above, direction, from, to),
            Walk::new(&self.delta, &mut middle, direction, from, to),
            Walk::new(frozen, &mut below, direction, from, to),
        ];
        let kept = self.ranges.covering(from, to);
        let mut stored = Stored::walk(&self.db, kept.as_deref(), direction, from, to);
        loop {
            let in_memory = layers.iter().filter_map(|layer| layer.next.map(|(key, _)| &key[..]));
            let keys = in_memory.chain(stored.key());
            let next = if direction == Direction::Forward { keys.min() } else { keys.max() };
            let Some(key) = next else { break };
            // The newest layer that mentions the key decides.
            let decision = layers.iter().find_map(|layer| layer.mentions(key));
            let value = decision.unwrap_or_else(|| stored.value());
            if value.is_some_and(|value| visit(key, value).is_break()) {
                return Ok(());
            }
            let in_stored = stored.key() == Some(key);
            layers.iter_mut().for_each(|layer| layer.pass(key));
            if in_stored {
                stored.pass();
            }
        }
        stored.status()
    }

    /// A walk within `from <= key < to` is about to come, one of many.
    pub fn expect_walk(&self, from: &[u8], to: &[u8]) -> Result<(), EngineError> {
        self.ranges.note(&self.db, from, to)
    }

    /// Applies an entry that carries no effects (blank, membership).
    pub fn apply_blank(&mut self, log_id: LogId, membership: Option<StoredMembership>) {
        self.applied.log_id = Some(log_id);
        if let Some(membership) = membership {
            self.applied.membership = membership;
        }
    }

    /// Applies the effects of an entry, or changes nothing if it cannot be read. An entry evaluated under
    /// another term changes nothing either.
    pub fn apply(&mut self, log_id: LogId, entry: &Bytes) -> Result<(), StateError> {
        let index = log_id.index;
        let broken = |source| StateError::Entry { index, source };
        let effects = Effects::decode(entry).map_err(broken)?;
        let term = log_id.committed_leader_id().term;
        if effects.term != term {
            tracing::warn!(index, term, evaluated = effects.term, "entry of another term skipped");
            self.applied.log_id = Some(log_id);
            return Ok(());
        }
        let counts: Vec<_> = effects.counts().collect::<Result<_, _>>().map_err(broken)?;
        let sessions: Vec<_> = effects.sessions().collect::<Result<_, _>>().map_err(broken)?;
        let slots = effects.slots().map_err(broken)?;
        let namespaces = effects.namespaces().map_err(broken)?;
        for op in effects.ops() {
            if let Op::Put(key, _) | Op::Delete(key) = op.map_err(broken)? {
                self.delta.touch(key);
            }
        }
        // All of it can be read: from here on nothing fails.
        self.applied.log_id = Some(log_id);
        self.applied.time_ms = self.applied.time_ms.max(effects.time_ms);
        for op in effects.ops().flatten() {
            match op {
                // Copied: what is short needs no memory of its own then, and entries can go.
                Op::Put(key, value) => drop(self.delta.set(key, Value::copy_of(value), ())),
                Op::Delete(key) => drop(self.delta.set(key, Value::DELETED, ())),
                Op::DeleteRange(from, to) => {
                    let [from, to] = [from, to].map(Bytes::copy_from_slice);
                    drop(self.delta.clear_range(from, to, ()));
                }
            }
        }
        counts.into_iter().for_each(|(db, delta)| self.applied.key_counts.add(db, delta));
        for record in sessions {
            self.sessions.apply(record, self.applied.time_ms);
        }
        if let Some((version, ranges)) = slots {
            self.applied.slots =
                SlotSet::from_slots(ranges.iter().flat_map(|&(a, b)| a..=b).filter_map(topology::Slot::new));
            self.applied.slots_version = version;
        }
        if let Some((version, namespaces)) = namespaces {
            self.applied.namespaces = namespaces;
            self.applied.namespaces_version = version;
        }
        Ok(())
    }

    /// What the disk has to take of the state, sooner or later, about.
    pub fn bytes_to_flush(&self) -> u64 {
        let frozen = self.frozen.as_ref().filter(|_| self.is_flushing()).map_or(0, |layer| layer.bytes());
        (self.delta.bytes() + frozen) as u64 + self.db.memtable_bytes()
    }

    /// The delta is large enough (`bytes` is its share of the memory) to be handed to RocksDB.
    pub fn wants_flush(&self, bytes: usize) -> bool {
        !self.is_flushing() && (self.delta.bytes() >= bytes || self.delta.len() >= DELTA_KEYS)
    }

    /// So much waits for a flush in progress that applying must wait too.
    pub fn is_backlogged(&self, bytes: usize) -> bool {
        self.is_flushing() && self.delta.bytes() >= 2 * bytes
    }

    /// A flush has begun and has not succeeded.
    pub fn is_flushing(&self) -> bool {
        self.flushing.is_some()
    }

    /// Freezes the delta with the records that belong to it. A layer whose flush failed goes first.
    pub fn start_flush(&mut self) -> Arc<FlushJob> {
        if let Some(job) = &self.flushing {
            return job.clone();
        }
        let applied = serde_json::to_vec(&self.applied).unwrap_or_default();
        self.delta.set(APPLIED_KEY, Value::copy_of(&applied), ());
        for (id, stored) in self.sessions.take_changes() {
            self.delta.set(&session_key(id), stored.into(), ());
        }
        let layer = Arc::new(std::mem::take(&mut self.delta));
        self.frozen = Some(layer.clone());
        let (db, applied) = (self.db.clone(), self.applied.clone());
        let job = Arc::new(FlushJob { db, layer, applied, is_done: Mutex::default() });
        self.flushing = Some(job.clone());
        job
    }

    /// The frozen layer is in RocksDB.
    pub fn finish_flush(&mut self) {
        self.flushing = None;
        self.ranges.clear();
    }
}

type Clears<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// The order of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// A walk over a range of one layer.
struct Walk<'a> {
    next: Option<Point<'a>>,
    rest: Box<dyn Iterator<Item = Point<'a>> + 'a>,
    clears: Clears<'a>,
}

impl<'a> Walk<'a> {
    fn new<T: Copy>(
        layer: &'a Layer<T>,
        order: &'a mut Order,
        direction: Direction,
        from: &[u8],
        to: &[u8],
    ) -> Self {
        let walk = layer.walk(order, from, to);
        let mut rest: Box<dyn Iterator<Item = Point<'a>> + 'a> = match direction {
            Direction::Forward => Box::new(walk),
            Direction::Backward => Box::new(walk.rev()),
        };
        Self { next: rest.next(), rest, clears: Box::new(|key| layer.clearing(key).is_some()) }
    }

    /// What the layer says about a key that no walk has passed yet, if anything.
    fn mentions(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        match self.next {
            Some((next, value)) if **next == *key => Some(value),
            _ => (self.clears)(key).then_some(None),
        }
    }

    fn pass(&mut self, key: &[u8]) {
        if self.next.is_some_and(|(next, _)| **next == *key) {
            self.next = self.rest.next();
        }
    }
}

/// A frozen layer on its way into RocksDB.
pub struct FlushJob {
    db: GroupDb,
    layer: Arc<Layer<()>>,
    /// Where the state stood when the layer was frozen.
    pub applied: Applied,
    is_done: Mutex<bool>,
}

impl FlushJob {
    /// Writes the layer in key order, in one batch; nothing if that was done. Blocks.
    pub fn run(&self) -> Result<(), EngineError> {
        let mut is_done = self.is_done.lock();
        if *is_done {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        for (from, to) in self.layer.cleared() {
            batch.delete_range(from, to);
        }
        for (key, value) in self.layer.sorted() {
            match value {
                Some(value) => batch.put(&key[..], value),
                None => batch.delete(&key[..]),
            }
        }
        self.db.write(batch)?;
        *is_done = true;
        Ok(())
    }
}

/// The applied record as RocksDB has it; that of an empty state if there is none.
pub fn stored_applied(db: &GroupDb) -> Result<Applied, StateError> {
    match db.get(APPLIED_KEY)? {
        Some(json) => serde_json::from_slice(&json).map_err(|e| StateError::Record(e.to_string())),
        None => Ok(Applied::default()),
    }
}

fn session_key(id: u64) -> Bytes {
    let mut key = SESSION_PREFIX.to_vec();
    key.extend_from_slice(&id.to_be_bytes());
    key.into()
}

fn load_sessions(db: &GroupDb) -> Result<Sessions, StateError> {
    let mut sessions = Sessions::default();
    let mut stored = db.range(&SESSION_PREFIX, &SESSION_END);
    while let Some((key, value)) = stored.item() {
        let id = key.get(2..).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
        let id = id.ok_or_else(|| StateError::Record("session key".to_owned()))?;
        let loaded = sessions.load(id, Bytes::copy_from_slice(value));
        loaded.map_err(|e| StateError::Record(e.to_string()))?;
        stored.next();
    }
    stored.status()?;
    Ok(sessions)
}
