//! The invariants of the index, executed: for tests.

use std::ops::ControlFlow;

use super::number::number;
use super::{ENTRIES, LEVELS_MAX, Ranked};
use crate::kv::Kv;

impl Ranked {
    /// Panics unless the separators are those of the entries, and all weights agree. Answers the number
    /// of stored pairs.
    pub fn check(&self, kv: &mut dyn Kv) -> u64 {
        let pairs = |kv: &mut dyn Kv, level| {
            let mut pairs = Vec::new();
            let visit = &mut |key: &[u8], value: &[u8]| {
                pairs.push((key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            };
            self.walk(kv, level, &[], None, visit).expect("readable pairs");
            pairs
        };
        let mut entries = Vec::new();
        for (key, value) in pairs(kv, ENTRIES) {
            entries.push((self.levels_of(&key), key, self.weight_of(&value).expect("a readable entry")));
        }
        assert_eq!(self.total, entries.iter().map(|(_, _, weight)| weight).sum::<u64>());
        let height = entries.iter().map(|(levels, ..)| *levels).max().unwrap_or_default();
        assert_eq!(self.starts.len(), height, "levels");
        let mut count = entries.len() as u64;
        for level in 1..=LEVELS_MAX {
            let (mut start, mut expected) = (0, Vec::<(Vec<u8>, u64)>::new());
            for (levels, key, weight) in &entries {
                if *levels >= level {
                    expected.push((key.clone(), 0));
                }
                *expected.last_mut().map_or(&mut start, |(_, behind)| behind) += weight;
            }
            assert!(level > height || self.starts[level - 1] == start, "start of level {level}");
            let stored = pairs(kv, level as u8).into_iter();
            let stored: Vec<_> =
                stored.map(|(key, value)| (key, number(&value).expect("a weight"))).collect();
            assert_eq!(stored, expected, "separators of level {level}");
            count += stored.len() as u64;
        }
        count
    }
}
