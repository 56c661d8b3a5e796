//! A namespace and a hash that hold the same answer the same, whichever groups have its shards.

use std::collections::BTreeMap;

use commands::{
    Cx, lookup,
    namespace::{Spread, Task, encode_shards, joined},
};
use datatypes::{Slot, kv::SHARDS};
use resp::Reply;
use topology::namespace::{shard_key, shard_of, shards};

use crate::support::shard::{Shard, spelt_out};

/// A store of all shards.
struct Namespace {
    store: Shard,
}

impl Namespace {
    fn of_fields(count: usize) -> Self {
        let mut store = Shard::default();
        store.cx.db = 1 | SHARDS;
        for number in 0..count {
            let (field, value) = (format!("f{number}"), number.to_string());
            let key = shard_key(shard_of(field.as_bytes()), b"users");
            store.run(&[b"HSET", &key, field.as_bytes(), value.as_bytes()]);
        }
        Self { store }
    }

    /// As a group that has `shards` executes it.
    fn task(&mut self, command: &str, shards: &[Slot]) -> Reply {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let spec = lookup(words[0]).unwrap();
        let (shards, id) = (encode_shards(shards), (spec.id as u16).to_le_bytes());
        let args: Vec<&[u8]> = [&shards[..], &id].into_iter().chain(words[1..].iter().copied()).collect();
        let task = Task::decode(&args).expect("a task");
        assert_eq!(task.name(), Some(words[1]));
        let cx: Cx = self.store.cx;
        spelt_out(task.run(&mut self.store.kv, &cx).unwrap())
    }

    /// As the proxy joins what three groups answer.
    fn ask(&mut self, command: &str) -> Reply {
        let spec = lookup(command.split(' ').next().unwrap().as_bytes()).unwrap();
        let Some(Spread::Whole(join)) = spec.spread else { panic!("{command} is not about the whole") };
        let all: Vec<Slot> = shards().collect();
        let replies = all.chunks(400).map(|some| self.task(command, some)).collect();
        joined(join, replies)
    }
}

fn int(reply: &Reply) -> i64 {
    let Reply::Int(number) = reply else { panic!("{reply:?}") };
    *number
}

#[test]
fn the_whole_is_the_sum_of_its_shards() {
    let mut namespace = Namespace::of_fields(3000);
    assert_eq!(int(&namespace.ask("HLEN users")), 3000);
    assert_eq!(int(&namespace.ask("EXISTS users")), 1);
    assert_eq!(namespace.ask("TYPE users"), Reply::Simple("hash"));
    assert_eq!(int(&namespace.ask("TTL users")), -1);
    let Reply::Map(pairs) = namespace.ask("HGETALL users") else { panic!("a map") };
    assert_eq!(pairs.len(), 3000);
    let Reply::Array(keys) = namespace.ask("HKEYS users") else { panic!("an array") };
    assert_eq!(keys.len(), 3000);
    assert_eq!(int(&namespace.ask("DEL users")), 1);
    assert_eq!(int(&namespace.ask("DEL users")), 0);
    assert_eq!(int(&namespace.ask("HLEN users")), 0);
    assert_eq!(namespace.ask("TYPE users"), Reply::Simple("none"));
    assert_eq!(int(&namespace.ask("TTL users")), -2);
    assert_eq!(namespace.ask("HKEYS users"), Reply::Array(Vec::new()));
    assert!(namespace.store.kv.is_empty(), "nothing is left");
}

#[test]
fn a_scan_visits_every_field_once() {
    for (fields, count) in [(2000, 1), (2000, 100), (3, 10), (0, 10)] {
        let mut namespace = Namespace::of_fields(fields);
        let all: Vec<Slot> = shards().collect();
        let mut found: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let page = namespace.task(&format!("HSCAN users {cursor} COUNT {count}"), &all);
            let Reply::Array(page) = page else { panic!("{page:?}") };
            let [Reply::Bulk(next), Reply::Array(items)] = &page[..] else { panic!("{page:?}") };
            for field in items.chunks(2) {
                let Reply::Bulk(name) = &field[0] else { panic!("{field:?}") };
                *found.entry(name.to_vec()).or_default() += 1;
            }
            cursor = String::from_utf8(next.to_vec()).unwrap();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(found.len(), fields, "COUNT {count}");
        assert!(found.values().all(|&times| times == 1));
    }
}

#[test]
fn databases_keep_their_namespaces_apart() {
    let mut namespace = Namespace::of_fields(100);
    let store = &mut namespace.store;
    store.cx.db = 1;
    assert_eq!(int(&store.run(&[b"DBSIZE"])), 0);
    assert_eq!(store.run(&[b"KEYS", b"*"]), Reply::Array(Vec::new()));
    store.cx.db = 2;
    store.run(&[b"SET", b"k", b"v"]);
    assert_eq!(store.run(&[b"FLUSHDB"]), Reply::OK);
    assert_eq!(int(&namespace.ask("HLEN users")), 0, "of database 2");
    namespace.store.cx.db = 1 | SHARDS;
    assert_eq!(int(&namespace.ask("HLEN users")), 100);
    namespace.store.cx.db = 0;
    namespace.store.run(&[b"SWAPDB", b"1", b"5"]);
    namespace.store.cx.db = 5 | SHARDS;
    assert_eq!(int(&namespace.ask("HLEN users")), 100);
    namespace.store.cx.db = 5;
    namespace.store.run(&[b"FLUSHDB"]);
    assert!(namespace.store.kv.is_empty());
}
