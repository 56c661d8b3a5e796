//! Random places and searches, here and on a real redis-server: the replies must be equal, but for the
//! order of what has none.

use proptest::prelude::*;
use std::cell::RefCell;

use crate::support::differential::{argv, at_least};
use crate::support::server::Server;
use crate::support::shard::Shard;
use crate::support::text::show;
use resp::Reply;

type Words = Vec<String>;

fn words(text: &[&str]) -> Words {
    text.iter().map(|&word| word.to_owned()).collect()
}

/// Places all over the map, many at its edges and in one town.
fn place() -> impl Strategy<Value = Words> {
    let longitude = prop_oneof![
        -180.0..=180.0,
        13.0..13.2,
        prop::sample::select(vec![-180.0, 180.0, 0.0, -179.999, 179.999]),
    ];
    let latitude =
        prop_oneof![-85.0..=85.0, 52.0..52.1, prop::sample::select(vec![-85.05, 85.05, 0.0, 66.5, -80.5]),];
    (longitude, latitude)
        .prop_map(|(longitude, latitude): (f64, f64)| vec![longitude.to_string(), latitude.to_string()])
}

fn add() -> impl Strategy<Value = Words> {
    prop::collection::vec((place(), 0..60u8), 1..20).prop_map(|places| {
        let places = places.into_iter().flat_map(|(mut place, member)| {
            place.push(format!("m{member}"));
            place
        });
        words(&["GEOADD", "{g}1"]).into_iter().chain(places).collect()
    })
}

fn size() -> impl Strategy<Value = String> {
    prop_oneof![0.0..10.0, 0.0..1000.0, 0.0..8000.0, 0.0..50_000.0, Just(0.0)]
        .prop_map(|size: f64| size.to_string())
}

fn search() -> impl Strategy<Value = Words> {
    let from = prop_oneof![
        place().prop_map(|place| [words(&["FROMLONLAT"]), place].concat()),
        (0..60u8).prop_map(|member| vec!["FROMMEMBER".to_owned(), format!("m{member}")]),
    ];
    let unit = || prop::sample::select(vec!["km", "mi", "m", "FT"]).prop_map(str::to_owned);
    let by = prop_oneof![
        (size(), unit()).prop_map(|(radius, unit)| vec!["BYRADIUS".to_owned(), radius, unit]),
        (size(), size(), unit()).prop_map(|(width, height, unit)| vec![
            "BYBOX".to_owned(),
            width,
            height,
            unit
        ]),
    ];
    let options = prop::collection::vec(
        prop::sample::select(vec!["ASC", "DESC", "WITHDIST", "WITHHASH", "WITHCOORD"]),
        0..4,
    );
    (prop::sample::select(vec!["GEOSEARCH", "GEOSEARCHSTORE"]), from, by, options).prop_map(
        |(name, from, by, options)| match name {
            "GEOSEARCH" => [words(&[name, "{g}1"]), from, by, words(&options)].concat(),
            _ => [words(&[name, "{g}2", "{g}1"]), from, by].concat(),
        },
    )
}

fn question() -> impl Strategy<Value = Words> {
    let member = || (0..60u8).prop_map(|member| format!("m{member}"));
    prop_oneof![
        4 => search(),
        1 => member().prop_map(|member| vec!["GEOPOS".to_owned(), "{g}1".to_owned(), member]),
        1 => member().prop_map(|member| vec!["GEOHASH".to_owned(), "{g}1".to_owned(), member]),
        2 => (member(), member()).prop_map(|(a, b)| vec!["GEODIST".to_owned(), "{g}1".to_owned(), a, b]),
        1 => Just(words(&["ZRANGE", "{g}2", "0", "-1", "WITHSCORES"])),
    ]
}

/// Members at the same distance are in no particular order.
fn unordered(argv: &Words, reply: &Reply) -> String {
    match reply {
        Reply::Array(items) if argv[0] == "GEOSEARCH" => {
            let mut items: Vec<String> = items.iter().map(show).collect();
            items.sort();
            items.join(" ")
        }
        _ => show(reply),
    }
}

#[test]
fn random_searches_are_answered_as_by_redis() {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    let commands = (prop::collection::vec(add(), 1..8), prop::collection::vec(question(), 1..40));
    proptest!(at_least(600), |((adds, questions) in commands)| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        for command in adds.iter().chain(&questions) {
            let argv = argv(command);
            let (ours, theirs) = (shard.run(&argv), server.run(&argv));
            prop_assert_eq!(unordered(command, &ours), unordered(command, &theirs), "{:?} after {:?}", command, adds);
        }
        shard.check_invariants();
    });
}
