//! Random commands on bitmaps and HyperLogLogs, here and on a real redis-server.

use crate::support::differential::compare;
use crate::support::server::Server;
use crate::support::shard::Shard;
use proptest::prelude::*;
use proptest::sample::select;
use resp::Reply;

type Words = Vec<Vec<u8>>;

const KEYS: [&str; 3] = ["{k}1", "{k}2", "{k}3"];

fn key() -> impl Strategy<Value = Vec<u8>> {
    select(&KEYS[..]).prop_map(|key| key.as_bytes().to_vec())
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    select(words).prop_map(|word| word.as_bytes().to_vec())
}

fn number(number: i64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn words<const N: usize>(name: &str, rest: [Vec<u8>; N]) -> Words {
    std::iter::once(name.as_bytes().to_vec()).chain(rest).collect()
}

/// Near both ends of small strings, and at the limits of what Redis can do.
fn index() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-40..0i64).prop_map(number),
        4 => (0..200i64).prop_map(number),
        3 => one_of(&["0", "-1", "7", "8", "63", "64", "65", "-8", "-9"]),
        1 => one_of(&["9223372036854775807", "-9223372036854775808", "9223372036854775808", "x", "", "01"]),
    ]
}

fn offset() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..200i64).prop_map(number),
        2 => (0..3000i64).prop_map(number),
        1 => one_of(&["-1", "4294967296", "#1", "x", "", "9223372036854775807"]),
    ]
}

fn bit() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => one_of(&["0", "1"]), 1 => one_of(&["2", "-1", "x"])]
}

/// Runs of equal bytes, numbers, and noise.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let run = (select(vec![0u8, 0xFF, 0xFE, 0x80, 1]), 1..24usize).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![
        4 => prop::collection::vec(run, 0..5).prop_map(|runs| runs.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<i64>().prop_map(number),
        1 => (0..100i64).prop_map(number),
    ]
}

fn ranged(name: &'static str, fixed: impl Strategy<Value = Words>) -> impl Strategy<Value = Words> {
    let unit = prop_oneof![8 => one_of(&["BIT", "byte"]), 1 => one_of(&["BITS", ""])];
    let range = (prop::collection::vec(index(), 0..=2), unit, 0..10u8).prop_map(|(mut range, unit, with)| {
        if range.len() == 2 && with < 6 || with == 9 {
            range.push(unit);
        }
        range
    });
    (fixed, range).prop_map(move |(fixed, range)| [words(name, []), fixed, range].concat())
}

fn field_type() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (any::<bool>(), 1..=64u8).prop_map(|(signed, bits)| {
            format!("{}{bits}", if signed { 'i' } else { 'u' }).into_bytes()
        }),
        4 => one_of(&["u1", "i1", "u8", "i8", "i64", "u63", "i63", "u16"]),
        1 => one_of(&["u64", "i65", "u0", "x8", "", "i", "u01"]),
    ]
}

fn field_offset() -> impl Strategy<Value = Vec<u8>> {
    let nth = (0..20i64).prop_map(|nth| format!("#{nth}").into_bytes());
    prop_oneof![12 => offset(), 6 => nth, 1 => one_of(&["#", "#-1", "#4294967296", "#576460752303423488"])]
}

fn amount() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-300..300i64).prop_map(number),
        3 => any::<i64>().prop_map(number),
        2 => (0..63u32, -1..=1i64, any::<bool>()).prop_map(|(bits, near, minus)| {
            let power = (1i64 << bits) + near;
            number(if minus { -power } else { power })
        }),
        1 => one_of(&["9223372036854775807", "-9223372036854775808", "x", "-9223372036854775807"]),
    ]
}

fn field_operation() -> impl Strategy<Value = Words> {
    let get = (field_type(), field_offset()).prop_map(|(kind, at)| words("GET", [kind, at]));
    let change = (one_of(&["SET", "INCRBY", "incrby"]), field_type(), field_offset(), amount())
        .prop_map(|(name, kind, at, amount)| vec![name, kind, at, amount]);
    let overflow = prop_oneof![20 => one_of(&["WRAP", "SAT", "fail"]), 1 => one_of(&["no", ""])]
        .prop_map(|how| words("OVERFLOW", [how]));
    let broken = one_of(&["GET", "SET", "x"]).prop_map(|word| vec![word]);
    prop_oneof![8 => get, 16 => change, 6 => overflow, 1 => broken]
}

fn bitmap_command() -> impl Strategy<Value = Words> {
    let sources = prop::collection::vec(prop_oneof![6 => key(), 1 => Just(b"{k}missing".to_vec())], 1..5);
    let operation = prop_oneof![20 => one_of(&["AND", "or", "XOR", "NOT"]), 1 => one_of(&["NAND", ""])];
    let fields = |name: &'static str| {
        (key(), prop::collection::vec(field_operation(), 0..5))
            .prop_map(move |(key, operations)| [words(name, [key]), operations.concat()].concat())
    };
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| words("SET", [key, value])),
        1 => (key(), value()).prop_map(|(key, value)| words("APPEND", [key, value])),
        1 => key().prop_map(|key| words("DEL", [key])),
        1 => key().prop_map(|key| words("GET", [key])),
        1 => key().prop_map(|key| words("EXPIRE", [key, b"5000000".to_vec()])),
        1 => key().prop_map(|key| words("TTL", [key])),
        6 => (key(), offset(), bit()).prop_map(|(key, at, bit)| words("SETBIT", [key, at, bit])),
        4 => (key(), offset()).prop_map(|(key, at)| words("GETBIT", [key, at])),
        8 => ranged("BITCOUNT", key().prop_map(|key| vec![key])),
        10 => ranged("BITPOS", (key(), bit()).prop_map(|(key, bit)| vec![key, bit])),
        6 => (operation, key(), sources)
            .prop_map(|(operation, key, sources)| [words("BITOP", [operation, key]), sources].concat()),
        12 => fields("BITFIELD"),
        2 => fields("BITFIELD_RO"),
    ]
}

#[test]
fn random_bitmaps_are_answered_as_by_redis() {
    compare(bitmap_command(), 600, 40, &KEYS);
}

const HEADER: &[u8] = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";

/// A sparse value, often one whose runs cover all registers and no more.
fn sparse() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        2 => (0..64u8).prop_map(|zeros| vec![zeros]),
        4 => (0x80..=0xFFu8).prop_map(|val| vec![val]),
        // Neighbours that could be one.
        2 => (0x80..=0xFFu8, 1..6usize).prop_map(|(val, times)| vec![val & 0xFC; times]),
        1 => (0x40..0x48u8, any::<u8>()).prop_map(|(high, low)| vec![high, low]),
    ];
    (prop::collection::vec(opcode, 0..60), any::<bool>()).prop_map(|(opcodes, completed)| {
        let mut value = HEADER.to_vec();
        let mut covered = 0;
        for opcode in &opcodes {
            covered += match *opcode.as_slice() {
                [high, low] if high & 0xC0 == 0x40 => (usize::from(high & 0x3F) << 8) + usize::from(low) + 1,
                [first, ..] if first < 0x40 => usize::from(first) + 1,
                ref vals => vals.iter().map(|val| usize::from(val & 3) + 1).sum(),
            };
            value.extend(opcode);
        }
        if completed && covered < 16_384 {
            let rest = (16_384 - covered - 1) as u16;
            value.extend((rest | 0x4000).to_be_bytes());
        }
        value
    })
}

fn dense() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 64]>(), prop_oneof![9 => Just(12_288), 1 => Just(12_287)], any::<bool>()).prop_map(
        |(noise, len, low)| {
            let mut value = HEADER.to_vec();
            value[4] = 0;
            // Low registers are those that elements still raise.
            let mask = if low { 0b0100_0001 } else { 0xFF };
            value.extend(noise.iter().map(|byte| byte & mask).cycle().take(len));
            value
        },
    )
}

fn elements() -> impl Strategy<Value = Words> {
    let count = prop_oneof![6 => 0..8u32, 3 => 50..300u32, 1 => 1000..2500u32];
    (0..4000u32, count, 0..3usize).prop_map(|(first, count, padding)| {
        let element = |n: u32| format!("{n}{}", "longer than a word".repeat(padding)).into_bytes();
        (first..first + count).map(element).collect()
    })
}

fn hyperloglog_command() -> impl Strategy<Value = Words> {
    let many = |name: &'static str| {
        prop::collection::vec(prop_oneof![6 => key(), 1 => Just(b"{k}missing".to_vec())], 1..4)
            .prop_map(move |keys| [words(name, []), keys].concat())
    };
    let patched = (key(), 0..40i64, value());
    prop_oneof![
        12 => (key(), elements()).prop_map(|(key, elements)| [words("PFADD", [key]), elements].concat()),
        4 => key().prop_map(|key| words("PFCOUNT", [key])),
        4 => many("PFCOUNT"),
        5 => many("PFMERGE"),
        3 => (key(), prop::sample::select(vec!["ENCODING", "DECODE", "GETREG", "TODENSE", "OTHER"]))
            .prop_map(|(key, what)| words("PFDEBUG", [what.into(), key])),
        2 => (key(), sparse()).prop_map(|(key, value)| words("SET", [key, value])),
        1 => (key(), dense()).prop_map(|(key, value)| words("SET", [key, value])),
        1 => (key(), value()).prop_map(|(key, value)| words("SET", [key, value])),
        1 => patched.prop_map(|(key, at, value)| words("SETRANGE", [key, number(at), value])),
        1 => (key(), value()).prop_map(|(key, value)| words("APPEND", [key, value])),
        1 => key().prop_map(|key| words("DEL", [key])),
        1 => key().prop_map(|key| words("STRLEN", [key])),
        1 => (key(), key()).prop_map(|(from, to)| words("COPY", [from, to])),
    ]
}

#[test]
fn random_hyperloglogs_are_answered_as_by_redis() {
    compare(hyperloglog_command(), 400, 25, &KEYS);
}

/// Element by element from empty to dense: the value that no longer fits is the same one.
#[test]
fn each_step_to_dense_is_that_of_redis() {
    let Some(mut server) = Server::start() else { return };
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let mut shard = Shard::default();
        let mut len = 0;
        for number in 0.. {
            let element = format!("{key}{number}");
            for argv in [&[&b"PFADD"[..], key.as_bytes(), element.as_bytes()][..], &[b"GET", key.as_bytes()]]
            {
                let (ours, theirs) = (shard.run(argv), server.run(argv));
                assert!(ours == theirs, "{element}: {argv:?}");
                if let Reply::Bulk(value) = ours {
                    len = value.len();
                }
            }
            if len > 3000 {
                break;
            }
        }
        assert_eq!(len, 16 + 12_288);
    }
}
