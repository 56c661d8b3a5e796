//! Streams: what scripts do not show.

use std::collections::BTreeMap;

use crate::support::shard::Shard;
use crate::support::text::show;
use commands::handler::stream::resolve_last_ids;
use commands::{Args, CommandError, resolve, table};
use datatypes::active_expire;
use proptest::prelude::*;
use resp::{Protocol, Reply};

fn ask(shard: &mut Shard, line: &str) -> Reply {
    let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    shard.run(&argv)
}

fn filled(entries: usize) -> Shard {
    let mut shard = Shard::default();
    (1..=entries).for_each(|ms| drop(ask(&mut shard, &format!("XADD s {ms}-0 f v"))));
    shard
}

fn len(shard: &mut Shard) -> String {
    show(&ask(shard, "XLEN s"))
}

#[test]
fn about_so_many_means_whole_nodes_of_a_hundred() {
    let mut shard = filled(1050);
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 1001")), ":0");
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 850")), ":200");
    assert_eq!(show(&ask(&mut shard, "XTRIM s MINID ~ 350")), ":100");
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 0 LIMIT 99")), ":0");
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 0 LIMIT 250")), ":200");
    assert_eq!(len(&mut shard), ":550");
    assert_eq!(show(&ask(&mut shard, "XADD s MAXLEN ~ 100 2000-0 f v")), "\"2000-0\"");
    assert_eq!(len(&mut shard), ":151");
    shard.check_invariants();
}

#[test]
fn large_entries_fill_nodes_sooner() {
    let mut shard = Shard::default();
    let text = "x".repeat(1000);
    (1..=10).for_each(|ms| drop(ask(&mut shard, &format!("XADD s {ms}-0 f {text}"))));
    let Reply::Map(fields) = ask(&mut shard, "XINFO STREAM s") else { panic!("a map") };
    assert_eq!(fields[1], (Reply::bulk("radix-tree-keys"), Reply::Int(3)));
    shard.check_invariants();
}

#[test]
fn ten_thousand_are_trimmed_at_once_unless_limited_otherwise() {
    let mut shard = filled(10_200);
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 0")), ":10000");
    assert_eq!(show(&ask(&mut shard, "XTRIM s MAXLEN ~ 0 LIMIT 0")), ":200");
    shard.check_invariants();
}

#[test]
fn nothing_is_left_behind() {
    let mut shard = filled(250);
    for line in [
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 0",
        "XREADGROUP GROUP g a COUNT 50 STREAMS s >",
        "XREADGROUP GROUP h a COUNT 50 STREAMS s >",
        "XGROUP DESTROY s g",
        "XTRIM s MAXLEN 0",
        "XGROUP DELCONSUMER s h a",
        "XGROUP DESTROY s h",
    ] {
        ask(&mut shard, line);
        shard.check_invariants();
    }
    assert_eq!(shard.kv.len(), 2, "the head record and what keeps the stream's id");
    ask(&mut shard, "DEL s");
    assert!(shard.kv.is_empty());

    let mut shard = filled(250);
    ask(&mut shard, "XGROUP CREATE s g 0");
    ask(&mut shard, "XREADGROUP GROUP g a STREAMS s >");
    ask(&mut shard, "PEXPIRE s 1");
    active_expire(&mut shard.kv, shard.cx.now_ms + 1, 10).unwrap();
    assert!(shard.kv.is_empty());
}

#[test]
fn resp3_has_maps() {
    let mut shard = filled(1);
    ask(&mut shard, "XGROUP CREATE s g 0");
    shard.cx.protocol = Protocol::Resp3;
    let entry =
        || Reply::Array(vec![Reply::bulk("1-0"), Reply::Array(vec![Reply::bulk("f"), Reply::bulk("v")])]);
    let streams = || Reply::Map(vec![(Reply::bulk("s"), Reply::Array(vec![entry()]))]);
    assert_eq!(ask(&mut shard, "XREAD STREAMS s 0"), streams());
    assert_eq!(ask(&mut shard, "XREADGROUP GROUP g c STREAMS s >"), streams());
    assert_eq!(ask(&mut shard, "XREADGROUP GROUP g c STREAMS s 0"), streams());
    assert_eq!(ask(&mut shard, "XREAD STREAMS s $"), Reply::NullArray);
    assert_eq!(ask(&mut shard, "XADD none NOMKSTREAM * f v"), Reply::Null);
    assert!(matches!(ask(&mut shard, "XINFO STREAM s"), Reply::Map(fields) if fields.len() == 10));
    assert!(matches!(ask(&mut shard, "XINFO STREAM s FULL"), Reply::Map(fields) if fields.len() == 9));
}

#[test]
fn those_who_wait_say_so_and_know_from_where_on() {
    let mut shard = filled(3);
    let words = |line: &'static str| line.split(' ').map(str::as_bytes).collect::<Vec<&[u8]>>();
    let argv = words("XREAD BLOCK 0 COUNT 5 STREAMS s $ {s}2 $ 0-5 $");
    let resolved = resolve_last_ids(&mut shard.kv, &Args::new(&argv[1..]), &shard.cx).unwrap().unwrap();
    let expected = words("BLOCK 0 COUNT 5 STREAMS s $ {s}2 3-0 0-5 0-0");
    assert_eq!(resolved, expected, "a stream may be called $");
    let argv = words("XREAD BLOCK 0 STREAMS $ 0");
    assert!(resolve_last_ids(&mut shard.kv, &Args::new(&argv[1..]), &shard.cx).unwrap().is_none());

    let spec = resolve(&argv).unwrap();
    let Some(commands::Handler::Read(xread)) = spec.handler() else { panic!("a read") };
    let tried = xread(&mut shard.kv, &Args::new(&argv[1..]), &shard.cx);
    assert!(matches!(tried, Err(CommandError::WouldBlock(_))));
}

#[test]
fn what_is_pending_is_found_among_many() {
    let mut shard = filled(3000);
    ask(&mut shard, "XGROUP CREATE s g 0");
    ask(&mut shard, "XREADGROUP GROUP g a COUNT 2000 STREAMS s >");
    ask(&mut shard, "XREADGROUP GROUP g b STREAMS s >");
    let summary = "[:3000, \"1-0\", \"3000-0\", [[\"a\", \"2000\"], [\"b\", \"1000\"]]]";
    assert_eq!(show(&ask(&mut shard, "XPENDING s g")), summary);
    ask(&mut shard, "XACK s g 3000-0 2999-0 2998-0");
    let summary = "[:2997, \"1-0\", \"2997-0\", [[\"a\", \"2000\"], [\"b\", \"997\"]]]";
    assert_eq!(show(&ask(&mut shard, "XPENDING s g")), summary);
    assert_eq!(show(&ask(&mut shard, "XGROUP DELCONSUMER s g b")), ":997");
    let summary = "[:2000, \"1-0\", \"2000-0\", [[\"a\", \"2000\"]]]";
    assert_eq!(show(&ask(&mut shard, "XPENDING s g")), summary);
    let Reply::Array(rows) = ask(&mut shard, "XPENDING s g 100 + 500 a") else { panic!("an array") };
    assert_eq!(rows.len(), 500);
    shard.check_invariants();
}

/// How many pairs a command stores and deletes.
fn cost(shard: &mut Shard, line: &str) -> (usize, usize) {
    let before = shard.kv.clone();
    ask(shard, line);
    let had: BTreeMap<_, _> = before.pairs().collect();
    let has: BTreeMap<_, _> = shard.kv.pairs().collect();
    let stored = has.iter().filter(|(key, value)| had.get(*key) != Some(*value)).count();
    (stored, had.keys().filter(|key| !has.contains_key(*key)).count())
}

#[test]
fn commands_write_what_they_change_and_no_more() {
    let mut shard = filled(350);
    assert_eq!(cost(&mut shard, "XADD s 351-0 f v"), (2, 0), "the entry and the head record");
    assert_eq!(cost(&mut shard, "XADD s MAXLEN 351 352-0 f v"), (3, 1), "also the leaf, and the first entry");
    ask(&mut shard, "XGROUP CREATE s g 0");
    ask(&mut shard, "XREADGROUP GROUP g c COUNT 1 STREAMS s >");
    let read = cost(&mut shard, "XREADGROUP GROUP g c COUNT 5 STREAMS s >");
    assert_eq!(read, (10 + 2, 0), "each entry by id and by consumer; the group and the consumer");
    assert_eq!(cost(&mut shard, "XACK s g 2-0 3-0"), (2, 4));
    assert_eq!(cost(&mut shard, "XADD s NOMKSTREAM 1-0 f v"), (0, 0));
    assert_eq!(cost(&mut shard, "XTRIM s MAXLEN ~ 300"), (0, 0));
}

fn word() -> impl Strategy<Value = String> {
    let words = [
        "s",
        "s",
        "s",
        "{s}2",
        "g",
        "g",
        "c",
        "0",
        "1",
        "5",
        "-1",
        "-",
        "+",
        "$",
        ">",
        "*",
        "0-1",
        "3-*",
        "(2",
        "=",
        "~",
        "x",
        "",
        "MAXLEN",
        "MINID",
        "LIMIT",
        "NOMKSTREAM",
        "COUNT",
        "BLOCK",
        "STREAMS",
        "GROUP",
        "NOACK",
        "MKSTREAM",
        "ENTRIESREAD",
        "ENTRIESADDED",
        "MAXDELETEDID",
        "IDLE",
        "TIME",
        "RETRYCOUNT",
        "FORCE",
        "JUSTID",
        "LASTID",
        "FULL",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551615-18446744073709551615",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    /// Words in any order, behind those that get past the first checks.
    #[test]
    fn no_stream_command_panics_on_any_arguments(
        calls in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), prop::collection::vec(word(), 0..9), 0..5u64), 1..30)
    ) {
        let rows: Vec<_> = table::all()
            .filter(|spec| spec.full_name.starts_with('x') && spec.handler().is_some())
            .collect();
        let mut shard = filled(7);
        ask(&mut shard, "XGROUP CREATE s g 0");
        ask(&mut shard, "XREADGROUP GROUP g c COUNT 3 STREAMS s >");
        for (row, in_order, words, pause_ms) in &calls {
            let spec = *row.get(&rows);
            shard.cx.now_ms += pause_ms;
            let first: &[&str] = match spec.full_name {
                _ if !in_order => &[],
                "xreadgroup" => &["GROUP", "g", "c", "STREAMS", "s"],
                "xread" => &["STREAMS", "s"],
                "xclaim" | "xautoclaim" => &["s", "g", "c", "0"],
                "xack" | "xpending" => &["s", "g"],
                name if name.contains('|') => &["sub", "s", "g"],
                _ => &["s"],
            };
            let args: Vec<&[u8]> = first.iter().map(|word| word.as_bytes()).chain(words.iter().map(String::as_bytes)).collect();
            let _ = shard.execute(spec, &args);
        }
        shard.check_invariants();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]

    /// XREVRANGE is XRANGE backwards, across nodes and whatever was deleted.
    #[test]
    fn backwards_is_the_reverse(deleted in prop::collection::btree_set(1..400usize, 0..300), from in 0..410usize, to in 0..410usize) {
        let mut shard = filled(399);
        deleted.iter().for_each(|ms| drop(ask(&mut shard, &format!("XDEL s {ms}-0"))));
        let Reply::Array(mut there) = ask(&mut shard, &format!("XRANGE s {from} {to}")) else { panic!("an array") };
        let Reply::Array(back) = ask(&mut shard, &format!("XREVRANGE s {to} {from}")) else { panic!("an array") };
        there.reverse();
        prop_assert_eq!(there, back);
        shard.check_invariants();
    }

    #[test]
    fn what_is_dumped_is_restored(entries in prop::collection::vec("[a-z0-9-]{0,70}", 0..250), deleted in prop::collection::vec(0..250usize, 0..30)) {
        let mut shard = Shard::default();
        for (at, text) in entries.iter().enumerate() {
            let id = format!("{at}-1");
            shard.run(&[b"XADD", b"s", id.as_bytes(), b"f", text.as_bytes(), b"g", b"1"]);
        }
        deleted.iter().for_each(|at| drop(ask(&mut shard, &format!("XDEL s {at}-1"))));
        ask(&mut shard, "XGROUP CREATE s g 0 MKSTREAM");
        ask(&mut shard, "XREADGROUP GROUP g a COUNT 100 STREAMS s >");
        let Reply::Bulk(payload) = ask(&mut shard, "DUMP s") else { panic!("a payload") };
        prop_assert_eq!(shard.run(&[b"RESTORE", b"{s}2", b"0", &payload]), Reply::OK);
        shard.check_invariants();
        for line in ["XRANGE ? - +", "XINFO STREAM ?", "XINFO GROUPS ?", "XPENDING ? g", "XPENDING ? g - + 1000", "DUMP ?"] {
            let [ours, copy] = ["s", "{s}2"].map(|key| ask(&mut shard, &line.replace('?', key)));
            prop_assert_eq!(ours, copy, "{}", line);
        }
    }
}
