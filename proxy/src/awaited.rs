//! Clients that wait, and the keys that they wait for.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub struct Awaited(Mutex<Waits>);

#[derive(Debug, Default)]
struct Waits {
    clients: usize,
    keys: BTreeMap<(u8, Bytes), Key>,
}

/// Clients that wait for one key.
#[derive(Debug, Default)]
struct Key {
    clients: usize,
    /// Of them, those that are also told when the key goes.
    on_nokey: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub clients: usize,
    pub keys: usize,
    /// Keys whose going is told.
    pub keys_on_nokey: usize,
}

impl Awaited {
    /// A client begins to wait.
    pub fn add(&self, db: u8, keys: &[Bytes], on_nokey: bool) {
        let mut waits = self.0.lock();
        waits.clients += 1;
        for key in keys {
            let key = waits.keys.entry((db, key.clone())).or_default();
            key.clients += 1;
            key.on_nokey += usize::from(on_nokey);
        }
    }

    /// Undoes [`Awaited::add`].
    pub fn remove(&self, db: u8, keys: &[Bytes], on_nokey: bool) {
        let mut waits = self.0.lock();
        waits.clients -= 1;
        for key in keys {
            let place = (db, key.clone());
            if let Some(key) = waits.keys.get_mut(&place) {
                key.clients -= 1;
                key.on_nokey -= usize::from(on_nokey);
                if key.clients == 0 {
                    waits.keys.remove(&place);
                }
            }
        }
    }

    /// All at one moment.
    pub fn counts(&self) -> Counts {
        let waits = self.0.lock();
        let keys_on_nokey = waits.keys.values().filter(|key| key.on_nokey > 0).count();
        Counts { clients: waits.clients, keys: waits.keys.len(), keys_on_nokey }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_keys_are_counted_together() {
        let awaited = Awaited::default();
        let (one, both) = ([Bytes::from_static(b"a")], [Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
        awaited.add(0, &one, false);
        awaited.add(0, &both, true);
        awaited.add(1, &one, false);
        awaited.add(0, &[], false);
        assert_eq!(awaited.counts(), Counts { clients: 4, keys: 3, keys_on_nokey: 2 });
        awaited.remove(0, &both, true);
        assert_eq!(awaited.counts(), Counts { clients: 3, keys: 2, keys_on_nokey: 0 });
        awaited.remove(0, &one, false);
        awaited.remove(1, &one, false);
        awaited.remove(0, &[], false);
        assert_eq!(awaited.counts(), Counts { clients: 0, keys: 0, keys_on_nokey: 0 });
    }
}
