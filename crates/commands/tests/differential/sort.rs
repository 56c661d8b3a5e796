//! Random SORT commands, here and on a real redis-server.

use crate::support::differential::compare;
use proptest::prelude::*;
use proptest::sample::select;

type Words = Vec<Vec<u8>>;

const KEYS: [&str; 4] = ["{k}l", "{k}s", "{k}z", "{k}d"];
const TEXTS: [&str; 14] =
    ["1", "2", "10", "-3", "2.5", "1e1", "a", "b", "ab", "", "01", "inf", "nan", "9223372036854775807"];

fn words(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Mostly numbers, so that sorting by them works out.
    prop_oneof![8 => select(&TEXTS[..6]), 1 => select(&TEXTS[..])].prop_map(|text| text.as_bytes().to_vec())
}

fn option() -> impl Strategy<Value = Words> {
    let number = || select(vec!["0", "1", "2", "-1", "5", "9223372036854775807", "-9223372036854775808"]);
    prop_oneof![
        3 => select(vec!["ALPHA", "alpha", "DESC", "ASC"]).prop_map(words),
        2 => (number(), number()).prop_map(|(offset, count)| words(&format!("LIMIT {offset} {count}"))),
        2 => select(vec!["BY {k}w*", "BY {k}h*->f", "BY {k}none*"]).prop_map(words),
        2 => select(vec!["GET #", "GET {k}w*", "GET {k}h*->f", "GET constant", "GET {k}w*->f"]).prop_map(words),
    ]
}

fn command() -> impl Strategy<Value = Words> {
    let fill = |name: &'static str, key: &'static str| {
        prop::collection::vec(text(), 1..5)
            .prop_map(move |texts| [words(&format!("{name} {key}")), texts].concat())
    };
    let sort = (select(vec!["SORT", "SORT_RO"]), select(&KEYS[..]), prop::collection::vec(option(), 0..4))
        .prop_map(|(name, key, options)| [words(&format!("{name} {key}")), options.concat()].concat());
    let stored = (select(&KEYS[..]), prop::collection::vec(option(), 0..4)).prop_map(|(key, options)| {
        [words(&format!("SORT {key}")), options.concat(), words("STORE {k}d")].concat()
    });
    let ordered =
        (select(vec!["{k}l", "{k}z"]), prop::collection::vec(option(), 0..3)).prop_map(|(key, options)| {
            [words(&format!("SORT {key}")), options.concat(), words("BY nosort")].concat()
        });
    let weight = (select(&TEXTS[..]), text())
        .prop_map(|(element, weight)| [words(&format!("SET {{k}}w{element}")), vec![weight]].concat());
    let field = (select(&TEXTS[..]), text())
        .prop_map(|(element, weight)| [words(&format!("HSET {{k}}h{element} f")), vec![weight]].concat());
    let scored = (0..50u8, text())
        .prop_map(|(score, member)| [words(&format!("ZADD {{k}}z {score}")), vec![member]].concat());
    prop_oneof![
        4 => fill("RPUSH", "{k}l"),
        3 => fill("SADD", "{k}s"),
        3 => scored,
        4 => weight,
        3 => field,
        8 => sort,
        4 => stored,
        4 => ordered,
        3 => Just(words("LRANGE {k}d 0 -1")),
        1 => select(&KEYS[..]).prop_map(|key| words(&format!("DEL {key}"))),
    ]
    .prop_filter("equal texts may come in any order", |argv| {
        // Redis sorts by ALPHA BY unstably.
        let has = |word: &[u8]| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word));
        !(has(b"ALPHA") && has(b"BY"))
    })
}

#[test]
fn random_sorts_are_answered_as_by_redis() {
    compare(command(), 400, 40, &[]);
}
