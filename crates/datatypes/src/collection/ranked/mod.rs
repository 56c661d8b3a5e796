//! A counted index: entries in the order of their keys, each with a weight, of which it is known how
//! much lies before a key, and which entry lies at a rank, by reading a few hundred pairs at most.
//!
//! ```text
//! entry      … id:u64be  FFFFFFFF 01  00     key  →  value; its owner tells what it weighs, at least 1
//! separator  … id:u64be  FFFFFFFF 01  level  key  →  weight of the entries from key on, up to the
//!                                                    next separator of the level: LEB128
//! state      seed:u64be  total  start*            in the head record: LEB128
//!            start: weight of the entries before the first separator, of each level from 1 on
//! ```
//!
//! A skip list (Pugh, "Skip lists: a probabilistic alternative to balanced trees", 1990) whose levels
//! are drawn by a hash of the key: a key whose hash has `6 · n` zero bits at its end is a separator on
//! the levels up to `n`, about one in 64 of the level below. So nothing is ever rebalanced, and what
//! is stored follows from the entries and the seed alone, not from the order in which they came. The
//! seed is secret, so that nobody can choose keys that are all separators, or none.
//!
//! An entry costs its own pair and one weight on each level: two levels up to some 200,000 entries,
//! three up to some ten million. Only keys are compared; they are anything the owner puts in order.

mod check;
mod number;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use self::number::{number, put_number, take_number};
use super::large::{OTHER_PARTS, mixed};
use crate::key::{self, KeyBuf, PART_PREFIX};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::corrupt;

/// What names the index among the other parts of its collection.
const KIND: u8 = 0x01;
const PREFIX: usize = PART_PREFIX + OTHER_PARTS.len() + 1;
const ENTRIES: u8 = 0;
/// Zero bits of a hash for each level.
const LEVEL_BITS: u32 = 6;
/// More levels than any index needs.
const LEVELS_MAX: usize = 10;

/// What the value of an entry weighs; `None` if it cannot be read.
pub type Weigh = fn(&[u8]) -> Option<u64>;

/// Called for each entry: key and value.
pub type VisitEntry<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Called for each pair of a level: key and value.
type VisitPair<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError> + 'a;

/// The index of one collection. Its state is part of the collection's head record: whoever changes the
/// index saves [`Self::state`] there.
#[derive(Debug, Clone)]
pub struct Ranked {
    prefix: [u8; PREFIX],
    weigh: Weigh,
    level_bits: u32,
    seed: u64,
    total: u64,
    /// Weight before the first separator, of level 1 and so on. A level has at least one separator.
    starts: Vec<u64>,
}

/// An entry at a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    pub key: Bytes,
    pub value: Bytes,
    /// Weight of the entry before the rank.
    pub offset: u64,
}

/// A separator of a level, or the start of the level.
#[derive(Debug, Clone)]
struct Separator {
    key: Option<KeyBuf>,
    /// Up to the next one.
    weight: u64,
}

/// A separator, and how much lies before it.
#[derive(Debug, Clone)]
struct Step {
    separator: Separator,
    rank: u64,
}

impl Step {
    fn from(&self) -> &[u8] {
        self.separator.key.as_deref().unwrap_or_default()
    }

    /// The rank of the next separator.
    fn end(&self) -> u64 {
        self.rank.saturating_add(self.separator.weight)
    }
}

impl Ranked {
    /// An empty index of collection `id` in the slot and database of `head`; `seed` is random.
    pub fn new(head: &[u8], id: u64, seed: u64, weigh: Weigh) -> Self {
        let mut prefix = [KIND; PREFIX];
        prefix[..PART_PREFIX].copy_from_slice(&key::parts(head, id).from);
        prefix[PART_PREFIX..PREFIX - 1].copy_from_slice(&OTHER_PARTS);
        Self { prefix, weigh, level_bits: LEVEL_BITS, seed, total: 0, starts: Vec::new() }
    }

    /// The index of collection `id` with the state that its head record has.
    pub fn decode(head: &[u8], id: u64, state: &[u8], weigh: Weigh) -> Result<Self, StoreError> {
        let (seed, mut rest) = state.split_first_chunk().ok_or_else(corrupt)?;
        let mut ranked = Self::new(head, id, u64::from_be_bytes(*seed), weigh);
        ranked.total = take_number(&mut rest).ok_or_else(corrupt)?;
        while !rest.is_empty() {
            ranked.starts.push(take_number(&mut rest).ok_or_else(corrupt)?);
        }
        if ranked.starts.len() > LEVELS_MAX {
            return Err(corrupt());
        }
        Ok(ranked)
    }

    /// What the head record keeps of the index.
    pub fn state(&self) -> Bytes {
        let mut state = BytesMut::new();
        state.put_u64(self.seed);
        put_number(&mut state, self.total);
        self.starts.iter().for_each(|&start| put_number(&mut state, start));
        state.freeze()
    }

    /// Weight of all entries.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Weight of the entries before `key`, which need not be there.
    pub fn rank(&self, kv: &mut dyn Kv, key: &[u8]) -> Result<u64, StoreError> {
        let path = self.descend(kv, |separator, _| separator <= key)?;
        self.rank_from(kv, path.first(), key)
    }

    /// The entry at `rank`; `None` if all entries lie before it.
    pub fn select(&self, kv: &mut dyn Kv, rank: u64) -> Result<Option<Selected>, StoreError> {
        let path = self.descend(kv, |_, at| at <= rank)?;
        let (mut at, mut found) = (path.first().map_or(0, |step| step.rank), None);
        let from = path.first().map(Step::from).unwrap_or_default();
        self.walk(kv, ENTRIES, from, None, &mut |key, value| {
            let end = self.weight_of(value)?.saturating_add(at);
            if end <= rank {
                at = end;
                return Ok(ControlFlow::Continue(()));
            }
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            found = Some(Selected { key, value, offset: rank - at });
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Visits the entries from `key` on, in order.
    pub fn scan(&self, kv: &mut dyn Kv, from: &[u8], visit: &mut VisitEntry<'_>) -> Result<(), StoreError> {
        self.walk(kv, ENTRIES, from, None, &mut |key, value| Ok(visit(key, value)))
    }

    /// The value of the entry under `key`.
    pub fn get(&self, kv: &mut dyn Kv, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        kv.get(&self.stored(ENTRIES, key))
    }

    /// Stores an entry, whether its key is there or not.
    pub fn put(&mut self, kv: &mut dyn KvMut, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let Some(old) = self.get(kv.as_kv(), key)? else { return self.put_new(kv, key, value) };
        let (old, new) = (self.weight_of(&old)?, self.weight_of(value)?);
        if old != new {
            for (level, last) in (1..).zip(&self.last_before(kv.as_kv(), &behind(key))?) {
                self.set(kv, level, last, last.weight.saturating_sub(old).saturating_add(new));
            }
            self.total = self.total.saturating_sub(old).saturating_add(new);
        }
        self.put_entry(kv, key, value);
        Ok(())
    }

    /// Stores an entry whose key is not there yet.
    pub fn put_new(&mut self, kv: &mut dyn KvMut, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let weight = self.weight_of(value)?;
        match self.levels_of(key) {
            0 => {
                for (level, last) in (1..).zip(&self.last_before(kv.as_kv(), &behind(key))?) {
                    self.set(kv, level, last, last.weight.saturating_add(weight));
                }
            }
            levels => self.split(kv, key, weight, levels)?,
        }
        self.total = self.total.saturating_add(weight);
        self.put_entry(kv, key, value);
        Ok(())
    }

    /// Makes a new key the separator of some levels, and adds its weight to what lies above them.
    fn split(
        &mut self,
        kv: &mut dyn KvMut,
        key: &[u8],
        weight: u64,
        levels: usize,
    ) -> Result<(), StoreError> {
        let path = self.descend(kv.as_kv(), |separator, _| separator <= key)?;
        let rank = self.rank_from(kv.as_kv(), path.first(), key)?;
        for (level, step) in (1..).zip(&path) {
            let last = &step.separator;
            if usize::from(level) > levels {
                self.set(kv, level, last, last.weight.saturating_add(weight));
                continue;
            }
            let before = rank.saturating_sub(step.rank);
            self.set(kv, level, last, before);
            let behind = last.weight.saturating_sub(before);
            self.put_separator(kv, level, key, behind.saturating_add(weight));
        }
        for level in path.len() + 1..=levels {
            self.starts.push(rank);
            let behind = self.total.saturating_sub(rank);
            self.put_separator(kv, level as u8, key, behind.saturating_add(weight));
        }
        Ok(())
    }

    /// Removes an entry; whether it was there.
    pub fn remove(&mut self, kv: &mut dyn KvMut, key: &[u8]) -> Result<bool, StoreError> {
        let Some(value) = self.get(kv.as_kv(), key)? else { return Ok(false) };
        let (weight, levels) = (self.weight_of(&value)?, self.levels_of(key));
        for (level, last) in (1..).zip(&self.last_before(kv.as_kv(), key)?) {
            let mut left = last.weight;
            if usize::from(level) <= levels {
                let stored = self.stored(level, key);
                let own = kv.get(&stored)?.ok_or_else(corrupt)?;
                left = left.saturating_add(number(&own)?);
                kv.delete(Bytes::copy_from_slice(&stored));
            }
            self.set(kv, level, last, left.saturating_sub(weight));
        }
        kv.delete(Bytes::copy_from_slice(&self.stored(ENTRIES, key)));
        self.shrink(weight);
        Ok(true)
    }

    /// Moves the entry under `old`, which is there, to `new`, which is not, with another value of the
    /// same weight. What does not change is not written.
    pub fn rekey(
        &mut self,
        kv: &mut dyn KvMut,
        old: &[u8],
        new: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        if self.levels_of(old) + self.levels_of(new) > 0 {
            self.remove(kv, old)?;
            return self.put_new(kv, new, value);
        }
        let weight = self.weight_of(value)?;
        let from = self.last_before(kv.as_kv(), &behind(old))?;
        let to = self.last_before(kv.as_kv(), &behind(new))?;
        for (level, (from, to)) in (1..).zip(from.iter().zip(&to)) {
            if from.key != to.key {
                self.set(kv, level, from, from.weight.saturating_sub(weight));
                self.set(kv, level, to, to.weight.saturating_add(weight));
            }
        }
        kv.delete(Bytes::copy_from_slice(&self.stored(ENTRIES, old)));
        self.put_entry(kv, new, value);
        Ok(())
    }

    /// Removes the entries with `from <= key < to`: a few writes, however many they are.
    pub fn remove_range(&mut self, kv: &mut dyn KvMut, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let before = self.descend(kv.as_kv(), |separator, _| separator < from)?;
        let last = self.descend(kv.as_kv(), |separator, _| separator < to)?;
        let start = self.rank_from(kv.as_kv(), before.first(), from)?;
        let end = self.rank_from(kv.as_kv(), last.first(), to)?;
        for (level, (before, last)) in (1..).zip(before.iter().zip(&last)) {
            let left = start.saturating_sub(before.rank);
            let behind = last.end().saturating_sub(end);
            self.set(kv, level, &before.separator, left.saturating_add(behind));
            if before.separator.key != last.separator.key {
                self.delete_range(kv, level, from, to);
            }
        }
        self.delete_range(kv, ENTRIES, from, to);
        self.shrink(end.saturating_sub(start));
        Ok(())
    }

    /// Goes down from the highest level: on each along the separators while `goes_on` says so of the
    /// next one, whose key and rank it is told. Answers the last ones, that of level 1 first.
    fn descend(
        &self,
        kv: &mut dyn Kv,
        goes_on: impl Fn(&[u8], u64) -> bool,
    ) -> Result<Vec<Step>, StoreError> {
        self.expect_walk(kv)?;
        let mut path = Vec::with_capacity(self.starts.len());
        let (mut key, mut rank) = (None::<KeyBuf>, 0);
        for (level, &start) in (1..).zip(&self.starts).collect::<Vec<_>>().into_iter().rev() {
            let mut step = Step { separator: Separator { key, weight: start }, rank };
            let from = step.separator.key.clone().unwrap_or_default();
            self.walk(kv, level, &from, None, &mut |next, weight| {
                let weight = number(weight)?;
                if step.separator.key.as_deref() == Some(next) {
                    step.separator.weight = weight;
                    return Ok(ControlFlow::Continue(()));
                }
                let rank = step.end();
                if !goes_on(next, rank) {
                    return Ok(ControlFlow::Break(()));
                }
                step = Step { separator: Separator { key: Some(KeyBuf::from_slice(next)), weight }, rank };
                Ok(ControlFlow::Continue(()))
            })?;
            (key, rank) = (step.separator.key.clone(), step.rank);
            path.push(step);
        }
        path.reverse();
        Ok(path)
    }

    /// The last separator of each level that lies before `key`: one step back on each.
    fn last_before(&self, kv: &mut dyn Kv, key: &[u8]) -> Result<Vec<Separator>, StoreError> {
        self.expect_walk(kv)?;
        let last = |(level, &start)| {
            let mut found = Ok(Separator { key: None, weight: start });
            kv.scan_back(&self.stored(level, &[]), &self.stored(level, key), &mut |stored, weight| {
                let key = Some(KeyBuf::from_slice(&stored[PREFIX + 1..]));
                found = number(weight).map(|weight| Separator { key, weight });
                ControlFlow::Break(())
            })?;
            found
        };
        (1..).zip(&self.starts).map(last).collect()
    }

    /// Weight of the entries before `key`, counted from the last separator of level 1.
    fn rank_from(&self, kv: &mut dyn Kv, step: Option<&Step>, key: &[u8]) -> Result<u64, StoreError> {
        let mut rank = step.map_or(0, |step| step.rank);
        let from = step.map(Step::from).unwrap_or_default();
        self.walk(kv, ENTRIES, from, Some(key), &mut |_, value| {
            rank = rank.saturating_add(self.weight_of(value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rank)
    }

    /// Separators are few, and every change of the index looks for some.
    fn expect_walk(&self, kv: &mut dyn Kv) -> Result<(), StoreError> {
        if self.starts.is_empty() {
            return Ok(());
        }
        kv.expect_walk(&self.stored(ENTRIES + 1, &[]), &self.stored(LEVELS_MAX as u8 + 1, &[]))
    }

    /// Visits the pairs of a level with `from <= key`, and `key < to`.
    fn walk(
        &self,
        kv: &mut dyn Kv,
        level: u8,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut VisitPair<'_>,
    ) -> Result<(), StoreError> {
        let mut failed = None;
        let end = to.map_or_else(|| self.stored(level + 1, &[]), |to| self.stored(level, to));
        kv.scan(&self.stored(level, from), &end, &mut |stored, value| match visit(
            &stored[PREFIX + 1..],
            value,
        ) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn weight_of(&self, value: &[u8]) -> Result<u64, StoreError> {
        (self.weigh)(value).ok_or_else(corrupt)
    }

    /// Up to which level a key is a separator.
    fn levels_of(&self, key: &[u8]) -> usize {
        let zeros = mixed(self.seed, key).trailing_zeros() / self.level_bits;
        (zeros as usize).min(LEVELS_MAX)
    }

    fn stored(&self, level: u8, key: &[u8]) -> KeyBuf {
        let mut stored = KeyBuf::with_capacity(PREFIX + 1 + key.len());
        stored.extend_from_slice(&self.prefix);
        stored.push(level);
        stored.extend_from_slice(key);
        stored
    }

    fn put_entry(&self, kv: &mut dyn KvMut, key: &[u8], value: &[u8]) {
        kv.put(Bytes::copy_from_slice(&self.stored(ENTRIES, key)), Bytes::copy_from_slice(value));
    }

    fn put_separator(&self, kv: &mut dyn KvMut, level: u8, key: &[u8], weight: u64) {
        let mut value = BytesMut::new();
        put_number(&mut value, weight);
        kv.put(Bytes::copy_from_slice(&self.stored(level, key)), value.freeze());
    }

    /// Changes the weight behind a separator or the start of a level.
    fn set(&mut self, kv: &mut dyn KvMut, level: u8, separator: &Separator, weight: u64) {
        match &separator.key {
            None => self.starts[usize::from(level) - 1] = weight,
            Some(_) if weight == separator.weight => {}
            Some(key) => self.put_separator(kv, level, key, weight),
        }
    }

    fn delete_range(&self, kv: &mut dyn KvMut, level: u8, from: &[u8], to: &[u8]) {
        let [from, to] = [from, to].map(|key| Bytes::copy_from_slice(&self.stored(level, key)));
        kv.delete_range(from, to);
    }

    /// Some weight is gone. A level on which everything lies before the first separator has none.
    fn shrink(&mut self, weight: u64) {
        self.total = self.total.saturating_sub(weight);
        while self.starts.last() == Some(&self.total) {
            self.starts.pop();
        }
    }
}

/// The least key behind `key`.
fn behind(key: &[u8]) -> KeyBuf {
    let mut behind = KeyBuf::from_slice(key);
    behind.push(0);
    behind
}
