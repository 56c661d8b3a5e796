//! The invariants of a stream's parts, executed.

use std::collections::BTreeMap;

use super::group::{Consumer, Group};
use super::id::StreamId;
use super::leaf::Leaf;
use super::parts::PartName;
use super::pending::Pending;
use super::{codec::Source, state::State};
use crate::key;
use crate::mem::MemKv;
use crate::record::Record;

/// Panics if the record stored under `head` and its parts do not agree; answers how many parts there are.
pub(crate) fn check(kv: &MemKv, head: &[u8], record: &Record) -> u64 {
    let state = State::decode(&record.payload).expect("a readable stream");
    let prefix = record.collection_id().map(|id| key::parts(head, id).from).expect("the id of a stream");
    let parts = kv.pairs().filter(|(stored, _)| stored.starts_with(&prefix));
    let parse = |stored: &[u8]| PartName::parse(&stored[prefix.len()..]).expect("a known part");
    let parts: BTreeMap<_, _> = parts.map(|(stored, value)| (parse(stored), &value[..])).collect();
    assert!(parts.contains_key(&PartName::Anchor), "a stream without an anchor");
    check_entries(&state, &parts);
    let groups = parts.iter().filter_map(|(name, value)| match name {
        PartName::Group(_) => Some(Group::decode(value).expect("a readable group")),
        _ => None,
    });
    let groups: BTreeMap<u64, Group> = groups.map(|group| (group.number, group)).collect();
    assert_eq!(groups.len() as u64, state.groups, "number of groups");
    assert!(groups.keys().all(|&number| number < state.next_group));
    groups.values().for_each(|group| check_group(group, &parts));
    let in_known_group = |name: &PartName| match name {
        PartName::Consumer(group, _) | PartName::Pending(group, _) | PartName::PendingOf(group, ..) => {
            groups.contains_key(group)
        }
        _ => true,
    };
    assert!(parts.keys().all(in_known_group), "parts of a group that is gone");
    parts.len() as u64
}

fn check_entries(state: &State, parts: &BTreeMap<PartName, &[u8]>) {
    let entry = |name: &PartName| if let PartName::Entry(id) = name { Some(*id) } else { None };
    let entries: Vec<StreamId> = parts.keys().filter_map(entry).collect();
    assert_eq!(entries.len() as u64, state.len, "length of a stream");
    assert_eq!(entries.first().copied().unwrap_or_default(), state.first, "the first entry");
    assert!(entries.last().is_none_or(|&last| last <= state.last), "an entry behind the last id");
    let leaf = |(name, value): (&PartName, &&[u8])| match name {
        PartName::Leaf(first) => {
            Some(Leaf::decode(*first, &mut Source::new(value)).expect("a readable leaf"))
        }
        _ => None,
    };
    let closed: Vec<Leaf> = parts.iter().filter_map(leaf).collect();
    assert_eq!(closed.len() as u64, state.closed, "number of leaves");
    let leaves: Vec<Leaf> = closed.into_iter().chain(state.tail).collect();
    assert!(leaves.iter().zip(leaves.iter().skip(1)).all(|(a, b)| a.last < b.first), "leaves overlap");
    for leaf in &leaves {
        let live = entries.iter().filter(|&&id| leaf.first <= id && id <= leaf.last).count() as u64;
        assert_eq!(live, leaf.live, "entries of a leaf");
        assert!(live > 0 && live <= leaf.added);
    }
    assert_eq!(leaves.iter().map(|leaf| leaf.live).sum::<u64>(), state.len, "entries outside of leaves");
}

fn check_group(group: &Group, parts: &BTreeMap<PartName, &[u8]>) {
    let number = group.number;
    let (mut consumers, mut pending, mut indexed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (name, value) in parts {
        match name {
            PartName::Consumer(of, name) if *of == number => {
                consumers.insert(name.clone(), Consumer::decode(value).expect("a readable consumer").pending);
            }
            PartName::Pending(of, id) if *of == number => {
                let delivery = Pending::decode(value).expect("a readable delivery");
                pending.insert(*id, delivery.consumer.to_vec());
            }
            PartName::PendingOf(of, name, id) if *of == number => {
                indexed.insert(*id, name.clone());
            }
            _ => {}
        }
    }
    assert_eq!(pending, indexed, "pending entries and their index");
    assert_eq!(pending.len() as u64, group.pending, "pending entries of a group");
    assert_eq!(consumers.len() as u64, group.consumers, "consumers of a group");
    assert!(pending.values().all(|name| consumers.contains_key(name)), "pending for nobody");
    for (name, count) in consumers {
        assert_eq!(pending.values().filter(|owner| **owner == name).count() as u64, count);
    }
}
