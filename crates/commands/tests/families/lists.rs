//! What scripts cannot show of lists: large ones, their encoding, and what they are dumped as.

use crate::support::shard::Shard;
use crate::support::text::show;
use bytes::Bytes;
use datatypes::ListLimit;
use resp::Reply;

fn run(shard: &mut Shard, words: &[&str]) -> String {
    let argv: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let reply = show(&shard.run(&argv));
    shard.check_invariants();
    reply
}

fn encoding(shard: &mut Shard, key: &str) -> String {
    run(shard, &["OBJECT", "ENCODING", key])
}

fn limited(option: i64) -> Shard {
    let mut shard = Shard::default();
    shard.cx.limits.list = ListLimit::of_option(option);
    shard
}

fn create(shard: &mut Shard, key: &str, elements: &[&str], expected: &str) {
    run(shard, &["DEL", key]);
    for element in elements {
        run(shard, &["RPUSH", key, element]);
    }
    assert_eq!(encoding(shard, key), expected);
}

const SMALL: &str = "\"listpack\"";
const LARGE: &str = "\"quicklist\"";

#[test]
fn a_list_grows_large_where_redis_has_a_quicklist() {
    let long = "x".repeat(8192);
    for (option, large) in [(3, "hello"), (-1, &long), (-2, &long)] {
        let mut shard = limited(option);
        let abc = ["a", "b", "c"];
        for grow in [
            &["RPUSH", "l", large][..],
            &["LPUSH", "l", large],
            &["LINSERT", "l", "AFTER", "b", large],
            &["LSET", "l", "0", large],
        ] {
            create(&mut shard, "l", &abc, SMALL);
            run(&mut shard, grow);
            // As Redis, which makes room before it looks which element goes.
            assert_eq!(encoding(&mut shard, "l"), LARGE, "{option} {grow:.30?}");
        }
        create(&mut shard, "{l}1", &["a", "b", "c", large], LARGE);
        create(&mut shard, "{l}2", &abc, SMALL);
        run(&mut shard, &["LMOVE", "{l}1", "{l}2", "RIGHT", "RIGHT"]);
        assert_eq!(encoding(&mut shard, "{l}2"), LARGE);
    }
}

#[test]
fn a_list_is_small_again_at_half_the_limit() {
    let mut shard = limited(3);
    for (elements, shrink) in [
        (["a", "b", "c", "d"], &["RPOP", "l", "3"][..]),
        (["a", "a", "a", "d"], &["LREM", "l", "3", "a"]),
        (["a", "b", "c", "d"], &["LTRIM", "l", "1", "1"]),
    ] {
        create(&mut shard, "l", &elements, LARGE);
        run(&mut shard, &["RPOP", "l"]);
        assert_eq!(encoding(&mut shard, "l"), LARGE);
        run(&mut shard, &["RPUSH", "l", elements[3]]);
        run(&mut shard, shrink);
        assert_eq!(encoding(&mut shard, "l"), SMALL, "{shrink:?}");
    }
    let mut shard = limited(-1);
    let long = "x".repeat(8192);
    for (elements, shrink) in [
        (["a", "b", &long], &["RPOP", "l", "1"][..]),
        (["a", "b", &long], &["LREM", "l", "1", &long]),
        (["a", "b", &long], &["LTRIM", "l", "0", "1"]),
        ([&long, "a", "b"], &["LSET", "l", "0", "c"]),
        (["a", &long, "b"], &["LSET", "l", "1", "c"]),
    ] {
        create(&mut shard, "l", &elements, LARGE);
        run(&mut shard, shrink);
        assert_eq!(encoding(&mut shard, "l"), SMALL, "{shrink:.20?}");
    }
}

#[test]
fn limits_that_redis_corrects_are_corrected() {
    let mut shard = limited(0);
    create(&mut shard, "l", &["a"], SMALL);
    create(&mut shard, "l", &["a", "b"], LARGE);
    let mut shard = limited(-6);
    create(&mut shard, "l", &[&"x".repeat(60_000)], SMALL);
    create(&mut shard, "l", &[&"x".repeat(60_000), &"x".repeat(5536)], LARGE);
}

/// 20,000 elements, under real sizes of blocks and nodes.
#[test]
fn a_large_list_is_what_a_vector_would_be() {
    let mut shard = Shard::default();
    let numbers: Vec<String> = (0..20_000).map(|number| format!("element:{number}")).collect();
    for chunk in numbers.chunks(1000) {
        let argv: Vec<&[u8]> =
            [&b"RPUSH"[..], b"l"].into_iter().chain(chunk.iter().map(|n| n.as_bytes())).collect();
        shard.run(&argv);
    }
    let mut model: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let at = |index: usize| index.to_string();
    for index in [0, 1, 40, 41, 42, 9_999, 19_999, 20_000] {
        let expected = model.get(index).map_or("nil".to_owned(), |element| format!("\"{element}\""));
        assert_eq!(show(&shard.run(&[b"LINDEX", b"l", at(index).as_bytes()])), expected);
    }
    for step in 0..150 {
        let index = step * 7919 % model.len();
        let pivot = model[index];
        assert_eq!(show(&shard.run(&[b"LPOS", b"l", pivot.as_bytes()])), format!(":{index}"));
        match step % 3 {
            0 => {
                shard.run(&[b"LINSERT", b"l", b"BEFORE", pivot.as_bytes(), b"new"]);
                model.insert(index, "new");
                shard.run(&[b"LREM", b"l", b"1", b"new"]);
                let first = model.iter().position(|&element| element == "new").unwrap();
                model.remove(first);
            }
            1 => {
                shard.run(&[b"LREM", b"l", b"-1", pivot.as_bytes()]);
                model.remove(index);
            }
            _ => {
                shard.run(&[b"LSET", b"l", at(index).as_bytes(), b"set"]);
                model[index] = "set";
                shard.run(&[b"LSET", b"l", at(index).as_bytes(), pivot.as_bytes()]);
                model[index] = pivot;
            }
        }
    }
    shard.check_invariants();
    assert_eq!(elements(shard.run(&[b"LRANGE", b"l", b"0", b"-1"])), model);
    shard.run(&[b"LTRIM", b"l", b"3000", b"-3000"]);
    model = model[3000..model.len() - 2999].to_vec();
    shard.check_invariants();
    assert_eq!(elements(shard.run(&[b"LRANGE", b"l", b"0", b"-1"])), model);
    let popped = elements(shard.run(&[b"RPOP", b"l", b"5000"]));
    let expected: Vec<&str> = model.split_off(model.len() - 5000).into_iter().rev().collect();
    assert_eq!(popped, expected);
    shard.run(&[b"COPY", b"l", b"{l}2"]);
    shard.run(&[b"RENAME", b"{l}2", b"{l}3"]);
    shard.check_invariants();
    assert_eq!(elements(shard.run(&[b"LPOP", b"{l}3", b"100000"])), model);
    assert_eq!(elements(shard.run(&[b"LRANGE", b"l", b"0", b"-1"])), model);
    shard.run(&[b"DEL", b"l"]);
    assert!(shard.kv.is_empty());
}

fn elements(reply: Reply) -> Vec<Bytes> {
    let Reply::Array(items) = reply else { panic!("an array") };
    let text = |item| match item {
        Reply::Bulk(text) => text,
        other => panic!("no element: {other:?}"),
    };
    items.into_iter().map(text).collect()
}

#[test]
fn dumped_lists_are_restored_with_their_encoding() {
    for (count, expected) in [(1, SMALL), (400, SMALL), (2000, LARGE)] {
        let mut shard = Shard::default();
        for number in 0..count {
            shard.run(&[b"RPUSH", b"l", format!("{number}:element").as_bytes()]);
        }
        assert_eq!(encoding(&mut shard, "l"), expected);
        let all = shard.run(&[b"LRANGE", b"l", b"0", b"-1"]);
        let Reply::Bulk(payload) = shard.run(&[b"DUMP", b"l"]) else { panic!("a payload") };
        assert_eq!(shard.run(&[b"RESTORE", b"l", b"0", &payload, b"REPLACE"]), Reply::OK);
        shard.check_invariants();
        assert_eq!(encoding(&mut shard, "l"), expected);
        assert_eq!(shard.run(&[b"LRANGE", b"l", b"0", b"-1"]), all);
    }
}
