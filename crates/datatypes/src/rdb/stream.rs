//! Streams.
//!
//! ```text
//! 0F | 13 | 15  count:length  leaf*  len:length  last:id  [first:id  max-deleted:id  added:length]
//!               count:length  group*                           what is in [ ] not in 0F
//! leaf      := first:string (16 bytes)  listpack:string
//! listpack  := live  deleted  n  name*n  0  entry*             all items
//! entry     := flags  ms  seq  (value*n | m  (name value)*m)  items      ms and seq since the first id
//! flags     := 1 deleted, 2 the leaf's names
//! group     := name:string  last:id  [read:length]  count:length  (id16  ms:i64le  times:length)*
//!              count:length  consumer*
//! consumer  := name:string  seen:i64le  [active:i64le, in 15]  count:length  id16*
//! id        := ms:length  seq:length
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack};
use crate::number::parse_i64;
use crate::stream::{ConsumerValue, GroupValue, LeafValue, State, StreamEntry, StreamId, StreamValue};

/// Before Redis 7.0.
const FIRST: u8 = 15;
/// Of Redis 7.0.
const SECOND: u8 = 19;
/// Of Redis 7.2.
const THIRD: u8 = 21;
pub(super) const STREAMS: [u8; 3] = [FIRST, SECOND, THIRD];

const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;
/// What an unknown number of entries read looks like.
const UNKNOWN: u64 = u64::MAX;
/// What "never" looks like.
const NEVER: i64 = -1;

/// The payload of a stream, for readers that know RDB `version`.
pub fn dump_stream(stream: &StreamValue, version: u16) -> Bytes {
    let mut out = BytesMut::new();
    let form = if version < VERSION { SECOND } else { THIRD };
    out.put_u8(form);
    put_length(&mut out, stream.leaves.len() as u64);
    stream.leaves.iter().for_each(|leaf| put_leaf(&mut out, leaf));
    let state = stream.state();
    put_length(&mut out, state.len);
    for id in [state.last, state.first, state.max_deleted] {
        put_id(&mut out, id);
    }
    put_length(&mut out, state.added);
    put_length(&mut out, stream.groups.len() as u64);
    stream.groups.iter().for_each(|group| put_group(&mut out, group, form));
    seal(&mut out, version);
    out.freeze()
}

fn put_id(out: &mut BytesMut, id: StreamId) {
    put_length(out, id.ms);
    put_length(out, id.seq);
}

fn put_leaf(out: &mut BytesMut, leaf: &LeafValue) {
    put_length(out, 16);
    out.put_slice(&leaf.first.to_bytes());
    let names = names(leaf.entries.first());
    let number = |number: i64| Bytes::from(number.to_string());
    let count = |count: usize| number(count as i64);
    let mut items = vec![count(leaf.entries.len()), number(0), count(names.len())];
    items.extend(names.iter().cloned());
    items.push(number(0));
    for entry in &leaf.entries {
        let same = self::names(Some(entry)) == names;
        items.push(number(if same { SAME_NAMES } else { 0 }));
        items.push(number(entry.id.ms.wrapping_sub(leaf.first.ms).cast_signed()));
        items.push(number(entry.id.seq.wrapping_sub(leaf.first.seq).cast_signed()));
        let texts = match same {
            true => entry.fields.iter().skip(1).step_by(2).cloned().collect(),
            false => [&[count(entry.fields.len() / 2)], &entry.fields[..]].concat(),
        };
        let behind_flags = count(3 + texts.len());
        items.extend(texts);
        items.push(behind_flags);
    }
    let listpack = listpack::write(items.iter().map(|item| &item[..]));
    put_length(out, listpack.len() as u64);
    out.put_slice(&listpack);
}

fn names(entry: Option<&StreamEntry>) -> Vec<Bytes> {
    entry.map_or_else(Vec::new, |entry| entry.fields.iter().step_by(2).cloned().collect())
}

fn put_group(out: &mut BytesMut, group: &GroupValue, form: u8) {
    put_string(out, &group.name);
    put_id(out, group.last);
    put_length(out, group.entries_read.unwrap_or(UNKNOWN));
    let pending: BTreeMap<_, _> = group
        .consumers
        .iter()
        .flat_map(|consumer| consumer.pending.iter().map(|&(id, ms, times)| (id, (ms, times))))
        .collect();
    put_length(out, pending.len() as u64);
    for (id, (ms, times)) in pending {
        out.put_slice(&id.to_bytes());
        out.put_i64_le(ms);
        put_length(out, times);
    }
    put_length(out, group.consumers.len() as u64);
    group.consumers.iter().for_each(|consumer| put_consumer(out, consumer, form));
}

fn put_consumer(out: &mut BytesMut, consumer: &ConsumerValue, form: u8) {
    put_string(out, &consumer.name);
    out.put_i64_le(consumer.seen_ms);
    if form == THIRD {
        out.put_i64_le(consumer.active_ms.unwrap_or(NEVER));
    }
    put_length(out, consumer.pending.len() as u64);
    consumer.pending.iter().for_each(|(id, ..)| out.put_slice(&id.to_bytes()));
}

/// The stream in form `form`. Ids that are not in order are refused, and counts that do not agree.
pub(super) fn read(input: &mut Input<'_>, form: u8) -> Result<StreamValue, RdbError> {
    let mut leaves = Vec::new();
    for _ in 0..input.length()? {
        let name = input.string()?;
        let first = StreamId::from_bytes(name[..].try_into().map_err(|_| RdbError::Format)?);
        leaves.push(read_leaf(first, &input.string()?)?);
    }
    // Redis keeps a leaf of which everything was trimmed.
    leaves.retain(|leaf| !leaf.entries.is_empty());
    let len = input.length()?;
    let mut stream = StreamValue { leaves, last: read_id(input)?, added: len, ..Default::default() };
    if form >= SECOND {
        let _first = read_id(input)?;
        stream.max_deleted = read_id(input)?;
        stream.added = input.length()?;
    }
    check_entries(&stream, len)?;
    let state = stream.state();
    for _ in 0..input.length()? {
        stream.groups.push(read_group(input, form, &state)?);
    }
    let names: BTreeSet<&Bytes> = stream.groups.iter().map(|group| &group.name).collect();
    if names.len() == stream.groups.len() { Ok(stream) } else { Err(RdbError::Format) }
}

fn check_entries(stream: &StreamValue, len: u64) -> Result<(), RdbError> {
    let leaves = &stream.leaves;
    let inside = |leaf: &LeafValue| {
        let ids = || leaf.entries.iter().map(|entry| entry.id);
        let bounds = ids().next().is_some_and(|id| leaf.first <= id) && ids().next_back() <= Some(leaf.last);
        bounds && ids().zip(ids().skip(1)).all(|(a, b)| a < b)
    };
    let apart = leaves.iter().zip(leaves.iter().skip(1)).all(|(a, b)| a.last < b.first);
    let before_last = leaves.last().is_none_or(|leaf| leaf.last <= stream.last);
    let good = leaves.iter().all(inside) && apart && stream.state().len == len && before_last;
    if good { Ok(()) } else { Err(RdbError::Format) }
}

fn read_id(input: &mut Input<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: input.length()?, seq: input.length()? })
}

fn read_raw_id(input: &mut Input<'_>) -> Result<StreamId, RdbError> {
    input.array().map(StreamId::from_bytes)
}

/// Items of a listpack, one after the other.
struct Items(std::vec::IntoIter<Bytes>);

impl Items {
    fn text(&mut self) -> Result<Bytes, RdbError> {
        self.0.next().ok_or(RdbError::Format)
    }

    fn number(&mut self) -> Result<i64, RdbError> {
        parse_i64(&self.text()?).ok_or(RdbError::Format)
    }

    fn count(&mut self) -> Result<u64, RdbError> {
        u64::try_from(self.number()?).map_err(|_| RdbError::Format)
    }
}

fn read_leaf(first: StreamId, listpack: &[u8]) -> Result<LeafValue, RdbError> {
    let mut items = Items(listpack::read(listpack)?.into_iter());
    let (live, deleted, names) = (items.count()?, items.count()?, items.count()?);
    let mut shared = Vec::new();
    for _ in 0..names {
        shared.push(items.text()?);
    }
    if items.number()? != 0 {
        return Err(RdbError::Format);
    }
    let added = live.checked_add(deleted).ok_or(RdbError::Format)?;
    let mut leaf = LeafValue { first, last: first, added, entries: Vec::new() };
    for _ in 0..added {
        let flags = items.number()?;
        let entry = read_entry(first, flags, &shared, &mut items)?;
        leaf.last = leaf.last.max(entry.id);
        if flags & DELETED == 0 {
            leaf.entries.push(entry);
        }
    }
    let whole = items.0.next().is_none() && leaf.entries.len() as u64 == live;
    if whole { Ok(leaf) } else { Err(RdbError::Format) }
}

fn read_entry(
    first: StreamId,
    flags: i64,
    shared: &[Bytes],
    items: &mut Items,
) -> Result<StreamEntry, RdbError> {
    let ms = first.ms.wrapping_add_signed(items.number()?);
    let seq = first.seq.wrapping_add_signed(items.number()?);
    let mut fields = Vec::new();
    if flags & SAME_NAMES != 0 {
        for name in shared {
            fields.extend([name.clone(), items.text()?]);
        }
    } else {
        for _ in 0..items.count()? {
            fields.extend([items.text()?, items.text()?]);
        }
    }
    // How many items these were, for those who read backwards.
    items.number()?;
    Ok(StreamEntry { id: StreamId { ms, seq }, fields })
}

fn read_group(input: &mut Input<'_>, form: u8, stream: &State) -> Result<GroupValue, RdbError> {
    let name = Bytes::from(input.string()?.into_owned());
    let last = read_id(input)?;
    let entries_read = match form {
        FIRST => stream.added_until(last),
        _ => Some(input.length()?).filter(|&read| read != UNKNOWN),
    };
    let mut pending = BTreeMap::new();
    for _ in 0..input.length()? {
        let id = read_raw_id(input)?;
        let delivery = (i64::from_le_bytes(input.array()?), input.length()?);
        if pending.insert(id, delivery).is_some() {
            return Err(RdbError::Format);
        }
    }
    let mut consumers = BTreeMap::new();
    for _ in 0..input.length()? {
        let consumer = read_consumer(input, form, &mut pending)?;
        if consumers.insert(consumer.name.clone(), consumer).is_some() {
            return Err(RdbError::Format);
        }
    }
    let consumers = consumers.into_values().collect();
    // What is pending is so for somebody.
    if pending.is_empty() {
        Ok(GroupValue { name, last, entries_read, consumers })
    } else {
        Err(RdbError::Format)
    }
}

/// Takes what is pending for the consumer out of what is for the group.
fn read_consumer(
    input: &mut Input<'_>,
    form: u8,
    of_group: &mut BTreeMap<StreamId, (i64, u64)>,
) -> Result<ConsumerValue, RdbError> {
    let name = Bytes::from(input.string()?.into_owned());
    let seen_ms = i64::from_le_bytes(input.array()?);
    let active_ms = if form == THIRD { i64::from_le_bytes(input.array()?) } else { seen_ms };
    let mut pending = Vec::new();
    for _ in 0..input.length()? {
        let id = read_raw_id(input)?;
        let (ms, times) = of_group.remove(&id).ok_or(RdbError::Format)?;
        pending.push((id, ms, times));
    }
    pending.sort_unstable();
    Ok(ConsumerValue { name, seen_ms, active_ms: Some(active_ms).filter(|&ms| ms != NEVER), pending })
}
