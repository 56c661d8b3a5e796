//! Collections against a model: an ordered map, and nothing that is kept on the side.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::large::position;
use super::small::{Small, Walk};
use super::{Elements, SmallLimits};
use crate::check::check_invariants;
use crate::counting::Counting;
use crate::key;
use crate::keyspace::{Entry, Keyspace, Reader};
use crate::kv::KvMut;
use crate::mem::MemKv;
use crate::random::Random;
use crate::record::{Record, Type};
use crate::slots;

const LIMITS: SmallLimits = SmallLimits { entries: 3, value_bytes: 4 };
/// Two in one slot, one in another.
const KEYS: [&str; 3] = ["{a}1", "{a}2", "{b}1"];

type Place = (u8, usize);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    String,
    Hash { fields: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>, large: bool },
}

#[derive(Debug, Clone)]
enum Step {
    Put(Place, Vec<(u8, String)>),
    Remove(Place, Vec<u8>),
    /// Fields that are there expire so many milliseconds later, or never.
    ExpireFields(Place, Vec<u8>, Option<u64>),
    SetString(Place),
    Delete(Place),
    Rename(Place, usize),
    Copy(Place, Place),
    Expire(Place, Option<u64>),
    Advance(u64),
    ActiveExpire,
    Flush(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2u8, 0..KEYS.len());
    let names = || prop::collection::vec(0..8u8, 0..4);
    let pairs = prop::collection::vec((0..8u8, "[xyz]{0,5}"), 1..4);
    prop_oneof![
        8 => (place(), pairs).prop_map(|(at, pairs)| Step::Put(at, pairs)),
        4 => (place(), names()).prop_map(|(at, names)| Step::Remove(at, names)),
        6 => (place(), names(), prop::option::weighted(0.8, 1..30u64))
            .prop_map(|(at, names, ms)| Step::ExpireFields(at, names, ms)),
        1 => place().prop_map(Step::SetString),
        1 => place().prop_map(Step::Delete),
        3 => (place(), 0..KEYS.len()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => (place(), place()).prop_map(|(from, to)| Step::Copy(from, to)),
        2 => (place(), prop::option::of(0..30u64)).prop_map(|(at, ms)| Step::Expire(at, ms)),
        1 => (0..20u64).prop_map(Step::Advance),
        1 => Just(Step::ActiveExpire),
        1 => (0..2u8).prop_map(Step::Flush),
    ]
}

#[derive(Default)]
struct World {
    kv: MemKv,
    now_ms: u64,
    seed: u64,
    model: BTreeMap<Place, (Value, Option<u64>)>,
}

impl World {
    fn keyspace(&mut self, db: u8) -> Keyspace<'_> {
        // Few seeds, so that ids collide.
        self.seed = (self.seed + 1) % 3;
        Keyspace::new(&mut self.kv, db, self.now_ms, self.seed)
    }

    fn expire_model(&mut self) {
        let now_ms = self.now_ms;
        let lives = |expiry: &Option<u64>| expiry.is_none_or(|when| now_ms < when);
        self.model.retain(|_, (value, expiry)| {
            let left = match value {
                Value::Hash { fields, .. } => {
                    fields.retain(|_, (_, expiry)| lives(expiry));
                    !fields.is_empty()
                }
                Value::String => true,
            };
            left && lives(expiry)
        });
    }

    fn take(&mut self, step: &Step) {
        self.expire_model();
        match step {
            Step::Put(at, pairs) => self.put(*at, pairs),
            Step::Remove(at, names) => self.remove(*at, names),
            Step::ExpireFields(at, names, ms) => self.expire_fields(*at, names, *ms),
            Step::SetString((db, key)) => {
                let mut keyspace = self.keyspace(*db);
                let entry = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                keyspace.put_string(entry, b"v", None);
                self.model.insert((*db, *key), (Value::String, None));
            }
            Step::Delete((db, key)) => {
                let mut keyspace = self.keyspace(*db);
                let entry = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                keyspace.remove(entry);
                self.model.remove(&(*db, *key));
            }
            Step::Rename((db, from), to) => {
                if from != to {
                    self.between((*db, *from), (*db, *to), |keyspace, source, target| {
                        keyspace.rename(source, target).unwrap();
                    });
                    if let Some(value) = self.model.remove(&(*db, *from)) {
                        self.model.insert((*db, *to), value);
                    }
                }
            }
            Step::Copy(from, to) => {
                if from != to {
                    self.between(*from, *to, |keyspace, source, target| {
                        keyspace.copy(&source, target).unwrap();
                    });
                    if let Some(value) = self.model.get(from).cloned() {
                        self.model.insert(*to, value);
                    }
                }
            }
            Step::Expire((db, key), ms) => {
                let when = ms.map(|ms| self.now_ms + ms);
                let mut keyspace = self.keyspace(*db);
                let entry = keyspace.entry(KEYS[*key].as_bytes()).unwrap();
                keyspace.set_expiry(entry, when);
                if let Some((_, expiry)) = self.model.get_mut(&(*db, *key)) {
                    *expiry = when;
                }
            }
            Step::Advance(ms) => self.now_ms += ms,
            Step::ActiveExpire => {
                let now_ms = self.now_ms;
                crate::active_expire(&mut self.kv, now_ms, 2).unwrap();
            }
            Step::Flush(db) => {
                slots::flush_database(&mut self.kv, *db).unwrap();
                self.model.retain(|(of, _), _| of != db);
            }
        }
    }

    fn between(&mut self, from: Place, to: Place, act: impl FnOnce(&mut Keyspace<'_>, Entry, Entry)) {
        let mut keyspace = self.keyspace(from.0);
        let source = keyspace.entry(KEYS[from.1].as_bytes()).unwrap();
        let target = keyspace.entry_in(to.0, KEYS[to.1].as_bytes()).unwrap();
        act(&mut keyspace, source, target);
    }

    fn put(&mut self, at: Place, pairs: &[(u8, String)]) {
        let value = self
            .model
            .entry(at)
            .or_insert_with(|| (Value::Hash { fields: BTreeMap::new(), large: false }, None));
        let Value::Hash { fields, large } = &mut value.0 else { return };
        let mut expected = Vec::new();
        for (name, value) in pairs {
            expected.push(fields.insert(vec![*name], (value.clone().into(), None)).is_none());
            *large |= fields.len() > 3 || value.len() > 4;
        }
        let mut keyspace = self.keyspace(at.0);
        let entry = keyspace.entry(KEYS[at.1].as_bytes()).unwrap();
        let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
        for ((name, value), is_new) in pairs.iter().zip(expected) {
            assert_eq!(edit.put(&[*name], value.as_bytes()).unwrap(), is_new);
            assert_eq!(edit.get(&[*name]).unwrap().unwrap(), value);
        }
        edit.save();
    }

    fn expire_fields(&mut self, at: Place, names: &[u8], ms: Option<u64>) {
        let when = ms.map(|ms| self.now_ms + ms);
        let Some((Value::Hash { fields, .. }, _)) = self.model.get_mut(&at) else { return };
        for name in names {
            fields.entry(vec![*name]).and_modify(|(_, expiry)| *expiry = when);
        }
        let mut keyspace = self.keyspace(at.0);
        let entry = keyspace.entry(KEYS[at.1].as_bytes()).unwrap();
        let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
        for name in names {
            if let Some((value, _)) = edit.field(&[*name]).unwrap() {
                assert!(!edit.put_expiring(&[*name], &value, when).unwrap());
                assert_eq!(edit.field(&[*name]).unwrap(), Some((value, when)));
            }
        }
        edit.save();
    }

    fn remove(&mut self, at: Place, names: &[u8]) {
        let mut none = BTreeMap::new();
        let fields = match self.model.get_mut(&at) {
            Some((Value::Hash { fields, .. }, _)) => fields,
            Some((Value::String, _)) => return,
            None => &mut none,
        };
        let expected: Vec<bool> = names.iter().map(|&name| fields.remove(&vec![name]).is_some()).collect();
        if fields.is_empty() {
            self.model.remove(&at);
        }
        let mut keyspace = self.keyspace(at.0);
        let entry = keyspace.entry(KEYS[at.1].as_bytes()).unwrap();
        let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
        for (name, was_there) in names.iter().zip(expected) {
            assert_eq!(edit.remove(&[*name]).unwrap(), was_there);
        }
        edit.save();
    }

    fn check(&mut self) {
        self.expire_model();
        check_invariants(&self.kv);
        for db in 0..2 {
            for (number, key) in KEYS.into_iter().enumerate() {
                let expected = self.model.get(&(db, number)).cloned();
                let record = Reader::new(&mut self.kv, db, self.now_ms).lookup(key.as_bytes()).unwrap();
                let found = record.map(|record| (self.read(&record, db, key), record.expiry_ms));
                assert_eq!(found, expected, "{key} in {db}");
            }
        }
    }

    fn read(&mut self, record: &Record, db: u8, key: &str) -> Value {
        if record.kind == Type::String {
            return Value::String;
        }
        let elements = Elements::of(record, db, key.as_bytes()).unwrap();
        let elements = elements.at(&mut self.kv, self.now_ms).unwrap();
        let all = elements.all(&mut self.kv).unwrap();
        assert_eq!(elements.len().unwrap(), all.len() as u64);
        let fields = elements.fields(&mut self.kv).unwrap();
        assert!(fields.iter().map(|field| &field.name).eq(all.iter().map(|element| &element.name)));
        let fields: BTreeMap<_, _> = fields
            .into_iter()
            .map(|field| (field.name.to_vec(), (field.value.to_vec(), field.expiry_ms)))
            .collect();
        for (name, (value, expiry_ms)) in &fields {
            let found = elements.field(&mut self.kv, name).unwrap();
            assert_eq!(found, Some((Bytes::copy_from_slice(value), *expiry_ms)));
            assert_eq!(elements.get(&mut self.kv, name).unwrap().as_deref(), Some(&value[..]));
        }
        assert_eq!(elements.get(&mut self.kv, b"none").unwrap(), None);
        Value::Hash { fields, large: record.large }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1500), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_steps_leave_what_the_model_has_and_nothing_else(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::default();
        for step in &steps {
            world.take(step);
            world.check();
        }
        for db in 0..2 {
            slots::flush_database(&mut world.kv, db).unwrap();
        }
        prop_assert!(world.kv.is_empty());
    }
}

proptest! {
    #[test]
    fn corrupt_collections_never_panic(payload in any::<Vec<u8>>(), large in any::<bool>(), name in any::<Vec<u8>>()) {
        let stored = Record { kind: Type::Hash, large, ..Record::string(payload.into()) }.encode();
        let Ok(record) = Record::decode(stored) else { return Ok(()) };
        let mut kv = MemKv::default();
        let Ok(elements) = Elements::of(&record, 0, b"k") else { return Ok(()) };
        let _ = (elements.len(), elements.get(&mut kv, &name), elements.all(&mut kv));
        let _ = elements.sample(&mut kv, 3, &mut Random::new(1));
    }

    #[test]
    fn corrupt_parts_never_panic(part in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
        let mut kv = MemKv::default();
        let elements = hash_of(&mut kv, 10);
        let Elements::Large(_) = &elements else { panic!("ten are large") };
        let id = stored_id(&mut kv);
        let prefix = key::parts(&key::head(0, b"k"), id).from;
        kv.put(Bytes::from([&prefix[..], &part].concat()), Bytes::from(value));
        let _ = (elements.all(&mut kv), elements.page(&mut kv, 0, 3), elements.get(&mut kv, b"0"));
    }

    #[test]
    fn integers_are_held_in_order(numbers in prop::collection::vec(prop_oneof![-5..5i64, any::<i64>()], 0..20)) {
        let mut small = Small::of_integers();
        let mut model = std::collections::BTreeSet::new();
        for number in numbers {
            let name = number.to_string();
            prop_assert_eq!(small.put_integer(number, name.as_bytes()).unwrap(), model.insert(number));
        }
        let mut walk = small.walk();
        for number in &model {
            let name = number.to_string();
            prop_assert_eq!(walk.next().unwrap().unwrap().name, name.as_bytes());
        }
        prop_assert_eq!((walk.next().unwrap(), small.len()), (None, model.len() as u64));
    }

    #[test]
    fn small_payloads_survive_the_round_trip(pairs in prop::collection::btree_map(any::<Vec<u8>>(), prop::collection::vec(any::<u8>(), 0..300), 0..9)) {
        let mut small = Small::new();
        for (name, value) in &pairs {
            prop_assert!(small.put(name, value, None).unwrap());
            prop_assert!(!small.put(name, value, None).unwrap());
        }
        let decoded = Small::decode(&small.clone().into_payload()).unwrap();
        prop_assert_eq!(decoded.len(), pairs.len() as u64);
        for (name, value) in &pairs {
            prop_assert_eq!(decoded.walk().find(name).unwrap().unwrap().value, &value[..]);
        }
    }
}

#[test]
fn lengths_are_bounded() {
    for payload in [
        &b""[..],
        b"\x02",
        b"\x03",
        b"\x02\0\0\0\0\0\0\0\0\x01a\x00",
        b"\x02\0\0\0\0\0\0\0\0\x01a\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        b"\x00\x05abc",
        b"\x00\xff\xff\xff\xff\x0f",
        b"\x00\xff\xff\xff\xff\x1f",
        b"\x00\x80",
    ] {
        let walked = Walk::over(payload).and_then(Walk::count);
        assert!(walked.is_err(), "{payload:?}");
    }
}

fn hash_of(kv: &mut MemKv, count: u32) -> Elements {
    let mut keyspace = Keyspace::new(kv, 0, 1, 1);
    let entry = keyspace.entry(b"k").unwrap();
    let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
    for number in 0..count {
        edit.put(number.to_string().as_bytes(), b"v").unwrap();
    }
    edit.save();
    let record = Reader::new(kv, 0, 1).lookup(b"k").unwrap().unwrap();
    Elements::of(&record, 0, b"k").unwrap()
}

fn stored_id(kv: &mut MemKv) -> u64 {
    let record = Reader::new(kv, 0, 1).lookup(b"k").unwrap().unwrap();
    record.collection_id().unwrap()
}

#[test]
fn a_large_collection_goes_in_two_writes_and_moves_in_two() {
    let mut kv = Counting::default();
    hash_of(&mut kv.kv, 1000);
    let mut keyspace = Keyspace::new(&mut kv, 0, 1, 2);
    let (source, target) = (keyspace.entry(b"k").unwrap(), keyspace.entry(b"{k}2").unwrap());
    keyspace.rename(source, target).unwrap();
    assert_eq!(std::mem::take(&mut kv.writes), 2);
    let mut keyspace = Keyspace::new(&mut kv, 0, 1, 3);
    let entry = keyspace.entry(b"{k}2").unwrap();
    keyspace.remove(entry);
    assert_eq!(kv.writes, 2);
    assert!(kv.kv.is_empty());
}

#[test]
fn what_is_due_of_a_large_hash_is_found_without_looking_at_the_others() {
    let mut kv = Counting::default();
    hash_of(&mut kv.kv, 1000);
    let mut keyspace = Keyspace::new(&mut kv, 0, 1, 2);
    let entry = keyspace.entry(b"k").unwrap();
    let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
    for number in 0..500u64 {
        edit.put_expiring(number.to_string().as_bytes(), b"v", Some(100 + number)).unwrap();
    }
    edit.save();
    check_invariants(&kv.kv);
    (kv.reads, kv.writes) = (0, 0);
    assert_eq!(crate::active_expire(&mut kv, 101, 10).unwrap(), 2);
    assert_eq!((kv.reads, kv.writes), (6, 7));
    assert_eq!(crate::active_expire(&mut kv, 300, 10).unwrap(), 10);
    assert_eq!(crate::active_expire(&mut kv, 300, 1000).unwrap(), 189);
    assert_eq!(crate::active_expire(&mut kv, 300, 1000).unwrap(), 0);
    check_invariants(&kv.kv);
    assert_eq!(crate::active_expire(&mut kv, 5000, 1000).unwrap(), 299);
    let record = Reader::new(&mut kv, 0, 5000).lookup(b"k").unwrap().unwrap();
    assert_eq!((record.due(), Elements::of(&record, 0, b"k").unwrap().len().unwrap()), (None, 500));
    check_invariants(&kv.kv);
}

#[test]
fn an_element_of_a_small_collection_costs_one_read_and_one_write() {
    let mut kv = Counting::default();
    hash_of(&mut kv.kv, 3);
    for (name, reads, writes) in [("0", 1, 1), ("new", 2, 5), ("newer", 2, 2), ("newer", 2, 1)] {
        (kv.reads, kv.writes) = (0, 0);
        let mut keyspace = Keyspace::new(&mut kv, 0, 1, 2);
        let entry = keyspace.entry(b"k").unwrap();
        let mut edit = keyspace.edit(entry, Type::Hash, LIMITS).unwrap();
        edit.put(name.as_bytes(), b"x").unwrap();
        edit.save();
        assert_eq!((name, kv.reads, kv.writes), (name, reads, writes));
    }
}

#[test]
fn every_element_is_picked_as_often_as_another() {
    let mut kv = MemKv::default();
    let elements = hash_of(&mut kv, 300);
    let mut random = Random::new(5);
    let mut times = BTreeMap::<Bytes, u32>::new();
    for _ in 0..30_000 {
        *times.entry(elements.pick(&mut kv, &mut random).unwrap().unwrap().name).or_default() += 1;
    }
    assert_eq!(times.len(), 300);
    let chi_squared: f64 = times.values().map(|&n| (f64::from(n) - 100.0).powi(2) / 100.0).sum();
    // 299 degrees of freedom: mean 299, deviation 24.5.
    assert!(chi_squared < 299.0 + 5.0 * 24.5, "{chi_squared}");
}

#[test]
fn samples_are_different_elements_and_picks_may_repeat() {
    let mut kv = MemKv::default();
    for size in [2, 20, 2000] {
        slots::flush_all(&mut kv);
        let elements = hash_of(&mut kv, size);
        let mut random = Random::new(9);
        for count in [0, 1, 5, 100, 1999, 2000, 5000] {
            let sample = elements.sample(&mut kv, count, &mut random).unwrap();
            let names: std::collections::BTreeSet<_> = sample.iter().map(|e| &e.name).collect();
            assert_eq!((names.len(), sample.len()), (count.min(size as usize), count.min(size as usize)));
            assert_eq!(elements.picks(&mut kv, count, &mut random).unwrap().len(), count);
        }
    }
    assert_eq!(Elements::None.picks(&mut kv, 5, &mut Random::new(1)).unwrap(), []);
    assert_eq!(Elements::None.pick(&mut kv, &mut Random::new(1)).unwrap(), None);
}

/// Stored, and part of cursors that clients hold: other values would be a change of the format.
#[test]
fn positions_never_change() {
    assert_eq!([&b""[..], b"a", b"field"].map(position), POSITIONS);
}

const POSITIONS: [u32; 3] = [4023394144, 2191698264, 523564246];
