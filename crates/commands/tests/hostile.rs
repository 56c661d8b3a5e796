//! Random arguments never panic, and never leave the store inconsistent.

#[path = "../../resp/tests/noise/mod.rs"]
mod noise;
mod support;

use commands::{table, wire};
use noise::noise;
use proptest::prelude::*;
use support::shard::Shard;

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
        "FILTERBY",
        "PATTERN",
        "ACLCAT",
        "get",
        "mset",
        "object",
        "encoding",
        "object|help",
        "|",
        "4611686018427387904",
        "18446744073709551615",
    ]);
    prop_oneof![
        8 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_row_panics_on_any_arguments(
        calls in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(argument(), 0..7), 0..3u64), 1..30)
    ) {
        let rows: Vec<_> = table::all().filter(|spec| !matches!(spec.kind, commands::Kind::Container)).collect();
        let mut shard = Shard::default();
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
    let rows: Vec<_> = table::all().filter(|spec| !matches!(spec.kind, commands::Kind::Container)).collect();
    for seed in 1..=1024 {
        let noise = noise(seed, 64 << 10);
        let mut shard = Shard::default();
        for command in wire::commands(&noise) {
            let Ok(command) = command else { break };
            if let Some(spec) = commands::by_id(command.id) {
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
