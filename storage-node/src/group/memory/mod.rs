//! Key-value changes that are not in RocksDB yet: a layer of points and cleared ranges.
//!
//! A layer hides everything below it that it mentions. Points live in a hash map, so that a lookup
//! touches one key; beside it is an order for walks, brought up to date when one comes: a walk over
//! a range costs what the range holds, and writes that nobody walks over cost no sorting.

mod budget;
mod key;

use std::{
    collections::{BTreeSet, HashMap, hash_map},
    ops::Bound,
};

use bytes::Bytes;
use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

pub use budget::{Budget, Share};
pub use key::Key;

/// Keys beyond the user's data: few, and walked over ten times a second (the expiry index).
const SYSTEM_KEYS: u8 = 0xFF;
/// So many keys of the past may stay in the order, beside twice those that live.
const STALE_MAX: usize = 1024;

/// A layer whose points carry a tag (the entry that wrote them, or nothing).
pub struct Layer<T> {
    points: HashMap<Key, (Option<Bytes>, T), RandomState>,
    order: Mutex<Order>,
    cleared: Vec<(Bytes, Bytes, T)>,
    bytes: usize,
}

/// The keys of a layer, and perhaps some that it does not hold any more.
#[derive(Default)]
pub struct Order {
    sorted: BTreeSet<Key>,
    /// Added since the last walk, in no order.
    recent: Vec<Key>,
}

impl Order {
    fn add(&mut self, key: Key) {
        match key.first() {
            Some(&SYSTEM_KEYS) => drop(self.sorted.insert(key)),
            _ => self.recent.push(key),
        }
    }

    fn len(&self) -> usize {
        self.sorted.len() + self.recent.len()
    }

    fn range<'a>(&'a mut self, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = &'a Key> + use<'a> {
        if from.first() != Some(&SYSTEM_KEYS) {
            self.sorted.extend(self.recent.drain(..));
        }
        self.sorted.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
    }
}

impl<T> Default for Layer<T> {
    fn default() -> Self {
        Self { points: HashMap::default(), order: Mutex::default(), cleared: Vec::new(), bytes: 0 }
    }
}

impl<T: Copy> Clone for Layer<T> {
    fn clone(&self) -> Self {
        let (points, cleared) = (self.points.clone(), self.cleared.clone());
        let layer = Self { points, cleared, order: Mutex::default(), bytes: self.bytes };
        layer.rebuild_order();
        layer
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
        match self.points.entry(key.into()) {
            hash_map::Entry::Occupied(mut point) => Some(point.insert((value, tag))),
            hash_map::Entry::Vacant(point) => {
                self.order.get_mut().add(point.key().clone());
                point.insert((value, tag));
                self.trim_order();
                None
            }
        }
    }

    /// Keeps the order in proportion to the points.
    fn trim_order(&mut self) {
        if self.order.get_mut().len() > 2 * self.points.len() + STALE_MAX {
            self.rebuild_order();
        }
    }

    fn rebuild_order(&self) {
        let mut order = Order::default();
        self.points.keys().for_each(|key| order.add(key.clone()));
        *self.order.lock() = order;
    }

    /// Puts back what [`set`](Self::set) answered.
    pub fn restore(&mut self, key: &Bytes, previous: Option<(Option<Bytes>, T)>) {
        match previous {
            Some((value, tag)) => drop(self.set(key.clone(), value, tag)),
            None => drop(self.points.remove(&key[..])),
        }
    }

    /// Deletes `from <= key < to`, here and below.
    pub fn clear_range(&mut self, from: Bytes, to: Bytes, tag: T) {
        if from >= to {
            return;
        }
        let inside = |key: &[u8]| *key >= *from && *key < *to;
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

    /// Forgets points and cleared ranges by tag.
    pub fn forget_all(&mut self, forget: impl Fn(T) -> bool) {
        self.points.retain(|_, (_, tag)| !forget(*tag));
        self.forget_cleared(forget);
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

    /// Prepares walks: what [`walk`](Self::walk) needs to be held meanwhile.
    pub fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock()
    }

    /// The points of `from <= key < to` in key order.
    pub fn walk<'a>(
        &'a self,
        order: &'a mut Order,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'a Key, Option<&'a Bytes>)> + use<'a, T> {
        let living =
            |key: &Key| self.points.get_key_value(&key[..]).map(|(key, (value, _))| (key, value.as_ref()));
        order.range(from, to).filter_map(living)
    }

    /// All points in key order.
    pub fn sorted(&self) -> Vec<(&Key, Option<&Bytes>)> {
        let mut all: Vec<_> = self.points.iter().map(|(key, (value, _))| (key, value.as_ref())).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
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
        assert_eq!(layer.clearing(b"aa"), Some(2));
        assert_eq!(layer.clearing(b"z"), None);
        let mut order = layer.order();
        let walked: Vec<_> = layer.walk(&mut order, b"a", b"zz").collect();
        assert_eq!(walked, [(&Key::from(b("bb")), Some(&b("2")))]);
    }

    #[test]
    fn walks_see_exactly_the_points_however_writes_and_walks_alternate() {
        let key = |n: u32| Bytes::from(n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec());
        let walk = |layer: &Layer<u64>, from: &[u8], to: &[u8]| {
            layer.walk(&mut layer.order(), from, to).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        let (mut layer, mut model) = (Layer::default(), BTreeSet::new());
        for n in 0..20_000u32 {
            layer.set(key(n), Some(b("v")), u64::from(n));
            model.insert(Key::from(key(n)));
            if n >= 100 {
                layer.forget(&key(n - 100), |_| true);
                model.remove(&key(n - 100)[..]);
            }
            if n % 1777 == 0 {
                let (from, to) = (&[0x20][..], &[0xFE][..]);
                let inside = model.iter().filter(|key| key[..] >= *from && key[..] < *to);
                assert_eq!(walk(&layer, from, to), inside.cloned().collect::<Vec<_>>());
                let system = model.iter().filter(|key| key[0] == SYSTEM_KEYS);
                assert_eq!(walk(&layer, &[0xFF], &[0xFF; 5]), system.cloned().collect::<Vec<_>>());
            }
        }
        assert!(layer.order.get_mut().len() <= 2 * layer.len() + STALE_MAX);
        assert_eq!(walk(&layer.clone(), &[], &[0xFF; 5]), model.into_iter().collect::<Vec<_>>());
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
