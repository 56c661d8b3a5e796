//! Key-value changes that are not in RocksDB yet: a layer of points and cleared ranges.
//!
//! A layer hides everything below it that it mentions. Points live in a hash map, since that is how
//! commands look them up; records outside the slots (expiry index, sessions) live in an ordered
//! map, since those are only walked in order.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use hashbrown::HashMap;

/// First byte of keys that belong to no slot.
pub const RECORD_PREFIX: u8 = 0xFF;

/// A layer whose points carry a tag (the entry that wrote them, or nothing).
#[derive(Clone)]
pub struct Layer<T> {
    points: HashMap<Bytes, (Option<Bytes>, T), foldhash::fast::RandomState>,
    records: BTreeMap<Bytes, (Option<Bytes>, T)>,
    cleared: Vec<(Bytes, Bytes, T)>,
    bytes: usize,
}

impl<T> Default for Layer<T> {
    fn default() -> Self {
        Self { points: HashMap::default(), records: BTreeMap::new(), cleared: Vec::new(), bytes: 0 }
    }
}

/// What a layer says about a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// Stored (`Some`) or deleted (`None`) here.
    Here(Option<Bytes>, T),
    /// Ask the layer below.
    Below,
}

impl<T: Copy> Layer<T> {
    pub fn get(&self, key: &[u8]) -> Found<T> {
        let point = if is_record(key) { self.records.get(key) } else { self.points.get(key) };
        if let Some((value, tag)) = point {
            return Found::Here(value.clone(), *tag);
        }
        match self.clearing(key) {
            Some(tag) => Found::Here(None, tag),
            None => Found::Below,
        }
    }

    /// Sets or deletes a key; answers what the layer said of it before.
    pub fn set(&mut self, key: Bytes, value: Option<Bytes>, tag: T) -> Option<(Option<Bytes>, T)> {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len) + 64;
        if is_record(&key) {
            self.records.insert(key, (value, tag))
        } else {
            self.points.insert(key, (value, tag))
        }
    }

    /// Puts back what [`set`](Self::set) answered.
    pub fn restore(&mut self, key: &Bytes, previous: Option<(Option<Bytes>, T)>) {
        match (is_record(key), previous) {
            (true, Some(p)) => drop(self.records.insert(key.clone(), p)),
            (true, None) => drop(self.records.remove(key)),
            (false, Some(p)) => drop(self.points.insert(key.clone(), p)),
            (false, None) => drop(self.points.remove(key)),
        }
    }

    /// Deletes `from <= key < to`, here and below.
    pub fn clear_range(&mut self, from: Bytes, to: Bytes, tag: T) {
        if from >= to {
            return;
        }
        let inside = |key: &Bytes| *key >= from && *key < to;
        self.points.retain(|key, _| !inside(key));
        self.records.retain(|key, _| !inside(key));
        self.bytes += from.len() + to.len() + 64;
        self.cleared.push((from, to, tag));
    }

    /// Forgets `key` if it still carries `tag`.
    pub fn forget(&mut self, key: &[u8], forget: impl Fn(T) -> bool) {
        if is_record(key) {
            if self.records.get(key).is_some_and(|(_, tag)| forget(*tag)) {
                self.records.remove(key);
            }
        } else if let hashbrown::hash_map::EntryRef::Occupied(entry) = self.points.entry_ref(key)
            && forget(entry.get().1)
        {
            entry.remove();
        }
    }

    /// Forgets cleared ranges by tag.
    pub fn forget_cleared(&mut self, forget: impl Fn(T) -> bool) {
        self.cleared.retain(|(_, _, tag)| !forget(*tag));
    }

    pub fn clearing(&self, key: &[u8]) -> Option<T> {
        if self.cleared.is_empty() {
            return None;
        }
        self.cleared.iter().rev().find(|(from, to, _)| key >= &from[..] && key < &to[..]).map(|&(_, _, t)| t)
    }

    pub fn cleared(&self) -> &[(Bytes, Bytes, T)] {
        &self.cleared
    }

    /// Adds the points of `from <= key < to` to `merged`, after removing there what this layer hides.
    pub fn merge_into(&self, from: &[u8], to: &[u8], merged: &mut BTreeMap<Bytes, Option<Bytes>>) {
        if !self.cleared.is_empty() {
            merged.retain(|key, _| self.clearing(key).is_none());
        }
        let records = (Bound::Included(from), Bound::Excluded(to));
        if from < to {
            merged.extend(self.records.range::<[u8], _>(records).map(|(k, (v, _))| (k.clone(), v.clone())));
        }
        if !is_record(from) {
            let inside = self.points.iter().filter(|(k, _)| &k[..] >= from && &k[..] < to);
            merged.extend(inside.map(|(k, (v, _))| (k.clone(), v.clone())));
        }
    }

    /// All points in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        let points = self.points.iter().chain(self.records.iter());
        points.map(|(key, (value, _))| (key, value.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.records.is_empty() && self.cleared.is_empty()
    }

    pub fn len(&self) -> usize {
        self.points.len() + self.records.len()
    }

    /// Bytes added since the layer was last empty (an upper bound of what it holds).
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn is_record(key: &[u8]) -> bool {
    key.first() == Some(&RECORD_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_cleared_range_hides_what_is_below_and_points_set_later_show() {
        let mut layer = Layer::default();
        layer.set(b("b"), Some(b("1")), 1u64);
        layer.clear_range(b("a"), b("c"), 2);
        layer.set(b("bb"), Some(b("2")), 3);
        assert_eq!(layer.get(b"b"), Found::Here(None, 2));
        assert_eq!(layer.get(b"bb"), Found::Here(Some(b("2")), 3));
        assert_eq!(layer.get(b"c"), Found::Below);
        let mut merged = BTreeMap::from([(b("aa"), Some(b("old"))), (b("z"), Some(b("old")))]);
        layer.merge_into(b"a", b"zz", &mut merged);
        assert_eq!(
            merged.into_iter().collect::<Vec<_>>(),
            [(b("bb"), Some(b("2"))), (b("z"), Some(b("old")))]
        );
    }

    #[test]
    fn restore_undoes_set() {
        let mut layer = Layer::default();
        layer.set(b("k"), Some(b("1")), 1u64);
        let before = layer.set(b("k"), None, 2);
        layer.restore(&b("k"), before);
        assert_eq!(layer.get(b"k"), Found::Here(Some(b("1")), 1));
    }
}
