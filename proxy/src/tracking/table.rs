//! Who has read what, and who is told of which prefixes: pure. Whom to tell comes out.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::pubsub::Subscriber;

/// What the table may hold, whatever the number of keys.
const BYTES_MAX: usize = 256 << 20;
/// What a key, and each client at it, costs beside its bytes, about.
const KEY_OVERHEAD_BYTES: usize = 96;
const ITEM_BYTES: usize = 64;

/// A client that tracks.
pub struct Member {
    pub subscriber: Arc<Subscriber>,
    /// Of its connection.
    pub worker: usize,
    /// The client that is told; 0: itself.
    pub redirect: u64,
    pub broadcast: bool,
    /// What it is called where it makes a change that it is not to be told of; 0: it is to be.
    pub writer: u64,
}

struct Seat {
    member: Member,
    keys: HashSet<Bytes>,
    prefixes: BTreeSet<Bytes>,
}

impl Seat {
    fn notice(&self, keys: Option<Vec<Bytes>>) -> Notice {
        Notice { to: self.member.subscriber.clone(), redirect: self.member.redirect, keys }
    }

    fn is_told_of(&self, writer: u64) -> bool {
        self.member.writer == 0 || self.member.writer != writer
    }
}

/// Something to tell a client.
pub struct Notice {
    pub to: Arc<Subscriber>,
    /// Who is told instead; 0: nobody.
    pub redirect: u64,
    /// `None`: everything.
    pub keys: Option<Vec<Bytes>>,
}

/// Sizes, as INFO shows them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub clients: usize,
    pub keys: usize,
    pub items: usize,
    pub prefixes: usize,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Table {
    seats: BTreeMap<u64, Seat>,
    /// Ids of those who have read them, ascending.
    keys: BTreeMap<Bytes, SmallVec<[u64; 2]>>,
    prefixes: BTreeMap<Bytes, BTreeSet<u64>>,
    items: usize,
    bytes: usize,
    /// The key that made room last.
    evicted: Bytes,
}

impl Table {
    /// The client tracks from here on, or in another way: what it has read stays.
    pub fn join(&mut self, member: Member, prefixes: &[Bytes]) {
        let id = member.subscriber.info.id;
        for prefix in prefixes {
            self.prefixes.entry(prefix.clone()).or_default().insert(id);
        }
        match self.seats.get_mut(&id) {
            Some(seat) => {
                seat.member = member;
                seat.prefixes.extend(prefixes.iter().cloned());
            }
            None => {
                let prefixes = prefixes.iter().cloned().collect();
                self.seats.insert(id, Seat { member, keys: HashSet::new(), prefixes });
            }
        }
    }

    /// The client tracks no more. Answers the prefixes that nobody is told of any more.
    pub fn leave(&mut self, client: u64) -> Vec<Bytes> {
        self.forget_reads(client);
        let Some(seat) = self.seats.remove(&client) else { return Vec::new() };
        let mut unused = Vec::new();
        for prefix in seat.prefixes {
            let clients = self.prefixes.get_mut(&prefix);
            let is_last = clients.is_some_and(|clients| clients.remove(&client) && clients.is_empty());
            if is_last {
                self.prefixes.remove(&prefix);
                unused.push(prefix);
            }
        }
        unused
    }

    /// The client gets what it has read of `key`. Answers whom to tell of keys that make room.
    pub fn has_read(&mut self, client: u64, key: &[u8], keys_max: usize) -> Vec<Notice> {
        let Some(seat) = self.seats.get_mut(&client).filter(|seat| !seat.member.broadcast) else {
            return Vec::new();
        };
        if seat.keys.contains(key) {
            return Vec::new();
        }
        let key = match self.keys.get_key_value(key) {
            Some((known, _)) => known.clone(),
            None => {
                self.bytes += key.len() + KEY_OVERHEAD_BYTES;
                Bytes::copy_from_slice(key)
            }
        };
        seat.keys.insert(key.clone());
        let clients = self.keys.entry(key).or_default();
        if let Err(at) = clients.binary_search(&client) {
            clients.insert(at, client);
            self.items += 1;
            self.bytes += ITEM_BYTES;
        }
        self.trim(keys_max)
    }

    /// Keys make room until there are no more than so many (0: any number).
    pub fn trim(&mut self, keys_max: usize) -> Vec<Notice> {
        let mut notices = Vec::new();
        while keys_max > 0 && self.keys.len() > keys_max || self.bytes > BYTES_MAX {
            let after = (Excluded(self.evicted.clone()), Unbounded);
            let next = self.keys.range(after).next().or_else(|| self.keys.iter().next());
            let Some(key) = next.map(|(key, _)| key.clone()) else { break };
            for client in self.take_key(&key) {
                self.take_out(client, &key, 0, &mut notices);
            }
            self.evicted = key;
        }
        notices
    }

    /// Keys that were read through `worker` have changed.
    pub fn changed(&mut self, worker: usize, keys: &[Bytes], writers: &[u64]) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let writer = writers.get(at).copied().unwrap_or(0);
            let (concerned, others): (SmallVec<[u64; 2]>, SmallVec<[u64; 2]>) =
                self.take_key(key).into_iter().partition(|client| self.is_at(*client, worker));
            for client in concerned {
                self.take_out(client, key, writer, &mut notices);
            }
            if !others.is_empty() {
                self.items += others.len();
                self.bytes += key.len() + KEY_OVERHEAD_BYTES + others.len() * ITEM_BYTES;
                self.keys.insert(Bytes::copy_from_slice(key), others);
            }
        }
        notices
    }

    fn is_at(&self, client: u64, worker: usize) -> bool {
        self.seats.get(&client).is_some_and(|seat| seat.member.worker == worker)
    }

    fn take_key(&mut self, key: &Bytes) -> SmallVec<[u64; 2]> {
        let Some(clients) = self.keys.remove(key) else { return SmallVec::new() };
        self.items -= clients.len();
        self.bytes -= key.len() + KEY_OVERHEAD_BYTES + clients.len() * ITEM_BYTES;
        clients
    }

    fn take_out(&mut self, client: u64, key: &Bytes, writer: u64, notices: &mut Vec<Notice>) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        seat.keys.remove(key);
        if seat.is_told_of(writer) {
            notices.push(seat.notice(Some(vec![Bytes::copy_from_slice(key)])));
        }
    }

    /// Everything that was read through `worker` may have changed.
    pub fn everything(&mut self, worker: usize) -> Vec<Notice> {
        let has_read = |(_, seat): &(&u64, &Seat)| seat.member.worker == worker && !seat.keys.is_empty();
        let clients: Vec<u64> = self.seats.iter().filter(has_read).map(|(&client, _)| client).collect();
        clients.into_iter().filter_map(|client| self.doubt(client)).collect()
    }

    /// Everything that the client has read may have changed.
    pub fn doubt(&mut self, client: u64) -> Option<Notice> {
        self.forget_reads(client);
        let seat = self.seats.get(&client).filter(|seat| !seat.member.broadcast)?;
        Some(seat.notice(None))
    }

    fn forget_reads(&mut self, client: u64) {
        let Some(seat) = self.seats.get_mut(&client) else { return };
        for key in std::mem::take(&mut seat.keys) {
            let Some(clients) = self.keys.get_mut(&key) else { continue };
            if let Ok(at) = clients.binary_search(&client) {
                clients.remove(at);
                self.items -= 1;
                self.bytes -= ITEM_BYTES;
            }
            if clients.is_empty() {
                self.keys.remove(&key);
                self.bytes -= key.len() + KEY_OVERHEAD_BYTES;
            }
        }
    }

    /// Keys with a prefix have changed.
    pub fn broadcast(&self, prefix: &[u8], keys: &[Bytes], writers: &[u64]) -> Vec<Notice> {
        let told = |seat: &Seat| {
            let is_told = |(at, _): &(usize, &Bytes)| seat.is_told_of(writers.get(*at).copied().unwrap_or(0));
            let keys: Vec<Bytes> =
                keys.iter().enumerate().filter(is_told).map(|(_, key)| key.clone()).collect();
            (!keys.is_empty()).then(|| seat.notice(Some(keys)))
        };
        self.seats_of(prefix).filter_map(told).collect()
    }

    /// What was changed of keys with a prefix is not known.
    pub fn renewed(&self, prefix: &[u8]) -> Vec<Notice> {
        self.seats_of(prefix).map(|seat| seat.notice(None)).collect()
    }

    fn seats_of(&self, prefix: &[u8]) -> impl Iterator<Item = &Seat> {
        let clients = self.prefixes.get(prefix).into_iter().flatten();
        clients.filter_map(|client| self.seats.get(client))
    }

    /// All keys have changed.
    pub fn all_broadcast(&self) -> Vec<Notice> {
        let broadcasts = |seat: &&Seat| seat.member.broadcast;
        self.seats.values().filter(broadcasts).map(|seat| seat.notice(None)).collect()
    }

    pub fn figures(&self) -> Figures {
        Figures {
            clients: self.seats.len(),
            keys: self.keys.len(),
            items: self.items,
            prefixes: self.prefixes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::subscriber_for_tests as subscriber;

    fn member(id: u64, worker: usize) -> Member {
        Member { subscriber: subscriber(id), worker, redirect: 0, broadcast: false, writer: 0 }
    }

    fn bytes(names: &[&'static str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::from(*name)).collect()
    }

    /// Clients, and what they are told.
    fn shown(notices: impl IntoIterator<Item = Notice>) -> Vec<(u64, Option<Vec<Bytes>>)> {
        notices.into_iter().map(|notice| (notice.to.info.id, notice.keys)).collect()
    }

    fn read(table: &mut Table, client: u64, keys: &[&str]) {
        for key in keys {
            assert!(table.has_read(client, key.as_bytes(), 1000).is_empty());
        }
    }

    #[test]
    fn those_who_have_read_a_key_are_told_once() {
        let mut table = Table::default();
        (1..=3).for_each(|id| table.join(member(id, usize::from(id == 3)), &[]));
        read(&mut table, 1, &["a", "b", "a"]);
        read(&mut table, 2, &["a"]);
        read(&mut table, 3, &["a"]);
        read(&mut table, 4, &["a"]);
        assert_eq!(table.figures(), Figures { clients: 3, keys: 2, items: 4, prefixes: 0 });
        let told = |keys: &[&'static str]| Some(bytes(keys));
        let notices = table.changed(0, &bytes(&["a", "c"]), &[]);
        assert_eq!(shown(notices), [(1, told(&["a"])), (2, told(&["a"]))]);
        assert!(table.changed(0, &bytes(&["a"]), &[]).is_empty());
        assert_eq!(shown(table.changed(1, &bytes(&["a"]), &[])), [(3, told(&["a"]))]);
        assert_eq!(table.figures(), Figures { clients: 3, keys: 1, items: 1, prefixes: 0 });
    }

    #[test]
    fn who_changes_a_key_may_not_want_to_be_told() {
        let mut table = Table::default();
        table.join(Member { writer: 7, ..member(1, 0) }, &[]);
        table.join(member(2, 0), &[]);
        read(&mut table, 1, &["a", "b"]);
        read(&mut table, 2, &["a"]);
        let notices = table.changed(0, &bytes(&["a", "b"]), &[7, 8]);
        assert_eq!(shown(notices), [(2, Some(bytes(&["a"]))), (1, Some(bytes(&["b"])))]);
        assert_eq!((table.items, table.bytes), (0, 0));
    }

    #[test]
    fn what_is_not_known_is_told_as_everything() {
        let mut table = Table::default();
        (1..=3).for_each(|id| table.join(member(id, usize::from(id == 3)), &[]));
        read(&mut table, 1, &["a", "b"]);
        read(&mut table, 3, &["a"]);
        assert_eq!(shown(table.everything(0)), [(1, None)]);
        assert!(table.everything(0).is_empty(), "nothing was read since");
        assert_eq!(shown(table.doubt(2)), [(2, None)]);
        assert!(table.doubt(9).is_none());
        assert_eq!(table.figures(), Figures { clients: 3, keys: 1, items: 1, prefixes: 0 });
    }

    #[test]
    fn keys_make_room_and_are_told() {
        let mut table = Table::default();
        table.join(member(1, 0), &[]);
        read(&mut table, 1, &["a", "b", "c"]);
        assert_eq!(shown(table.trim(2)), [(1, Some(bytes(&["a"])))]);
        assert_eq!(shown(table.has_read(1, b"d", 2)), [(1, Some(bytes(&["b"])))]);
        assert!(table.trim(0).is_empty());
        assert_eq!(table.figures().keys, 2);
        let large = vec![b'x'; 100 << 20];
        let told: usize = (0..5).map(|n| table.has_read(1, &[&large[..], &[n]].concat(), 0).len()).sum();
        assert!(told >= 3 && table.bytes <= BYTES_MAX);
        assert!(table.leave(1).is_empty());
        assert_eq!((table.figures(), table.bytes), (Figures::default(), 0));
    }

    #[test]
    fn prefixes_are_told_to_those_who_asked() {
        let mut table = Table::default();
        let broadcast = |id, writer| Member { broadcast: true, writer, ..member(id, 0) };
        table.join(broadcast(1, 0), &bytes(&["a:", "b:"]));
        table.join(broadcast(2, 7), &bytes(&["a:"]));
        table.join(member(3, 0), &[]);
        assert!(table.has_read(1, b"a:1", 10).is_empty());
        let notices = table.broadcast(b"a:", &bytes(&["a:1", "a:2"]), &[7, 0]);
        assert_eq!(shown(notices), [(1, Some(bytes(&["a:1", "a:2"]))), (2, Some(bytes(&["a:2"])))]);
        assert_eq!(shown(table.broadcast(b"a:", &bytes(&["a:1"]), &[7])), [(1, Some(bytes(&["a:1"])))]);
        assert_eq!(shown(table.all_broadcast()), [(1, None), (2, None)]);
        assert_eq!(shown(table.renewed(b"b:")), [(1, None)]);
        assert_eq!(table.figures(), Figures { clients: 3, keys: 0, items: 0, prefixes: 2 });
        assert_eq!(table.leave(1), bytes(&["b:"]));
        assert_eq!(table.leave(2), bytes(&["a:"]));
    }
}
