//! Sorted sets: ranks and ranges.

use crate::doc::{Arg, Group, block, double, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::sorted_set;
use crate::keyspec::key;
use crate::keyspec::key_flag::{ACCESS, DELETE, OW, RO, RW, UPDATE};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Spec};

const SCORES: &[Arg] = &[key_arg("key", 0), double("min"), double("max")];
const BYTES: &[Arg] = &[key_arg("key", 0), string("min"), string("max")];
const SORTBY: &[Arg] = &[word("byscore", "BYSCORE"), word("bylex", "BYLEX")];
const LIMIT: &[Arg] = &[integer("offset"), integer("count")];
const RANKED: &[Arg] =
    &[key_arg("key", 0), string("member"), word("withscore", "WITHSCORE").since("7.2.0").optional()];

pub static ROWS: &[Spec] = &[
    read(Id::Zcount, "zcount", exactly(4), &[key(1, RO | ACCESS)], sorted_set::zcount)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "2.0.0",
            "O(log(N)) where N is the size of the set",
            "Counts the members whose scores are in a range.",
        )
        .args(SCORES),
    read(Id::Zlexcount, "zlexcount", exactly(4), &[key(1, RO | ACCESS)], sorted_set::zlexcount)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "2.8.9",
            "O(log(N)) where N is the size of the set",
            "Counts the members in a range of bytes; all must have the same score.",
        )
        .args(BYTES),
    read(Id::Zrange, "zrange", at_least(4), &[key(1, RO | ACCESS)], sorted_set::zrange)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.2.0",
            "O(log(N)+M) where N is the size of the set and M the number of members answered",
            "Answers the members in a range of ranks, scores or bytes.",
        )
        .args(&[
            key_arg("key", 0),
            string("start"),
            string("stop"),
            one_of("sortby", SORTBY).since("6.2.0").optional(),
            word("rev", "REV").since("6.2.0").optional(),
            block("limit", LIMIT).token("LIMIT").since("6.2.0").optional(),
            word("withscores", "WITHSCORES").optional(),
        ]),
    read(Id::Zrangebylex, "zrangebylex", at_least(4), &[key(1, RO | ACCESS)], sorted_set::zrangebylex)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "2.8.9",
            "O(log(N)+M) where N is the size of the set and M the number of members answered",
            "Answers the members in a range of bytes; all must have the same score.",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument")
        .args(&[
            key_arg("key", 0),
            string("min"),
            string("max"),
            block("limit", LIMIT).token("LIMIT").optional(),
        ]),
    read(Id::Zrangebyscore, "zrangebyscore", at_least(4), &[key(1, RO | ACCESS)], sorted_set::zrangebyscore)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.0.5",
            "O(log(N)+M) where N is the size of the set and M the number of members answered",
            "Answers the members whose scores are in a range.",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument")
        .args(&[
            key_arg("key", 0),
            double("min"),
            double("max"),
            word("withscores", "WITHSCORES").since("2.0.0").optional(),
            block("limit", LIMIT).token("LIMIT").optional(),
        ]),
    write(
        Id::Zrangestore,
        "zrangestore",
        at_least(5),
        &[key(1, OW | UPDATE), key(2, RO | ACCESS)],
        sorted_set::zrangestore,
    )
    .flags(DENYOOM)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "6.2.0",
        "O(log(N)+M) where N is the size of the set and M the number of members stored",
        "Stores the members in a range of another sorted set.",
    )
    .args(&[
        key_arg("dst", 0),
        key_arg("src", 1),
        string("min"),
        string("max"),
        one_of("sortby", SORTBY).optional(),
        word("rev", "REV").optional(),
        block("limit", LIMIT).token("LIMIT").optional(),
    ]),
    read(Id::Zrank, "zrank", at_least(3), &[key(1, RO | ACCESS)], sorted_set::zrank)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "2.0.0",
            "O(log(N)) where N is the size of the set",
            "Answers the rank of a member, counted from the least score.",
        )
        .args(RANKED),
    write(
        Id::Zremrangebylex,
        "zremrangebylex",
        exactly(4),
        &[key(1, RW | DELETE)],
        sorted_set::zremrangebylex,
    )
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.8.9",
        "O(log(N)+M) where N is the size of the set and M the number of members removed",
        "Removes the members in a range of bytes; all must have the same score.",
    )
    .args(BYTES),
    write(
        Id::Zremrangebyrank,
        "zremrangebyrank",
        exactly(4),
        &[key(1, RW | DELETE)],
        sorted_set::zremrangebyrank,
    )
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.0.0",
        "O(log(N)+M) where N is the size of the set and M the number of members removed",
        "Removes the members in a range of ranks.",
    )
    .args(&[key_arg("key", 0), integer("start"), integer("stop")]),
    write(
        Id::Zremrangebyscore,
        "zremrangebyscore",
        exactly(4),
        &[key(1, RW | DELETE)],
        sorted_set::zremrangebyscore,
    )
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)+M) where N is the size of the set and M the number of members removed",
        "Removes the members whose scores are in a range.",
    )
    .args(SCORES),
    read(Id::Zrevrange, "zrevrange", at_least(4), &[key(1, RO | ACCESS)], sorted_set::zrevrange)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.2.0",
            "O(log(N)+M) where N is the size of the set and M the number of members answered",
            "Answers the members in a range of ranks, the greatest score first.",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument")
        .args(&[
            key_arg("key", 0),
            integer("start"),
            integer("stop"),
            word("withscores", "WITHSCORES").optional(),
        ]),
    read(
        Id::Zrevrangebylex,
        "zrevrangebylex",
        at_least(4),
        &[key(1, RO | ACCESS)],
        sorted_set::zrevrangebylex,
    )
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.8.9",
        "O(log(N)+M) where N is the size of the set and M the number of members answered",
        "Answers the members in a range of bytes, the greatest first; all must have the same score.",
    )
    .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")
    .args(&[
        key_arg("key", 0),
        string("max"),
        string("min"),
        block("limit", LIMIT).token("LIMIT").optional(),
    ]),
    read(
        Id::Zrevrangebyscore,
        "zrevrangebyscore",
        at_least(4),
        &[key(1, RO | ACCESS)],
        sorted_set::zrevrangebyscore,
    )
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.2.0",
        "O(log(N)+M) where N is the size of the set and M the number of members answered",
        "Answers the members whose scores are in a range, the greatest first.",
    )
    .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")
    .args(&[
        key_arg("key", 0),
        double("max"),
        double("min"),
        word("withscores", "WITHSCORES").optional(),
        block("limit", LIMIT).token("LIMIT").optional(),
    ]),
    read(Id::Zrevrank, "zrevrank", at_least(3), &[key(1, RO | ACCESS)], sorted_set::zrevrank)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "2.0.0",
            "O(log(N)) where N is the size of the set",
            "Answers the rank of a member, counted from the greatest score.",
        )
        .args(RANKED),
];
