//! The index against an ordered map, and what it costs.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::Ranked;
use crate::counting::Counting;
use crate::kv::KvMut;
use crate::mem::MemKv;
use crate::random::Random;

const HEAD: [u8; 5] = [0, 0, 0, 1, b'k'];

/// A value weighs what its first byte says.
fn first_byte(value: &[u8]) -> Option<u64> {
    value.first().map(|&byte| byte.into())
}

/// Separators are frequent, so that few entries make many levels.
fn low(seed: u64) -> Ranked {
    Ranked { level_bits: 1, ..Ranked::new(&HEAD, 7, seed, first_byte) }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    Rekey(u8, u8),
    RemoveRange(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..40u8;
    prop_oneof![
        8 => (key.clone(), 1..5u8).prop_map(|(key, weight)| Step::Put(key, weight)),
        4 => key.clone().prop_map(Step::Remove),
        3 => (key.clone(), key.clone()).prop_map(|(old, new)| Step::Rekey(old, new)),
        1 => (key.clone(), key).prop_map(|(from, to)| Step::RemoveRange(from, to)),
    ]
}

/// Keys of different lengths, one of them empty.
fn key(number: u8) -> Vec<u8> {
    vec![number / 3; usize::from(number.div_ceil(3))]
}

fn take(ranked: &mut Ranked, kv: &mut MemKv, model: &mut BTreeMap<Vec<u8>, u8>, step: &Step) {
    match *step {
        Step::Put(at, weight) => {
            ranked.put(kv, &key(at), &[weight]).unwrap();
            model.insert(key(at), weight);
        }
        Step::Remove(at) => {
            assert_eq!(ranked.remove(kv, &key(at)).unwrap(), model.remove(&key(at)).is_some());
        }
        Step::Rekey(old, new) => {
            if model.contains_key(&key(new)) {
                return;
            }
            if let Some(weight) = model.remove(&key(old)) {
                ranked.rekey(kv, &key(old), &key(new), &[weight]).unwrap();
                model.insert(key(new), weight);
            }
        }
        Step::RemoveRange(from, to) => {
            ranked.remove_range(kv, &key(from), &key(to)).unwrap();
            model.retain(|at, _| !(key(from)..key(to)).contains(at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn ranks_are_those_of_a_list(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let (mut ranked, mut kv) = (low(seed), MemKv::default());
        let mut model = BTreeMap::new();
        for step in &steps {
            take(&mut ranked, &mut kv, &mut model, step);
            prop_assert_eq!(ranked.check(&mut kv), kv.len() as u64);
            let state = Ranked::decode(&HEAD, 7, &ranked.state(), first_byte).unwrap();
            prop_assert_eq!(state.state(), ranked.state());
        }
        let mut rank = 0;
        for (key, &weight) in &model {
            prop_assert_eq!(ranked.rank(&mut kv, key).unwrap(), rank);
            for offset in 0..u64::from(weight) {
                let selected = ranked.select(&mut kv, rank + offset).unwrap().unwrap();
                prop_assert_eq!((&selected.key[..], &selected.value[..]), (&key[..], &[weight][..]));
                prop_assert_eq!(selected.offset, offset);
            }
            rank += u64::from(weight);
            let behind = [&key[..], &[0]].concat();
            prop_assert_eq!(ranked.rank(&mut kv, &behind).unwrap(), rank);
        }
        prop_assert_eq!(ranked.total(), rank);
        prop_assert_eq!(ranked.select(&mut kv, rank).unwrap(), None);
        ranked.remove_range(&mut kv, &[], &[0xFF]).unwrap();
        prop_assert!(kv.is_empty() && ranked.starts.is_empty());
    }

    #[test]
    fn what_is_stored_does_not_depend_on_how_it_came(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let (mut ranked, mut kv) = (low(seed), MemKv::default());
        let mut model = BTreeMap::new();
        steps.iter().for_each(|step| take(&mut ranked, &mut kv, &mut model, step));
        let (mut other, mut at_once) = (low(seed), MemKv::default());
        for (key, weight) in &model {
            other.put_new(&mut at_once, key, &[*weight]).unwrap();
        }
        prop_assert_eq!((ranked.state(), kv), (other.state(), at_once));
    }

    #[test]
    fn damage_never_panics(state in any::<Vec<u8>>(), pairs in prop::collection::vec((0..12u8, 0..40u8, any::<Vec<u8>>()), 0..30)) {
        let mut kv = MemKv::default();
        let state = [&[0; 8], &state[..]].concat();
        let Ok(mut ranked) = Ranked::decode(&HEAD, 7, &state, first_byte) else { return Ok(()) };
        for (level, at, value) in pairs {
            kv.put(Bytes::copy_from_slice(&ranked.stored(level, &key(at))), value.into());
        }
        for at in 0..40 {
            let _ = (ranked.rank(&mut kv, &key(at)), ranked.select(&mut kv, u64::from(at)));
            let _ = (ranked.put(&mut kv, &key(at), &[3]), ranked.remove(&mut kv, &key(at / 2)));
        }
        let _ = ranked.remove_range(&mut kv, b"", &key(20));
    }
}

#[test]
fn among_many_entries_few_pairs_are_read_and_fewer_written() {
    let mut kv = Counting::default();
    let mut ranked = Ranked::new(&HEAD, 7, 1, |_| Some(1));
    let key = |number: u64| number.to_be_bytes();
    for number in 0..20_000 {
        ranked.put_new(&mut kv, &key(number * 2), b"").unwrap();
    }
    let mut random = Random::new(3);
    let (mut mean, rounds) = ([0; 3], 500);
    for _ in 0..rounds {
        let at = random.below(20_000);
        kv.pairs = 0;
        assert_eq!(ranked.rank(&mut kv, &key(at * 2 + 1)).unwrap(), at + 1);
        assert!(kv.pairs < 1500, "{} pairs read", kv.pairs);
        mean[0] += kv.pairs;
        kv.pairs = 0;
        assert_eq!(ranked.select(&mut kv, at).unwrap().unwrap().key, key(at * 2)[..]);
        mean[1] += kv.pairs;
        kv.writes = 0;
        ranked.put_new(&mut kv, &key(at * 2 + 1), b"").unwrap();
        mean[2] += kv.writes;
        ranked.remove(&mut kv, &key(at * 2 + 1)).unwrap();
    }
    let [rank, select, put] = mean.map(|sum| sum / rounds);
    assert!(rank < 250 && select < 250 && put <= 4, "{rank} {select} {put}");
    kv.writes = 0;
    ranked.remove_range(&mut kv, &key(1000), &key(38_000)).unwrap();
    assert!(kv.writes <= 12, "{}", kv.writes);
    assert_eq!(ranked.total(), 1500);
    ranked.check(&mut kv);
}
