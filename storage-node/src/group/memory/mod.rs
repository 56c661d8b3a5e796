//! Key-value changes that are not in RocksDB yet: a layer of points and cleared ranges.
//!
//! A layer hides everything below it that it mentions. Points live in a hash map, so that a lookup
//! touches one key; beside it is an order for walks, brought up to date when one comes: a walk over
//! a range costs what the range holds, and writes that nobody walks over cost no sorting.

mod budget;
mod cleared;
mod key;
mod value;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use bytes::Bytes;
use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

pub use budget::{Budget, Share};
pub use cleared::Ranges as ClearedRanges;
pub use key::Key;
pub use value::Value;

/// Keys beyond the user's data: few, and walked over ten times a second (the expiry index).
const SYSTEM_KEYS: u8 = 0xFF;
/// What a point takes beside a long key or value, about.
const POINT_BYTES: usize = 64;
/// So many keys of the past may stay in the order, beside twice those that live.
const STALE_MAX: usize = 1024;

/// A layer whose points carry a tag (the entry that wrote them, or nothing).
pub struct Layer<T> {
    points: HashMap<Key, (Value, T), RandomState>,
    order: Mutex<Order>,
    cleared: ClearedRanges<T>,
    bytes: usize,
}

/// What a layer knew of a range before it was cleared.
pub struct Hidden<T> {
    points: Vec<(Key, (Value, T))>,
    ranges: Vec<(Bytes, Bytes, T)>,
}

impl<T: Copy> Hidden<T> {
    /// Forgets points and ranges by tag.
    pub fn forget(&mut self, forget: impl Fn(T) -> bool) {
        self.points.retain(|(_, (_, tag))| !forget(*tag));
        self.ranges.retain(|(_, _, tag)| !forget(*tag));
    }
}

/// The keys of a layer, and perhaps some that it does not hold any more. Those of users are kept from
/// the first walk over them on.
#[derive(Default)]
pub struct Order {
    sorted: BTreeSet<Key>,
    /// Added since the last walk, in no order.
    recent: Vec<Key>,
    keeps_all: bool,
}

impl Order {
    fn add(&mut self, key: &Key) {
        match key.first() {
            Some(&SYSTEM_KEYS) => drop(self.sorted.insert(key.clone())),
            _ if self.keeps_all => self.recent.push(key.clone()),
            _ => {}
        }
    }

    /// Likewise for all keys of a layer.
    fn add_all<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        keys.for_each(|key| self.add(key));
    }

    /// Makes sure that it has the keys from `from` on of a layer that has these.
    fn complete<'a, I: Iterator<Item = &'a Key>>(&mut self, from: &[u8], keys: impl FnOnce() -> I) {
        if from.first() != Some(&SYSTEM_KEYS) && !self.keeps_all {
            self.keeps_all = true;
            self.add_all(keys());
        }
    }

    fn clear(&mut self) {
        self.sorted.clear();
        self.recent.clear();
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
        Self {
            points: HashMap::default(),
            order: Mutex::default(),
            cleared: ClearedRanges::default(),
            bytes: 0,
        }
    }
}

impl<T: Copy> Clone for Layer<T> {
    fn clone(&self) -> Self {
        let (points, cleared) = (self.points.clone(), self.cleared.clone());
        let mut order = Order::default();
        order.add_all(points.keys());
        Self { points, cleared, order: Mutex::new(order), bytes: self.bytes }
    }
}

/// A key that a layer mentions, and its value; `None`: it is deleted.
pub type Point<'a> = (&'a Key, Option<&'a [u8]>);

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
            return Found::Here(value.to_bytes(), *tag);
        }
        match self.clearing(key) {
            Some(tag) => Found::Here(None, tag),
            None => Found::Below,
        }
    }

    /// Brings what a lookup of the key will need nearer. Lookups of many keys in a row wait for memory one
    /// after the other; these wait together.
    pub fn touch(&self, key: &[u8]) {
        std::hint::black_box(self.points.get(key).map(|(value, _)| value.len()));
    }

    /// Sets or deletes a key; answers what the layer said of it before.
    pub fn set(&mut self, key: &[u8], value: Value, tag: T) -> Option<(Value, T)> {
        self.bytes += value.len();
        if let Some(point) = self.points.get_mut(key) {
            let old = std::mem::replace(point, (value, tag));
            self.bytes = self.bytes.saturating_sub(old.0.len());
            return Some(old);
        }
        self.bytes += key.len() + POINT_BYTES;
        let key = Key::from(key);
        self.order.get_mut().add(&key);
        self.points.insert(key, (value, tag));
        self.trim_order();
        None
    }

    /// Keeps the order in proportion to the points.
    fn trim_order(&mut self) {
        let order = self.order.get_mut();
        if order.len() > 2 * self.points.len() + STALE_MAX {
            order.clear();
            order.add_all(self.points.keys());
        }
    }

    /// Puts back what [`set`](Self::set) answered.
    pub fn restore(&mut self, key: &[u8], previous: Option<(Value, T)>) {
        match previous {
            Some((value, tag)) => drop(self.set(key, value, tag)),
            None => drop(self.points.remove(key)),
        }
    }

    /// Deletes `from <= key < to`, here and below; answers what the layer said of it before.
    pub fn clear_range(&mut self, from: Bytes, to: Bytes, tag: T) -> Hidden<T> {
        if from >= to {
            return Hidden { points: Vec::new(), ranges: Vec::new() };
        }
        let keys: Vec<Key> = {
            let order = self.order.get_mut();
            order.complete(&from, || self.points.keys());
            order.range(&from, &to).cloned().collect()
        };
        let points: Vec<_> = keys.into_iter().filter_map(|key| self.points.remove_entry(&key[..])).collect();
        for (key, (value, _)) in &points {
            self.bytes = self.bytes.saturating_sub(key.len() + value.len() + POINT_BYTES);
        }
        self.bytes += from.len() + to.len() + POINT_BYTES;
        Hidden { points, ranges: self.cleared.insert(from, to, tag) }
    }

    /// Puts back what [`clear_range`](Self::clear_range) answered, when all that was done since is undone.
    pub fn restore_range(&mut self, from: &Bytes, to: &Bytes, hidden: Hidden<T>) {
        if from >= to {
            return;
        }
        self.cleared.restore(from, to, hidden.ranges);
        for (key, (value, tag)) in hidden.points {
            self.set(&key, value, tag);
        }
    }

    /// Forgets `key` if it still carries `tag`.
    pub fn forget(&mut self, key: &[u8], forget: impl Fn(T) -> bool) {
        if self.points.get(key).is_some_and(|(_, tag)| forget(*tag)) {
            self.points.remove(key);
        }
        if self.points.is_empty() {
            let order = self.order.get_mut();
            order.clear();
            order.keeps_all = false;
        }
    }

    /// Forgets cleared ranges by tag.
    pub fn forget_cleared(&mut self, forget: impl Fn(T) -> bool) {
        self.cleared.forget(forget);
    }

    pub fn clearing(&self, key: &[u8]) -> Option<T> {
        self.cleared.of(key)
    }

    /// Disjoint, in order.
    pub fn cleared(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.cleared.iter()
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
    ) -> impl DoubleEndedIterator<Item = Point<'a>> + use<'a, T> {
        order.complete(from, || self.points.keys());
        let living =
            |key: &Key| self.points.get_key_value(&key[..]).map(|(key, (value, _))| (key, value.get()));
        order.range(from, to).filter_map(living)
    }

    /// All points in key order.
    pub fn sorted(&self) -> Vec<Point<'_>> {
        let mut all: Vec<_> = self.points.iter().map(|(key, (value, _))| (key, value.get())).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.cleared.is_empty()
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// What it takes, at most.
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

    fn v(text: &'static str) -> Value {
        Value::from(b(text))
    }

    #[test]
    fn a_cleared_range_hides_what_is_below_and_points_set_later_show() {
        let mut layer = Layer::default();
        layer.set(b"b", v("1"), 1u64);
        layer.clear_range(b("a"), b("c"), 2);
        layer.set(b"bb", v("2"), 3);
        assert_eq!(layer.get(b"b"), Found::Here(None, 2));
        assert_eq!(layer.get(b"bb"), Found::Here(Some(b("2")), 3));
        assert_eq!(layer.get(b"c"), Found::Below);
        assert_eq!(layer.clearing(b"aa"), Some(2));
        assert_eq!(layer.clearing(b"z"), None);
        let mut order = layer.order();
        let walked: Vec<_> = layer.walk(&mut order, b"a", b"zz").collect();
        assert_eq!(walked, [(&Key::from(&b"bb"[..]), Some(&b"2"[..]))]);
    }

    #[test]
    fn walks_see_exactly_the_points_however_writes_and_walks_alternate() {
        let key = |n: u32| Bytes::from(n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec());
        let walk = |layer: &Layer<u64>, from: &[u8], to: &[u8]| {
            layer.walk(&mut layer.order(), from, to).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        let (mut layer, mut model) = (Layer::default(), BTreeSet::new());
        for n in 0..20_000u32 {
            layer.set(&key(n), v("v"), u64::from(n));
            model.insert(Key::from(&key(n)[..]));
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
    fn restoring_a_range_undoes_clearing_it() {
        let mut layer = Layer::default();
        layer.set(b"b", v("1"), 1u64);
        layer.set(b"d", v("2"), 1);
        layer.clear_range(b("c"), b("f"), 2);
        layer.set(b"e", v("3"), 3);
        let state = |layer: &Layer<u64>| {
            let points: Vec<_> = layer.sorted().iter().map(|(key, _)| (*key).clone()).collect();
            let tags: Vec<_> =
                ["a", "b", "c", "d", "e", "f"].map(|key| layer.clearing(key.as_bytes())).into();
            (points, tags, layer.bytes())
        };
        let before = state(&layer);
        let hidden = layer.clear_range(b("a"), b("d"), 4);
        assert_eq!(layer.get(b"b"), Found::Here(None, 4));
        assert_eq!((layer.clearing(b"c"), layer.clearing(b"d")), (Some(4), Some(2)));
        layer.restore_range(&b("a"), &b("d"), hidden);
        let after = state(&layer);
        assert_eq!((&after.0, &after.1), (&before.0, &before.1));
        let inner = layer.clear_range(b("d"), b("e"), 5);
        assert_eq!(
            [layer.clearing(b"c"), layer.clearing(b"d"), layer.clearing(b"e")],
            [Some(2), Some(5), Some(2)]
        );
        layer.restore_range(&b("d"), &b("e"), inner);
        assert_eq!(state(&layer).1, before.1);
        // A range of nothing.
        let nothing = layer.clear_range(b("c"), b("b"), 6);
        layer.restore_range(&b("c"), &b("b"), nothing);
        assert_eq!(state(&layer).1, before.1);
    }

    #[test]
    fn restore_undoes_set() {
        let mut layer = Layer::default();
        layer.set(b"k", v("1"), 1u64);
        let before = layer.set(b"k", Value::DELETED, 2);
        layer.restore(b"k", before);
        assert_eq!(layer.get(b"k"), Found::Here(Some(b("1")), 1));
    }
}
