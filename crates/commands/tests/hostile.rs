//! Random arguments never panic, and never leave the store inconsistent.

#[path = "../../resp/tests/noise/mod.rs"]
mod noise;
mod support;

use commands::{table, wire};
use datatypes::collection::SmallLimits;
use noise::noise;
use proptest::prelude::*;
use resp::Reply;
use support::shard::Shard;

/// Containers cannot be executed, and what is about other commands only by an evaluator.
fn is_executed_alone(spec: &commands::Spec) -> bool {
    !matches!(spec.kind, commands::Kind::Container | commands::Kind::Group { .. })
}

/// Arguments that get past the first checks.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "k",
        "{k}2",
        "",
        "0",
        "1",
        "-1",
        "10",
        "100",
        "3.5",
        "1e400",
        "-inf",
        "9223372036854775807",
        "-9223372036854775808",
        "NX",
        "XX",
        "GT",
        "LT",
        "GET",
        "FIELDS",
        "FNX",
        "FXX",
        "BY",
        "#",
        "{k}w*",
        "{k}2*->1",
        "STORE",
        "ALPHA",
        "DESC",
        "LIMIT",
        "SAMPLES",
        "EX",
        "PX",
        "EXAT",
        "PXAT",
        "KEEPTTL",
        "PERSIST",
        "MATCH",
        "COUNT",
        "TYPE",
        "string",
        "*",
        "[a",
        "LEN",
        "IDX",
        "WITHMATCHLEN",
        "MINMATCHLEN",
        "DB",
        "REPLACE",
        "SYNC",
        "AND",
        "NOT",
        "BIT",
        "BYTE",
        "SET",
        "INCRBY",
        "OVERFLOW",
        "SAT",
        "FAIL",
        "i64",
        "u63",
        "i5",
        "#3",
        "LEFT",
        "RIGHT",
        "BEFORE",
        "AFTER",
        "RANK",
        "MAXLEN",
        "FILTERBY",
        "PATTERN",
        "ACLCAT",
        "$",
        "$..*",
        "$.a[0]",
        "$[?(@.a>1)]",
        ".a",
        "{\"a\":[1,{\"a\":true}],\"b\":\"x\"}",
        "[[1.5],\"x\"]",
        "\"x\"",
        "FORMAT",
        "EXPAND",
        "get",
        "mset",
        "object",
        "encoding",
        "object|help",
        "-",
        "+",
        "$",
        ">",
        "0-1",
        "1-*",
        "(1",
        "18446744073709551615-18446744073709551615",
        "g",
        "STREAMS",
        "GROUP",
        "BLOCK",
        "MAXLEN",
        "MINID",
        "~",
        "LIMIT",
        "MKSTREAM",
        "FORCE",
        "JUSTID",
        "FULL",
        "|",
        "4611686018427387904",
        "18446744073709551615",
        "CH",
        "INCR",
        "BYSCORE",
        "BYLEX",
        "REV",
        "LIMIT",
        "WITHSCORES",
        "WEIGHTS",
        "AGGREGATE",
        "MIN",
        "MAX",
        "(1",
        "(a",
        "-",
        "+",
        "nan",
    ]);
    prop_oneof![
        8 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
    ]
}

/// The start of a HyperLogLog, dense or sparse.
fn hyperloglog() -> impl Strategy<Value = Vec<u8>> {
    let noise = |len: usize| prop::collection::vec(any::<u8>(), len);
    let sparse =
        (0..300usize).prop_flat_map(noise).prop_map(|opcodes| [b"HYLL\x01\0\0\0", &opcodes[..]].concat());
    let dense = noise(96).prop_map(|noise| {
        let registers = noise.iter().copied().cycle().take(8 + 12_288);
        b"HYLL\0\0\0\0".iter().copied().chain(registers).collect()
    });
    let anything = (0..40usize).prop_flat_map(noise);
    prop_oneof![3 => sparse, 2 => dense, 1 => anything]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), failure_persistence: None, ..Default::default() })]

    /// Whatever is stored, the commands answer, or refuse it in Redis's words and leave it alone.
    #[test]
    fn any_bytes_as_hyperloglog_are_answered_or_refused(value in hyperloglog(), other in hyperloglog()) {
        let refusals: [&[u8]; 2] = [
            b"WRONGTYPE Key is not a valid HyperLogLog string value.",
            b"INVALIDOBJ Corrupted HLL object detected",
        ];
        let calls: [&[&[u8]]; 5] = [
            &[b"PFCOUNT", b"{h}1"],
            &[b"PFADD", b"{h}1", b"a", b"b", b"c"],
            &[b"PFCOUNT", b"{h}1", b"{h}2"],
            &[b"PFMERGE", b"{h}1", b"{h}2"],
            &[b"PFCOUNT", b"{h}1"],
        ];
        let mut shard = Shard::default();
        shard.run(&[b"SET", b"{h}1", &value]);
        shard.run(&[b"SET", b"{h}2", &other]);
        for call in calls {
            let before = shard.run(&[b"GET", b"{h}1"]);
            match shard.run(call) {
                Reply::Int(_) | Reply::Simple("OK") => {}
                Reply::Error(text) => {
                    prop_assert!(refusals.contains(&&text[..]), "{text:?}");
                    prop_assert_eq!(shard.run(&[b"GET", b"{h}1"]), before);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        shard.check_invariants();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_row_panics_on_any_arguments(
        calls in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(argument(), 0..7), 0..3u64), 1..30)
    ) {
        let rows: Vec<_> = table::all().filter(|spec| is_executed_alone(spec)).collect();
        let mut shard = Shard::default();
        // So that collections grow large.
        shard.cx.limits.sorted_set = SmallLimits { entries: 1, value_bytes: 4 };
        for (row, args, pause_ms) in &calls {
            let spec = *row.get(&rows);
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            shard.cx.now_ms += pause_ms;
            // SETRANGE far out is fine, but costs half a gigabyte each time.
            let huge = spec.full_name == "setrange" && args.get(1).is_some_and(|offset| offset.len() > 6);
            // The proxy checks arity; a storage node must survive a proxy that does not.
            if !huge {
                let _ = shard.execute(spec, &args);
            }
        }
        shard.check_invariants();
        datatypes::active_expire(&mut shard.kv, shard.cx.now_ms, usize::MAX).unwrap();
        shard.check_invariants();
    }

    #[test]
    fn names_of_any_shape_are_resolved_without_panic(argv in prop::collection::vec(argument(), 0..5)) {
        let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let _ = commands::resolve(&argv).map_err(|error| error.text().len());
    }
}

/// 64 MiB in all, the same in every run: as a batch from a proxy that lies, and as arguments of
/// every row.
#[test]
fn random_bytes_do_no_harm() {
    let rows: Vec<_> = table::all().filter(|spec| is_executed_alone(spec)).collect();
    for seed in 1..=1024 {
        let noise = noise(seed, 64 << 10);
        let mut shard = Shard::default();
        for command in wire::commands(&noise) {
            let Ok(command) = command else { break };
            if let Some(spec) = commands::by_id(command.id).filter(|spec| is_executed_alone(spec)) {
                let _ = shard.execute(spec, &command.args);
            }
        }
        let mut rest = noise.as_slice();
        while let [row, count, len @ .., _] = rest.get(..12).unwrap_or_default() {
            let spec = rows[usize::from(*row) % rows.len()];
            let lengths = len.iter().take(usize::from(count % 8)).map(|len| 1usize << (len % 11));
            rest = &rest[12..];
            let mut args = Vec::new();
            for length in lengths {
                let (arg, behind) = rest.split_at(length.min(rest.len()));
                args.push(arg);
                rest = behind;
            }
            let _ = shard.execute(spec, &args);
        }
        shard.check_invariants();
    }
}
