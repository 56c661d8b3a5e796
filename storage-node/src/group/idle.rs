//! When keys were used last, about: what OBJECT IDLETIME tells.
//!
//! A table of a fixed size, by the hash of the key. Keys that share a place make each other look
//! younger, never older. A leader knows of its own time only, and of none before.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Places: a quarter of a megabyte for each group that is led.
const PLACES: usize = 1 << 16;

#[derive(Default)]
pub struct LastUses {
    /// In whole seconds after `since_ms`; 0 where nothing was used. Made at the first use.
    seconds: Box<[u32]>,
    since_ms: u64,
    hasher: RandomState,
}

impl LastUses {
    pub fn note(&mut self, key: &[u8], now_ms: u64) {
        if self.seconds.is_empty() {
            *self = Self { seconds: vec![0; PLACES].into(), since_ms: now_ms, hasher: self.hasher.clone() };
        }
        let (place, second) = (self.place(key), self.second(now_ms));
        self.seconds[place] = second;
    }

    /// How long ago the key was used, at most, in whole seconds.
    pub fn idle_ms(&self, key: &[u8], now_ms: u64) -> u64 {
        let Some(&last) = self.seconds.get(self.place(key)) else { return 0 };
        1000 * u64::from(self.second(now_ms).saturating_sub(last))
    }

    fn second(&self, now_ms: u64) -> u32 {
        (now_ms.saturating_sub(self.since_ms) / 1000).try_into().unwrap_or(u32::MAX)
    }

    fn place(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize % PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_idle_since_it_was_used_or_since_anything_was() {
        let mut uses = LastUses::default();
        assert_eq!(uses.idle_ms(b"a", 5_000_000), 0);
        uses.note(b"a", 1_000_000);
        uses.note(b"b", 1_007_500);
        assert_eq!(uses.idle_ms(b"a", 1_009_900), 9_000);
        assert_eq!(uses.idle_ms(b"b", 1_009_900), 2_000);
        assert_eq!(uses.idle_ms(b"never", 1_009_900), 9_000);
        uses.note(b"a", 1_010_000);
        assert_eq!(uses.idle_ms(b"a", 1_010_999), 0);
        assert_eq!(uses.idle_ms(b"a", 900_000), 0, "a clock that goes back makes nothing old");
    }
}
