//! Random commands on streams and groups, here and on a real redis-server, with nodes so small that
//! there are many: the replies must be equal, but for times.

use std::cell::RefCell;

use crate::support::differential::{argv, at_least};
use crate::support::server::Server;
use crate::support::shard::Shard;
use crate::support::text::show;
use datatypes::stream::StreamLimits;
use proptest::prelude::*;
use resp::Reply;

const NODE_ENTRIES: u64 = 3;

const KEYS: [&str; 2] = ["{k}1", "{k}2"];
const GROUPS: [&str; 2] = ["g", "h"];
const CONSUMERS: [&str; 3] = ["a", "ab", "b"];
const NUMBERS: [&str; 6] = ["0", "1", "2", "5", "20", "-1"];

type Words = BoxedStrategy<Vec<String>>;

fn one_of(words: &'static [&'static str]) -> Words {
    prop::sample::select(words).prop_map(|word| vec![word.to_owned()]).boxed()
}

fn id() -> Words {
    (0..60u32).prop_map(|seq| vec![format!("0-{seq}")]).boxed()
}

fn ids() -> Words {
    prop::collection::vec(id(), 1..4).prop_map(|ids| ids.concat()).boxed()
}

fn bound(edge: &'static str) -> Words {
    prop_oneof![
        3 => one_of(Box::leak(Box::new([edge]))),
        2 => id(),
        1 => id().prop_map(|id| vec![format!("({}", id[0])]),
    ]
    .boxed()
}

fn maybe(words: Words) -> Words {
    prop_oneof![Just(Vec::new()), words].boxed()
}

fn line(parts: Vec<Words>) -> Words {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn count() -> Words {
    maybe(line(vec![one_of(&["COUNT"]), one_of(&NUMBERS)]))
}

fn trim() -> Words {
    let len = line(vec![one_of(&["MAXLEN"]), one_of(&["=", "~"]), one_of(&["0", "2", "3", "5", "8"])]);
    let id = line(vec![one_of(&["MINID"]), one_of(&["=", "~"]), id()]);
    let limit = line(vec![one_of(&["MAXLEN"]), one_of(&["~"]), one_of(&["0", "4"]), one_of(&["LIMIT"])]);
    prop_oneof![len, id, line(vec![limit, one_of(&["0", "2", "5", "7"])])].boxed()
}

fn fields() -> Words {
    one_of(&["f", "name"])
        .prop_flat_map(|name| line(vec![Just(name).boxed(), one_of(&["v", "12", ""])]))
        .boxed()
}

/// A command line on a key.
fn command() -> Words {
    let (key, group, consumer) = (|| one_of(&KEYS), || one_of(&GROUPS), || one_of(&CONSUMERS));
    let words = |words: &'static [&'static str]| one_of(words);
    let new_id = || prop_oneof![6 => one_of(&["0-*"]), 1 => id()].boxed();
    let pending = || line(vec![bound("-"), bound("+"), one_of(&NUMBERS), maybe(consumer())]);
    prop_oneof![
        20 => line(vec![words(&["XADD"]), key(), new_id(), fields()]),
        3 => line(vec![words(&["XADD"]), key(), trim(), new_id(), fields()]),
        3 => line(vec![words(&["XTRIM"]), key(), trim()]),
        5 => line(vec![words(&["XDEL"]), key(), ids()]),
        3 => line(vec![words(&["XRANGE"]), key(), bound("-"), bound("+"), count()]),
        3 => line(vec![words(&["XREVRANGE"]), key(), bound("+"), bound("-"), count()]),
        2 => line(vec![words(&["XLEN", "TYPE", "EXISTS"]), key()]),
        2 => line(vec![words(&["XREAD"]), count(), words(&["STREAMS"]), key(), id()]),
        1 => line(vec![words(&["XSETID"]), key(), id()]),
        1 => line(vec![words(&["XSETID"]), key(), id(), words(&["ENTRIESADDED"]), words(&NUMBERS)]),
        1 => line(vec![words(&["XSETID"]), key(), words(&["0-60"]), words(&["MAXDELETEDID"]), id()]),
        4 => line(vec![words(&["XGROUP"]), words(&["CREATE"]), key(), group(), prop_oneof![id(), words(&["$"])].boxed(), maybe(words(&["MKSTREAM"]))]),
        2 => line(vec![words(&["XGROUP"]), words(&["SETID"]), key(), group(), prop_oneof![id(), words(&["$"])].boxed()]),
        1 => line(vec![words(&["XGROUP"]), words(&["SETID"]), key(), group(), id(), words(&["ENTRIESREAD"]), words(&NUMBERS)]),
        1 => line(vec![words(&["XGROUP"]), words(&["DESTROY"]), key(), group()]),
        2 => line(vec![words(&["XGROUP"]), words(&["CREATECONSUMER", "DELCONSUMER"]), key(), group(), consumer()]),
        10 => line(vec![words(&["XREADGROUP"]), words(&["GROUP"]), group(), consumer(), count(), maybe(words(&["NOACK"])), words(&["STREAMS"]), key(), words(&[">"])]),
        3 => line(vec![words(&["XREADGROUP"]), words(&["GROUP"]), group(), consumer(), count(), words(&["STREAMS"]), key(), id()]),
        4 => line(vec![words(&["XACK"]), key(), group(), ids()]),
        3 => line(vec![words(&["XPENDING"]), key(), group()]),
        3 => line(vec![words(&["XPENDING"]), key(), group(), pending()]),
        4 => line(vec![words(&["XCLAIM"]), key(), group(), consumer(), words(&["0", "100000"]), ids(), maybe(words(&["FORCE", "JUSTID"])), maybe(words(&["RETRYCOUNT"]).prop_flat_map(|word| line(vec![Just(word).boxed(), one_of(&NUMBERS)])).boxed())]),
        4 => line(vec![words(&["XAUTOCLAIM"]), key(), group(), consumer(), words(&["0", "100000"]), bound("-"), maybe(line(vec![words(&["COUNT"]), words(&["1", "2", "5"])])), maybe(words(&["JUSTID"]))]),
        3 => line(vec![words(&["XINFO"]), words(&["STREAM", "GROUPS"]), key()]),
        2 => line(vec![words(&["COPY", "RENAME", "RENAMENX"]), key(), key()]),
        1 => line(vec![words(&["DEL", "EXPIRE", "PERSIST"]), key()]),
        1 => line(vec![words(&["SET"]), key(), words(&["v"])]),
    ]
    .boxed()
}

/// A reply without what depends on the clock, or on how Redis holds a stream.
fn comparable(argv: &[String], reply: Reply) -> String {
    let reply = flat(reply);
    match (argv[0].as_str(), argv.len(), reply) {
        ("XPENDING", 6.., Reply::Array(rows)) => rows.into_iter().map(without_idle_time).collect(),
        ("XINFO", 3, Reply::Array(fields)) if argv[1] == "STREAM" => {
            fields.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, field)| show(field)).collect()
        }
        (_, _, reply) => show(&reply),
    }
}

fn without_idle_time(row: Reply) -> String {
    match row {
        Reply::Array(fields) => [0, 1, 3].iter().map(|&at| show(&fields[at])).collect(),
        other => show(&other),
    }
}

/// RESP2, in which a map is an array.
fn flat(reply: Reply) -> Reply {
    match reply {
        Reply::Map(pairs) => Reply::Array(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
        other => other,
    }
}

#[test]
fn random_commands_on_streams_are_answered_as_by_redis() {
    let Some(mut server) = Server::start() else { return };
    server.config_set("stream-node-max-entries", NODE_ENTRIES);
    let server = RefCell::new(server);
    proptest!(at_least(150), |(commands in prop::collection::vec(command(), 1..60))| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        shard.cx.limits.stream = StreamLimits { node_entries: NODE_ENTRIES, node_bytes: 0 };
        for words in &commands {
            let argv = argv(words);
            shard.cx.now_ms = server.now_ms();
            // 7.2 creates the consumer in any case, 7.0 when it gets something.
            let place = match words[0].as_str() {
                "XCLAIM" | "XAUTOCLAIM" => Some([argv[1], argv[2], argv[3]]),
                "XREADGROUP" => Some([argv[argv.len() - 2], argv[2], argv[3]]),
                _ => None,
            };
            if let Some([key, group, consumer]) = place {
                let create: [&[u8]; 5] = [b"XGROUP", b"CREATECONSUMER", key, group, consumer];
                shard.run(&create);
                server.run(&create);
            }
            let (ours, theirs) = (shard.run(&argv), server.run(&argv));
            if show(&ours).contains("smaller than current max_deleted_entry_id") {
                // 7.0 does not mind.
                shard.run(&[b"DEL", argv[1]]);
                server.run(&[b"DEL", argv[1]]);
                continue;
            }
            prop_assert_eq!(comparable(words, ours), comparable(words, theirs), "{}", script(&commands));
        }
        shard.check_invariants();
    });
}

fn script(commands: &[Vec<String>]) -> String {
    commands.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("\n")
}
