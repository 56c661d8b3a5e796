//! Random commands on lists, here and on a real redis-server, with limits so small that lists become
//! large and small all the time: the replies must be equal.

use std::cell::RefCell;

use crate::support::differential::{argv, at_least};
use crate::support::server::Server;
use crate::support::shard::Shard;
use crate::support::text::show;
use datatypes::ListLimit;
use proptest::prelude::*;

type Words = BoxedStrategy<Vec<String>>;

const KEYS: [&str; 3] = ["{k}1", "{k}2", "{k}3"];

fn element() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&["a", "b", "c", "", "1", "-4", "007", "6000000000", "12"][..]);
    let long = (prop::sample::select(&["x", "y"][..]), 1..3000usize);
    prop_oneof![
        20 => word.prop_map(str::to_owned),
        3 => (0..2000i64).prop_map(|number| number.to_string()),
        1 => long.prop_map(|(letter, len)| letter.repeat(len)),
    ]
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn index() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (-12..12i64).prop_map(|index| index.to_string()),
        2 => (-200..200i64).prop_map(|index| index.to_string()),
        1 => one_of(&["-9223372036854775807", "9223372036854775807", "x"]),
    ]
}

fn joined(parts: Vec<Words>) -> Words {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn one(word: impl Strategy<Value = String> + 'static) -> Words {
    word.prop_map(|word| vec![word]).boxed()
}

fn command() -> Words {
    let key = || one(one_of(&KEYS));
    let end = || one(one_of(&["LEFT", "RIGHT"]));
    let elements = |most| prop::collection::vec(element(), 1..most).boxed();
    let named = |names: &'static [&'static str]| one(one_of(names));
    let option = || joined(vec![one(one_of(&["RANK", "COUNT", "MAXLEN"])), one(index())]);
    let pop_many = (1..3usize, end(), prop::option::of(0..9u32)).prop_map(|(number, end, count)| {
        let keys = KEYS[..number].iter().map(|&key| key.to_owned());
        let count = count.map(|count| ["COUNT".to_owned(), count.to_string()]);
        let words = [number.to_string()].into_iter().chain(keys).chain(end);
        words.chain(count.into_iter().flatten()).collect::<Vec<_>>()
    });
    prop_oneof![
        8 => joined(vec![named(&["LPUSH", "RPUSH"]), key(), elements(12)]),
        2 => joined(vec![named(&["LPUSH", "RPUSH"]), key(), elements(80)]),
        1 => joined(vec![named(&["LPUSHX", "RPUSHX"]), key(), elements(3)]),
        4 => joined(vec![named(&["LPOP", "RPOP"]), key()]),
        2 => joined(vec![named(&["LPOP", "RPOP"]), key(), one(index())]),
        3 => joined(vec![named(&["LRANGE"]), key(), one(index()), one(index())]),
        1 => joined(vec![named(&["LTRIM"]), key(), one(index()), one(index())]),
        2 => joined(vec![named(&["LINDEX"]), key(), one(index())]),
        3 => joined(vec![named(&["LSET"]), key(), one(index()), one(element())]),
        3 => joined(vec![named(&["LINSERT"]), key(), named(&["BEFORE", "AFTER"]), elements(2), one(element())]),
        3 => joined(vec![named(&["LREM"]), key(), one(index()), one(element())]),
        2 => joined(vec![named(&["LPOS"]), key(), one(element())]),
        2 => joined(vec![named(&["LPOS"]), key(), one(element()), option(), option()]),
        3 => joined(vec![named(&["LMOVE"]), key(), key(), end(), end()]),
        2 => joined(vec![named(&["RPOPLPUSH"]), key(), key()]),
        2 => joined(vec![named(&["LMPOP"]), pop_many.boxed()]),
        1 => joined(vec![named(&["RENAME", "RENAMENX", "COPY"]), key(), key()]),
        2 => joined(vec![named(&["LLEN", "TYPE", "EXISTS"]), key()]),
        1 => joined(vec![named(&["DEL", "DEL", "GET"]), key()]),
    ]
    .boxed()
}

#[test]
fn random_commands_on_lists_are_answered_as_by_redis() {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    let option = prop::sample::select(&[-2, -1, 0, 1, 5, 40][..]);
    proptest!(at_least(600), |(commands in prop::collection::vec(command(), 1..60), option in option)| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        shard.cx.limits.list = ListLimit::of_option(option);
        for words in commands.iter().chain(&last_looks()) {
            let argv = argv(words);
            let (ours, theirs) = (shard.run(&argv), server.run(&argv));
            prop_assert_eq!(show(&ours), show(&theirs), "{:?}", commands);
            shard.check_invariants();
        }
    });
}

fn last_looks() -> Vec<Vec<String>> {
    KEYS.iter().map(|key| ["LRANGE", key, "0", "-1"].map(str::to_owned).to_vec()).collect()
}
