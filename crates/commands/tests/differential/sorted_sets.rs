//! Random commands on sorted sets, here and on a real redis-server, with limits so small that they grow
//! large all the time: the replies must be equal.

use std::cell::RefCell;

use crate::support::differential::{argv, at_least};
use crate::support::server::Server;
use crate::support::shard::Shard;
use crate::support::text::show;
use datatypes::collection::SmallLimits;
use proptest::prelude::*;
use resp::Reply;

const ENTRIES: u64 = 4;
const MEMBER_BYTES: usize = 8;

/// Scores of any kind; the third key and the fourth hold members of equal score only.
const KEYS: [&str; 2] = ["{k}1", "{k}2"];
const EQUALS: [&str; 2] = ["{k}3", "{k}4"];
const MEMBERS: [&str; 12] =
    ["a", "b", "c", "d", "ab", "", "12", "-0", "eight888", "nine99999", "nine99998", "\u{e9}"];
/// All of them are printed alike by 7.0 and 7.2.
const SCORES: [&str; 14] =
    ["0", "-0", "1", "1", "2", "-3", "2.5", "-0.25", "1e3", "inf", "-inf", "+5", "0x10", "1e22"];
const BAD_SCORES: [&str; 5] = ["nan", "x", "", " 1", "1e400"];
const SCORE_BOUNDS: [&str; 12] = ["-inf", "+inf", "(1", "1", "(2", "2", "-3", "0", "(0", "", "(1e400", "(x"];
const LEX_BOUNDS: [&str; 11] =
    ["-", "+", "[a", "(a", "[b", "(c", "[", "(nine99999", "[eight888", "x", "(\u{e9}"];
const RANKS: [&str; 10] =
    ["0", "1", "2", "3", "7", "-1", "-2", "-5", "9223372036854775807", "-9223372036854775808"];

type Words = BoxedStrategy<Vec<&'static str>>;

fn one(words: &'static [&'static str]) -> BoxedStrategy<&'static str> {
    prop::sample::select(words).boxed()
}

fn some(words: &'static [&'static str], count: std::ops::Range<usize>) -> Words {
    prop::collection::vec(one(words), count).boxed()
}

fn two(words: &'static [&'static str]) -> Words {
    some(words, 2..3)
}

fn joined(parts: Vec<Words>) -> Words {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn command(names: &'static [&'static str], rest: Vec<Words>) -> Words {
    let mut parts = vec![some(names, 1..2)];
    parts.extend(rest);
    joined(parts)
}

/// Pairs of score and member. No more than entries: 7.2 takes it that all are different.
fn pairs(scores: &'static [&'static str]) -> Words {
    let pair = (one(scores), one(&MEMBERS)).prop_map(|(score, member)| vec![score, member]);
    prop::collection::vec(pair, 1..=ENTRIES as usize).prop_map(|pairs| pairs.concat()).boxed()
}

/// A number of keys, keys, and what may follow.
fn operands() -> Words {
    let counted = some(&["{k}1", "{k}2", "{k}3", "{k}set", "{k}none"], 1..4).prop_map(|keys| {
        let count = ["0", "1", "2", "3"][keys.len()];
        [vec![count], keys].concat()
    });
    let options = prop_oneof![
        4 => Just(vec![]),
        1 => some(&["1", "2", "-0.5", "0", "inf"], 1..4).prop_map(|weights| [vec!["WEIGHTS"], weights].concat()),
        1 => one(&["SUM", "MIN", "MAX", "x"]).prop_map(|way| vec!["AGGREGATE", way]),
    ];
    (counted, options).prop_map(|(keys, options)| [keys, options].concat()).boxed()
}

fn any_command() -> impl Strategy<Value = Vec<&'static str>> {
    let key = || some(&KEYS, 1..2);
    let any_key = || some(&["{k}1", "{k}2", "{k}3", "{k}4", "{k}set"], 1..2);
    let equal = || some(&EQUALS, 1..2);
    let options = some(&["NX", "XX", "GT", "LT", "CH", "INCR"], 0..3);
    let limit = prop_oneof![
        3 => Just(vec![]),
        1 => some(&["0", "1", "2", "-1", "200"], 2..3).prop_map(|numbers| [vec!["LIMIT"], numbers].concat()),
    ];
    let limit = || limit.clone().boxed();
    let with_scores = || some(&["WITHSCORES"], 0..2);
    let equals = || {
        let members = some(&MEMBERS, 1..4);
        members.prop_map(|members| members.into_iter().flat_map(|member| ["1", member]).collect()).boxed()
    };
    let changes = prop_oneof![
        8 => command(&["ZADD"], vec![key(), pairs(&SCORES)]),
        4 => command(&["ZADD"], vec![key(), options, pairs(&SCORES)]),
        4 => command(&["ZADD"], vec![equal(), equals()]),
        1 => command(&["ZADD"], vec![key(), pairs(&BAD_SCORES)]),
        3 => command(&["ZINCRBY"], vec![key(), some(&SCORES, 1..2), some(&MEMBERS, 1..2)]),
        4 => command(&["ZREM"], vec![any_key(), some(&MEMBERS, 1..4)]),
        2 => command(&["ZREMRANGEBYRANK"], vec![any_key(), two(&RANKS)]),
        2 => command(&["ZREMRANGEBYSCORE"], vec![key(), two(&SCORE_BOUNDS)]),
        2 => command(&["ZREMRANGEBYLEX"], vec![equal(), two(&LEX_BOUNDS)]),
        2 => command(&["ZPOPMIN", "ZPOPMAX"], vec![any_key(), some(&["0", "1", "2", "-1"], 0..2)]),
        1 => command(&["ZMPOP"], vec![Just(vec!["2", "{k}1", "{k}3"]).boxed(), some(&["MIN", "MAX"], 1..2)]),
        1 => command(&["ZRANGESTORE"], vec![key(), any_key(), two(&RANKS), some(&["REV"], 0..2)]),
        1 => command(&["ZRANGESTORE"], vec![key(), key(), two(&SCORE_BOUNDS), Just(vec!["BYSCORE"]).boxed(), limit()]),
        2 => command(&["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"], vec![key(), operands()]),
        1 => command(&["SADD"], vec![Just(vec!["{k}set"]).boxed(), some(&MEMBERS, 1..4)]),
        2 => command(&["RENAME", "RENAMENX", "COPY"], vec![key(), key()]),
        1 => command(&["RENAME", "COPY"], vec![equal(), equal()]),
        1 => command(&["DEL", "PERSIST"], vec![any_key()]),
        1 => command(&["EXPIRE"], vec![any_key(), some(&["5000000", "-1"], 1..2)]),
    ];
    let questions = prop_oneof![
        2 => command(&["ZSCORE", "ZRANK", "ZREVRANK"], vec![any_key(), some(&MEMBERS, 1..2)]),
        1 => command(&["ZMSCORE"], vec![any_key(), some(&MEMBERS, 1..4)]),
        1 => command(&["ZCARD", "TYPE", "EXISTS", "TTL"], vec![any_key()]),
        1 => command(&["ZCOUNT"], vec![any_key(), two(&SCORE_BOUNDS)]),
        1 => command(&["ZLEXCOUNT"], vec![equal(), two(&LEX_BOUNDS)]),
        3 => command(&["ZRANGE", "ZREVRANGE"], vec![any_key(), two(&RANKS), with_scores(), limit()]),
        3 => command(&["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"], vec![any_key(), two(&SCORE_BOUNDS), with_scores(), limit()]),
        3 => command(&["ZRANGEBYLEX", "ZREVRANGEBYLEX"], vec![equal(), two(&LEX_BOUNDS), limit()]),
        1 => command(&["ZRANGE"], vec![equal(), two(&RANKS), some(&["REV", "BYSCORE", "BYLEX", "WITHSCORES"], 0..3), limit()]),
        2 => command(&["ZUNION", "ZINTER", "ZDIFF"], vec![operands(), with_scores()]),
        1 => command(&["ZINTERCARD"], vec![operands(), some(&["LIMIT", "1"], 0..3)]),
        1 => command(&["ZSCAN"], vec![key(), Just(vec!["0", "COUNT", "1000"]).boxed()]),
        1 => command(&["ZRANDMEMBER"], vec![key(), Just(vec!["100", "WITHSCORES"]).boxed()]),
        3 => command(&["OBJECT"], vec![Just(vec!["ENCODING"]).boxed(), key()]),
    ];
    prop_oneof![changes, questions]
}

/// A reply, without the order of what has none. Which 0 a score is depends on when Redis turns one form
/// of a set into the other.
fn comparable(argv: &[&str], reply: &Reply) -> String {
    let text = match (argv[0], reply) {
        ("ZRANDMEMBER", Reply::Array(items)) => sorted_pairs(items),
        ("ZSCAN", Reply::Array(items)) => match &items[..] {
            [cursor, Reply::Array(found)] => show(cursor) + &sorted_pairs(found),
            _ => show(reply),
        },
        _ => show(reply),
    };
    text.replace("\"-0\"", "\"0\"")
}

fn sorted_pairs(items: &[Reply]) -> String {
    let pairs = items.as_chunks().0.iter().map(|[member, score]| show(member) + &show(score));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs.join(" ")
}

#[test]
fn random_commands_on_sorted_sets_are_answered_as_by_redis() {
    let Some(mut server) = Server::start() else { return };
    server.config_set("zset-max-listpack-entries", ENTRIES);
    server.config_set("zset-max-listpack-value", MEMBER_BYTES);
    let server = RefCell::new(server);
    proptest!(at_least(1000), |(commands in prop::collection::vec(any_command(), 1..60))| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        shard.cx.limits.sorted_set = SmallLimits { entries: ENTRIES, value_bytes: MEMBER_BYTES };
        for words in &commands {
            let argv = argv(words);
            shard.cx.now_ms = server.now_ms();
            let (ours, theirs) = (shard.run(&argv), server.run(&argv));
            prop_assert_eq!(comparable(words, &ours), comparable(words, &theirs), "{:?}: {:?}", words, commands);
            shard.check_invariants();
        }
    });
}
