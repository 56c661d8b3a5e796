//! Ranges of keys that a layer has cleared: disjoint, so that a lookup finds the one of a key at once
//! however many there are.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;

/// By where they begin: where they end, and the tag of who cleared them last.
#[derive(Clone)]
pub struct Ranges<T>(BTreeMap<Bytes, (Bytes, T)>);

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> Ranges<T> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who cleared `key` last.
    pub fn of(&self, key: &[u8]) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        let (_, (to, tag)) = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        (key < &to[..]).then_some(*tag)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter().map(|(from, (to, _))| (from, to))
    }

    /// Clears `from <= key < to`; answers the ranges that lay there, wholly or in part.
    pub fn insert(&mut self, from: Bytes, to: Bytes, tag: T) -> Vec<(Bytes, Bytes, T)> {
        let before = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(&from[..]))).next_back();
        let before = before.filter(|(_, (end, _))| *end > from).map(|(begin, _)| begin.clone());
        let inside = self.0.range::<[u8], _>((Bound::Included(&from[..]), Bound::Excluded(&to[..])));
        let begins: Vec<Bytes> = before.into_iter().chain(inside.map(|(begin, _)| begin.clone())).collect();
        let mut hidden = Vec::with_capacity(begins.len());
        for begin in begins {
            let Some((end, old)) = self.0.remove(&begin) else { continue };
            if begin < from {
                self.0.insert(begin.clone(), (from.clone(), old));
            }
            if end > to {
                self.0.insert(to.clone(), (end.clone(), old));
            }
            hidden.push((begin, end, old));
        }
        self.0.insert(from, (to, tag));
        hidden
    }

    /// Undoes [`insert`](Self::insert), the latest first. Some of what it answered may have been forgotten, as
    /// here.
    pub fn restore(&mut self, from: &Bytes, to: &Bytes, hidden: Vec<(Bytes, Bytes, T)>) {
        self.0.remove(from);
        for (begin, end, tag) in hidden {
            if end > *to {
                self.0.remove(to);
            }
            self.0.insert(begin, (end, tag));
        }
    }

    /// Forgets ranges by tag.
    pub fn forget(&mut self, forget: impl Fn(T) -> bool) {
        self.0.retain(|_, (_, tag)| !forget(*tag));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(at: u8) -> Bytes {
        Bytes::copy_from_slice(&[at])
    }

    fn tags(ranges: &Ranges<usize>) -> Vec<Option<usize>> {
        (0..16).map(|at| ranges.of(&key(at))).collect()
    }

    proptest! {
        #[test]
        fn the_last_range_over_a_key_is_its_own_and_all_can_be_undone(
            steps in prop::collection::vec((0..16u8, 1..8u8), 1..20),
            settled in 0..20usize,
        ) {
            let (mut ranges, mut model) = (Ranges::default(), vec![vec![None; 16]]);
            let mut done = Vec::new();
            for (tag, &(from, len)) in steps.iter().enumerate() {
                let to = (from + len).min(16);
                let mut next = model.last().unwrap().clone();
                next[usize::from(from)..usize::from(to)].fill(Some(tag));
                done.push((key(from), key(to), ranges.insert(key(from), key(to), tag)));
                prop_assert_eq!(&tags(&ranges), &next);
                model.push(next);
            }
            // What is settled is forgotten here and in what is kept for undoing.
            ranges.forget(|tag| tag < settled);
            for (_, _, hidden) in &mut done {
                hidden.retain(|(_, _, tag)| *tag >= settled);
            }
            while let Some((from, to, hidden)) = done.pop().filter(|_| done.len() >= settled) {
                model.pop();
                ranges.restore(&from, &to, hidden);
                let expected: Vec<_> =
                    model.last().unwrap().iter().map(|tag| tag.filter(|tag| *tag >= settled)).collect();
                prop_assert_eq!(tags(&ranges), expected);
            }
        }
    }
}
