//! Sorted sets against a model: a list in order.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Place, Scored, SortedSet};
use crate::check::check_invariants;
use crate::collection::SmallLimits;
use crate::counting::Counting;
use crate::keyspace::{Keyspace, Reader};
use crate::mem::MemKv;
use crate::record::{Record, Type};

const LIMITS: SmallLimits = SmallLimits { entries: 4, value_bytes: 3 };
const KEYS: [&[u8]; 2] = [b"{k}1", b"{k}2"];
const SCORES: [f64; 8] = [0.0, -0.0, 1.0, 1.5, -3.0, f64::INFINITY, f64::NEG_INFINITY, 1e300];

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<(u16, usize)>),
    Remove(Vec<u16>),
    RemoveRun(u64, u64),
    Copy,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..200u16, 0..SCORES.len()), 1..60).prop_map(Step::Put),
        2 => prop::collection::vec(0..200u16, 1..30).prop_map(Step::Remove),
        2 => (0..100u64, 0..100u64).prop_map(|(from, len)| Step::RemoveRun(from, from + len)),
        1 => Just(Step::Copy),
        1 => Just(Step::Delete),
    ]
}

fn member(number: u16) -> Vec<u8> {
    format!("{number:b}").into_bytes()
}

#[derive(Default)]
struct World {
    kv: MemKv,
    seed: u64,
    model: BTreeMap<Vec<u8>, f64>,
}

impl World {
    fn keyspace(&mut self) -> Keyspace<'_> {
        self.seed += 1;
        Keyspace::new(&mut self.kv, 0, 1, self.seed)
    }

    fn set(&mut self, key: &[u8]) -> SortedSet {
        let record = Reader::new(&mut self.kv, 0, 1).lookup(key).unwrap();
        record.map_or_else(SortedSet::default, |record| SortedSet::of(&record, 0, key).unwrap())
    }

    fn take(&mut self, step: &Step) {
        let ordered = self.ordered();
        let set = self.set(KEYS[0]);
        let run = match *step {
            Step::RemoveRun(from, to) => set.slice(&mut self.kv, from..to).unwrap(),
            _ => Vec::new(),
        };
        let mut model = std::mem::take(&mut self.model);
        let mut keyspace = self.keyspace();
        let entry = keyspace.entry(KEYS[0]).unwrap();
        match step {
            Step::Copy => {
                let target = keyspace.entry(KEYS[1]).unwrap();
                keyspace.copy(&entry, target).unwrap();
                let (source, target) = (keyspace.entry(KEYS[1]).unwrap(), keyspace.entry(KEYS[0]).unwrap());
                keyspace.rename(source, target).unwrap();
            }
            Step::Delete => {
                keyspace.remove(entry);
                model.clear();
            }
            Step::Put(pairs) => {
                let mut edit = keyspace.edit_sorted(entry, LIMITS).unwrap();
                for &(number, score) in pairs {
                    let (member, score) = (member(number), SCORES[score]);
                    assert_eq!(edit.put(&member, score).unwrap(), !model.contains_key(&member));
                    assert_eq!(edit.score(&member).unwrap(), Some(score));
                    model.insert(member, score);
                }
                edit.save();
            }
            Step::Remove(numbers) => {
                let mut edit = keyspace.edit_sorted(entry, LIMITS).unwrap();
                for &number in numbers {
                    let member = member(number);
                    assert_eq!(edit.remove(&member).unwrap(), model.remove(&member).is_some());
                }
                edit.save();
            }
            Step::RemoveRun(from, to) => {
                let expected = ordered.iter().take(*to as usize).skip(*from as usize);
                assert!(run.iter().eq(expected), "{run:?}");
                let mut edit = keyspace.edit_sorted(entry, LIMITS).unwrap();
                edit.remove_run(&run).unwrap();
                model.retain(|member, _| !run.iter().any(|element| element.member == member[..]));
                edit.save();
            }
        }
        self.model = model;
    }

    fn ordered(&self) -> Vec<Scored> {
        let scored =
            |(member, &score): (&Vec<u8>, &f64)| Scored { member: Bytes::from(member.clone()), score };
        let mut ordered: Vec<Scored> = self.model.iter().map(scored).collect();
        ordered.sort_by(Scored::compare);
        ordered
    }

    fn check(&mut self) {
        check_invariants(&self.kv);
        let (ordered, set) = (self.ordered(), self.set(KEYS[0]));
        assert_eq!(set.len().unwrap(), ordered.len() as u64);
        assert_eq!(set.slice(&mut self.kv, 0..u64::MAX).unwrap(), ordered);
        for (rank, Scored { member, score }) in ordered.iter().enumerate() {
            let rank = rank as u64;
            assert_eq!(set.score(&mut self.kv, member).unwrap(), Some(*score));
            assert_eq!(set.rank(&mut self.kv, &Place::before(*score, member)).unwrap(), rank);
            assert_eq!(set.rank(&mut self.kv, &Place::behind(*score, member)).unwrap(), rank + 1);
            assert_eq!(set.slice(&mut self.kv, rank..rank + 1).unwrap(), ordered[rank as usize..][..1]);
        }
        for score in SCORES {
            let before = ordered.iter().filter(|element| element.score < score).count() as u64;
            let until = ordered.iter().filter(|element| element.score <= score).count() as u64;
            assert_eq!(set.rank(&mut self.kv, &Place::before_score(score)).unwrap(), before);
            assert_eq!(set.rank(&mut self.kv, &Place::behind_score(score)).unwrap(), until);
        }
        assert_eq!(set.rank(&mut self.kv, &Place::end()).unwrap(), ordered.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_steps_leave_what_the_model_has_and_nothing_else(steps in prop::collection::vec(step(), 1..20)) {
        let mut world = World::default();
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.take(&Step::RemoveRun(0, u64::MAX));
        prop_assert!(world.kv.is_empty());
    }

    #[test]
    fn corrupt_sets_never_panic(payload in any::<Vec<u8>>(), large in any::<bool>(), name in any::<Vec<u8>>()) {
        let stored = Record { kind: Type::SortedSet, large, ..Record::string(payload.into()) }.encode();
        let Ok(record) = Record::decode(stored) else { return Ok(()) };
        let Ok(set) = SortedSet::of(&record, 0, b"k") else { return Ok(()) };
        let mut kv = MemKv::default();
        let _ = (set.len(), set.score(&mut kv, &name), set.rank(&mut kv, &Place::before(1.0, &name)));
        let _ = (set.slice(&mut kv, 0..9), set.slice(&mut kv, 3..9));
        let mut keyspace = Keyspace::new(&mut kv, 0, 1, 1);
        let entry = keyspace.entry(b"k").unwrap();
        keyspace.put(entry, &record);
        let entry = keyspace.entry(b"k").unwrap();
        let Ok(mut edit) = keyspace.edit_sorted(entry, LIMITS) else { return Ok(()) };
        let _ = (edit.put(&name, 1.0), edit.put(&name, 2.0), edit.remove(&name));
        edit.save();
    }
}

#[test]
fn a_member_of_a_large_set_costs_few_pairs() {
    let mut kv = Counting::default();
    let change = |kv: &mut Counting, members: &mut dyn Iterator<Item = u64>, score: f64| {
        kv.writes = 0;
        let mut keyspace = Keyspace::new(kv, 0, 1, 1);
        let entry = keyspace.entry(b"k").unwrap();
        let mut edit = keyspace.edit_sorted(entry, LIMITS).unwrap();
        members.for_each(|number| {
            edit.put(number.to_string().as_bytes(), number as f64 + score).unwrap();
        });
        edit.save();
        kv.writes
    };
    change(&mut kv, &mut (0..20_000), 0.0);
    let rounds = 200;
    let mut mean = |score: f64, from: u64| -> usize {
        let cost = |round: u64| change(&mut kv, &mut std::iter::once(from + round * 97), score);
        (0..rounds).map(cost).sum::<usize>() / rounds as usize
    };
    // Element, index entry, head record, and a weight on each of two levels.
    assert_eq!(mean(0.5, 20_000), 5);
    // Two index entries, and no head record.
    assert!(mean(0.25, 0) <= 4, "a neighbouring place");
    assert!(mean(9000.0, 1) <= 7, "another place");
    check_invariants(&kv.kv);
}
