//! Streams against a model: an ordered map of entries, and who has which of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Bound, GroupEdit, Pending, Stream, StreamId, StreamLimits, Trim};
use crate::check::check_invariants;
use crate::keyspace::{Keyspace, Reader};
use crate::mem::MemKv;
use crate::slots;

const LIMITS: StreamLimits = StreamLimits { node_entries: 3, node_bytes: 0 };
const KEY: &[u8] = b"s";
const CONSUMERS: [&[u8]; 3] = [b"a", b"ab", b""];

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Delete(u64),
    TrimLen(u64),
    TrimId(u64),
    Deliver(u64, usize),
    Release(u64),
    DeleteConsumer(usize),
    Copy,
    Rename,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..4u64).prop_map(Step::Append),
        4 => (0..60u64).prop_map(Step::Delete),
        1 => (0..20u64).prop_map(Step::TrimLen),
        1 => (0..60u64).prop_map(Step::TrimId),
        8 => (0..200u64, 0..3usize).prop_map(|(id, consumer)| Step::Deliver(id, consumer)),
        3 => (0..200u64).prop_map(Step::Release),
        1 => (0..3usize).prop_map(Step::DeleteConsumer),
        1 => Just(Step::Copy),
        1 => Just(Step::Rename),
    ]
}

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: ms % 3 }
}

fn edit<T>(kv: &mut MemKv, work: impl FnOnce(&mut Stream, &mut dyn crate::KvMut) -> T) -> T {
    let mut keyspace = Keyspace::new(kv, 0, 1000, 7);
    let entry = keyspace.entry(KEY).unwrap();
    let mut edit = match entry.live() {
        Some(_) => keyspace.stream(entry).unwrap().unwrap(),
        None => keyspace.create_stream(entry, None).unwrap(),
    };
    let (stream, kv) = edit.split();
    let answer = work(stream, kv);
    edit.save();
    answer
}

fn open(kv: &mut MemKv) -> Option<Stream> {
    let record = Reader::new(kv, 0, 1000).lookup(KEY).unwrap()?;
    Stream::of(&record, 0, KEY).unwrap()
}

/// What a stream must be.
#[derive(Default)]
struct Model {
    entries: BTreeMap<StreamId, Vec<Bytes>>,
    last: u64,
    pending: BTreeMap<StreamId, usize>,
}

fn apply(kv: &mut MemKv, model: &mut Model, step: &Step) {
    match *step {
        Step::Append(distance) => {
            model.last += distance;
            let text = Bytes::from(model.last.to_string());
            edit(kv, |stream, kv| stream.append(kv, id(model.last), &[b"f", &text], LIMITS));
            model.entries.insert(id(model.last), vec![Bytes::from("f"), text]);
        }
        Step::Delete(ms) => {
            let deleted = edit(kv, |stream, kv| stream.delete(kv, id(ms)).unwrap());
            assert_eq!(deleted, model.entries.remove(&id(ms)).is_some());
        }
        Step::TrimLen(len) => trim(kv, model, Bound::Len(len), |model| model.entries.len() as u64 > len),
        Step::TrimId(ms) => trim(kv, model, Bound::Id(id(ms)), |model| {
            model.entries.first_key_value().is_some_and(|(&first, _)| first < id(ms))
        }),
        Step::Deliver(ms, consumer) => {
            group(kv, |group, kv| {
                let consumer = Bytes::from_static(CONSUMERS[consumer]);
                group.see_consumer(kv, &consumer, 5).unwrap();
                group.deliver(kv, id(ms), &Pending { delivered_ms: -3, deliveries: ms, consumer }).unwrap();
            });
            model.pending.insert(id(ms), consumer);
        }
        Step::Release(ms) => {
            let released = group(kv, |group, kv| group.release(kv, id(ms)).unwrap());
            assert_eq!(released, model.pending.remove(&id(ms)).is_some());
        }
        Step::DeleteConsumer(consumer) => {
            let count = group(kv, |group, kv| group.delete_consumer(kv, CONSUMERS[consumer]).unwrap());
            assert_eq!(count, model.pending.values().filter(|&&of| of == consumer).count() as u64);
            model.pending.retain(|_, of| *of != consumer);
        }
        Step::Copy | Step::Rename => {
            let mut keyspace = Keyspace::new(kv, 0, 1000, model.last);
            let other: &[u8] = b"{s}2";
            let (source, target) = (keyspace.entry(KEY).unwrap(), keyspace.entry(other).unwrap());
            keyspace.copy(&source, target).unwrap();
            if matches!(step, Step::Rename) {
                let (source, target) = (keyspace.entry(other).unwrap(), keyspace.entry(KEY).unwrap());
                keyspace.rename(source, target).unwrap();
            }
        }
    }
}

fn trim(kv: &mut MemKv, model: &mut Model, bound: Bound, beyond: impl Fn(&Model) -> bool) {
    let deleted =
        edit(kv, |stream, kv| stream.trim(kv, Trim { bound, approximate: false, limit: 0 }).unwrap());
    let before = model.entries.len();
    while beyond(model) {
        model.entries.pop_first();
    }
    assert_eq!(deleted, (before - model.entries.len()) as u64);
}

fn group<T>(kv: &mut MemKv, work: impl FnOnce(&mut GroupEdit, &mut dyn crate::KvMut) -> T) -> T {
    edit(kv, |stream, kv| {
        stream.create_group(kv, b"g", StreamId::MIN, None).unwrap();
        let mut group = GroupEdit::open(stream, kv, b"g").unwrap().unwrap();
        let answer = work(&mut group, kv);
        group.save(kv);
        answer
    })
}

fn compare(kv: &mut MemKv, model: &Model) {
    let Some(stream) = open(kv) else { return };
    let all: Vec<StreamId> = model.entries.keys().copied().collect();
    let ids = |found: Vec<super::StreamEntry>| found.into_iter().map(|e| e.id).collect::<Vec<_>>();
    for (start, end) in [(0, 200), (5, 5), (10, 30), (30, 10)] {
        let (start, end) = (id(start), id(end));
        let mut within: Vec<_> = all.iter().copied().filter(|&id| start <= id && id <= end).collect();
        assert_eq!(ids(stream.range(kv, start, end, usize::MAX).unwrap()), within);
        within.reverse();
        assert_eq!(ids(stream.range_back(kv, start, end, usize::MAX).unwrap()), within);
        within.truncate(4);
        assert_eq!(ids(stream.range_back(kv, start, end, 4).unwrap()), within);
    }
    assert_eq!(stream.last_entry_id(kv).unwrap(), all.last().copied());
    for (&id, fields) in &model.entries {
        assert_eq!(stream.get(kv, id).unwrap().unwrap().fields, *fields);
    }
    let Some(group) = stream.group(kv, b"g").unwrap() else { return };
    assert_eq!(stream.last_pending(kv, &group).unwrap(), model.pending.keys().last().copied());
    for (at, consumer) in CONSUMERS.into_iter().enumerate() {
        let of: Vec<_> = model.pending.iter().filter(|(_, of)| **of == at).map(|(&id, _)| id).collect();
        let all = (StreamId::MIN, StreamId::MAX);
        assert_eq!(stream.pending_ids_of(kv, &group, consumer, all, usize::MAX).unwrap(), of);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn streams_are_as_their_model(steps in prop::collection::vec(step(), 1..80)) {
        let (mut kv, mut model) = (MemKv::default(), Model::default());
        for step in &steps {
            apply(&mut kv, &mut model, step);
            compare(&mut kv, &model);
            check_invariants(&kv);
        }
        if let Some(stream) = open(&mut kv) {
            let value = stream.value(&mut kv).unwrap();
            let mut keyspace = Keyspace::new(&mut kv, 0, 1000, 9);
            let entry = keyspace.entry(KEY).unwrap();
            let mut copy = keyspace.create_stream(entry, None).unwrap();
            copy.fill(&value);
            copy.save();
            compare(&mut kv, &model);
            check_invariants(&kv);
            let copy = open(&mut kv).unwrap();
            prop_assert_eq!(copy.value(&mut kv).unwrap(), value);
        }
    }
}

#[test]
fn the_last_pending_entry_is_found_among_many() {
    let mut kv = MemKv::default();
    edit(&mut kv, |stream, kv| stream.append(kv, id(5), &[b"f", b"v"], LIMITS));
    let last = group(&mut kv, |group, kv| {
        group.see_consumer(kv, b"c", 5).unwrap();
        let delivery = Pending { delivered_ms: 1, deliveries: 1, consumer: Bytes::from("c") };
        for ms in 1..1000 {
            group.deliver(kv, id(ms * ms * ms), &delivery).unwrap();
        }
        id(999 * 999 * 999)
    });
    let stream = open(&mut kv).unwrap();
    let group = stream.group(&mut kv, b"g").unwrap().unwrap();
    assert_eq!(stream.last_pending(&mut kv, &group).unwrap(), Some(last));
}

#[test]
fn what_is_trimmed_about_goes_leaf_by_leaf() {
    let mut kv = MemKv::default();
    edit(&mut kv, |stream, kv| {
        for ms in 1..=10 {
            stream.append(kv, id(ms), &[b"f", b"v"], LIMITS);
        }
    });
    let mut trim = |bound, limit| {
        edit(&mut kv, |stream, kv| stream.trim(kv, Trim { bound, approximate: true, limit }).unwrap())
    };
    assert_eq!(trim(Bound::Len(8), 0), 0);
    assert_eq!(trim(Bound::Len(7), 2), 0);
    assert_eq!(trim(Bound::Len(7), 0), 3);
    assert_eq!(trim(Bound::Id(id(6)), 0), 0);
    assert_eq!(trim(Bound::Id(id(10)), 3), 3);
    assert_eq!(trim(Bound::Len(0), 10), 4);
    check_invariants(&kv);
    let len = slots::count_of_slot(&mut kv, topology::slot_of(KEY), 0).unwrap();
    assert_eq!((len, kv.len()), (1, 2), "the head and the anchor");
}
