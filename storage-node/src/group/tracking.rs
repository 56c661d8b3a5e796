//! Keys that clients have read and may hold in caches of their own: in memory of the leader, for one
//! leadership. Known are the streams that the reads came through; which clients they were for is known
//! at their proxies.
//!
//! A key is remembered in the evaluation that reads it and forgotten in the one that changes it; what
//! is to be told then travels with the entry of the change ([`Written`]). So a stream gets the reply
//! first, and is told once the change is committed. A key that has to make room counts as changed.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use bytes::Bytes;
use datatypes::{key, kv::SHARDS};
use smallvec::SmallVec;
use topology::namespace::name_of;

use super::{
    inbox::ReplyQueue,
    view::{Changes, Written},
};

/// What one group remembers; past it, a key has to make room for each new one.
const BYTES_MAX: usize = 64 << 20;
/// What a key and each of its streams costs beside its bytes, about.
const KEY_OVERHEAD_BYTES: usize = 96;

type Streams = SmallVec<[Arc<ReplyQueue>; 1]>;

/// Something that a stream is to be told.
pub struct Told {
    stream: Arc<ReplyQueue>,
    /// The key that changed, and who is not to be told of it; `None`: everything may have.
    key: Option<(Bytes, u64)>,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Tracking {
    keys: BTreeMap<Bytes, Streams>,
    bytes: usize,
    /// The key that made room last.
    evicted: Bytes,
}

impl Tracking {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key was read through `stream`.
    pub fn remember(&mut self, key: &[u8], stream: &Arc<ReplyQueue>, told: &mut Vec<Told>) {
        if let Some(streams) = self.keys.get_mut(key) {
            if !streams.iter().any(|known| Arc::ptr_eq(known, stream)) {
                let before = streams.len();
                streams.retain(|known| !known.is_closed());
                streams.push(stream.clone());
                self.bytes = self.bytes + weight(key, streams.len()) - weight(key, before);
            }
            return;
        }
        self.bytes += weight(key, 1);
        while self.bytes > BYTES_MAX && self.evict(told) {}
        self.keys.insert(Bytes::copy_from_slice(key), Streams::from_iter([stream.clone()]));
    }

    /// The next key in order makes room; false: there is none.
    fn evict(&mut self, told: &mut Vec<Told>) -> bool {
        let after = (Excluded(self.evicted.clone()), Unbounded);
        let next = self.keys.range(after).next().or_else(|| self.keys.iter().next());
        let Some(key) = next.map(|(key, _)| key.clone()) else { return false };
        self.changed(&key, 0, told);
        self.evicted = key;
        true
    }

    /// The key is not what it was.
    fn changed(&mut self, key: &Bytes, writer: u64, told: &mut Vec<Told>) {
        let Some(streams) = self.keys.remove(key) else { return };
        self.bytes -= weight(key, streams.len());
        told.extend(streams.into_iter().map(|stream| Told { stream, key: Some((key.clone(), writer)) }));
    }

    /// Everything may have changed.
    pub fn forget_all(&mut self, told: &mut Vec<Told>) {
        let streams = distinct(std::mem::take(self).keys.into_values().flatten());
        told.extend(streams.into_iter().map(|stream| Told { stream, key: None }));
    }
}

fn weight(key: &[u8], streams: usize) -> usize {
    key.len() + KEY_OVERHEAD_BYTES + streams * size_of::<Arc<ReplyQueue>>()
}

/// Each once, in the order of their first appearance.
fn distinct(streams: impl Iterator<Item = Arc<ReplyQueue>>) -> Streams {
    let mut distinct = Streams::new();
    for stream in streams {
        if !distinct.iter().any(|known| Arc::ptr_eq(known, &stream)) {
            distinct.push(stream);
        }
    }
    distinct
}

/// Tells the streams.
pub fn tell(group: u64, told: Vec<Told>) {
    for Told { stream, key } in told {
        match key {
            Some((key, writer)) => stream.tell_changed(group, key, writer),
            None => stream.tell_everything(group),
        }
    }
}

/// The leadership ends: nobody knows what becomes of what was to be told.
pub fn tell_lost(group: u64, told: impl Iterator<Item = Told>) {
    distinct(told.map(|told| told.stream)).iter().for_each(|stream| stream.tell_everything(group));
}

/// Notes changes by `writer` (0: nobody in particular) in what their entry wrote. `broadcasts`: somebody
/// is told of keys by their beginnings.
pub fn note(
    tracking: &mut Tracking,
    written: &mut Written,
    changes: &Changes,
    writer: u64,
    broadcasts: bool,
) {
    if tracking.is_empty() && !broadcasts {
        return;
    }
    if changes.flushed {
        tracking.forget_all(&mut written.told);
        written.changed.flushed |= broadcasts;
    }
    for key in changes.heads.iter().filter_map(changed_key) {
        tracking.changed(&key, writer, &mut written.told);
        if broadcasts {
            written.changed.add(key, writer);
        }
    }
}

/// The key with that head record; for a shard, its namespace.
fn changed_key(head: &Bytes) -> Option<Bytes> {
    let at = key::parse_head(head)?;
    if at.db & SHARDS == 0 {
        Some(key::user_key(head))
    } else {
        name_of(at.key).map(|name| head.slice_ref(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(stream: &ReplyQueue) -> Vec<(Bytes, u64)> {
        let changes = stream.take_changes();
        assert!(changes.iter().all(|changed| changed.group == 5 && !changed.everything));
        changes.into_iter().flat_map(|c| c.keys.into_iter().zip(c.writers)).collect()
    }

    fn changes(names: &[&[u8]]) -> Changes {
        Changes { heads: names.iter().map(|name| key::head(0, name)).collect(), flushed: false }
    }

    #[test]
    fn each_stream_is_told_once_and_only_of_what_it_read() {
        let (mut tracking, mut written) = (Tracking::default(), Written::default());
        let (one, two) = (Arc::<ReplyQueue>::default(), Arc::<ReplyQueue>::default());
        for stream in [&one, &one, &two] {
            tracking.remember(b"a", stream, &mut written.told);
        }
        tracking.remember(b"b", &two, &mut written.told);
        note(&mut tracking, &mut written, &changes(&[b"a", b"c"]), 9, false);
        note(&mut tracking, &mut written, &changes(&[b"a"]), 0, false);
        tell(5, written.told);
        assert_eq!(keys(&one), [(Bytes::from_static(b"a"), 9)]);
        assert_eq!(keys(&two), [(Bytes::from_static(b"a"), 9)]);
        assert!(!tracking.is_empty() && written.changed.is_empty());
    }

    #[test]
    fn what_is_lost_or_flushed_is_told_as_a_whole() {
        let (mut tracking, mut written) = (Tracking::default(), Written::default());
        let stream = Arc::<ReplyQueue>::default();
        tracking.remember(b"a", &stream, &mut written.told);
        tracking.remember(b"b", &stream, &mut written.told);
        note(&mut tracking, &mut written, &Changes { flushed: true, ..Changes::default() }, 0, true);
        assert!(tracking.is_empty() && tracking.bytes == 0 && written.changed.flushed);
        tell(5, written.told);
        assert_eq!(stream.take_changes().iter().filter(|changed| changed.everything).count(), 1);
    }

    #[test]
    fn memory_is_bounded_and_who_makes_room_is_told() {
        let (mut tracking, mut told) = (Tracking::default(), Vec::new());
        let stream = Arc::<ReplyQueue>::default();
        let name = |n: u32| [&n.to_be_bytes()[..], &[b'x'; 1 << 20]].concat();
        for n in 0..100 {
            tracking.remember(&name(n), &stream, &mut told);
            assert!(tracking.bytes <= BYTES_MAX);
        }
        let left = tracking.keys.len();
        assert_eq!(told.len() + left, 100);
        assert!(left > 60 && tracking.keys.contains_key(&name(99)[..]));
    }
}
