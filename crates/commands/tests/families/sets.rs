//! What scripts cannot show of sets: large ones, chance, and limits.

use std::collections::BTreeSet;

use crate::support::shard::Shard;
use crate::support::text::show;
use resp::Reply;

fn filled(count: usize) -> Shard {
    let mut shard = Shard::default();
    for number in 0..count {
        shard.run(&[b"SADD", b"s", format!("member:{number}").as_bytes()]);
    }
    shard.check_invariants();
    shard
}

fn encoding(shard: &mut Shard) -> String {
    show(&shard.run(&[b"OBJECT", b"ENCODING", b"s"]))
}

#[test]
fn spop_takes_each_member_once_and_the_key_with_the_last() {
    let mut shard = filled(1000);
    let mut popped = BTreeSet::new();
    for step in 0..200 {
        let count = [&b"1"[..], b"7", b"0"][step % 3];
        let Reply::Set(members) = shard.run(&[b"SPOP", b"s", count]) else { panic!("a set") };
        for member in &members {
            assert!(popped.insert(show(member)), "twice");
        }
        shard.check_invariants();
    }
    while let Reply::Bulk(member) = shard.run(&[b"SPOP", b"s"]) {
        assert!(popped.insert(show(&Reply::Bulk(member))), "twice");
    }
    assert_eq!(popped.len(), 1000);
    assert!(shard.kv.is_empty());
}

#[test]
fn sscan_returns_every_member_once() {
    let mut shard = filled(1000);
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let Reply::Array(parts) = shard.run(&[b"SSCAN", b"s", cursor.as_bytes(), b"COUNT", b"20"]) else {
            panic!("an array")
        };
        let [next, Reply::Array(members)] = &parts[..] else { panic!("of two") };
        found.extend(members.iter().map(show));
        cursor = show(next).trim_matches('"').to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found.len(), 1000);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), 1000);
}

#[test]
fn a_set_grows_large_at_the_limits_of_redis() {
    let mut shard = filled(128);
    assert_eq!(encoding(&mut shard), "\"listpack\"");
    shard.run(&[b"SADD", b"s", b"one more"]);
    assert_eq!(encoding(&mut shard), "\"hashtable\"");
    shard.run(&[b"DEL", b"s"]);
    for number in 0..512 {
        shard.run(&[b"SADD", b"s", number.to_string().as_bytes()]);
    }
    assert_eq!(encoding(&mut shard), "\"intset\"");
    shard.run(&[b"SADD", b"s", b"512"]);
    assert_eq!(encoding(&mut shard), "\"hashtable\"");
    assert_eq!(shard.run(&[b"SCARD", b"s"]), Reply::Int(513));
    shard.check_invariants();
}

#[test]
fn large_sets_are_combined() {
    let mut shard = Shard::default();
    for number in 0..1000 {
        let key: &[u8] = if number < 600 { b"{s}1" } else { b"{s}2" };
        let member = format!("m{number}");
        shard.run(&[b"SADD", key, member.as_bytes()]);
        if number % 10 == 0 {
            shard.run(&[b"SADD", b"{s}1", member.as_bytes()]);
            shard.run(&[b"SADD", b"{s}2", member.as_bytes()]);
        }
    }
    for (command, count) in [(&b"SINTERSTORE"[..], 100), (b"SUNIONSTORE", 1000), (b"SDIFFSTORE", 540)] {
        assert_eq!(shard.run(&[command, b"{s}d", b"{s}1", b"{s}2"]), Reply::Int(count));
        assert_eq!(shard.run(&[b"SCARD", b"{s}d"]), Reply::Int(count));
        shard.check_invariants();
    }
}
