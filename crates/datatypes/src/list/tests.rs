//! Lists against a model, a vector, with blocks and nodes so small that trees are high.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::pack::Pack;
use super::{End, List, ListEdit, ListLimit, Needle};
use crate::check::check_invariants;
use crate::counting::Counting;
use crate::key;
use crate::keyspace::{Keyspace, Reader};
use crate::kv::{Kv, KvMut};
use crate::mem::MemKv;
use crate::record::{Record, Type};

/// In one slot.
const KEYS: [&str; 2] = ["{a}1", "{a}2"];
/// Numbers, texts, and some that have a block of their own.
const ELEMENTS: [&str; 8] = [
    "a",
    "b",
    "",
    "7",
    "-12345",
    "some text",
    "twenty-four bytes, maybe",
    "longer than all of a block can be here",
];

#[derive(Debug, Clone)]
enum Step {
    Push(usize, End, Vec<usize>),
    Pop(usize, End, u64),
    Drop(usize, End, u64),
    Set(usize, u64, usize),
    Insert(usize, u64, usize),
    /// Every one that equals an element.
    Remove(usize, usize),
    /// A part of the list, as fractions of 16.
    RemoveSome(usize, Vec<u64>),
    Fill(usize, Vec<usize>),
    Copy(usize),
    Rename(usize),
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    let element = || 0..ELEMENTS.len();
    let elements = |most| prop::collection::vec(0..ELEMENTS.len(), 1..most);
    prop_oneof![
        8 => (key(), end(), elements(30)).prop_map(|(key, end, elements)| Step::Push(key, end, elements)),
        4 => (key(), end(), 0..20u64).prop_map(|(key, end, count)| Step::Pop(key, end, count)),
        2 => (key(), end(), 0..60u64).prop_map(|(key, end, count)| Step::Drop(key, end, count)),
        4 => (key(), 0..80u64, element()).prop_map(|(key, at, element)| Step::Set(key, at, element)),
        4 => (key(), 0..80u64, element()).prop_map(|(key, at, element)| Step::Insert(key, at, element)),
        2 => (key(), element()).prop_map(|(key, element)| Step::Remove(key, element)),
        3 => (key(), prop::collection::vec(0..80u64, 0..40)).prop_map(|(key, at)| Step::RemoveSome(key, at)),
        1 => (key(), elements(60)).prop_map(|(key, elements)| Step::Fill(key, elements)),
        1 => key().prop_map(Step::Copy),
        1 => key().prop_map(Step::Rename),
        1 => key().prop_map(Step::Delete),
    ]
}

struct World {
    kv: MemKv,
    seed: u64,
    limit: ListLimit,
    model: BTreeMap<usize, Vec<&'static str>>,
}

impl World {
    fn new(limit: ListLimit) -> Self {
        Self { kv: MemKv::default(), seed: 0, limit, model: BTreeMap::new() }
    }

    fn keyspace(&mut self) -> Keyspace<'_> {
        // Few seeds, so that ids collide.
        self.seed = (self.seed + 1) % 3;
        Keyspace::new(&mut self.kv, 0, 1, self.seed)
    }

    fn edit<T>(&mut self, key: usize, work: impl FnOnce(&mut ListEdit<'_, '_>) -> T) -> T {
        let limit = self.limit;
        let mut keyspace = self.keyspace();
        let entry = keyspace.entry(KEYS[key].as_bytes()).unwrap();
        let mut edit = keyspace.edit_list(entry, limit).unwrap();
        let result = work(&mut edit);
        edit.save().unwrap();
        result
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push(key, end, elements) => {
                let elements: Vec<&str> = elements.iter().map(|&element| ELEMENTS[element]).collect();
                let bytes: Vec<&[u8]> = elements.iter().map(|element| element.as_bytes()).collect();
                self.edit(*key, |list| list.push(*end, &bytes).unwrap());
                let model = self.model.entry(*key).or_default();
                for element in elements {
                    let at = if *end == End::Front { 0 } else { model.len() };
                    model.insert(at, element);
                }
            }
            Step::Pop(key, end, count) => {
                let popped = self.edit(*key, |list| list.pop_many(*end, *count).unwrap());
                assert_eq!(popped, self.model_drop(*key, *end, *count));
            }
            Step::Drop(key, end, count) => {
                self.edit(*key, |list| list.drop(*end, *count).unwrap());
                self.model_drop(*key, *end, *count);
            }
            Step::Set(key, at, element) => {
                let set = self.edit(*key, |list| list.set(*at, ELEMENTS[*element].as_bytes()).unwrap());
                let place = self.model.get_mut(key).and_then(|model| model.get_mut(*at as usize));
                assert_eq!(set, place.is_some());
                place.into_iter().for_each(|place| *place = ELEMENTS[*element]);
            }
            Step::Insert(key, at, element) => {
                self.edit(*key, |list| list.insert(*at, ELEMENTS[*element].as_bytes()).unwrap());
                let model = self.model.entry(*key).or_default();
                model.insert(model.len().min(*at as usize), ELEMENTS[*element]);
            }
            Step::Remove(key, element) => {
                let element = ELEMENTS[*element];
                let model = self.model.get(key).cloned().unwrap_or_default();
                let at = (0..model.len()).filter(|&at| model[at] == element).map(|at| at as u64).collect();
                self.remove(*key, at);
            }
            Step::RemoveSome(key, at) => {
                let len = self.model.get(key).map_or(0, Vec::len) as u64;
                let mut at: Vec<u64> = at.iter().copied().filter(|&at| at < len).collect();
                at.sort_unstable();
                at.dedup();
                self.remove(*key, at);
            }
            Step::Fill(key, elements) => {
                let elements: Vec<&str> = elements.iter().map(|&element| ELEMENTS[element]).collect();
                let limit = self.limit;
                let mut keyspace = self.keyspace();
                let entry = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                let mut list = keyspace.create_list(entry, limit, None);
                let bytes: Vec<Bytes> = elements.iter().map(|&element| Bytes::from(element)).collect();
                list.fill(&bytes).unwrap();
                list.save().unwrap();
                self.model.insert(*key, elements);
            }
            Step::Copy(key) | Step::Rename(key) => {
                let other = 1 - key;
                let mut keyspace = self.keyspace();
                let source = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                let target = keyspace.entry(KEYS[other].as_bytes()).unwrap();
                if matches!(step, Step::Copy(_)) {
                    keyspace.copy(&source, target).unwrap();
                } else {
                    keyspace.rename(source, target).unwrap();
                }
                if let Some(model) = self.model.get(key).cloned() {
                    self.model.insert(other, model);
                    if matches!(step, Step::Rename(_)) {
                        self.model.remove(key);
                    }
                }
            }
            Step::Delete(key) => {
                let mut keyspace = self.keyspace();
                let entry = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                keyspace.remove(entry);
                self.model.remove(key);
            }
        }
        self.model.retain(|_, model| !model.is_empty());
    }

    fn remove(&mut self, key: usize, at: Vec<u64>) {
        self.edit(key, |list| list.remove(&at).unwrap());
        if let Some(model) = self.model.get_mut(&key) {
            at.iter().rev().for_each(|&at| _ = model.remove(at as usize));
        }
    }

    fn model_drop(&mut self, key: usize, end: End, count: u64) -> Vec<&'static str> {
        let model = self.model.entry(key).or_default();
        let count = model.len().min(count as usize);
        match end {
            End::Front => model.drain(..count).collect(),
            End::Back => model.split_off(model.len() - count).into_iter().rev().collect(),
        }
    }

    fn check(&mut self) {
        check_invariants(&self.kv);
        for (number, key) in KEYS.into_iter().enumerate() {
            let expected = self.model.get(&number);
            let record = Reader::new(&mut self.kv, 0, 1).lookup(key.as_bytes()).unwrap();
            assert_eq!(record.is_some(), expected.is_some());
            let (Some(record), Some(expected)) = (record, expected) else { continue };
            let mut list = List::of(&record, 0, key.as_bytes()).unwrap();
            assert_eq!(list.len(), expected.len() as u64);
            assert_eq!(list.range(&mut self.kv, 0, End::Front, u64::MAX).unwrap(), *expected);
            let mut back = list.range(&mut self.kv, list.len() - 1, End::Back, u64::MAX).unwrap();
            back.reverse();
            assert_eq!(back, *expected);
            for at in [0, list.len() / 2, list.len() - 1] {
                assert_eq!(list.get(&mut self.kv, at).unwrap().unwrap(), expected[at as usize]);
            }
            assert_eq!(list.get(&mut self.kv, list.len()).unwrap(), None);
            // What listpacks add is counted with the next change only, as by Redis.
            let bytes: usize = expected.iter().map(|element| element.len()).sum();
            let holds = self.limit.holds(bytes as u64, list.len());
            assert!(record.large || holds, "a small list that is too large");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(120), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_steps_leave_what_the_model_has_and_nothing_else(
        steps in prop::collection::vec(step(), 1..60),
        limit in prop_oneof![Just(ListLimit::Elements(4)), Just(ListLimit::Elements(40)), Just(ListLimit::Bytes(1)), Just(ListLimit::Bytes(200))],
    ) {
        let mut world = World::new(limit);
        for step in &steps {
            world.take(step);
            world.check();
        }
        for key in 0..KEYS.len() {
            world.take(&Step::Delete(key));
        }
        prop_assert!(world.kv.is_empty());
    }
}

proptest! {
    #[test]
    fn corrupt_lists_never_panic(payload in any::<Vec<u8>>(), large in any::<bool>(), front in 0..40u32) {
        let header = [&[0; 15][..], &[200, 1], &[0; 16], &front.to_be_bytes(), &payload].concat();
        for payload in [payload, header] {
            let stored = Record { kind: Type::List, large, ..Record::string(payload.into()) }.encode();
            let Ok(record) = Record::decode(stored) else { continue };
            attack(&mut MemKv::default(), &record);
        }
    }

    #[test]
    fn corrupt_parts_never_panic(number in 0..30u64, form in 0..3u8, value in any::<Vec<u8>>(), flip in any::<prop::sample::Index>()) {
        let mut world = World::new(ListLimit::Elements(3));
        world.take(&Step::Push(0, End::Back, (0..200).map(|at| at % ELEMENTS.len()).collect()));
        let record = Reader::new(&mut world.kv, 0, 1).lookup(KEYS[0].as_bytes()).unwrap().unwrap();
        let head = key::head(0, KEYS[0].as_bytes());
        let prefix = key::parts(&head, record.collection_id().unwrap()).from;
        let part = Bytes::from([&prefix[..], &number.to_be_bytes()].concat());
        let mut kv = world.kv.clone();
        if let Some(stored) = kv.get(&part).unwrap() {
            let mut flipped = stored.to_vec();
            let at = flip.index(flipped.len());
            flipped[at] ^= 1 << (at % 8);
            kv.put(part.clone(), flipped.into());
            attack(&mut kv, &record);
        }
        kv.put(part, Bytes::from([&[form], &value[..]].concat()));
        attack(&mut kv, &record);
    }

    #[test]
    fn blocks_are_edited_as_vectors_are(
        elements in prop::collection::vec(prop::sample::select(&ELEMENTS[..]), 1..30), at in any::<prop::sample::Index>(), bytes in 1..100usize,
    ) {
        let pack_of = |elements: &[&str]| Pack::of(elements.iter().map(|element| element.as_bytes()));
        let whole = pack_of(&elements);
        let at = at.index(elements.len());
        for pack in [whole.clone(), Pack::decode(whole.to_bytes()).unwrap()] {
            let (first, others) = pack.cut(at as u64).unwrap();
            prop_assert_eq!(first.to_bytes(), pack_of(&elements[..at]).to_bytes());
            let mut joined = first.clone();
            joined.append(&others);
            prop_assert_eq!(joined.to_bytes(), whole.to_bytes());
            prop_assert_eq!(pack.get(at as u64).unwrap(), elements[at]);
            let mut pushed = others.clone();
            first.walk_back().into_iter().for_each(|element| pushed.push_front(&element));
            prop_assert_eq!(pushed.to_bytes(), whole.to_bytes());
            let mut joined = Pack::new();
            for piece in pack.split(bytes).unwrap() {
                prop_assert!(piece.entries_bytes() <= bytes || piece.len() == 1);
                joined.append(&piece);
            }
            prop_assert_eq!(joined.to_bytes(), whole.to_bytes());
        }
    }
}

impl Pack {
    /// All elements, the last one first.
    fn walk_back(&self) -> Vec<Bytes> {
        let (mut walk, mut elements) = (self.walk(), Vec::new());
        while let Some(item) = walk.next_back().unwrap() {
            elements.push(item.to_bytes());
        }
        elements
    }
}

/// Whatever is stored: everything that can be done answers, or fails.
fn attack(kv: &mut MemKv, record: &Record) {
    let Ok(mut list) = List::of(record, 0, KEYS[0].as_bytes()) else { return };
    let _ = (list.range(kv, 0, End::Front, 500), list.range(kv, list.len() / 2, End::Back, 500));
    let _ = (list.get(kv, 50), list.listpacks(kv));
    for (count, end) in [(1, End::Front), (1, End::Back), (70, End::Front), (70, End::Back)] {
        let mut kv = kv.clone();
        let _ = list.clone().drop(&mut kv, end, count);
        let _ = list.clone().push(&mut kv, end, &[b'x'; 70]);
    }
    let _ = list.clone().remove(&mut kv.clone(), &[0, 5, 50, 150]);
    let _ = list.clone().set(&mut kv.clone(), 60, b"x");
    let _ = list.clone().insert(&mut kv.clone(), 60, b"some text that splits a block");
}

#[test]
fn numbers_equal_their_texts_and_nothing_else() {
    let pack = Pack::of([&b"12"[..], b"012", b"-0", b"9223372036854775808"].into_iter());
    for (text, expected) in [("12", 1), ("012", 1), ("-0", 1), ("0", 0), ("9223372036854775808", 1), ("", 0)]
    {
        let (needle, mut walk, mut found) = (Needle::new(text.as_bytes()), pack.walk(), 0);
        while let Some(item) = walk.next().unwrap() {
            found += i32::from(needle.is(&item));
        }
        assert_eq!(found, expected, "{text}");
    }
}

/// Reads and writes of an edit.
fn cost(kv: &mut Counting, work: impl FnOnce(&mut ListEdit<'_, '_>)) -> (usize, usize) {
    (kv.reads, kv.writes) = (0, 0);
    let mut keyspace = Keyspace::new(kv, 0, 1, 2);
    let entry = keyspace.entry(b"k").unwrap();
    let mut list = keyspace.edit_list(entry, ListLimit::Elements(3)).unwrap();
    work(&mut list);
    list.save().unwrap();
    (kv.reads, kv.writes)
}

#[test]
fn the_ends_of_a_large_list_cost_little_and_its_middle_logarithmically() {
    let mut kv = Counting::default();
    let mut total = 0;
    for number in 0..5000 {
        let element = number.to_string();
        total += cost(&mut kv, |list| list.push(End::Back, &[element.as_bytes()]).unwrap()).1;
    }
    // A leaf and the nodes above it now and then: here each eight elements, with four children a node.
    assert!(total < 5000 * 2, "{total}");
    let height = 8;
    for at in [0, 1, 17, 2500, 4998, 4999] {
        let (reads, writes) = cost(&mut kv, |list| assert!(list.set(at, b"x").unwrap()));
        assert!(reads <= height + 3 && writes <= height + 3, "{at}: {reads} {writes}");
        let (reads, writes) = cost(&mut kv, |list| list.insert(at, b"another").unwrap());
        assert!(reads <= height + 4 && writes <= 2 * height + 4, "{at}: {reads} {writes}");
        let (reads, writes) = cost(&mut kv, |list| list.remove(&[at]).unwrap());
        assert!(reads <= 2 * height + 4 && writes <= 2 * height + 4, "{at}: {reads} {writes}");
    }
    total = 0;
    for _ in 0..4000 {
        total += cost(&mut kv, |list| drop(list.pop(End::Front).unwrap().unwrap())).1;
    }
    assert!(total < 4000 * 2, "{total}");
    check_invariants(&kv.kv);
}

/// A stack that goes to and fro where a block ends does not move that block each time.
#[test]
fn to_and_fro_costs_one_write() {
    let mut kv = Counting::default();
    for number in 0..100 {
        cost(&mut kv, |list| list.push(End::Front, &[b"element"]).unwrap());
        let mut writes = 0;
        for _ in 0..10 {
            writes += cost(&mut kv, |list| drop(list.pop(End::Front).unwrap())).1;
            writes += cost(&mut kv, |list| list.push(End::Front, &[b"element"]).unwrap()).1;
        }
        assert!(number < 4 || writes <= 20 + 8, "{number}: {writes}");
    }
}

#[test]
fn very_many_empty_elements_grow() {
    for end in [End::Front, End::Back] {
        let mut world = World::new(ListLimit::of_option(-2));
        let empties = vec![&b""[..]; 70_000];
        world.edit(0, |list| list.push(end, &empties)).unwrap();
        let (len, last) = world.edit(0, |list| (list.len(), list.pop(End::Back)));
        assert_eq!((len, last.unwrap().as_deref()), (70_000, Some(&b""[..])));
    }
}
