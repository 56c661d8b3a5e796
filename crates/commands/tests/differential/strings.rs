//! Random commands, here and on a real redis-server: the replies must be equal.

use crate::support::differential::compare;
use proptest::prelude::*;

/// Commands whose replies follow from their arguments and what came before alone. (Not DBSIZE: Redis
/// counts what has expired until it comes across it.)
const COMMANDS: [&str; 37] = [
    "GET",
    "SET",
    "SET",
    "SET",
    "GETSET",
    "GETDEL",
    "GETEX",
    "SETEX",
    "PSETEX",
    "SETNX",
    "MSET",
    "MSETNX",
    "MGET",
    "APPEND",
    "STRLEN",
    "SETRANGE",
    "GETRANGE",
    "SUBSTR",
    "INCR",
    "DECR",
    "INCRBY",
    "DECRBY",
    "INCRBYFLOAT",
    "INCRBYFLOAT",
    "LCS",
    "DEL",
    "EXISTS",
    "TYPE",
    "EXPIRE",
    "PEXPIRE",
    "EXPIREAT",
    "PEXPIREAT",
    "TTL",
    "PERSIST",
    "RENAME",
    "RENAMENX",
    "COPY",
];

const WORDS: [&str; 45] = [
    "{k}1",
    "{k}1",
    "{k}1",
    "{k}2",
    "{k}3",
    "",
    "0",
    "1",
    "7",
    "12",
    "-1",
    "-3",
    "100",
    "5000000",
    "3.5",
    "-0.1",
    "1e3",
    "1e-3",
    "1e20",
    "0.30000000000000004",
    "-inf",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775",
    "NX",
    "XX",
    "gt",
    "LT",
    "GET",
    "EX",
    "px",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "PERSIST",
    "LEN",
    "IDX",
    "WITHMATCHLEN",
    "MINMATCHLEN",
    "REPLACE",
    "abcabd",
    "xaybzc",
    "+5",
    " 1",
    "0x10",
];

fn command() -> impl Strategy<Value = Vec<String>> {
    let word = || prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned);
    let key = prop::sample::select(vec!["{k}1", "{k}2"]).prop_map(str::to_owned);
    let number =
        prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|f| f.to_string())];
    let rest = prop::collection::vec(prop_oneof![6 => word(), 1 => number], 0..5);
    (prop::sample::select(COMMANDS.to_vec()), key, rest).prop_map(|(name, key, rest)| {
        without_short_lives([name.to_owned(), key].into_iter().chain(rest).collect())
    })
}

/// Replaces small amounts of time: a key that expires within the test would make it a race.
fn without_short_lives(mut argv: Vec<String>) -> Vec<String> {
    let timed = |word: &String| {
        let word = word.to_ascii_uppercase();
        matches!(word.as_str(), "EX" | "PX" | "EXAT" | "PXAT" | "SETEX" | "PSETEX") || word.contains("EXPIRE")
    };
    if argv.iter().any(timed) {
        for word in &mut argv {
            if word.parse::<i64>().is_ok_and(|amount| (1..1_000_000).contains(&amount)) {
                *word = "5000000".to_owned();
            }
        }
    }
    argv
}

#[test]
fn random_commands_are_answered_as_by_redis() {
    let words = command().prop_map(|argv| argv.into_iter().map(String::into_bytes).collect());
    compare(words, 400, 40, &["{k}1", "{k}2", "{k}3"]);
}
