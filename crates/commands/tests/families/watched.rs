//! Who watches a key, or waits for it, learns of every change of its value: the head record is written,
//! or the store is told ([`KvMut::modified`]), also where only parts of a large value change.

use crate::support::shard::Shard;
use bytes::Bytes;
use commands::{Args, Handler, resolve};
use datatypes::collection::SmallLimits;
use datatypes::kv::{StoreError, Visit};
use datatypes::mem::MemKv;
use datatypes::{Kv, KvMut, ListLimit, key};

/// A store that knows which head records were written, or said to have changed.
struct Telling<'a> {
    kv: &'a mut MemKv,
    told: Vec<Bytes>,
}

impl Kv for Telling<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.kv.get(key)
    }

    fn scan(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.kv.scan(from, to, visit)
    }

    fn scan_back(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.kv.scan_back(from, to, visit)
    }

    fn key_count(&self, db: u8) -> u64 {
        self.kv.key_count(db)
    }
}

impl KvMut for Telling<'_> {
    fn put(&mut self, key: Bytes, value: Bytes) {
        self.told.push(key.clone());
        self.kv.put(key, value);
    }

    fn delete(&mut self, key: Bytes) {
        self.told.push(key.clone());
        self.kv.delete(key);
    }

    fn delete_range(&mut self, from: Bytes, to: Bytes) {
        self.kv.delete_range(from, to);
    }

    fn modified(&mut self, head: &[u8]) {
        self.told.push(Bytes::copy_from_slice(head));
    }

    fn add_key_count(&mut self, db: u8, delta: i64) {
        self.kv.add_key_count(db, delta);
    }

    fn as_kv(&mut self) -> &mut dyn Kv {
        self
    }
}

/// Executes a command on the key `k`; whether those who watch it learn of a change.
fn tells(shard: &mut Shard, line: &str) -> bool {
    let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let spec = resolve(&argv).unwrap_or_else(|error| panic!("{line}: {error}"));
    let Some(Handler::Write(write)) = spec.handler() else { panic!("{line} writes nothing") };
    let args = Args::new(&argv[1..]);
    let mut kv = Telling { kv: &mut shard.kv, told: Vec::new() };
    write(&mut kv, &args, &shard.cx).unwrap_or_else(|error| panic!("{line}: {error}"));
    let told = kv.told.contains(&key::head(shard.cx.db, b"k"));
    shard.check_invariants();
    told
}

/// Runs a script: lines that begin with `+` must tell of a change, those with `-` must not, others
/// prepare.
fn check(script: &str) {
    let mut shard = Shard::default();
    let small = SmallLimits { entries: 2, value_bytes: 64 };
    (shard.cx.limits.hash, shard.cx.limits.set, shard.cx.limits.sorted_set) = (small, small, small);
    (shard.cx.limits.set_integers, shard.cx.limits.list) = (2, ListLimit::of_option(2));
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (expected, command) = match line.split_at(1) {
            ("+", command) => (Some(true), command.trim()),
            ("-", command) => (Some(false), command.trim()),
            _ => (None, line),
        };
        let told = tells(&mut shard, command);
        assert!(expected.is_none_or(|expected| expected == told), "{line}");
    }
}

#[test]
fn hashes_tell() {
    check(
        "HSET k a 1 b 2 c 3 d 4
        + HSET k b 5
        + HINCRBY k b 1
        - HDEL k none
        - HSETNX k b 7
        + HDEL k b
        + HPEXPIRE k 5000 FIELDS 1 a
        + HPERSIST k FIELDS 1 a
        - HPERSIST k FIELDS 1 a",
    );
}

#[test]
fn sets_tell() {
    check(
        "SADD k a b c d
        - SADD k a
        + SADD k e
        - SREM k none
        + SREM k a
        + SPOP k",
    );
}

#[test]
fn lists_tell() {
    let elements: Vec<String> = (0..2000).map(|at| format!("element-{at}")).collect();
    check(&format!(
        "RPUSH k {}
        + LSET k 1000 other
        + LSET k 0 other
        + LSET k -1 other
        - LINSERT k BEFORE none other
        + LINSERT k AFTER element-900 other
        - LREM k 0 none
        + LREM k 0 element-950
        + LPOP k
        + RPUSH k more
        + LTRIM k 5 -5
        + LTRIM k 0 -1
        + LMOVE k k LEFT RIGHT",
        elements.join(" ")
    ));
}

#[test]
fn sorted_sets_tell() {
    check(
        "ZADD k 1 a 2 b 3 c 4 d
        + ZADD k 5 a
        - ZADD k 5 a
        - ZADD k NX 6 a
        + ZADD k XX 5.5 a
        + ZINCRBY k 1 b
        + ZADD k 7 e
        - ZREM k none
        + ZREM k e
        + ZPOPMIN k
        - ZREMRANGEBYSCORE k 100 200
        + ZREMRANGEBYRANK k 0 0",
    );
    check(
        "GEOADD k 13.361389 38.115556 a 15.087269 37.502669 b 1 1 c 2 2 d
        + GEOADD k 14 38 a
        - GEOADD k 14 38 a",
    );
}

#[test]
fn streams_tell() {
    check(
        "XADD k 1-1 f v
        + XADD k 2-1 f v
        + XADD k 3-1 f v
        + XGROUP CREATE k g 0
        + XGROUP CREATECONSUMER k g a
        - XGROUP CREATECONSUMER k g a
        XREADGROUP GROUP g a STREAMS k >
        + XACK k g 1-1
        - XACK k g 1-1
        + XCLAIM k g b 0 2-1
        + XAUTOCLAIM k g c 0 0
        + XGROUP DELCONSUMER k g a
        + XGROUP SETID k g 1
        - XGROUP SETID k g 1
        - XDEL k 9-9
        + XDEL k 1-1
        - XTRIM k MAXLEN 5
        + XTRIM k MAXLEN 1
        + XSETID k 9-9
        + XGROUP DESTROY k g
        - XGROUP DESTROY k g",
    );
}
