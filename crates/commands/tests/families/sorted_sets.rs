//! What scripts cannot show of sorted sets: large ones, chance, commands that would wait, and RESP3.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::shard::Shard;
use crate::support::text::show;
use resp::{Protocol, Reply};

fn filled(count: usize) -> Shard {
    let mut shard = Shard::default();
    for number in 0..count {
        // In another order than they are added.
        let score = (number * 7919 % count).to_string();
        shard.run(&[b"ZADD", b"z", score.as_bytes(), format!("m{score}").as_bytes()]);
    }
    shard.check_invariants();
    shard
}

fn ask(shard: &mut Shard, line: &str) -> String {
    let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    show(&shard.run(&argv))
}

fn texts(reply: Reply) -> Vec<String> {
    let Reply::Array(items) = reply else { panic!("an array, not {reply:?}") };
    items.iter().map(|item| show(item).trim_matches('"').to_owned()).collect()
}

#[test]
fn ranks_and_ranges_of_a_large_set_are_right() {
    let mut shard = filled(3000);
    for rank in [0, 1, 63, 64, 1000, 2998, 2999] {
        assert_eq!(ask(&mut shard, &format!("ZRANK z m{rank}")), format!(":{rank}"));
        assert_eq!(ask(&mut shard, &format!("ZREVRANK z m{rank}")), format!(":{}", 2999 - rank));
        assert_eq!(ask(&mut shard, &format!("ZRANGE z {rank} {rank}")), format!("[\"m{rank}\"]"));
        assert_eq!(ask(&mut shard, &format!("ZREVRANGE z {rank} {rank}")), format!("[\"m{}\"]", 2999 - rank));
        assert_eq!(ask(&mut shard, &format!("ZCOUNT z ({rank} inf")), format!(":{}", 2999 - rank));
        let last = format!("ZREVRANGEBYSCORE z {rank} -inf LIMIT {rank} 1");
        assert_eq!(ask(&mut shard, &last), "[\"m0\"]");
        let first = format!("ZRANGEBYSCORE z -inf inf LIMIT {rank} 1");
        assert_eq!(ask(&mut shard, &first), format!("[\"m{rank}\"]"));
    }
}

#[test]
fn ranges_of_a_large_set_are_removed() {
    let mut shard = filled(3000);
    assert_eq!(ask(&mut shard, "ZREMRANGEBYRANK z 100 1099"), ":1000");
    shard.check_invariants();
    assert_eq!(ask(&mut shard, "ZRANGE z 99 100"), "[\"m99\", \"m1100\"]");
    assert_eq!(ask(&mut shard, "ZREMRANGEBYSCORE z -inf (1150"), ":150");
    shard.check_invariants();
    assert_eq!(ask(&mut shard, "ZREMRANGEBYRANK z -10 -1"), ":10");
    shard.check_invariants();
    assert_eq!(ask(&mut shard, "ZCARD z"), ":1840");
    assert_eq!(ask(&mut shard, "ZREMRANGEBYRANK z 0 -1"), ":1840");
    assert!(shard.kv.is_empty());
}

#[test]
fn a_large_set_is_popped_from_both_ends() {
    let mut shard = filled(1000);
    let (mut least, mut most) = (0, 999);
    while ask(&mut shard, "EXISTS z") == ":1" {
        for member in texts(shard.run(&[b"ZPOPMIN", b"z", b"7"])).iter().step_by(2) {
            assert_eq!(*member, format!("m{least}"));
            least += 1;
        }
        for member in texts(shard.run(&[b"ZPOPMAX", b"z", b"40"])).iter().step_by(2) {
            assert_eq!(*member, format!("m{most}"));
            most -= 1;
        }
        shard.check_invariants();
    }
    assert_eq!(least, most + 1);
    assert!(shard.kv.is_empty());
}

#[test]
fn a_sorted_set_grows_large_at_the_limits_of_redis() {
    let mut shard = filled(128);
    assert_eq!(ask(&mut shard, "OBJECT ENCODING z"), "\"listpack\"");
    ask(&mut shard, "ZADD z 1 more");
    assert_eq!(ask(&mut shard, "OBJECT ENCODING z"), "\"skiplist\"");
    assert_eq!(ask(&mut shard, "ZCARD z"), ":129");
    shard.check_invariants();
}

#[test]
fn zscan_returns_every_member_once() {
    let mut shard = filled(1000);
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let Reply::Array(parts) = shard.run(&[b"ZSCAN", b"z", cursor.as_bytes(), b"COUNT", b"20"]) else {
            panic!("an array")
        };
        let [next, found_now] = &parts[..] else { panic!("of two") };
        for [member, score] in texts(found_now.clone()).as_chunks().0 {
            assert_eq!(*member, format!("m{score}"));
            found.push(member.clone());
        }
        cursor = show(next).trim_matches('"').to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found.len(), 1000);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), 1000);
}

#[test]
fn every_member_has_its_chance() {
    for size in [5, 300] {
        let mut shard = filled(size);
        let mut times = BTreeMap::<String, u32>::new();
        for _ in 0..size * 12 {
            *times.entry(show(&shard.run(&[b"ZRANDMEMBER", b"z"]))).or_default() += 1;
        }
        assert_eq!(times.len(), size);
        for count in [1, size / 2, size, size + 1] {
            let some = texts(shard.run(&[b"ZRANDMEMBER", b"z", count.to_string().as_bytes()]));
            assert_eq!(some.into_iter().collect::<BTreeSet<_>>().len(), count.min(size));
        }
        assert_eq!(texts(shard.run(&[b"ZRANDMEMBER", b"z", b"-40"])).len(), 40);
    }
    let mut shard = filled(3);
    assert_eq!(ask(&mut shard, "ZRANDMEMBER z -1048577"), "-ERR value is out of range");
}

#[test]
fn who_finds_nothing_is_answered_null_where_nobody_waits() {
    let mut shard = Shard::default();
    for line in ["BZPOPMIN {z}1 {z}2 0", "BZPOPMAX {z}1 1.5", "BZMPOP 0 1 {z}1 MIN"] {
        assert_eq!(ask(&mut shard, line), "nil", "{line}");
    }
    ask(&mut shard, "ZADD {z}2 1 a");
    assert_eq!(ask(&mut shard, "BZPOPMIN {z}1 {z}2 0"), "[\"{z}2\", \"a\", \"1\"]");
}

#[test]
fn resp3_has_doubles_and_pairs() {
    let mut shard = Shard::default();
    shard.cx.protocol = Protocol::Resp3;
    ask(&mut shard, "ZADD z 1.5 a");
    let double = || Reply::Double(1.5);
    let flat = || Reply::Array(vec![Reply::bulk("a"), double()]);
    let pairs = || Reply::Array(vec![flat()]);
    for (line, expected) in [
        ("ZSCORE z a", double()),
        ("ZADD z INCR 0 a", double()),
        ("ZINCRBY z 0 a", double()),
        ("ZMSCORE z a x", Reply::Array(vec![double(), Reply::Null])),
        ("ZRANK z a WITHSCORE", Reply::Array(vec![Reply::Int(0), double()])),
        ("ZRANGE z 0 -1 WITHSCORES", pairs()),
        ("ZREVRANGEBYSCORE z 2 1 WITHSCORES", pairs()),
        ("ZRANDMEMBER z 1 WITHSCORES", pairs()),
        ("ZUNION 1 z WITHSCORES", pairs()),
        (
            "ZSCAN z 0",
            Reply::Array(vec![Reply::bulk("0"), Reply::Array(vec![Reply::bulk("a"), Reply::bulk("1.5")])]),
        ),
        ("ZPOPMIN z 1", pairs()),
        ("ZPOPMIN z 1", Reply::Array(vec![])),
        ("ZMPOP 1 z MIN", Reply::NullArray),
    ] {
        let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(shard.run(&argv), expected, "{line}");
    }
    ask(&mut shard, "ZADD z 1.5 a");
    assert_eq!(shard.run(&[b"ZPOPMIN", b"z"]), flat());
    ask(&mut shard, "ZADD z 1.5 a");
    let popped = Reply::Array(vec![Reply::bulk("z"), Reply::bulk("a"), double()]);
    assert_eq!(shard.run(&[b"BZPOPMAX", b"z", b"0"]), popped);
}
