//! What scripts cannot show of documents: the forms of RESP3, and bounds.

use crate::support::shard::Shard;
use crate::support::text::show;
use resp::{Protocol, Reply};

fn run(shard: &mut Shard, argv: &[&str]) -> Reply {
    let argv: Vec<&[u8]> = argv.iter().map(|word| word.as_bytes()).collect();
    let reply = shard.run(&argv);
    shard.check_invariants();
    reply
}

fn with(document: &str) -> Shard {
    let mut shard = Shard::default();
    assert_eq!(run(&mut shard, &["JSON.SET", "d", "$", document]), Reply::OK);
    shard
}

/// Asks in RESP3; bulk strings are shown in quotes, everything else as Rust shows it.
fn ask(shard: &mut Shard, line: &str) -> String {
    shard.cx.protocol = Protocol::Resp3;
    told(&run(shard, &line.split(' ').collect::<Vec<_>>()))
}

fn told(reply: &Reply) -> String {
    let list = |items: &[Reply]| items.iter().map(told).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::Map(fields) => {
            let field = |(name, value): &(Reply, Reply)| format!("{}:{}", told(name), told(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(" "))
        }
        Reply::Bool(flag) => format!("#{flag}"),
        Reply::Double(number) => format!(",{number}"),
        other => show(other).replace('\\', ""),
    }
}

#[test]
fn resp3_has_types_of_its_own() {
    let mut shard = with(r#"{"a":{"b":[null,true,1,1.5,"s",18446744073709551615]},"n":{"b":{}}}"#);
    for (line, reply) in [
        ("JSON.GET d", r#""{"a":{"b":[null,true,1,1.5,"s",18446744073709551615]},"n":{"b":{}}}""#),
        ("JSON.GET d FORMAT STRING $.n", r#""[{"b":{}}]""#),
        ("JSON.GET d FORMAT STRINGS $.n", "-ERR wrong reply format"),
        ("JSON.GET d FORMAT EXPAND $.n", r#"[[{"b":{}}]]"#),
        (
            "JSON.GET d FORMAT EXPAND",
            r#"[[{"a":{"b":[nil #true :1 ,1.5 "s" ,18446744073709552000]} "n":{"b":{}}}]]"#,
        ),
        ("JSON.GET d FORMAT EXPAND .n.b $.none $.a.b[1]", "[[{}] [] [#true]]"),
        ("JSON.GET d FORMAT EXPAND $[", "[[]]"),
        ("JSON.GET d FORMAT EXPAND1 $..b", r#"[["[null,true,1,1.5,"s",18446744073709551615]" "{}"]]"#),
        ("JSON.GET d FORMAT EXPAND1 $.a.b[*]", r#"[[nil #true :1 ,1.5 ""s"" ,18446744073709552000]]"#),
        ("JSON.TYPE d", r#"["object"]"#),
        ("JSON.TYPE d $..b", r#"[["array" "object"]]"#),
        ("JSON.TYPE d .none", "[nil]"),
        ("JSON.TYPE none $", "[nil]"),
        ("JSON.NUMINCRBY d $.a.b[*] 1", "[nil nil :2 ,2.5 nil ,18446744073709552000]"),
        ("JSON.NUMINCRBY d .a.b[2] 1", "[:3]"),
        ("JSON.NUMMULTBY d .none 1", "[]"),
        ("JSON.TOGGLE d $.a.b[1]", "[:0]"),
        ("JSON.RESP d $.a.b[3]", "[,2.5]"),
        ("JSON.ARRPOP d FORMAT EXPAND $..b 0", "[nil nil]"),
        ("JSON.ARRPOP d FORMAT EXPAND1 $.a.b 2", "[,2.5]"),
        ("JSON.ARRPOP d FORMAT STRINGS $.a.b 2", r#"[""s""]"#),
        ("JSON.ARRPOP d FORMAT STRING $.a.b", "-ERR wrong reply format"),
        ("JSON.ARRPOP d FORMAT EXPAND .a.b", "-Legacy paths are supported only with FORMAT STRINGS"),
        ("JSON.MGET d .n", r#"["{"b":{}}"]"#),
    ] {
        assert_eq!(ask(&mut shard, line), reply, "{line}");
    }
}

#[test]
fn nothing_nests_deeper_than_it_can_be_read() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let place = |depth: usize| format!("${}", "[0]".repeat(depth));
    let mut shard = with(&nested(127));
    let too_deep = "-ERR the document would nest too deep";
    assert_eq!(show(&run(&mut shard, &["JSON.ARRAPPEND", "d", &place(125), "[]"])), "[:2]");
    assert_eq!(show(&run(&mut shard, &["JSON.ARRAPPEND", "d", &place(126), "[]"])), too_deep);
    assert_eq!(show(&run(&mut shard, &["JSON.SET", "d", &place(126), "[[]]"])), too_deep);
    assert_eq!(show(&run(&mut shard, &["JSON.MERGE", "d", &place(126), r#"{"a":{"b":1}}"#])), too_deep);
    assert_eq!(
        show(&run(&mut shard, &["JSON.SET", "d", "$", &nested(128)])),
        "-recursion limit exceeded at line 1 column 128"
    );
    assert_eq!(show(&run(&mut shard, &["JSON.ARRLEN", "d", &place(125)])), "[:2]");
}

#[test]
fn a_path_that_finds_a_part_often_does_not_multiply_it() {
    let mut shard = with(&format!("[{{\"a\":\"{}\"}}]", "x".repeat(100_000)));
    let often = format!("$[{}0]", "0,".repeat(20_000));
    let longest = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    let widest = "-ERR the path covers too much of the document";
    assert_eq!(show(&run(&mut shard, &["JSON.RESP", "d", &often])), widest);
    shard.cx.protocol = Protocol::Resp3;
    assert_eq!(show(&run(&mut shard, &["JSON.GET", "d", "FORMAT", "EXPAND", &often])), widest);
    let mut shard = with(&format!("[{}[]]", "[],".repeat(20_000)));
    let long = format!("\"{}\"", "x".repeat(100_000));
    assert_eq!(show(&run(&mut shard, &["JSON.SET", "d", "$[*]", &long])), longest);
    assert_eq!(show(&run(&mut shard, &["JSON.ARRAPPEND", "d", "$[*]", &long])), longest);
    assert_eq!(show(&run(&mut shard, &["JSON.MERGE", "d", "$[*]", &format!("{{\"a\":{long}}}")])), longest);
    assert_eq!(show(&run(&mut shard, &["JSON.ARRLEN", "d", "$"])), "[:20001]");
}

#[test]
fn a_path_that_would_take_for_ever_is_refused() {
    let mut shard = with(&("[".repeat(100) + &"]".repeat(100)));
    for command in ["JSON.GET", "JSON.DEL", "JSON.CLEAR", "JSON.TYPE", "JSON.OBJKEYS", "JSON.ARRLEN"] {
        let reply = show(&run(&mut shard, &[command, "d", "$..*..*..*..*..*..*"]));
        assert_eq!(reply, "-ERR the path covers too much of the document", "{command}");
    }
}

#[test]
fn a_command_that_fails_changes_nothing() {
    let mut shard = with(r#"{"a":[1,[1,2,3]],"n":[1e308,2]}"#);
    let before = show(&run(&mut shard, &["JSON.GET", "d"]));
    for argv in [
        &["JSON.ARRINSERT", "d", "$..*", "3", "0"][..],
        &["JSON.NUMMULTBY", "d", "$.n[1,0]", "1e300"],
        &["JSON.MSET", "d", "$.a", "1", "d", "$.n", "x"],
    ] {
        let reply = run(&mut shard, argv);
        assert!(matches!(reply, Reply::Error(_)), "{argv:?} {reply:?}");
        assert_eq!(show(&run(&mut shard, &["JSON.GET", "d"])), before);
    }
}
