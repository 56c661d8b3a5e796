//! Payloads that Redis wrote, round trips, and bytes that nobody wrote.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{
    Members, RdbError, VERSION, VERSION_MAX, Value, dump, dump_hash, dump_set, dump_sorted_set, dump_stream,
    restore, seal, unseal,
};
use crate::collection::sorted::Scored;
use crate::collection::{Element, Field};
use crate::record::{Record, Type};
use crate::stream::{ConsumerValue, GroupValue, LeafValue, StreamEntry, StreamId, StreamValue};

fn sealed(body: &[u8], version: u16) -> Bytes {
    let mut payload = BytesMut::from(body);
    seal(&mut payload, version);
    payload.freeze()
}

fn string(text: &[u8]) -> Result<Value<'_>, RdbError> {
    Ok(Value::String(Cow::Borrowed(text)))
}

#[test]
fn every_form_of_a_string_is_read() {
    let long = [b"\x80\x00\x00\x40\x00".as_slice(), &[b'x'; 0x4000]].concat();
    let longest_form = b"\x81\0\0\0\0\0\0\0\x02hi";
    for (body, expected) in [
        (&b"\x05hello"[..], &b"hello"[..]),
        (b"\x00", b""),
        (b"\x40\x03abc", b"abc"),
        (&long, &[b'x'; 0x4000]),
        (longest_form, b"hi"),
        (b"\xC0\x85", b"-123"),
        (b"\xC1\x39\x30", b"12345"),
        (b"\xC2\x00\x00\x00\x80", b"-2147483648"),
        (b"\xC3\x04\x06\x00a\x60\x00", b"aaaaaa"),
    ] {
        let payload = sealed(&[&[0], body].concat(), VERSION);
        assert_eq!(restore(&payload), string(expected));
    }
}

#[test]
fn footers_are_checked() {
    let body = b"\x00\x05hello";
    for version in [1, 6, 10, VERSION, VERSION_MAX] {
        assert_eq!(restore(&sealed(body, version)), string(b"hello"));
    }
    assert_eq!(restore(&sealed(body, VERSION_MAX + 1)), Err(RdbError::Footer));
    let mut flipped = sealed(body, VERSION).to_vec();
    flipped[3] ^= 1;
    assert_eq!(restore(&flipped), Err(RdbError::Footer));
    assert_eq!(unseal(b"too short"), Err(RdbError::Footer));
    assert_eq!(unseal(&sealed(b"", VERSION)), Ok(&b""[..]));
}

#[test]
fn what_is_no_value_is_refused() {
    for body in [
        &b""[..],
        b"\x00",
        b"\x00\x05hell",
        b"\x00\x05hello!",
        b"\x00\x82\0\0\0\0",
        b"\x00\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx",
        b"\x00\xC0",
        b"\x00\xC4x",
        b"\x00\xC3\x02\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00a",
        b"\x00\xC3\xC0\x01\x01\x00a",
        b"\x08x",
        b"\x1Ax",
        b"\xFFx",
    ] {
        assert_eq!(restore(&sealed(body, VERSION)), Err(RdbError::Format), "{body:?}");
    }
}

#[test]
fn other_types_are_named() {
    assert_eq!(restore(&sealed(&[6, 0], VERSION)), Err(RdbError::Unsupported("module")));
    let list = Record { kind: Type::List, ..Record::string(Bytes::new()) };
    assert_eq!(dump(&list), Err(RdbError::Unsupported("list")));
}

#[test]
fn forms_of_old_versions_are_read() {
    let ziplist = |kind: u8| {
        let mut body = vec![kind, 20];
        // The texts "a" and "b", each with a number behind it.
        body.extend(b"\x14\0\0\0\x0d\0\0\0\x04\0\0\x01a\x03\xf2\x02\x01b\x03\xf3\xff");
        body[1] = body.len() as u8 - 2;
        body[2] = body[1];
        body[6] = 10 + 3 + 2 + 3;
        sealed(&body, VERSION)
    };
    let hash = fields(&[("a", "1"), ("b", "2")]);
    assert_eq!(restore(&ziplist(13)), Ok(Value::Hash(hash)));
    let scored = |member: &'static str, score| Scored { member: Bytes::from(member), score };
    assert_eq!(restore(&ziplist(12)), Ok(Value::SortedSet(vec![scored("a", 1.0), scored("b", 2.0)])));
    let zipmap = |body: &[u8]| restore(&sealed(&[&[9, body.len() as u8], body].concat(), VERSION)).is_ok();
    assert!(zipmap(b"\x01\x01a\x01\x02xyy\xff"));
    assert!(zipmap(b"\xfe\x01a\xfe\x01\0\0\0\0x\xff"));
    for wrong in [
        &b""[..],
        b"\x01",
        b"\x00\xff",
        b"\x02\x01a\x01\0x\xff",
        b"\x01\x01a\x01\x02x\xff",
        b"\x01\x01a\x01\0x",
        b"\x01\xfe\xff\xff\xff\xffa\xff",
    ] {
        assert!(!zipmap(wrong), "{wrong:?}");
    }
}

#[test]
fn every_form_of_a_sorted_set_is_read() {
    let expected = |scores: &[(&'static str, f64)]| {
        let scored = |&(member, score): &(&'static str, f64)| Scored { member: Bytes::from(member), score };
        Ok(Value::SortedSet(scores.iter().map(scored).collect()))
    };
    let texts = b"\x03\x03\x01a\x031.5\x01b\xFE\x01c\xFF";
    let scores = [("a", 1.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY)];
    assert_eq!(restore(&sealed(texts, VERSION)), expected(&scores));
    let doubles = [&b"\x05\x01\x01a"[..], &1.5f64.to_le_bytes()].concat();
    assert_eq!(restore(&sealed(&doubles, VERSION)), expected(&scores[..1]));
    let print = |score: f64| score.to_string().into_bytes();
    let Ok(Value::SortedSet(mut elements)) = expected(&scores) else { unreachable!() };
    elements.rotate_right(1);
    for large in [false, true] {
        let payload = dump_sorted_set(&elements, large, print);
        let Ok(Value::SortedSet(mut read)) = restore(&payload) else { panic!("a sorted set") };
        if large {
            read.reverse();
        }
        assert_eq!(read, elements);
    }
    let nan = [&b"\x05\x01\x01a"[..], &f64::NAN.to_le_bytes()].concat();
    for body in
        [&b"\x03\0"[..], b"\x05\0", b"\x03\x01\x01a\xFD", b"\x03\x01\x01a\x01x", b"\x03\x01\x01a", &nan]
    {
        assert_eq!(restore(&sealed(body, VERSION)), Err(RdbError::Format), "{body:?}");
    }
}

#[test]
fn numbers_are_written_short() {
    for (text, len) in
        [("0", 2), ("-128", 2), ("128", 3), ("32768", 5), ("-2147483648", 5), ("2147483648", 11)]
    {
        let payload = dump(&Record::string(Bytes::from(text))).unwrap();
        assert_eq!(unseal(&payload).unwrap().len(), 1 + len, "{text}");
        assert_eq!(restore(&payload), string(text.as_bytes()));
    }
    for text in ["+1", "01", "-0", " 1", "1 "] {
        let payload = dump(&Record::string(Bytes::from(text))).unwrap();
        assert_eq!(restore(&payload), string(text.as_bytes()));
    }
}

fn fields(pairs: &[(&str, &str)]) -> Vec<Element> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    pairs.iter().map(|(name, value)| Element { name: bytes(name), value: bytes(value) }).collect()
}

#[test]
fn hashes_survive_the_round_trip() {
    let hash = fields(&[("a", "1"), ("", "text"), ("-4097", "123456789012")]);
    for large in [false, true] {
        let record = hash_record(0, large);
        let fields: Vec<Field> = hash.iter().map(|element| field(element, None)).collect();
        assert_eq!(restore(&dump_hash(&record, &fields)), Ok(Value::Hash(hash.clone())));
    }
}

fn hash_record(form: u8, large: bool) -> Record {
    Record { kind: Type::Hash, large, ..Record::string(Bytes::copy_from_slice(&[form])) }
}

fn field(element: &Element, expiry_ms: Option<u64>) -> Field {
    let Element { name, value } = element.clone();
    Field { name, value, expiry_ms }
}

#[test]
fn hashes_with_fields_that_expire_survive_the_round_trip() {
    let hash = fields(&[("a", "1"), ("", "text"), ("-4097", "123456789012")]);
    let expiries = [Some(5), Some(1_700_000_000_000), None];
    let hash: Vec<Field> = hash.iter().zip(expiries).map(|(element, when)| field(element, when)).collect();
    for (large, kind) in [(false, 25), (true, 24)] {
        let payload = dump_hash(&hash_record(2, large), &hash);
        assert_eq!(payload[0], kind);
        assert_eq!(restore(&payload), Ok(Value::ExpiringHash(hash.clone())));
        // Release candidates had no first expiry.
        if !large {
            let body = [&[23], &unseal(&payload).unwrap()[9..]].concat();
            assert_eq!(restore(&sealed(&body, VERSION_MAX)), Ok(Value::ExpiringHash(hash.clone())));
        }
    }
    let other: Vec<Field> = hash.iter().rev().cloned().collect();
    assert_eq!(dump_hash(&hash_record(2, false), &other), dump_hash(&hash_record(2, false), &hash));
    let one = Field { name: "f".into(), value: "v".into(), expiry_ms: Some(7) };
    let body = b"\x16\x01\x07\x01f\x01v";
    assert_eq!(restore(&sealed(body, VERSION_MAX)), Ok(Value::ExpiringHash(vec![one])));
}

#[test]
fn what_is_no_hash_is_refused() {
    for body in [
        &b"\x04"[..],
        b"\x04\x00",
        b"\x04\x01\x01a",
        b"\x04\x01\x01a\x01b\x00",
        b"\x04\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01a\x01b",
        b"\x10\x07\x07\0\0\0\0\0\xFF",                   // no fields
        b"\x10\x09\x09\0\0\0\x01\0\x01\x01\xFF",         // no value
        b"\x10\x0B\x0B\0\0\0\x03\0\x01\x01\x02\x01\xFF", // not as many as it tells
        b"\x10\x0B\x0C\0\0\0\x02\0\x01\x01\x02\x01\xFF", // not as long
        b"\x10\x0B\x0B\0\0\0\x02\0\x01\x01\x02\x02\xFF", // a wrong size behind an item
        b"\x10\x0B\x0B\0\0\0\x02\0\x01\x01\x02\x01\xFE",
        b"\x18\0\0\0\0\0\0\0\0\x00",
        b"\x18\x02\0\0\0\0\0\0\x01\x01\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01f\x01v", // beyond all time
        b"\x19\0\0\0\0\0\0\0\0\x0B\x0B\0\0\0\x02\0\x01\x01\x02\x01\xFF",               // no expiry
        b"\x19\x0B\x0B\0",
    ] {
        assert_eq!(restore(&sealed(body, VERSION)), Err(RdbError::Format), "{body:?}");
    }
    let good = b"\x10\x0B\x0B\0\0\0\x02\0\x01\x01\x02\x01\xFF";
    assert_eq!(restore(&sealed(good, VERSION)), Ok(Value::Hash(fields(&[("1", "2")]))));
}

fn set(form: u8, large: bool, members: &[&str]) -> (Bytes, Vec<Bytes>) {
    let record = Record { kind: Type::Set, large, ..Record::string(Bytes::copy_from_slice(&[form])) };
    let elements: Vec<Element> = fields(&members.iter().map(|name| (*name, "")).collect::<Vec<_>>());
    let names = elements.iter().map(|element| element.name.clone()).collect();
    (dump_set(&record, &elements), names)
}

#[test]
fn sets_survive_the_round_trip() {
    let numbers = ["-9223372036854775808", "-32769", "-1", "0", "7", "2147483648"];
    for (form, large, members) in
        [(0, false, &["a", "", "-1"][..]), (0, true, &["b", "5"]), (1, false, &numbers)]
    {
        let (payload, names) = set(form, large, members);
        let listpack = form == 0 && !large;
        assert_eq!(restore(&payload), Ok(Value::Set(Members { members: names, listpack })));
    }
    for (members, width) in [(&["-32768", "32767"][..], 2), (&["-1", "32768"], 4), (&["2147483648"], 8)] {
        let (payload, _) = set(1, false, members);
        assert_eq!(payload[2], width);
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for body in [
        &b"\x02"[..],
        b"\x02\x00",
        b"\x02\x02\x01a",
        b"\x0B\x08\x02\0\0\0\0\0\0\0",               // no members
        b"\x0B\x0A\x03\0\0\0\x01\0\0\0\x01\x01",     // no such width
        b"\x0B\x0A\x02\0\0\0\x02\0\0\0\x01\x01",     // not as many as it tells
        b"\x0B\x0C\x02\0\0\0\x02\0\0\0\x02\0\x01\0", // not in order
        b"\x14\x07\x07\0\0\0\0\0\xFF",
    ] {
        assert_eq!(restore(&sealed(body, VERSION)), Err(RdbError::Format), "{body:?}");
    }
}

proptest! {
    #[test]
    fn strings_survive_the_round_trip(text in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20_000),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i16>().prop_map(|number| number.to_string().into_bytes()),
    ]) {
        let payload = dump(&Record::string(text.clone().into())).unwrap();
        prop_assert_eq!(restore(&payload), string(&text));
    }

    #[test]
    fn random_bytes_never_panic(kind in prop_oneof![0u8..6, Just(11u8), 16..18u8, 20..26u8, any::<u8>()], encoding in any::<u8>(), noise: Vec<u8>) {
        let body = [&[kind, encoding], noise.as_slice()].concat();
        let _ = (restore(&sealed(&body, VERSION)), restore(&body));
    }

    #[test]
    fn random_compressed_strings_never_panic(noise in prop::collection::vec(any::<u8>(), 0..60), len in 0..300u16) {
        let [high, low] = (0x4000 | len).to_be_bytes();
        let body = [&[0, 0xC3, noise.len() as u8, high, low], noise.as_slice()].concat();
        if let Ok(Value::String(text)) = restore(&sealed(&body, VERSION)) {
            prop_assert_eq!(text.len(), usize::from(len));
        }
    }
}

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

fn any_stream() -> impl Strategy<Value = StreamValue> {
    let texts = || prop::collection::vec("[a-z0-9]{0,12}".prop_map(Bytes::from), 2);
    let entry = (1..5u64, 0..3u64, prop::collection::vec(texts(), 1..3));
    let entries = prop::collection::vec(entry, 0..12);
    let pending =
        prop::collection::btree_map((any::<u64>(), any::<u64>()), (any::<i64>(), any::<u64>()), 0..5);
    let consumer = (any::<i64>(), prop::option::of(0..i64::MAX), pending);
    let group = (any::<(u64, u64)>(), prop::option::of(0..u64::MAX), consumer);
    let groups = prop::collection::btree_map("[a-z]{0,3}".prop_map(Bytes::from), group, 0..3);
    (entries, 1..4usize, any::<[u64; 4]>(), groups).prop_map(
        |(entries, size, [ms, seq, more, added], groups)| {
            let mut last = id(ms / 2, seq);
            let entries = entries.into_iter().map(|(ms, seq, fields)| {
                last = id(last.ms + ms, seq);
                StreamEntry { id: last, fields: fields.concat() }
            });
            let entries: Vec<_> = entries.collect();
            let leaves = entries.chunks(size).map(|entries| LeafValue {
                first: entries[0].id,
                last: entries[entries.len() - 1].id,
                added: entries.len() as u64,
                entries: entries.to_vec(),
            });
            let leaves = leaves.collect();
            let groups =
                groups.into_iter().map(|(name, (last, entries_read, (seen_ms, active_ms, pending)))| {
                    let pending = pending
                        .into_iter()
                        .map(|((ms, seq), (at, times))| (id(ms, seq), at, times))
                        .collect();
                    let consumer = ConsumerValue { name: Bytes::from("c"), seen_ms, active_ms, pending };
                    GroupValue { name, last: id(last.0, last.1), entries_read, consumers: vec![consumer] }
                });
            let groups = groups.collect();
            StreamValue {
                leaves,
                last: id(last.ms, last.seq + more % 3),
                max_deleted: id(more, seq),
                added,
                groups,
            }
        },
    )
}

proptest! {
    #[test]
    fn streams_survive_the_round_trip(stream in any_stream()) {
        let payload = dump_stream(&stream, VERSION);
        prop_assert_eq!(restore(&payload), Ok(Value::Stream(stream.clone())));
        let payload = dump_stream(&stream, 10);
        let Ok(Value::Stream(second)) = restore(&payload) else { panic!("a stream") };
        prop_assert_eq!(second.leaves, stream.leaves);
    }

    #[test]
    fn damaged_streams_never_panic(stream in any_stream(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = unseal(&dump_stream(&stream, VERSION)).unwrap().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = restore(&sealed(&body, VERSION));
        let _ = restore(&sealed(&body[..at], VERSION));
    }
}
