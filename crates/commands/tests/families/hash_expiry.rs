//! Hashes whose fields expire, against a model: no server at hand knows them.

use std::collections::BTreeMap;

use crate::support::shard::Shard;
use crate::support::text::show;
use bytes::Bytes;
use datatypes::collection::SmallLimits;
use proptest::prelude::*;
use proptest::sample::select;
use resp::Reply;

const FIELDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Debug, Clone)]
enum Step {
    Set(Vec<&'static str>),
    Delete(&'static str),
    Increment(&'static str),
    Expire(&'static str, &'static str, u64),
    Persist(&'static str),
    GetAndExpire(&'static str, u64),
    GetAndDelete(&'static str),
    SetExpiring(&'static str, bool, u64),
    Rename,
    Copy,
    Restore,
    ExpireKey(u64),
    Advance(u64),
    ActiveExpire(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let field = || select(&FIELDS[..]);
    let ms = || prop_oneof![1 => Just(0u64), 9 => 1..40u64];
    prop_oneof![
        4 => prop::collection::vec(field(), 1..4).prop_map(Step::Set),
        2 => field().prop_map(Step::Delete),
        2 => field().prop_map(Step::Increment),
        8 => (field(), select(vec!["", "NX", "XX", "GT", "LT"]), ms())
            .prop_map(|(field, condition, ms)| Step::Expire(field, condition, ms)),
        1 => field().prop_map(Step::Persist),
        2 => (field(), ms()).prop_map(|(field, ms)| Step::GetAndExpire(field, ms)),
        1 => field().prop_map(Step::GetAndDelete),
        4 => (field(), any::<bool>(), ms()).prop_map(|(field, keep, ms)| Step::SetExpiring(field, keep, ms)),
        1 => Just(Step::Rename),
        1 => Just(Step::Copy),
        1 => Just(Step::Restore),
        1 => (1..200u64).prop_map(Step::ExpireKey),
        4 => (0..20u64).prop_map(Step::Advance),
        2 => (1..4usize).prop_map(Step::ActiveExpire),
    ]
}

/// Fields with value and expiry, and when the key goes.
#[derive(Default)]
struct Model {
    fields: BTreeMap<&'static str, (i64, Option<u64>)>,
    expiry_ms: Option<u64>,
}

struct World {
    shard: Shard,
    model: Model,
    /// Each value is another.
    next: i64,
}

impl World {
    fn new(entries: u64) -> Self {
        let mut shard = Shard::default();
        shard.cx.limits.hash = SmallLimits { entries, value_bytes: 64 };
        Self { shard, model: Model::default(), next: 0 }
    }

    fn run(&mut self, line: &str) -> String {
        let argv: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        show(&self.shard.run(&argv))
    }

    fn forget_what_expired(&mut self) {
        let now_ms = self.shard.cx.now_ms;
        if self.model.expiry_ms.is_some_and(|when| when <= now_ms) {
            self.model.fields.clear();
        }
        self.model.fields.retain(|_, (_, expiry_ms)| expiry_ms.is_none_or(|when| when > now_ms));
        if self.model.fields.is_empty() {
            self.model.expiry_ms = None;
        }
    }

    /// What HEXPIRE answers and does.
    fn expire(&mut self, field: &'static str, condition: &str, when: u64) -> i64 {
        let Some((_, expiry_ms)) = self.model.fields.get_mut(field) else { return -2 };
        let met = match (condition, *expiry_ms) {
            ("NX", current) => current.is_none(),
            ("XX", current) => current.is_some(),
            ("GT", current) => current.is_some_and(|current| when > current),
            ("LT", current) => current.is_none_or(|current| when < current),
            _ => true,
        };
        if !met {
            return 0;
        }
        *expiry_ms = Some(when);
        if when > self.shard.cx.now_ms { 1 } else { 2 }
    }

    fn value(&self, field: &str) -> String {
        self.model.fields.get(field).map_or("nil".to_owned(), |(value, _)| format!("\"{value}\""))
    }

    fn take(&mut self, step: &Step) {
        self.forget_what_expired();
        let now_ms = self.shard.cx.now_ms;
        self.next += 1;
        let next = self.next;
        match step {
            Step::Set(fields) => {
                let (mut line, mut created) = ("HSET h".to_owned(), 0);
                for field in fields {
                    line += &format!(" {field} {next}");
                    created += i64::from(self.model.fields.insert(field, (next, None)).is_none());
                }
                assert_eq!(self.run(&line), format!(":{created}"));
            }
            Step::Delete(field) => {
                let deleted = i64::from(self.model.fields.remove(field).is_some());
                assert_eq!(self.run(&format!("HDEL h {field}")), format!(":{deleted}"));
            }
            Step::Increment(field) => {
                let value = self.model.fields.entry(field).or_insert((0, None));
                value.0 += 1;
                let sum = value.0;
                assert_eq!(self.run(&format!("HINCRBY h {field} 1")), format!(":{sum}"));
            }
            Step::Expire(field, condition, ms) => {
                let result = self.expire(field, condition, now_ms + ms);
                let line = format!("HPEXPIRE h {ms} {condition} FIELDS 1 {field}");
                assert_eq!(self.run(&line), format!("[:{result}]"));
            }
            Step::Persist(field) => {
                let result = match self.model.fields.get_mut(field) {
                    None => -2,
                    Some((_, expiry_ms)) => expiry_ms.take().map_or(-1, |_| 1),
                };
                assert_eq!(self.run(&format!("HPERSIST h FIELDS 1 {field}")), format!("[:{result}]"));
            }
            Step::GetAndExpire(field, ms) => {
                let value = self.value(field);
                self.expire(field, "", now_ms + ms);
                assert_eq!(self.run(&format!("HGETEX h PX {ms} FIELDS 1 {field}")), format!("[{value}]"));
            }
            Step::GetAndDelete(field) => {
                let value = self.value(field);
                self.model.fields.remove(field);
                assert_eq!(self.run(&format!("HGETDEL h FIELDS 1 {field}")), format!("[{value}]"));
            }
            Step::SetExpiring(field, keep, ms) => {
                let old = self.model.fields.get(field).and_then(|(_, expiry_ms)| *expiry_ms);
                let expiry_ms = if *keep { old } else { Some(now_ms + ms) };
                self.model.fields.insert(field, (next, expiry_ms));
                let option = if *keep { "KEEPTTL".to_owned() } else { format!("PX {ms}") };
                assert_eq!(self.run(&format!("HSETEX h {option} FIELDS 1 {field} {next}")), ":1");
            }
            Step::Rename => {
                self.run("RENAME h {h}2");
                self.run("RENAME {h}2 h");
            }
            Step::Copy => {
                self.run("COPY h {h}2");
                self.run("DEL h");
                self.run("RENAME {h}2 h");
            }
            Step::Restore => {
                if let Reply::Bulk(payload) = self.shard.run(&[b"DUMP", b"h"]) {
                    let reply = self.shard.run(&[b"RESTORE", b"h", b"0", &payload, b"REPLACE"]);
                    assert_eq!(reply, Reply::OK);
                    self.model.expiry_ms = None;
                }
            }
            Step::ExpireKey(ms) => {
                let is_there = !self.model.fields.is_empty();
                assert_eq!(self.run(&format!("PEXPIRE h {ms}")), format!(":{}", i64::from(is_there)));
                if is_there {
                    self.model.expiry_ms = Some(now_ms + ms);
                }
            }
            Step::Advance(ms) => self.shard.cx.now_ms += ms,
            Step::ActiveExpire(limit) => {
                datatypes::active_expire(&mut self.shard.kv, now_ms, *limit).unwrap();
            }
        }
        self.forget_what_expired();
        self.check();
    }

    fn check(&mut self) {
        self.shard.check_invariants();
        assert_eq!(self.run("HLEN h"), format!(":{}", self.model.fields.len()));
        assert_eq!(self.run("EXISTS h"), format!(":{}", i64::from(!self.model.fields.is_empty())));
        let ttl = match self.model.expiry_ms {
            _ if self.model.fields.is_empty() => -2,
            None => -1,
            Some(when) => when.cast_signed(),
        };
        assert_eq!(self.run("PEXPIRETIME h"), format!(":{ttl}"));
        for field in FIELDS {
            let expected = match self.model.fields.get(field) {
                None => -2,
                Some((_, expiry_ms)) => expiry_ms.map_or(-1, u64::cast_signed),
            };
            assert_eq!(self.run(&format!("HPEXPIRETIME h FIELDS 1 {field}")), format!("[:{expected}]"));
            let value = self.value(field);
            assert_eq!(self.run(&format!("HGET h {field}")), value);
        }
        let Reply::Array(names) = self.shard.run(&[b"HKEYS", b"h"]) else { panic!("an array") };
        let mut names: Vec<String> = names.iter().map(|name| show(name).replace('"', "")).collect();
        names.sort();
        assert_eq!(names, self.model.fields.keys().copied().collect::<Vec<_>>());
        let Reply::Array(sample) = self.shard.run(&[b"HRANDFIELD", b"h", b"9"]) else { panic!("an array") };
        assert_eq!(sample.len(), names.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_commands_are_answered_as_by_the_model(
        steps in prop::collection::vec(step(), 1..60), entries in select(vec![0u64, 3, 100]),
    ) {
        let mut world = World::new(entries);
        for step in &steps {
            world.take(step);
        }
        world.shard.cx.now_ms += 10_000;
        datatypes::active_expire(&mut world.shard.kv, world.shard.cx.now_ms, usize::MAX).unwrap();
        world.forget_what_expired();
        world.check();
        world.run("DEL h");
        prop_assert!(world.shard.kv.is_empty());
    }
}

fn dumped(shard: &mut Shard) -> Bytes {
    match shard.run(&[b"DUMP", b"h"]) {
        Reply::Bulk(payload) => payload,
        other => panic!("no payload: {other:?}"),
    }
}

#[test]
fn a_payload_brings_expiries_along_but_no_fields_that_have_expired() {
    for entries in [1, 100] {
        let mut world = World::new(entries);
        world.run("HSET h a 1 b 2 c 3");
        world.run("HPEXPIRE h 100 FIELDS 1 a");
        world.run("HPEXPIRE h 50 FIELDS 1 b");
        let payload = dumped(&mut world.shard);
        world.shard.cx.now_ms += 50;
        let restore = [b"RESTORE", &b"{h}2"[..], b"0", &payload, b"REPLACE"];
        assert_eq!(world.shard.run(&restore), Reply::OK);
        assert_eq!(world.run("HPTTL {h}2 FIELDS 3 a b c"), "[:50, :-2, :-1]");
        world.run("HDEL h c");
        let payload = dumped(&mut world.shard);
        world.shard.cx.now_ms += 50;
        let restore = [b"RESTORE", &b"{h}2"[..], b"0", &payload, b"REPLACE"];
        assert_eq!(world.shard.run(&restore), Reply::OK);
        assert_eq!(world.run("EXISTS {h}2"), ":0");
        world.shard.check_invariants();
    }
}

#[test]
fn fields_of_a_large_hash_leave_the_store_in_steps() {
    let mut world = World::new(10);
    for number in 0..1000 {
        world.run(&format!("HSETEX h PX {} FIELDS 1 {number} v", number + 1));
    }
    assert_eq!(world.run("OBJECT ENCODING h"), "\"hashtable\"");
    world.shard.cx.now_ms += 600;
    assert_eq!(world.run("HLEN h"), ":400");
    let mut steps = 0;
    while datatypes::active_expire(&mut world.shard.kv, world.shard.cx.now_ms, 100).unwrap() == 100 {
        steps += 1;
        assert_eq!(world.run("HLEN h"), ":400");
    }
    assert_eq!(steps, 6);
    world.shard.check_invariants();
    let pairs_left = world.shard.kv.len();
    assert_eq!(pairs_left, 1 + 1 + 400 + 400, "head, index entry, fields, and when each expires");
    world.shard.cx.now_ms += 400;
    assert_eq!(world.run("EXISTS h"), ":0");
    assert_eq!(datatypes::active_expire(&mut world.shard.kv, world.shard.cx.now_ms, 1000).unwrap(), 400);
    assert!(world.shard.kv.is_empty());
}

#[test]
fn what_expires_as_it_is_set_is_announced_as_set_and_taken() {
    let mut shard = Shard::default();
    shard.kv.listen();
    for (line, events) in [
        ("HSETEX h PX 0 FIELDS 1 f v", &["hset", "hdel", "del"][..]),
        ("HSETEX h FIELDS 2 f v g v", &["new", "hset"]),
        ("HSETEX h EXAT 1 FIELDS 1 f v", &["hset", "hdel"]),
        ("HSETEX h PX 9 FIELDS 1 g v", &["hset", "hexpire"]),
    ] {
        let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(show(&shard.run(&argv)), ":1", "{line}");
        let announced: Vec<_> = shard.kv.take_announced().iter().map(|told| told.event.name).collect();
        assert_eq!(announced, events, "{line}");
    }
}
