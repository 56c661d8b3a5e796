//! Keys that changed, for those who are told of all keys that begin in a certain way.

use std::{
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
};

use bytes::Bytes;
use proto::v1::EventChanged;

/// What one entry changed.
#[derive(Debug, Default)]
pub struct ChangedKeys {
    /// By key, who changed it and is not to be told; 0: all are.
    keys: BTreeMap<Bytes, u64>,
    /// And everything else.
    pub flushed: bool,
}

impl ChangedKeys {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.flushed
    }

    pub fn add(&mut self, key: Bytes, writer: u64) {
        let known = self.keys.entry(key).or_insert(writer);
        if *known != writer {
            // Each of them is to be told of the other.
            *known = 0;
        }
    }

    /// What is told of keys with a prefix; `None`: nothing.
    pub fn event(&self, group: u64, prefix: &Bytes) -> Option<EventChanged> {
        let from_there = self.keys.range::<[u8], _>((Included(&prefix[..]), Unbounded));
        let (keys, writers): (Vec<Bytes>, Vec<u64>) = from_there
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, &writer)| (key.clone(), writer))
            .unzip();
        let is_told = !keys.is_empty();
        is_told.then(|| EventChanged { group, prefix: prefix.clone(), keys, writers, everything: false })
    }
}

/// Bytes that an event occupies while it waits, about.
pub fn weight(changed: &EventChanged) -> usize {
    changed.keys.iter().map(|key| key.len() + size_of::<Bytes>() + size_of::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_alone_in_a_change_is_told_of_it() {
        let mut changed = ChangedKeys::default();
        for (key, writer) in [("a", 1), ("b", 1), ("a", 2), ("b", 1)] {
            changed.add(Bytes::from(key), writer);
        }
        let event = changed.event(3, &Bytes::new()).unwrap();
        assert_eq!((event.keys.len(), &event.writers[..]), (2, &[0, 1][..]));
        assert!(changed.event(3, &Bytes::from("c")).is_none());
    }
}
