//! Random arguments of Redis's libraries, here and on a real redis-server; and bytes of any kind, which do
//! no harm.

mod support;

use std::cell::RefCell;

use proptest::prelude::*;
use support::here::Here;
use support::server::Server;
use support::text::show;

fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(cases), failure_persistence: None, ..default }
}

/// A Lua expression.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-200i64..200).prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        (0u32..64).prop_map(|exponent| format!("2^{exponent}")),
        (0u32..64).prop_map(|exponent| format!("-2^{exponent} - 1")),
        (-1e6..1e6).prop_map(|number| format!("{number:e}")),
        Just("1e100".to_owned()),
        Just("-1e-7".to_owned()),
        Just("1/3".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let byte = prop_oneof![Just(0u8), Just(b'"'), Just(b'\\'), Just(b'/'), 32u8..127, any::<u8>()];
    prop::collection::vec(byte, 0..40).prop_map(|bytes| {
        let escaped: Vec<String> = bytes.iter().map(|byte| format!("\\{byte:03}")).collect();
        format!("'{}'", escaped.join(""))
    })
}

/// Tables have at most one key that is no index: the order of others is not promised.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        text(),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("nil".to_owned()),
        Just("cjson.null".to_owned()),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("{{{}}}", items.join(", "))),
            (text(), inner.clone()).prop_map(|(key, value)| format!("{{[{key}] = {value}}}")),
            (0u32..30, inner).prop_map(|(index, value)| format!("{{[{index}] = {value}}}")),
        ]
    })
}

fn format_of_struct() -> impl Strategy<Value = String> {
    let item = prop_oneof![
        Just("b"),
        Just("B"),
        Just("h"),
        Just("H"),
        Just("l"),
        Just("L"),
        Just("T"),
        Just("i"),
        Just("I"),
        Just("i1"),
        Just("I3"),
        Just("i5"),
        Just("I8"),
        Just("i16"),
        Just("f"),
        Just("d"),
        Just("x"),
        Just(">"),
        Just("<"),
        Just("!"),
        Just("!2"),
        Just("!4"),
        Just(" "),
    ];
    prop::collection::vec(item, 0..8).prop_map(|items| items.concat())
}

fn bit_operation() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "tobit", "bnot", "bswap", "tohex", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror",
    ]);
    (names, prop::collection::vec(number(), 1..4))
        .prop_map(|(name, args)| format!("bit.{name}({})", args.join(", ")))
}

fn expression() -> impl Strategy<Value = String> {
    let values = || prop::collection::vec(number(), 8..9).prop_map(|numbers| numbers.join(", "));
    prop_oneof![
        value(),
        value().prop_map(|value| format!("cjson.encode({value})")),
        value().prop_map(|value| format!("cjson.encode(cjson.decode(cjson.encode({{{value}}})))")),
        value().prop_map(|value| format!("cmsgpack.pack({value}, {value})")),
        value().prop_map(|value| format!("cjson.encode(cmsgpack.unpack(cmsgpack.pack({{{value}}})))")),
        (format_of_struct(), values())
            .prop_map(|(format, values)| format!("struct.pack('{format}', {values})")),
        (format_of_struct(), text())
            .prop_map(|(format, data)| { format!("cjson.encode({{struct.unpack('{format}', {data})}})") }),
        format_of_struct().prop_map(|format| format!("struct.size('{format}')")),
        bit_operation(),
        number().prop_map(|number| format!("tostring({number})")),
        number().prop_map(|number| format!("redis.sha1hex({number})")),
        (number(), number()).prop_map(|(seed, top)| {
            format!(
                "(function() math.randomseed({seed}) return math.random(math.abs({top}) % 1000 + 1) end)()"
            )
        }),
    ]
}

#[test]
fn libraries_answer_what_those_of_redis_do() {
    let Some(server) = Server::start() else { return };
    let (server, here) = (RefCell::new(server), RefCell::new(Here::default()));
    proptest!(config(600), |(expression in expression())| {
        let script = format!("return {expression}");
        let argv: [&[u8]; 3] = [b"EVAL", script.as_bytes(), b"0"];
        let ours = show(&here.borrow_mut().run(&argv));
        let theirs = show(&server.borrow_mut().run(&argv));
        prop_assert_eq!(ours, theirs, "{}", script);
    });
}

#[test]
fn any_bytes_do_no_harm() {
    let here = RefCell::new(Here::default());
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let code = || {
        let word = prop::sample::select(vec![
            "return ",
            "local ",
            "x",
            "= ",
            "{",
            "}",
            "(",
            ")",
            "function() ",
            "end ",
            "redis.call",
            "KEYS",
            "[",
            "]",
            "'a'",
            "1",
            "..",
            "-",
            "#",
            "nil",
            "for i = 1, 9 do ",
            "if ",
            "then ",
            "while ",
            "do ",
            "cjson.encode",
            ",",
            "error",
            "pcall",
            "unpack",
            "setmetatable",
            "#!lua",
            "\n",
            "::",
            "`{",
            "--[[",
            "\\",
            "\0",
            "\u{e4}",
        ]);
        prop::collection::vec(word, 0..20).prop_map(|words| words.concat().into_bytes())
    };
    proptest!(config(600), |(noise in bytes(), code in code(), more in bytes())| {
        let mut here = here.borrow_mut();
        for script in [&noise, &code] {
            here.reply(&[b"EVAL", script, b"0", &more]);
            here.reply(&[b"FUNCTION", b"LOAD", b"REPLACE", &[b"#!lua name=lib\n", &script[..]].concat()]);
            here.reply(&[b"FUNCTION", b"LOAD", script]);
        }
        for decoder in [
            "cjson.decode(ARGV[1])", "cmsgpack.unpack(ARGV[1])", "struct.unpack(ARGV[1], ARGV[2])",
            "struct.pack(ARGV[1], ARGV[2], 1, 2)", "struct.size(ARGV[1])", "loadstring(ARGV[1])", "redis.call(ARGV[1])",
            "redis.error_reply(ARGV[1])", "string.format(ARGV[1], ARGV[2], 1)", "string.find(ARGV[2], ARGV[1])",
            "redis.call(unpack(ARGV))", "tonumber(ARGV[1])", "bit.tobit(ARGV[1])",
        ] {
            let script = format!("return {decoder}");
            here.reply(&[b"EVAL", script.as_bytes(), b"0", &noise, &more]);
        }
        here.reply(&[b"FUNCTION", b"RESTORE", &noise]);
        here.reply(&[b"EVALSHA", &noise, b"0"]);
        prop_assert_eq!(show(&here.eval("return 'alive'", &["0"])), "\"alive\"");
        prop_assert!(here.libraries.is_consistent());
        datatypes::check::check_invariants(&here.kv);
    });
}
