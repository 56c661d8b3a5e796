//! What scripts cannot show of hashes: iterations of large ones, chance, and RESP3.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::shard::Shard;
use crate::support::text::show;
use proptest::prelude::*;
use resp::{Protocol, Reply};

fn filled(count: usize) -> Shard {
    let mut shard = Shard::default();
    for number in 0..count {
        let field = format!("field:{number}");
        shard.run(&[b"HSET", b"h", field.as_bytes(), b"v"]);
    }
    shard.check_invariants();
    shard
}

fn text(reply: &Reply) -> String {
    show(reply).trim_matches('"').to_owned()
}

fn hscan(shard: &mut Shard, cursor: &str, options: &[&str]) -> (String, Vec<String>) {
    let argv: Vec<&[u8]> = ["HSCAN", "h", cursor].iter().chain(options).map(|word| word.as_bytes()).collect();
    let Reply::Array(parts) = shard.run(&argv) else { panic!("HSCAN answers an array") };
    let [next, Reply::Array(found)] = &parts[..] else { panic!("of two") };
    (text(next), found.iter().step_by(2).map(text).collect())
}

/// A whole iteration, and the most fields of one step; `between` runs after each step.
fn hscan_all(
    shard: &mut Shard,
    options: &[&str],
    mut between: impl FnMut(&mut Shard),
) -> (Vec<String>, usize) {
    let (mut cursor, mut all, mut most) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let (next, found) = hscan(shard, &cursor, options);
        most = most.max(found.len());
        all.extend(found);
        between(shard);
        if next == "0" {
            return (all, most);
        }
        cursor = next;
    }
}

#[test]
fn hscan_returns_every_field_once_in_bounded_steps() {
    let mut shard = filled(3000);
    for count in ["1", "10", "1000"] {
        let (found, most) = hscan_all(&mut shard, &["COUNT", count], |_| {});
        assert_eq!(found.len(), 3000, "no field twice");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 3000);
        assert!(most <= count.parse::<usize>().unwrap() + 2);
    }
    let (found, _) = hscan_all(&mut shard, &["MATCH", "field:1?", "COUNT", "100"], |_| {});
    assert_eq!(found.len(), 10);
    for past in ["4294967295", "4294967296", "18446744073709551615"] {
        assert!(hscan(&mut shard, past, &[]).1.len() <= 1, "past the last position");
    }
}

#[test]
fn hscan_returns_what_stays_while_other_fields_come_and_go() {
    let mut shard = filled(2000);
    let mut round = 0;
    let (found, _) = hscan_all(&mut shard, &["COUNT", "50"], |shard| {
        round += 1;
        shard.run(&[b"HSET", b"h", format!("new:{round}").as_bytes(), b"v"]);
        shard.run(&[b"HDEL", b"h", format!("field:{}", round * 7).as_bytes()]);
        // Another collection, but the same fields.
        shard.run(&[b"COPY", b"h", b"{h}copy", b"REPLACE"]);
        shard.run(&[b"RENAME", b"{h}copy", b"h"]);
    });
    let found: BTreeSet<String> = found.into_iter().collect();
    for number in 0..2000 {
        let field = format!("field:{number}");
        let stays = shard.run(&[b"HEXISTS", b"h", field.as_bytes()]) == Reply::Int(1);
        assert!(!stays || found.contains(&field), "{field} was skipped");
    }
}

#[test]
fn every_field_has_its_chance() {
    for size in [5, 300, 1000] {
        let mut shard = filled(size);
        let mut times = BTreeMap::<String, u32>::new();
        for _ in 0..size * 12 {
            *times.entry(text(&shard.run(&[b"HRANDFIELD", b"h"]))).or_default() += 1;
        }
        assert_eq!(times.len(), size);
        for count in [1, size / 2, size, size + 1] {
            let Reply::Array(some) = shard.run(&[b"HRANDFIELD", b"h", count.to_string().as_bytes()]) else {
                panic!("an array")
            };
            assert_eq!(some.iter().map(text).collect::<BTreeSet<_>>().len(), count.min(size));
        }
        let Reply::Array(some) = shard.run(&[b"HRANDFIELD", b"h", b"-40"]) else { panic!("an array") };
        assert_eq!(some.len(), 40);
    }
}

#[test]
fn resp3_has_maps_and_pairs() {
    let mut shard = filled(1);
    shard.cx.protocol = Protocol::Resp3;
    let pair = || [Reply::bulk("field:0"), Reply::bulk("v")];
    assert_eq!(shard.run(&[b"HGETALL", b"h"]), Reply::Map(vec![pair().into()]));
    assert_eq!(shard.run(&[b"HGETALL", b"none"]), Reply::Map(Vec::new()));
    let pairs = Reply::Array(vec![Reply::Array(pair().into())]);
    assert_eq!(shard.run(&[b"HRANDFIELD", b"h", b"1", b"WITHVALUES"]), pairs);
    let flat = Reply::Array(vec![Reply::bulk("0"), Reply::Array(pair().into())]);
    assert_eq!(shard.run(&[b"HSCAN", b"h", b"0"]), flat);
}

#[test]
fn a_hash_grows_large_at_the_limits_of_redis() {
    let mut shard = filled(512);
    assert_eq!(show(&shard.run(&[b"OBJECT", b"ENCODING", b"h"])), "\"listpack\"");
    shard.run(&[b"HSET", b"h", b"one more", b"v"]);
    assert_eq!(show(&shard.run(&[b"OBJECT", b"ENCODING", b"h"])), "\"hashtable\"");
    assert_eq!(shard.run(&[b"HLEN", b"h"]), Reply::Int(513));
    shard.check_invariants();
    shard.run(&[b"DEL", b"h"]);
    assert!(shard.kv.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..Default::default() })]

    #[test]
    fn hscan_is_complete_for_any_fields(names in prop::collection::btree_set("[a-c]{0,6}", 1..300), count in 1..40u32) {
        let mut shard = Shard::default();
        shard.cx.limits.hash.entries = 2;
        for name in &names {
            shard.run(&[b"HSET", b"h", name.as_bytes(), b"v"]);
        }
        let (found, _) = hscan_all(&mut shard, &["COUNT", &count.to_string()], |_| {});
        prop_assert_eq!(found.len(), names.len());
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
    }
}
