//! What a Raft entry of a data group carries: the effects of the commands that were evaluated
//! together, and the replies by which a repeated batch is answered.
//!
//! ```text
//! entry    := version:u8=1  term:u64le  time_ms:u64le
//!             len:varint ops  len:varint counts  len:varint sessions  len:varint slots
//!             [ len:varint namespaces ]
//! op       := 1 key value | 2 key | 3 from to            (byte strings: len:varint bytes)
//! count    := db:u8  delta:i64le
//! session  := id:u64le  seq:u64le  acked:u64le  replies:bytes      seq 0: the session is dropped
//! slots    := version:u64le  n × ( first:u16le last:u16le )        present when slots changed
//! namespaces := version:u64le  JSON                           present when namespaces changed
//! ```
//!
//! Of several operations on one key, only the last is part of the entry.
//!
//! `term` is the term the commands were evaluated in; an entry that ended up under another term is
//! not applied. Decoding is total: bytes that do not parse stop the group, they never panic.

use bytes::{Buf, Bytes};
use commands::wire::{put_bytes, put_varint, take_bytes};
use topology::Namespaces;

const VERSION: u8 = 1;
const OP_PUT: u8 = 1;
const OP_DELETE: u8 = 2;
const OP_DELETE_RANGE: u8 = 3;
const HEAD_BYTES: usize = 17;
/// What commands may add to an entry. Beside it there is what is not counted: lengths, session numbers.
const BYTES_MAX: usize = raft_rocks::ENTRY_BYTES_MAX - (1 << 20);

/// The entry cannot be read: damage, or a build that is too old.
#[derive(Debug, thiserror::Error)]
#[error("malformed log entry: {0}")]
pub struct Malformed(&'static str);

/// Inclusive ranges of slots.
pub type SlotRanges = Vec<(u16, u16)>;

/// A place in a builder to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    ops: usize,
    superseded: usize,
    counts: usize,
    sessions: usize,
}

impl Mark {
    /// The same place when everything before `front` is gone.
    pub fn less(&self, front: &Self) -> Self {
        Self {
            ops: self.ops - front.ops,
            superseded: self.superseded - front.superseded,
            counts: self.counts - front.counts,
            sessions: self.sessions - front.sessions,
        }
    }
}

/// Collects effects until they are proposed.
#[derive(Default)]
pub struct EffectsBuilder {
    ops: Vec<u8>,
    /// Where the operations begin, counted over all entries.
    start: u64,
    /// Places of operations that were followed by another one on the same key; also of some that left before.
    superseded: Vec<u64>,
    counts: Vec<u8>,
    sessions: Vec<u8>,
    slots: Vec<u8>,
    namespaces: Vec<u8>,
    /// Bytes of replies of the present batch, which are to become part of a session.
    replies: usize,
    #[cfg(test)]
    pub bytes_max: Option<usize>,
}

impl EffectsBuilder {
    /// A batch begins.
    pub fn begin_batch(&mut self) {
        self.replies = 0;
    }

    /// A command of the batch is answered by so many bytes.
    pub fn expect_reply(&mut self, bytes: usize) {
        self.replies += bytes;
    }

    /// Whether so many bytes more fit into the entry.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.len().saturating_add(self.replies).saturating_add(bytes) <= self.bytes_max()
    }

    #[cfg(not(test))]
    fn bytes_max(&self) -> usize {
        BYTES_MAX
    }

    #[cfg(test)]
    fn bytes_max(&self) -> usize {
        self.bytes_max.unwrap_or(BYTES_MAX)
    }

    /// The place of the next operation, counted over all entries.
    pub fn place(&self) -> u64 {
        self.start + self.ops.len() as u64
    }

    /// The operation at that place, on one key, is followed by another one.
    pub fn supersede(&mut self, place: u64) {
        if place >= self.start {
            self.superseded.push(place);
        }
    }

    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.ops.push(OP_PUT);
        put_bytes(&mut self.ops, key);
        put_bytes(&mut self.ops, value);
    }

    pub fn delete(&mut self, key: &[u8]) {
        self.ops.push(OP_DELETE);
        put_bytes(&mut self.ops, key);
    }

    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.ops.push(OP_DELETE_RANGE);
        put_bytes(&mut self.ops, from);
        put_bytes(&mut self.ops, to);
    }

    pub fn count(&mut self, db: u8, delta: i64) {
        self.counts.push(db);
        self.counts.extend_from_slice(&delta.to_le_bytes());
    }

    pub fn session(&mut self, id: u64, seq: u64, acked: u64, replies: &[u8]) {
        for n in [id, seq, acked] {
            self.sessions.extend_from_slice(&n.to_le_bytes());
        }
        put_bytes(&mut self.sessions, replies);
    }

    pub fn drop_session(&mut self, id: u64) {
        self.session(id, 0, 0, b"");
    }

    pub fn slots(&mut self, version: u64, ranges: &[(u16, u16)]) {
        self.slots.clear();
        self.slots.extend_from_slice(&version.to_le_bytes());
        for (first, last) in ranges {
            self.slots.extend_from_slice(&first.to_le_bytes());
            self.slots.extend_from_slice(&last.to_le_bytes());
        }
    }

    /// Which keys are namespaces from here on, and the version of the topology that says so.
    pub fn namespaces(&mut self, version: u64, namespaces: &Namespaces) {
        self.namespaces.clear();
        self.namespaces.extend_from_slice(&version.to_le_bytes());
        let json = serde_json::to_vec(namespaces).expect("rules have a form in JSON");
        self.namespaces.extend_from_slice(&json);
    }

    /// The present end of all that is collected.
    pub fn mark(&self) -> Mark {
        Mark {
            ops: self.ops.len(),
            superseded: self.superseded.len(),
            counts: self.counts.len(),
            sessions: self.sessions.len(),
        }
    }

    /// Splits off what was there at `mark`; changes of slots and namespaces belong to it.
    pub fn split(&mut self, mark: &Mark) -> Self {
        fn split<T>(section: &mut Vec<T>, at: usize) -> Vec<T> {
            let rest = section.split_off(at);
            std::mem::replace(section, rest)
        }
        let start = self.start;
        self.start += mark.ops as u64;
        Self {
            start,
            ops: split(&mut self.ops, mark.ops),
            superseded: split(&mut self.superseded, mark.superseded),
            counts: split(&mut self.counts, mark.counts),
            sessions: split(&mut self.sessions, mark.sessions),
            slots: std::mem::take(&mut self.slots),
            namespaces: std::mem::take(&mut self.namespaces),
            replies: 0,
            #[cfg(test)]
            bytes_max: self.bytes_max,
        }
    }

    /// Forgets the operations and counts added since `mark`; no session ended since.
    pub fn rewind(&mut self, mark: Mark) {
        self.ops.truncate(mark.ops);
        self.superseded.truncate(mark.superseded);
        self.counts.truncate(mark.counts);
    }

    pub fn len(&self) -> usize {
        self.ops.len() + self.counts.len() + self.sessions.len() + self.slots.len() + self.namespaces.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry; the builder is empty afterwards and keeps its buffers.
    pub fn finish(&mut self, term: u64, time_ms: u64) -> Bytes {
        self.drop_superseded();
        let mut out = Vec::with_capacity(HEAD_BYTES + 20 + self.len());
        out.push(VERSION);
        for n in [term, time_ms] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for section in [&mut self.ops, &mut self.counts, &mut self.sessions, &mut self.slots] {
            put_varint(&mut out, section.len());
            out.extend_from_slice(section);
            section.clear();
        }
        if !self.namespaces.is_empty() {
            put_bytes(&mut out, &self.namespaces);
            self.namespaces.clear();
        }
        Bytes::from(out)
    }

    /// Leaves the operations that no later one makes pointless; those behind come from another place.
    fn drop_superseded(&mut self) {
        self.superseded.sort_unstable();
        let start = self.start;
        self.start = self.place();
        let (mut at, mut kept) = (0, 0);
        for place in self.superseded.drain(..).filter_map(|place| place.checked_sub(start)) {
            let dead = place as usize;
            let len = self.ops.get(dead..).and_then(op_len).expect("an operation on one key");
            self.ops.copy_within(at..dead, kept);
            kept += dead - at;
            at = dead + len;
        }
        if at > 0 {
            self.ops.copy_within(at.., kept);
            self.ops.truncate(kept + self.ops.len() - at);
        }
    }
}

/// Bytes of the operation that `ops` begins with, if it is on one key.
fn op_len(ops: &[u8]) -> Option<usize> {
    let mut rest = ops;
    match take_op(&mut rest).ok()? {
        Op::Put(..) | Op::Delete(_) => Some(ops.len() - rest.len()),
        Op::DeleteRange(..) => None,
    }
}

/// One change of the key-value state.
#[derive(Debug, PartialEq, Eq)]
pub enum Op<'a> {
    Put(&'a [u8], &'a [u8]),
    Delete(&'a [u8]),
    DeleteRange(&'a [u8], &'a [u8]),
}

/// The outcome of one batch of a session.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: u64,
    /// 0: the session is dropped.
    pub seq: u64,
    pub acked: u64,
    pub replies: Bytes,
}

/// A decoded entry. Byte strings are slices of it.
#[derive(Debug)]
pub struct Effects {
    pub term: u64,
    pub time_ms: u64,
    ops: Bytes,
    counts: Bytes,
    sessions: Bytes,
    slots: Bytes,
    namespaces: Bytes,
}

impl Effects {
    pub fn decode(entry: &Bytes) -> Result<Self, Malformed> {
        let mut rest = entry.clone();
        if take_u8(&mut rest)? != VERSION {
            return Err(Malformed("unknown version"));
        }
        let (term, time_ms) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
        let effects = Self {
            term,
            time_ms,
            ops: take_string(&mut rest)?,
            counts: take_string(&mut rest)?,
            sessions: take_string(&mut rest)?,
            slots: take_string(&mut rest)?,
            namespaces: if rest.is_empty() { Bytes::new() } else { take_string(&mut rest)? },
        };
        if rest.is_empty() { Ok(effects) } else { Err(Malformed("trailing bytes")) }
    }

    pub fn ops(&self) -> impl Iterator<Item = Result<Op<'_>, Malformed>> {
        items(&self.ops[..], take_op)
    }

    /// Changes of the key count: (db, delta).
    pub fn counts(&self) -> impl Iterator<Item = Result<(u8, i64), Malformed>> {
        items(self.counts.clone(), |rest| Ok((take_u8(rest)?, take_u64(rest)? as i64)))
    }

    pub fn sessions(&self) -> impl Iterator<Item = Result<SessionRecord, Malformed>> {
        items(self.sessions.clone(), |rest| {
            Ok(SessionRecord {
                id: take_u64(rest)?,
                seq: take_u64(rest)?,
                acked: take_u64(rest)?,
                replies: take_string(rest)?,
            })
        })
    }

    /// The slots the group serves from this entry on, and the topology version they come from.
    pub fn slots(&self) -> Result<Option<(u64, SlotRanges)>, Malformed> {
        if self.slots.is_empty() {
            return Ok(None);
        }
        let mut rest = self.slots.clone();
        let version = take_u64(&mut rest)?;
        let mut ranges = Vec::new();
        while !rest.is_empty() {
            ranges.push((take_u16(&mut rest)?, take_u16(&mut rest)?));
        }
        Ok(Some((version, ranges)))
    }

    /// Which keys are namespaces from this entry on, and the version of the topology that says so.
    pub fn namespaces(&self) -> Result<Option<(u64, Namespaces)>, Malformed> {
        if self.namespaces.is_empty() {
            return Ok(None);
        }
        let mut rest = self.namespaces.clone();
        let version = take_u64(&mut rest)?;
        let namespaces = serde_json::from_slice(&rest).map_err(|_| Malformed("namespaces"))?;
        Ok(Some((version, namespaces)))
    }
}

/// Ends behind what does not parse.
fn items<B: Buf, T>(
    rest: B,
    mut take: impl FnMut(&mut B) -> Result<T, Malformed>,
) -> impl Iterator<Item = Result<T, Malformed>> {
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let item = take(rest.as_mut().filter(|rest| rest.has_remaining())?);
        if item.is_err() {
            rest = None;
        }
        Some(item)
    })
}

fn take_op<'a>(rest: &mut &'a [u8]) -> Result<Op<'a>, Malformed> {
    let (&kind, others) = rest.split_first().ok_or(Malformed("truncated"))?;
    *rest = others;
    let mut string = || take_bytes(rest).map_err(|_| Malformed("truncated"));
    Ok(match kind {
        OP_PUT => Op::Put(string()?, string()?),
        OP_DELETE => Op::Delete(string()?),
        OP_DELETE_RANGE => Op::DeleteRange(string()?, string()?),
        _ => return Err(Malformed("unknown operation")),
    })
}

pub(crate) fn take_u8(rest: &mut Bytes) -> Result<u8, Malformed> {
    rest.try_get_u8().map_err(|_| Malformed("truncated"))
}

pub(crate) fn take_u16(rest: &mut Bytes) -> Result<u16, Malformed> {
    rest.try_get_u16_le().map_err(|_| Malformed("truncated"))
}

pub(crate) fn take_u64(rest: &mut Bytes) -> Result<u64, Malformed> {
    rest.try_get_u64_le().map_err(|_| Malformed("truncated"))
}

pub(crate) fn take_string(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    let mut view: &[u8] = rest;
    let len = commands::wire::take_varint(&mut view).map_err(|_| Malformed("length"))?;
    let head = rest.len() - view.len();
    if len > view.len() {
        return Err(Malformed("truncated"));
    }
    rest.advance(head);
    Ok(rest.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Bytes {
        let mut b = EffectsBuilder::default();
        b.put(b"k1", b"v1");
        b.delete(b"k2");
        b.delete_range(b"a", b"z");
        b.count(3, -7);
        b.session(11, 5, 4, b"+OK\r\n");
        b.drop_session(12);
        b.slots(9, &[(0, 5), (7, 16383)]);
        b.namespaces(10, &Namespaces::default());
        b.finish(2, 1234)
    }

    #[test]
    fn entries_survive_the_round_trip() {
        let effects = Effects::decode(&sample()).unwrap();
        assert_eq!((effects.term, effects.time_ms), (2, 1234));
        let ops: Vec<_> = effects.ops().collect::<Result<_, _>>().unwrap();
        assert_eq!(ops.len(), 3);
        assert_eq!(ops[0], Op::Put(b"k1", b"v1"));
        assert_eq!(effects.counts().next().unwrap().unwrap(), (3, -7));
        let sessions: Vec<_> = effects.sessions().collect::<Result<_, _>>().unwrap();
        assert_eq!((sessions[0].seq, sessions[0].acked, sessions[1].seq), (5, 4, 0));
        assert_eq!(effects.slots().unwrap(), Some((9, vec![(0, 5), (7, 16383)])));
        assert_eq!(effects.namespaces().unwrap(), Some((10, Namespaces::default())));
    }

    /// What is put by an entry that does nothing else.
    fn puts(entry: &Bytes) -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let put = |op| match op {
            Ok(Op::Put(key, value)) => (text(key), text(value)),
            other => panic!("{other:?}"),
        };
        Effects::decode(entry).unwrap().ops().map(put).collect()
    }

    fn put(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    /// Puts `k` over what is at a place; answers its own.
    fn put_over(b: &mut EffectsBuilder, previous: Option<u64>, value: &[u8]) -> u64 {
        previous.into_iter().for_each(|place| b.supersede(place));
        let place = b.place();
        b.put(b"k", value);
        place
    }

    #[test]
    fn only_the_last_operation_on_a_key_is_part_of_an_entry() {
        let mut b = EffectsBuilder::default();
        let first = put_over(&mut b, None, b"1");
        b.put(b"other", b"o");
        b.supersede(first);
        let second = b.place();
        b.delete(b"k");
        let third = put_over(&mut b, Some(second), b"3");
        let mark = b.mark();
        put_over(&mut b, Some(third), b"undone");
        b.rewind(mark);
        assert_eq!(puts(&b.finish(1, 1)), [put("other", "o"), put("k", "3")]);
        // The next entry knows nothing of this one.
        put_over(&mut b, Some(third), b"4");
        assert_eq!(puts(&b.finish(1, 1)), [put("k", "4")]);
    }

    #[test]
    fn what_leaves_first_keeps_what_is_superseded_later() {
        let mut b = EffectsBuilder::default();
        b.put(b"gone", b"before");
        b.finish(1, 1);
        let first = put_over(&mut b, None, b"1");
        let second = put_over(&mut b, Some(first), b"2");
        let front = b.mark();
        let third = put_over(&mut b, Some(second), b"3");
        let within = b.mark();
        put_over(&mut b, Some(third), b"4");
        let mut split = b.split(&front);
        assert_eq!(puts(&split.finish(1, 1)), [put("k", "2")]);
        b.rewind(within.less(&front));
        assert_eq!(puts(&b.finish(1, 1)), [put("k", "3")]);
    }

    #[test]
    fn damage_is_an_error_never_a_panic() {
        let entry = sample();
        // An entry without a change of namespaces ends before them.
        let whole = entry.len() - 1 - 8 - 2;
        for cut in (0..entry.len()).filter(|&cut| cut != whole) {
            assert!(Effects::decode(&entry.slice(..cut)).is_err(), "cut at {cut}");
        }
        for at in 0..entry.len() {
            let mut bytes = entry.to_vec();
            bytes[at] ^= 0x55;
            if let Ok(effects) = Effects::decode(&Bytes::from(bytes)) {
                let _ = (effects.ops().count(), effects.counts().count(), effects.sessions().count());
                let _ = (effects.slots(), effects.namespaces());
            }
        }
    }
}
