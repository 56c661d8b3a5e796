//! Keys that clients watch for a transaction: in memory of the leader, for one leadership.
//!
//! A token says "as of this change, under this leadership". A transaction is executed only if each of
//! its tokens is still the newest of its key; a token of another leadership, or one that was forgotten
//! because too many keys were watched, never is. So watching may fail a transaction that could have
//! been executed, and never lets one pass that must not be.

use std::collections::HashMap;

use bytes::Bytes;

/// Keys watched at once; past it, all are forgotten.
const KEYS_MAX: usize = 100_000;

#[derive(Debug)]
struct Watched {
    version: u64,
    /// The key was there when someone began to watch it as of this version.
    existed: bool,
}

/// What is watched, by the keys of head records.
#[derive(Debug)]
pub struct Watches {
    /// Names a period in which nothing was forgotten.
    period: u64,
    changes: u64,
    keys: HashMap<Bytes, Watched>,
}

impl Watches {
    /// `period` must be one that no other table of the group has.
    pub fn new(period: u64) -> Self {
        Self { period, changes: 0, keys: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Begins to watch; the token.
    pub fn watch(&mut self, head: Bytes, exists: bool) -> [u8; 16] {
        if self.keys.len() >= KEYS_MAX {
            self.keys = HashMap::new();
            self.period = self.period.wrapping_add(1);
        }
        let changes = self.changes;
        let watched = self.keys.entry(head).or_insert(Watched { version: changes, existed: exists });
        // A key that is due and not yet removed is there for one watcher and not for the next.
        watched.existed |= exists;
        token(self.period, watched.version)
    }

    /// The key was written.
    pub fn changed(&mut self, head: &[u8]) {
        if let Some(watched) = self.keys.get_mut(head) {
            self.changes += 1;
            // No token is good any more.
            *watched = Watched { version: self.changes, existed: false };
        }
    }

    /// The key was removed because it was due. Whoever began to watch it then saw no key.
    pub fn expired(&mut self, head: &[u8]) {
        if self.keys.get(head).is_some_and(|watched| watched.existed) {
            self.changed(head);
        }
    }

    /// Everything was removed.
    pub fn flushed(&mut self) {
        self.changes += 1;
        for watched in self.keys.values_mut().filter(|watched| watched.existed) {
            *watched = Watched { version: self.changes, existed: false };
        }
    }

    /// Whether nothing happened to the key since the token was given; `exists` says whether it is there.
    pub fn holds(&self, head: &[u8], given: &[u8], exists: bool) -> bool {
        self.keys.get(head).is_some_and(|watched| {
            // It may be due and not yet removed.
            given == token(self.period, watched.version) && (exists || !watched.existed)
        })
    }
}

fn token(period: u64, version: u64) -> [u8; 16] {
    let mut token = [0; 16];
    token[..8].copy_from_slice(&period.to_le_bytes());
    token[8..].copy_from_slice(&version.to_le_bytes());
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_ends_every_token_of_its_key() {
        let mut watches = Watches::new(7);
        let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
        let (first, other) = (watches.watch(a.clone(), true), watches.watch(b, true));
        assert!(watches.holds(b"a", &first, true));
        watches.changed(b"a");
        assert!(!watches.holds(b"a", &first, true));
        assert!(watches.holds(b"b", &other, true));
        let second = watches.watch(a, true);
        assert!(watches.holds(b"a", &second, true) && !watches.holds(b"a", &second, false));
    }

    #[test]
    fn what_was_not_there_cannot_expire_or_be_flushed() {
        let mut watches = Watches::new(7);
        let token = watches.watch(Bytes::from_static(b"a"), false);
        watches.expired(b"a");
        watches.flushed();
        assert!(watches.holds(b"a", &token, false));
        let token = watches.watch(Bytes::from_static(b"b"), true);
        watches.flushed();
        assert!(!watches.holds(b"b", &token, true));
    }

    #[test]
    fn what_a_key_was_before_its_last_change_does_not_count() {
        let mut watches = Watches::new(7);
        let a = Bytes::from_static(b"a");
        let first = watches.watch(a.clone(), true);
        watches.changed(b"a");
        let second = watches.watch(a.clone(), false);
        watches.flushed();
        watches.expired(b"a");
        assert!(!watches.holds(b"a", &first, false) && watches.holds(b"a", &second, false));
        // Due, and not yet removed when the second one looks.
        let there = watches.watch(a.clone(), true);
        watches.watch(a, false);
        watches.expired(b"a");
        assert!(!watches.holds(b"a", &there, false));
    }

    #[test]
    fn too_many_keys_end_all_tokens() {
        let mut watches = Watches::new(7);
        let token = watches.watch(Bytes::from_static(b"a"), true);
        for key in 0..KEYS_MAX {
            watches.watch(Bytes::from(key.to_le_bytes().to_vec()), true);
        }
        assert!(!watches.holds(b"a", &token, true));
        assert!(watches.keys.len() < KEYS_MAX);
    }

    #[test]
    fn tokens_of_another_leadership_are_worth_nothing() {
        let token = Watches::new(1).watch(Bytes::from_static(b"a"), true);
        let mut watches = Watches::new(2);
        watches.watch(Bytes::from_static(b"a"), true);
        assert!(!watches.holds(b"a", &token, true));
        assert!(!watches.holds(b"z", &token, true));
    }
}
