//! Walks over many keys: SCAN, KEYS, RANDOMKEY, and the proxy's questions about one slot.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::shard::Shard;
use crate::support::text::show;
use commands::{CommandError, Id, by_id};
use datatypes::slot_of;
use proptest::prelude::*;
use resp::Reply;

/// 2,000 keys all over, and 3,000 in one slot.
fn filled() -> (Shard, BTreeSet<String>) {
    let mut shard = Shard::default();
    let spread = (0..2000).map(|i| format!("key:{i}"));
    let names: BTreeSet<String> = spread.chain((0..3000).map(|i| format!("{{one}}:{i}"))).collect();
    for name in &names {
        shard.run(&[b"SET", name.as_bytes(), b"v"]);
    }
    (shard, names)
}

fn scan(shard: &mut Shard, cursor: &str, options: &[&str]) -> (String, Vec<String>) {
    let argv: Vec<&[u8]> = ["SCAN", cursor].iter().chain(options).map(|word| word.as_bytes()).collect();
    let Reply::Array(parts) = shard.run(&argv) else { panic!("SCAN answers an array") };
    let [Reply::Bulk(next), Reply::Array(keys)] = &parts[..] else { panic!("of two") };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(next), keys.iter().map(|key| show(key).trim_matches('"').to_owned()).collect())
}

/// A whole iteration; `between` runs after each step.
fn scan_all(
    shard: &mut Shard,
    options: &[&str],
    mut between: impl FnMut(&mut Shard),
) -> (Vec<String>, usize) {
    let (mut cursor, mut found, mut largest) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let (next, keys) = scan(shard, &cursor, options);
        largest = largest.max(keys.len());
        found.extend(keys);
        between(shard);
        if next == "0" {
            return (found, largest);
        }
        cursor = next;
    }
}

#[test]
fn scan_returns_every_key_once_in_bounded_steps() {
    let (mut shard, names) = filled();
    for count in ["1", "10", "1000"] {
        let (found, largest) = scan_all(&mut shard, &["COUNT", count], |_| {});
        assert_eq!(found.len(), names.len(), "no key twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
        assert!(largest <= count.parse::<usize>().unwrap().max(64) + 64);
    }
    let (found, _) = scan_all(&mut shard, &["MATCH", "{one}:1?", "COUNT", "100"], |_| {});
    assert_eq!(found.len(), 10);
}

#[test]
fn scan_returns_what_stays_while_other_keys_come_and_go() {
    let (mut shard, names) = filled();
    let mut round = 0;
    let (found, _) = scan_all(&mut shard, &["COUNT", "50"], |shard| {
        round += 1;
        shard.run(&[b"SET", format!("{{one}}:new{round}").as_bytes(), b"v"]);
        shard.run(&[b"DEL", format!("{{one}}:{}", round * 7).as_bytes()]);
    });
    let found: BTreeSet<String> = found.into_iter().collect();
    for name in &names {
        let stays = matches!(shard.run(&[b"EXISTS", name.as_bytes()]), Reply::Int(1));
        assert!(!stays || found.contains(name), "{name} was skipped");
    }
}

#[test]
fn scan_stops_at_the_end_slot() {
    let (mut shard, names) = filled();
    let spec = by_id(Id::Scan as u16).unwrap();
    let commands::Handler::Read(handler) = spec.handler().unwrap() else { panic!("SCAN reads") };
    let cx = shard.cx;
    let args: [&[u8]; 4] = [b"0", b"8192", b"COUNT", b"100000"];
    let reply = handler(&mut shard.kv, &commands::Args::new(&args), &cx).unwrap();
    let Reply::Array(parts) = reply else { panic!("SCAN answers an array") };
    let Reply::Array(keys) = &parts[1] else { panic!("of two") };
    let expected = names.iter().filter(|name| slot_of(name.as_bytes()).number() < 8192).count();
    assert_eq!((show(&parts[0]), keys.len()), ("\"0\"".to_owned(), expected));
}

#[test]
fn keys_and_dbsize_see_everything() {
    let (mut shard, names) = filled();
    let Reply::Array(keys) = shard.run(&[b"KEYS", b"*"]) else { panic!("KEYS answers an array") };
    assert_eq!(keys.len(), names.len());
    assert_eq!(shard.run(&[b"DBSIZE"]), Reply::Int(names.len() as i64));
}

#[test]
fn random_keys_differ() {
    let (mut shard, names) = filled();
    let seen: BTreeSet<String> = (0..200).map(|_| show(&shard.run(&[b"RANDOMKEY"]))).collect();
    assert!(seen.len() > 100);
    assert!(seen.iter().all(|key| names.contains(key.trim_matches('"'))));
}

/// How often each of the keys is drawn, in `draws` per key.
fn drawn(names: &[String], draws: usize) -> Vec<usize> {
    let mut shard = Shard::default();
    let mut times = BTreeMap::new();
    for name in names {
        shard.run(&[b"SET", name.as_bytes(), b"v"]);
        times.insert(name.clone(), 0);
    }
    for _ in 0..names.len() * draws {
        let Reply::Bulk(key) = shard.run(&[b"RANDOMKEY"]) else { panic!("a key") };
        *times.get_mut(std::str::from_utf8(&key).unwrap()).expect("one of them") += 1;
    }
    times.into_values().collect()
}

#[test]
fn random_keys_are_drawn_fairly() {
    let named = |count: usize, tag: &str| (0..count).map(|i| format!("{tag}key:{i}")).collect::<Vec<_>>();
    let few = drawn(&named(10, ""), 100);
    assert!(few.iter().all(|times| (60..150).contains(times)), "{few:?}");
    // Drawn by slot, of which some are found only as the next one.
    let many = drawn(&named(3000, ""), 20);
    let (never, most) = (many.iter().filter(|times| **times == 0).count(), many.iter().max());
    assert!(never < 10 && most < Some(&200), "{never} never, one {most:?} times");
    // More of one slot than are looked at.
    let tagged = drawn(&named(5000, "{t}"), 20);
    let (never, most) = (tagged.iter().filter(|times| **times == 0).count(), tagged.iter().max());
    assert!(never < 50 && most < Some(&1000), "{never} never, one {most:?} times");
}

#[test]
fn the_proxy_can_ask_about_one_slot() {
    let (mut shard, _) = filled();
    let slot = slot_of(b"{one}").number().to_string();
    let mut ask = |id: Id, args: &[&[u8]]| shard.execute(by_id(id as u16).unwrap(), args);
    let in_slot = ask(Id::CountKeysInSlot, &[slot.as_bytes()]).unwrap();
    assert!(matches!(in_slot, Reply::Int(3000..3010)));
    let Reply::Array(keys) = ask(Id::GetKeysInSlot, &[slot.as_bytes(), b"10"]).unwrap() else {
        panic!("an array")
    };
    assert_eq!(keys.len(), 10);
    assert_eq!(ask(Id::GetKeysInSlot, &[slot.as_bytes(), b"0"]).unwrap(), Reply::Array(Vec::new()));
    for args in [[&b"16384"[..], b"1"], [b"-1", b"1"], [b"1", b"-1"]] {
        assert!(matches!(ask(Id::GetKeysInSlot, &args), Err(CommandError::InvalidKeyCount)));
    }
    assert!(matches!(ask(Id::CountKeysInSlot, &[b"16384"]), Err(CommandError::InvalidSlot)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]

    #[test]
    fn scan_is_complete_for_any_keys(names in prop::collection::btree_set("[a-c{}]{0,6}", 0..300), count in 1..40u32) {
        let mut shard = Shard::default();
        for name in &names {
            shard.run(&[b"SET", name.as_bytes(), b"v"]);
        }
        let (found, _) = scan_all(&mut shard, &["COUNT", &count.to_string()], |_| {});
        prop_assert_eq!(found.len(), names.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
    }
}
