//! The scripts and the table against a real redis-server, if there is one on this machine.
//!
//! Debian's is 7.0: what 7.2 changed or added is left out here by name.

mod support;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use commands::{Args, introspect, table};
use datatypes::rdb;
use resp::Reply;
use support::script::{self, Scenario, Step};
use support::server::Server;
use support::shard::Shard;
use support::text::show;

#[test]
fn real_redis_answers_the_scripts_alike() {
    let Some(mut server) = Server::start() else { return };
    let scenarios = script::all();
    let comparable = scenarios.iter().filter(|scenario| !scenario.only_here);
    let failures: Vec<String> = comparable.flat_map(|scenario| failures_of(&mut server, scenario)).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn failures_of(server: &mut Server, scenario: &Scenario) -> Vec<String> {
    server.run(&[b"SELECT", b"0"]);
    server.run(&[b"FLUSHALL"]);
    let mut failures = Vec::new();
    for step in &scenario.steps {
        match step {
            Step::Advance(_) => panic!("{}: real Redis has its own clock", scenario.name),
            Step::Database(db) => drop(server.run(&[b"SELECT", db.to_string().as_bytes()])),
            Step::Command { line, argv, expected } => {
                let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
                let got = show(&server.run(&argv));
                if got != *expected {
                    failures.push(format!(
                        "{}\n> {line}\n  expected {expected}\n  real     {got}",
                        scenario.name
                    ));
                }
            }
        }
    }
    failures
}

/// What is announced at another moment here: an expired key when it is deleted. Since Redis 7.2 a consumer is made where there is nothing to read, too.
fn is_comparable((_, event, _): &(u8, String, Bytes)) -> bool {
    !["expired", "xgroup-createconsumer"].contains(&&event[..])
}

/// The same keys, events and order, of every step of every script.
#[test]
fn real_redis_announces_the_same_events() {
    let Some(mut server) = Server::start() else { return };
    let mut events = server.events();
    let scenarios = script::all();
    let comparable = scenarios.iter().filter(|scenario| !scenario.only_here);
    let mut failures = Vec::new();
    for scenario in comparable {
        server.run(&[b"SELECT", b"0"]);
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        shard.kv.listen();
        for step in &scenario.steps {
            let Step::Command { line, argv, .. } = step else {
                if let Step::Database(db) = step {
                    shard.cx.db = *db;
                    server.run(&[b"SELECT", db.to_string().as_bytes()]);
                }
                continue;
            };
            let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
            shard.cx.now_ms = server.now_ms();
            let failed = matches!(shard.run(&argv), Reply::Error(_));
            server.run(&argv);
            // What fails announces nothing here, not even what it missed; and a key is missed once.
            let is_comparable =
                |event: &(u8, String, Bytes)| is_comparable(event) && !(failed && event.1 == "keymiss");
            let ours = shard.kv.take_announced().into_iter();
            let ours = ours.map(|e| (e.db, e.event.name.to_owned(), e.key)).filter(is_comparable);
            let mut ours: Vec<_> = ours.collect();
            let mut theirs: Vec<_> = events.take(&mut server).into_iter().filter(is_comparable).collect();
            for events in [&mut ours, &mut theirs] {
                events.dedup_by(|a, b| a == b && a.1 == "keymiss");
            }
            if ours != theirs {
                failures.push(format!("{}\n> {line}\n  here {ours:?}\n  real {theirs:?}", scenario.name));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn dumped_strings_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    for value in strings() {
        server.run(&[b"SET", b"k", &value]);
        let payload = bulk(server.run(&[b"DUMP", b"k"]));
        assert_eq!(shard.run(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE"]), Reply::OK);
        assert_eq!(bulk(shard.run(&[b"GET", b"k"])), value);

        let payload = for_version(&bulk(shard.run(&[b"DUMP", b"k"])), version);
        assert_eq!(show(&server.run(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE"])), "+OK");
        assert_eq!(bulk(server.run(&[b"GET", b"k"])), value);
    }
}

#[test]
fn dumped_hashes_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    let values = strings();
    for (fields, small) in [(&values[..], false), (&values[..8], true), (&values[8..20], true), (&[], true)] {
        let compression: &[u8] = if small { b"no" } else { b"yes" };
        server.run(&[b"CONFIG", b"SET", b"rdbcompression", compression]);
        server.run(&[b"DEL", b"h"]);
        server.run(&[b"HSET", b"h", b"first", b"1"]);
        for value in fields {
            server.run(&[b"HSET", b"h", value, &value[..value.len().min(64)]]);
        }
        let all = pairs(server.run(&[b"HGETALL", b"h"]));
        let theirs = bulk(server.run(&[b"DUMP", b"h"]));
        assert_eq!(shard.run(&[b"RESTORE", b"h", b"0", &theirs, b"REPLACE"]), Reply::OK);
        assert_eq!(pairs(shard.run(&[b"HGETALL", b"h"])), all);
        shard.check_invariants();
        let encoding = [b"OBJECT", &b"ENCODING"[..], b"h"];
        assert_eq!(shard.run(&encoding), server.run(&encoding));

        let ours = for_version(&bulk(shard.run(&[b"DUMP", b"h"])), version);
        if small {
            assert_eq!(ours, theirs, "a small hash looks as Redis writes it");
        }
        assert_eq!(show(&server.run(&[b"RESTORE", b"h", b"0", &ours, b"REPLACE"])), "+OK");
        assert_eq!(pairs(server.run(&[b"HGETALL", b"h"])), all);
        assert_eq!(shard.run(&encoding), server.run(&encoding));
    }
}

/// 7.0 does not read a set in a listpack: that form came with 7.2.
#[test]
fn dumped_sets_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    let numbers =
        |bits: u32| [-(1i128 << (bits - 1)), -1, 5, (1i128 << (bits - 1)) - 1].map(|n| n.to_string());
    let many: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let texts: Vec<String> = (0..200).map(|number| format!("member {number}")).collect();
    let narrow: Vec<String> = texts[..5].to_vec();
    for members in [&numbers(16)[..], &numbers(32), &numbers(64), &many, &texts, &narrow] {
        let compression: &[u8] = if members.len() < 100 { b"no" } else { b"yes" };
        server.run(&[b"CONFIG", b"SET", b"rdbcompression", compression]);
        server.run(&[b"DEL", b"s"]);
        for member in members {
            server.run(&[b"SADD", b"s", member.as_bytes()]);
        }
        let theirs = bulk(server.run(&[b"DUMP", b"s"]));
        assert_eq!(shard.run(&[b"RESTORE", b"s", b"0", &theirs, b"REPLACE"]), Reply::OK);
        shard.check_invariants();
        assert_eq!(sorted(&shard.run(&[b"SMEMBERS", b"s"])), sorted(&server.run(&[b"SMEMBERS", b"s"])));
        let encoding = [b"OBJECT", &b"ENCODING"[..], b"s"];
        let held = show(&shard.run(&encoding));
        if held == "\"listpack\"" {
            continue;
        }
        assert_eq!(held, show(&server.run(&encoding)));
        let ours = for_version(&bulk(shard.run(&[b"DUMP", b"s"])), version);
        assert!(held != "\"intset\"" || ours == theirs, "an intset looks as Redis writes it");
        assert_eq!(show(&server.run(&[b"RESTORE", b"s", b"0", &ours, b"REPLACE"])), "+OK");
        assert_eq!(sorted(&shard.run(&[b"SMEMBERS", b"s"])), sorted(&server.run(&[b"SMEMBERS", b"s"])));
    }
}

#[test]
fn dumped_lists_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    let values = strings();
    for (elements, small) in [(&values[..], false), (&values[..8], true), (&values[8..24], true), (&[], true)]
    {
        let compression: &[u8] = if small { b"no" } else { b"yes" };
        server.run(&[b"CONFIG", b"SET", b"rdbcompression", compression]);
        server.run(&[b"DEL", b"l"]);
        server.run(&[b"RPUSH", b"l", b"first"]);
        for element in elements {
            server.run(&[b"RPUSH", b"l", element]);
        }
        let all = server.run(&[b"LRANGE", b"l", b"0", b"-1"]);
        let theirs = bulk(server.run(&[b"DUMP", b"l"]));
        assert_eq!(shard.run(&[b"RESTORE", b"l", b"0", &theirs, b"REPLACE"]), Reply::OK);
        assert_eq!(shard.run(&[b"LRANGE", b"l", b"0", b"-1"]), all);
        shard.check_invariants();
        let encoding = show(&shard.run(&[b"OBJECT", b"ENCODING", b"l"]));
        assert_eq!(encoding, if small { "\"listpack\"" } else { "\"quicklist\"" });

        let ours = for_version(&bulk(shard.run(&[b"DUMP", b"l"])), version);
        if small {
            assert_eq!(ours, theirs, "a small list looks as Redis writes it");
        }
        assert_eq!(show(&server.run(&[b"RESTORE", b"l", b"0", &ours, b"REPLACE"])), "+OK");
        assert_eq!(server.run(&[b"LRANGE", b"l", b"0", b"-1"]), all);
    }
}

#[test]
fn dumped_sorted_sets_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    let values = strings();
    let scores: [&[u8]; 9] =
        [b"1", b"-7", b"0.5", b"inf", b"-inf", b"1e300", b"4097", b"0.1", b"9007199254740993"];
    let range: [&[u8]; 5] = [b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES"];
    let encoding: [&[u8]; 3] = [b"OBJECT", b"ENCODING", b"z"];
    let members = |reply: Reply| {
        let Reply::Array(items) = reply else { panic!("an array") };
        items.iter().step_by(2).map(show).collect::<Vec<_>>()
    };
    for members_here in [&values[..], &values[..8], &values[8..20], &values[..1]] {
        server.run(&[b"DEL", b"z"]);
        for (member, score) in members_here.iter().zip(scores.iter().cycle()) {
            server.run(&[b"ZADD", b"z", score, member]);
        }
        let payload = bulk(server.run(&[b"DUMP", b"z"]));
        assert_eq!(shard.run(&[b"RESTORE", b"z", b"0", &payload, b"REPLACE"]), Reply::OK);
        shard.check_invariants();
        assert_eq!(members(shard.run(&range)), members(server.run(&range)));
        assert_eq!(shard.run(&encoding), server.run(&encoding));

        let payload = for_version(&bulk(shard.run(&[b"DUMP", b"z"])), version);
        let all = server.run(&range);
        assert_eq!(show(&server.run(&[b"RESTORE", b"z", b"0", &payload, b"REPLACE"])), "+OK");
        assert_eq!(server.run(&range), all);
    }
}

#[test]
fn dumped_streams_travel_both_ways() {
    let Some(mut server) = Server::start() else { return };
    let mut shard = Shard::default();
    server.run(&[b"SET", b"k", b""]);
    let version = version_of(&bulk(server.run(&[b"DUMP", b"k"])));
    for (at, value) in strings().into_iter().enumerate() {
        let id = format!("{}-{}", at / 3 + 1, at);
        let name: &[u8] = if at % 7 == 0 { b"other" } else { b"field" };
        server.run(&[b"XADD", b"s", id.as_bytes(), name, &value, b"number", b"-7"]);
    }
    let words = |line: &'static str| line.split(' ').map(str::as_bytes).collect::<Vec<&[u8]>>();
    let prepare = [
        "XDEL s 1-1 2-5",
        "XTRIM s MAXLEN 40",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 7 ENTRIESREAD 5",
        "XREADGROUP GROUP g a COUNT 3 STREAMS s >",
        "XREADGROUP GROUP g b COUNT 2 STREAMS s >",
        "XGROUP CREATECONSUMER s g idle",
        "XSETID s 1000-1",
        "XTRIM s MAXLEN 0",
    ];
    for line in prepare {
        server.run(&words(line));
        let theirs = bulk(server.run(&[b"DUMP", b"s"]));
        assert_eq!(shard.run(&[b"RESTORE", b"s", b"0", &theirs, b"REPLACE"]), Reply::OK, "{line}");
        shard.check_invariants();
        let ours = bulk(shard.run(&[b"DUMP", b"s"]));
        let Ok(rdb::Value::Stream(value)) = rdb::restore(&ours) else { panic!("a stream") };
        let ours = rdb::dump_stream(&value, version);
        assert_eq!(show(&server.run(&[b"RESTORE", b"copy", b"0", &ours, b"REPLACE"])), "+OK", "{line}");
        for ask in ["XRANGE ? - +", "XREVRANGE ? + -", "XINFO STREAM ?", "XINFO GROUPS ?", "XPENDING ? g"] {
            let ask = |key: &str| ask.replace('?', key).split(' ').map(str::to_owned).collect::<Vec<_>>();
            let [of_s, of_copy] = ["s", "copy"].map(ask);
            let [of_s, of_copy] =
                [&of_s, &of_copy].map(|w| w.iter().map(String::as_bytes).collect::<Vec<_>>());
            let theirs = without_tree(server.run(&of_s));
            assert_eq!(without_tree(shard.run(&of_s)), theirs, "{line}");
            assert_eq!(without_tree(server.run(&of_copy)).replace("'copy'", "'s'"), theirs, "{line}");
        }
    }
}

/// A reply without what XINFO STREAM tells about Redis's radix tree.
fn without_tree(reply: Reply) -> String {
    let text = show(&reply);
    let Some((before, rest)) = text.split_once("\"radix-tree-keys\"") else { return text };
    let (_, after) = rest.split_once("\"last-generated-id\"").expect("the next field");
    format!("{before}{after}")
}

/// A hash's fields and values, in order.
fn pairs(reply: Reply) -> BTreeMap<Bytes, Bytes> {
    let text = |reply: &Reply| bulk(reply.clone());
    match reply {
        Reply::Map(pairs) => pairs.iter().map(|(field, value)| (text(field), text(value))).collect(),
        Reply::Array(items) => {
            items.as_chunks().0.iter().map(|[field, value]| (text(field), text(value))).collect()
        }
        other => panic!("no hash: {other:?}"),
    }
}

/// Of every encoding: numbers at their limits, lengths at theirs, well and badly compressible.
fn strings() -> Vec<Vec<u8>> {
    let numbers = [7, 15, 31, 63].into_iter().flat_map(|bits| {
        let limit = 1i128 << bits;
        [limit - 1, limit, -limit, -limit - 1].map(|number| number.to_string().into_bytes())
    });
    let mut state = 1u32;
    let mut noise = |len: usize, letters: u32| -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % letters
        };
        (0..len).map(|_| byte() as u8).collect()
    };
    let lengths = [0, 1, 20, 21, 63, 64, 300, 16383, 16384, 70_000];
    let texts = lengths.into_iter().flat_map(|len| [1, 3, 256].map(|letters| noise(len, letters)));
    numbers.chain(texts.collect::<Vec<_>>()).collect()
}

fn bulk(reply: Reply) -> Bytes {
    let Reply::Bulk(bytes) = reply else { panic!("no string: {reply:?}") };
    bytes
}

fn version_of(payload: &[u8]) -> u16 {
    let (_, footer) = payload.split_at(payload.len() - 10);
    u16::from_le_bytes([footer[0], footer[1]])
}

/// A payload under an older version, which a real Redis of that age takes.
fn for_version(payload: &[u8], version: u16) -> BytesMut {
    let mut resealed = BytesMut::from(rdb::unseal(payload).unwrap());
    rdb::seal(&mut resealed, version);
    resealed
}

/// Commands that 7.2 and later versions brought.
const NEWER: [&str; 16] = [
    "client|no-touch",
    "client|setinfo",
    "cluster|myshardid",
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
    "waitaof",
];

/// Commands that only Miraft has.
const OURS: [&str; 1] = ["cluster|metaraft"];

/// Commands that Redis has in modules, by the beginning of their names.
const OF_MODULES: [&str; 1] = ["json."];

fn is_absent(name: &str) -> bool {
    NEWER.contains(&name) || OURS.contains(&name) || OF_MODULES.iter().any(|module| name.starts_with(module))
}

/// Commands whose row 7.2 changed.
const CHANGED: [&str; 13] = [
    "blmove",
    "blpop",
    "brpop",
    "brpoplpush",
    "cluster|shards",
    "cluster|slots",
    "command|getkeys",
    "command|getkeysandflags",
    "bzpopmax",
    "bzpopmin",
    "wait",
    "zrank",
    "zrevrank",
];
/// Commands whose documented arguments or history 7.2 changed.
const REDOCUMENTED: [&str; 16] = [
    "bitop",
    "client|kill",
    "client|list",
    "client|pause",
    "config|get",
    "pfmerge",
    "zrank",
    "zrevrank",
    "geohash",
    "migrate",
    "geopos",
    "georadius",
    "module|loadex",
    "psubscribe",
    "georadiusbymember",
    "xinfo|stream",
];

#[test]
fn rows_agree_with_command_info() {
    let Some(mut server) = Server::start() else { return };
    let mut real = rows(server.run(&[b"COMMAND"]));
    let mut failures = Vec::new();
    for (name, ours) in rows(introspect::all_info()) {
        match real.remove(&name) {
            Some(theirs) if theirs == ours || CHANGED.contains(&name.as_str()) => {}
            Some(theirs) => failures.push(format!("{name}\n  ours {ours:?}\n  real {theirs:?}")),
            None if is_absent(&name) => {}
            None => failures.push(format!("{name} is unknown to real Redis")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Everything COMMAND tells but the tips, by full name; sets are sorted.
fn rows(reply: Reply) -> BTreeMap<String, Vec<String>> {
    let Reply::Array(rows) = reply else { panic!("COMMAND answers an array") };
    let mut known = BTreeMap::new();
    rows.into_iter().for_each(|row| enter(row, &mut known));
    known
}

fn enter(row: Reply, known: &mut BTreeMap<String, Vec<String>>) {
    let Reply::Array(mut fields) = row else { panic!("a row is an array") };
    let subcommands = fields.remove(9);
    let name = show(&fields.remove(0)).trim_matches('"').to_owned();
    fields.remove(6);
    known.insert(name, fields.iter().map(sorted).collect());
    if let Reply::Array(subcommands) = subcommands {
        subcommands.into_iter().for_each(|row| enter(row, known));
    }
}

fn sorted(field: &Reply) -> String {
    match field {
        Reply::Array(items) | Reply::Set(items) => {
            let mut items: Vec<String> = items.iter().map(show).collect();
            items.sort();
            items.join(" ")
        }
        other => show(other),
    }
}

/// Facts of COMMAND DOCS that 7.0 has too: since, group, deprecation, and the shape of arguments.
#[test]
fn docs_agree_with_command_docs() {
    let Some(mut server) = Server::start() else { return };
    let mut failures = Vec::new();
    let skipped = |name| is_absent(name) || REDOCUMENTED.contains(&name);
    for spec in table::all().filter(|spec| !spec.internal && !skipped(spec.full_name)) {
        let name = spec.full_name.as_bytes();
        let real = facts(server.run(&[b"COMMAND", b"DOCS", name]));
        let ours = facts(introspect::docs(&Args::new(&[b"DOCS", name])));
        for (field, value) in ours {
            if real.get(&field).is_some_and(|theirs| *theirs != value) {
                failures.push(format!("{} {field}\n  ours {value}\n  real {}", spec.full_name, real[&field]));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn facts(reply: Reply) -> BTreeMap<String, String> {
    let document = entries(&reply).pop().expect("one command").1;
    let kept = ["since", "group", "deprecated_since", "replaced_by", "arguments"];
    let fields = entries(&document).into_iter().filter(|(field, _)| kept.contains(&field.as_str()));
    fields.map(|(field, value)| (field, shape(&value))).collect()
}

/// Arguments without their names, many of which 7.2 changed, and without what it added.
fn shape(value: &Reply) -> String {
    let Reply::Array(arguments) = value else { return show(value) };
    let argument = |argument: &Reply| {
        let fields = entries(argument)
            .into_iter()
            .filter(|(field, _)| !matches!(field.as_str(), "name" | "display_text"));
        let fields = fields.map(|(field, value)| match field.as_str() {
            "arguments" => format!("[{}]", shape(&value)),
            _ => format!("{field}={}", show(&value)),
        });
        fields.collect::<Vec<_>>().join(" ")
    };
    arguments.iter().map(argument).collect::<Vec<_>>().join("; ")
}

/// The pairs of a map, which RESP2 flattens.
fn entries(map: &Reply) -> Vec<(String, Reply)> {
    let name = |key: &Reply| show(key).trim_matches('"').to_owned();
    match map {
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| (name(key), value.clone())).collect(),
        Reply::Array(items) => {
            items.as_chunks().0.iter().map(|[key, value]| (name(key), value.clone())).collect()
        }
        other => panic!("no map: {other:?}"),
    }
}
