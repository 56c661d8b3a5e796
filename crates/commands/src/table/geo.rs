//! Places: sorted sets whose scores are places on earth.

use crate::doc::{Arg, Group, block, double, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::DENYOOM;
use crate::handler::geo;
use crate::keyspec::key_flag::{ACCESS, OW, RO, RW, UPDATE};
use crate::keyspec::{KeySpec, key, target};
use crate::options;
use crate::spec::{at_least, read, write};
use crate::{Id, Spec};

const UNIT: &[Arg] = &[word("m", "M"), word("km", "KM"), word("ft", "FT"), word("mi", "MI")];
const PLACES: &[Arg] = &[key_arg("key", 0), string("member").optional().multiple()];
const COUNT_BLOCK: &[Arg] = &[integer("count").token("COUNT"), word("any", "ANY").since("6.2.0").optional()];
const ORDER: &[Arg] = &[word("asc", "ASC"), word("desc", "DESC")];
const STORE: &[Arg] = &[
    key_arg("storekey", 1).token("STORE").display("key"),
    key_arg("storedistkey", 2).token("STOREDIST").display("key"),
];
const COUNT_OR_ANY: &[Arg] = &[integer("count").token("COUNT"), word("any", "ANY").optional()];
const FROMLONLAT: &[Arg] = &[double("longitude"), double("latitude")];
const FROM: &[Arg] =
    &[string("member").token("FROMMEMBER"), block("fromlonlat", FROMLONLAT).token("FROMLONLAT")];
const CIRCLE: &[Arg] = &[double("radius").token("BYRADIUS"), one_of("unit", UNIT)];
const BOX: &[Arg] = &[double("width").token("BYBOX"), double("height"), one_of("unit", UNIT)];
const BY: &[Arg] = &[block("circle", CIRCLE), block("box", BOX)];
/// Of GEORADIUS.
const AROUND_POINT: &[Arg] = &[
    key_arg("key", 0),
    double("longitude"),
    double("latitude"),
    double("radius"),
    one_of("unit", UNIT),
    word("withcoord", "WITHCOORD").optional(),
    word("withdist", "WITHDIST").optional(),
    word("withhash", "WITHHASH").optional(),
    block("count-block", COUNT_BLOCK).optional(),
    one_of("order", ORDER).optional(),
    one_of("store", STORE).optional(),
];
/// Of GEORADIUSBYMEMBER.
const AROUND_MEMBER: &[Arg] = &[
    key_arg("key", 0),
    string("member"),
    double("radius"),
    one_of("unit", UNIT),
    word("withcoord", "WITHCOORD").optional(),
    word("withdist", "WITHDIST").optional(),
    word("withhash", "WITHHASH").optional(),
    block("count-block", COUNT_OR_ANY).optional(),
    one_of("order", ORDER).optional(),
    one_of("store", STORE).optional(),
];

/// The key of what is stored.
const fn result(word: &'static str, start: i8) -> KeySpec {
    target(word, start, &options::GEORADIUS, OW | UPDATE)
}

/// The arguments of the form that only reads: all but the last.
const fn without_store(args: &'static [Arg]) -> &'static [Arg] {
    match args.split_last() {
        Some((_, rest)) => rest,
        None => args,
    }
}

pub static ROWS: &[Spec] = &[
    write(Id::Geoadd, "geoadd", at_least(5), &[key(1, RW | UPDATE)], geo::geoadd)
        .flags(DENYOOM)
        .acl(category::GEO)
        .doc(
            Group::Geo,
            "3.2.0",
            "O(log(N)) for each member, where N is the size of the set",
            "Adds places to a sorted set, or moves them; creates the key if it is missing.",
        )
        .args(&[
            key_arg("key", 0),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).since("6.2.0").optional(),
            word("change", "CH").since("6.2.0").optional(),
            block("data", &[double("longitude"), double("latitude"), string("member")]).multiple(),
        ]),
    read(Id::Geodist, "geodist", at_least(4), &[key(1, RO | ACCESS)], geo::geodist)
        .acl(category::GEO)
        .doc(Group::Geo, "3.2.0", "O(1)", "Answers the distance between two members.")
        .args(&[key_arg("key", 0), string("member1"), string("member2"), one_of("unit", UNIT).optional()]),
    read(Id::Geohash, "geohash", at_least(2), &[key(1, RO | ACCESS)], geo::geohash)
        .acl(category::GEO)
        .doc(
            Group::Geo,
            "3.2.0",
            "O(1) for each member",
            "Answers the places of members as geohashes of 11 letters.",
        )
        .args(PLACES),
    read(Id::Geopos, "geopos", at_least(2), &[key(1, RO | ACCESS)], geo::geopos)
        .acl(category::GEO)
        .doc(Group::Geo, "3.2.0", "O(1) for each member", "Answers the longitudes and latitudes of members.")
        .args(PLACES),
    write(
        Id::Georadius,
        "georadius",
        at_least(6),
        &[key(1, RO | ACCESS), result("STORE", 6), result("STOREDIST", 6)],
        geo::georadius,
    )
    .flags(DENYOOM)
    .acl(category::GEO)
    .doc(
        Group::Geo,
        "3.2.0",
        "O(N+log(M)) where N is the number of members around the circle and M the size of the set",
        "Finds the members in a circle, and may store them.",
    )
    .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")
    .args(AROUND_POINT),
    read(Id::GeoradiusRo, "georadius_ro", at_least(6), &[key(1, RO | ACCESS)], geo::georadius_ro)
        .acl(category::GEO)
        .doc(
            Group::Geo,
            "3.2.10",
            "O(N+log(M)) where N is the number of members around the circle and M the size of the set",
            "Finds the members in a circle.",
        )
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
        .args(without_store(AROUND_POINT)),
    write(
        Id::Georadiusbymember,
        "georadiusbymember",
        at_least(5),
        &[key(1, RO | ACCESS), result("STORE", 5), result("STOREDIST", 5)],
        geo::georadiusbymember,
    )
    .flags(DENYOOM)
    .acl(category::GEO)
    .doc(
        Group::Geo,
        "3.2.0",
        "O(N+log(M)) where N is the number of members around the circle and M the size of the set",
        "Finds the members in a circle around one of them, and may store them.",
    )
    .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments")
    .args(AROUND_MEMBER),
    read(
        Id::GeoradiusbymemberRo,
        "georadiusbymember_ro",
        at_least(5),
        &[key(1, RO | ACCESS)],
        geo::georadiusbymember_ro,
    )
    .acl(category::GEO)
    .doc(
        Group::Geo,
        "3.2.10",
        "O(N+log(M)) where N is the number of members around the circle and M the size of the set",
        "Finds the members in a circle around one of them.",
    )
    .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")
    .args(without_store(AROUND_MEMBER)),
    read(Id::Geosearch, "geosearch", at_least(7), &[key(1, RO | ACCESS)], geo::geosearch)
        .acl(category::GEO)
        .doc(
            Group::Geo,
            "6.2.0",
            "O(N+log(M)) where N is the number of members around the area and M the size of the set",
            "Finds the members in a circle or a box.",
        )
        .args(&[
            key_arg("key", 0),
            one_of("from", FROM),
            one_of("by", BY),
            one_of("order", ORDER).optional(),
            block("count-block", COUNT_OR_ANY).optional(),
            word("withcoord", "WITHCOORD").optional(),
            word("withdist", "WITHDIST").optional(),
            word("withhash", "WITHHASH").optional(),
        ]),
    write(
        Id::Geosearchstore,
        "geosearchstore",
        at_least(8),
        &[key(1, OW | UPDATE), key(2, RO | ACCESS)],
        geo::geosearchstore,
    )
    .flags(DENYOOM)
    .acl(category::GEO)
    .doc(
        Group::Geo,
        "6.2.0",
        "O(N+log(M)) where N is the number of members around the area and M the size of the set",
        "Stores the members in a circle or a box of another sorted set.",
    )
    .args(&[
        key_arg("destination", 0),
        key_arg("source", 1),
        one_of("from", FROM),
        one_of("by", BY),
        one_of("order", ORDER).optional(),
        block("count-block", COUNT_OR_ANY).optional(),
        word("storedist", "STOREDIST").optional(),
    ]),
];
