//! Hash slots and sets of them.

use serde::{Deserialize, Serialize};

/// Number of hash slots of a Redis Cluster.
pub const SLOT_COUNT: u16 = 16384;

/// A hash slot, `0..SLOT_COUNT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u16);

impl Slot {
    pub fn new(number: u16) -> Option<Self> {
        (number < SLOT_COUNT).then_some(Self(number))
    }

    pub fn number(self) -> u16 {
        self.0
    }
}

/// The slot of a key: CRC16 (XMODEM) of the hash tag, modulo 16384 (Redis Cluster specification,
/// "Hash tags": the first `{` with a non-empty part before the next `}`).
pub fn slot_of(key: &[u8]) -> Slot {
    Slot(crc16::State::<crc16::XMODEM>::calculate(hash_tag(key)) % SLOT_COUNT)
}

fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&b| b == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&b| b == b'}') {
        Some(len) if len > 0 => &rest[..len],
        _ => key,
    }
}

/// A set of slots as maximal, ascending, inclusive ranges: the canonical form, so equal sets have
/// equal text on every node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotSet {
    ranges: Vec<(u16, u16)>,
}

impl SlotSet {
    pub fn all() -> Self {
        Self { ranges: vec![(0, SLOT_COUNT - 1)] }
    }

    /// `index`-th of `parts` contiguous shares of all slots, sized as evenly as possible.
    pub fn share(index: usize, parts: usize) -> Self {
        let bound = |i: usize| (i * usize::from(SLOT_COUNT) / parts) as u16;
        let (first, end) = (bound(index), bound(index + 1));
        if first == end { Self::default() } else { Self { ranges: vec![(first, end - 1)] } }
    }

    pub fn from_slots(slots: impl IntoIterator<Item = Slot>) -> Self {
        let mut numbers: Vec<u16> = slots.into_iter().map(Slot::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for n in numbers {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == n => *last = n,
                _ => ranges.push((n, n)),
            }
        }
        Self { ranges }
    }

    pub fn contains(&self, slot: Slot) -> bool {
        let n = slot.number();
        let at = self.ranges.partition_point(|&(_, last)| last < n);
        self.ranges.get(at).is_some_and(|&(first, _)| first <= n)
    }

    /// Maximal inclusive ranges, ascending.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges
    }

    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| (first..=last).map(Slot))
    }

    pub fn len(&self) -> usize {
        self.ranges.iter().map(|&(first, last)| usize::from(last - first) + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub fn union(&self, other: &Self) -> Self {
        Self::from_slots(self.iter().chain(other.iter()))
    }

    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_slots(self.iter().filter(|&s| other.contains(s)))
    }

    pub fn difference(&self, other: &Self) -> Self {
        Self::from_slots(self.iter().filter(|&s| !other.contains(s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_agree_with_redis() {
        assert_eq!(slot_of(b"foo").number(), 12182);
        assert_eq!(slot_of(b"").number(), 0);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), slot_of(b"foo{}{bar}"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
    }

    #[test]
    fn shares_cover_every_slot_once() {
        for parts in 1..20 {
            let mut seen = 0;
            for i in 0..parts {
                seen += SlotSet::share(i, parts).len();
            }
            assert_eq!(seen, usize::from(SLOT_COUNT));
        }
    }

    #[test]
    fn sets_are_canonical() {
        let set = SlotSet::from_slots([3, 1, 2, 7, 3].map(|n| Slot::new(n).unwrap()));
        assert_eq!(set.ranges(), [(1, 3), (7, 7)]);
        assert!(set.contains(Slot(2)) && !set.contains(Slot(4)) && !set.contains(Slot(0)));
        assert_eq!(set.difference(&SlotSet::from_slots([Slot(2)])).ranges(), [(1, 1), (3, 3), (7, 7)]);
    }
}
