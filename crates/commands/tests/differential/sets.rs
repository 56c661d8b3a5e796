//! Random commands on sets, here and on a real redis-server, with limits so small that sets grow large
//! all the time: the replies must be equal, but for the order of what has none. (7.0, which may be
//! here, has no listpacks of members: what is one here is a hash table there.)

use std::cell::RefCell;

use crate::support::differential::{argv, at_least};
use crate::support::server::Server;
use crate::support::shard::Shard;
use crate::support::text::show;
use datatypes::collection::SmallLimits;
use proptest::prelude::*;
use resp::Reply;

const ENTRIES: u64 = 4;

const KEYS: [&str; 3] = ["{k}1", "{k}2", "{k}3"];
const MEMBERS: [&str; 14] =
    ["1", "2", "3", "-4", "500", "6000000000", "7", "a", "b", "", "01", "eight888", "nine99999", "-0"];

fn words(words: &'static [&'static str], count: std::ops::Range<usize>) -> BoxedStrategy<Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(words), count).boxed()
}

fn command() -> impl Strategy<Value = Vec<&'static str>> {
    let on_key = |names: &'static [&'static str], rest: BoxedStrategy<Vec<&'static str>>| {
        (prop::sample::select(names), prop::sample::select(&KEYS[..]), rest)
            .prop_map(|(name, key, rest)| [vec![name, key], rest].concat())
    };
    let moved = (prop::sample::select(&KEYS[..]), prop::sample::select(&MEMBERS[..]));
    prop_oneof![
        8 => on_key(&["SADD"], words(&MEMBERS[..8], 1..4)),
        4 => on_key(&["SADD"], words(&MEMBERS, 1..4)),
        4 => on_key(&["SREM"], words(&MEMBERS, 1..4)),
        2 => on_key(&["SISMEMBER"], words(&MEMBERS, 1..2)),
        2 => on_key(&["SMISMEMBER"], words(&MEMBERS, 1..5)),
        3 => on_key(&["SMEMBERS", "SCARD", "TYPE"], Just(vec![]).boxed()),
        3 => on_key(&["SMOVE"], moved.prop_map(|(to, member)| vec![to, member]).boxed()),
        3 => on_key(&["SINTER", "SUNION", "SDIFF"], words(&KEYS, 0..3)),
        2 => words(&KEYS, 2..3).prop_map(|keys| [vec!["SINTERCARD", "2"], keys].concat()),
        3 => on_key(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"], words(&KEYS, 1..3)),
        1 => on_key(&["SSCAN"], Just(vec!["0", "COUNT", "1000"]).boxed()),
        1 => on_key(&["SPOP", "SRANDMEMBER"], Just(vec!["100"]).boxed()),
        1 => on_key(&["DEL", "EXISTS"], Just(vec![]).boxed()),
        1 => on_key(&["SET"], words(&MEMBERS, 1..2)),
        2 => on_key(&["RENAME", "RENAMENX", "COPY"], words(&KEYS, 1..2)),
        4 => prop::sample::select(&KEYS[..]).prop_map(|key| vec!["OBJECT", "ENCODING", key]),
    ]
}

fn comparable(argv: &[&str], reply: &Reply) -> String {
    match reply {
        Reply::Bulk(encoding) if argv[0] == "OBJECT" && encoding == "listpack" => "\"hashtable\"".to_owned(),
        Reply::Set(items) | Reply::Array(items) if argv[0] != "SMISMEMBER" => {
            let mut texts: Vec<String> = items.iter().map(|item| comparable(argv, item)).collect();
            texts.sort();
            texts.join(" ")
        }
        _ => show(reply),
    }
}

#[test]
fn random_commands_on_sets_are_answered_as_by_redis() {
    let Some(mut server) = Server::start() else { return };
    server.config_set("set-max-intset-entries", ENTRIES);
    let server = RefCell::new(server);
    proptest!(at_least(1000), |(commands in prop::collection::vec(command(), 1..60))| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        shard.cx.limits.set = SmallLimits { entries: ENTRIES, value_bytes: 8 };
        shard.cx.limits.set_integers = ENTRIES;
        for words in &commands {
            let argv = argv(words);
            let (ours, theirs) = (shard.run(&argv), server.run(&argv));
            prop_assert_eq!(comparable(words, &ours), comparable(words, &theirs), "{:?}", commands);
            shard.check_invariants();
        }
    });
}
