//! Key-value changes that are not in RocksDB yet: a layer of points and cleared ranges.
//!
//! A layer hides everything below it that it mentions. Points live in an ordered map: a walk over a
//! range then costs what the range holds, however much the layer does.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

/// A layer whose points carry a tag (the entry that wrote them, or nothing).
#[derive(Clone)]
pub struct Layer<T> {
    points: BTreeMap<Bytes, (Option<Bytes>, T)>,
    cleared: Vec<(Bytes, Bytes, T)>,
    bytes: usize,
}

impl<T> Default for Layer<T> {
    fn default() -> Self {
        Self { points: BTreeMap::new(), cleared: Vec::new(), bytes: 0 }
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
        if let Some((value, tag)) = self.points.get(key) {
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
        self.points.insert(key, (value, tag))
    }

    /// Puts back what [`set`](Self::set) answered.
    pub fn restore(&mut self, key: &Bytes, previous: Option<(Option<Bytes>, T)>) {
        match previous {
            Some(previous) => drop(self.points.insert(key.clone(), previous)),
            None => drop(self.points.remove(key)),
        }
    }

    /// Deletes `from <= key < to`, here and below.
    pub fn clear_range(&mut self, from: Bytes, to: Bytes, tag: T) {
        if from >= to {
            return;
        }
        let inside = |key: &Bytes| *key >= from && *key < to;
        self.points.retain(|key, _| !inside(key));
        self.bytes += from.len() + to.len() + 64;
        self.cleared.push((from, to, tag));
    }

    /// Forgets `key` if it still carries `tag`.
    pub fn forget(&mut self, key: &[u8], forget: impl Fn(T) -> bool) {
        if self.points.get(key).is_some_and(|(_, tag)| forget(*tag)) {
            self.points.remove(key);
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
        if from < to {
            let range = (Bound::Included(from), Bound::Excluded(to));
            merged.extend(self.points.range::<[u8], _>(range).map(|(k, (v, _))| (k.clone(), v.clone())));
        }
    }

    /// All points in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.points.iter().map(|(key, (value, _))| (key, value.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.cleared.is_empty()
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Bytes added since the layer was last empty (an upper bound of what it holds).
    pub fn bytes(&self) -> usize {
        self.bytes
    }
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
