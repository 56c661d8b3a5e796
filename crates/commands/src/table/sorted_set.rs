//! Sorted sets: members, ends, and what several sets have.

use crate::blocking::Timeout;
use crate::doc::{Arg, Group, block, double, integer, key_arg, one_of, pattern, string, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::sorted_set;
use crate::keyspec::key_flag::{ACCESS, DELETE, OW, RO, RW, UPDATE};
use crate::keyspec::{counted_keys, key, keys};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Spec};

const WHERE: &[Arg] = &[word("min", "MIN"), word("max", "MAX")];
const WAITING: &[Arg] = &[key_arg("key", 0).multiple(), double("timeout")];
const AGGREGATE: &[Arg] = &[word("sum", "SUM"), word("min", "MIN"), word("max", "MAX")];
const COMBINED: &[Arg] = &[
    integer("numkeys"),
    key_arg("key", 0).multiple(),
    integer("weight").token("WEIGHTS").optional().multiple(),
    one_of("aggregate", AGGREGATE).token("AGGREGATE").optional(),
    word("withscores", "WITHSCORES").optional(),
];
const STORED: &[Arg] = &[
    key_arg("destination", 0),
    integer("numkeys"),
    key_arg("key", 1).multiple(),
    integer("weight").token("WEIGHTS").optional().multiple(),
    one_of("aggregate", AGGREGATE).token("AGGREGATE").optional(),
];
const MEMBERS: &[Arg] = &[key_arg("key", 0), string("member").multiple()];
const POPPED: &[Arg] = &[key_arg("key", 0), integer("count").optional()];

pub static ROWS: &[Spec] = &[
    write(Id::Bzmpop, "bzmpop", at_least(5), &[counted_keys(2, RW | ACCESS | DELETE)], sorted_set::bzmpop)
        .blocking(Timeout::First)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "7.0.0",
            "O(K)+O(M*log(N)) where K is the number of keys, N the size of the set, M the elements taken",
            "Takes elements from the first sorted set that has some; waits until there are any.",
        )
        .args(&[
            double("timeout"),
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            one_of("where", WHERE),
            integer("count").token("COUNT").optional(),
        ]),
    write(
        Id::Bzpopmax,
        "bzpopmax",
        at_least(3),
        &[keys(1, -2, 1, RW | ACCESS | DELETE)],
        sorted_set::bzpopmax,
    )
    .blocking(Timeout::Last)
    .flags(FAST)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)) where N is the size of the set",
        "Takes the element with the greatest score from a sorted set; waits until there is one.",
    )
    .args(WAITING),
    write(
        Id::Bzpopmin,
        "bzpopmin",
        at_least(3),
        &[keys(1, -2, 1, RW | ACCESS | DELETE)],
        sorted_set::bzpopmin,
    )
    .blocking(Timeout::Last)
    .flags(FAST)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)) where N is the size of the set",
        "Takes the element with the least score from a sorted set; waits until there is one.",
    )
    .args(WAITING),
    write(Id::Zadd, "zadd", at_least(4), &[key(1, RW | UPDATE)], sorted_set::zadd)
        .flags(DENYOOM | FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.2.0",
            "O(log(N)) for each member, where N is the size of the set",
            "Adds members to a sorted set, or changes their scores; creates the key if it is missing.",
        )
        .args(&[
            key_arg("key", 0),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).since("3.0.2").optional(),
            one_of("comparison", &[word("gt", "GT"), word("lt", "LT")]).since("6.2.0").optional(),
            word("change", "CH").since("3.0.2").optional(),
            word("increment", "INCR").since("3.0.2").optional(),
            block("data", &[double("score"), string("member")]).multiple(),
        ]),
    read(Id::Zcard, "zcard", exactly(2), &[key(1, RO)], sorted_set::zcard)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(Group::SortedSet, "1.2.0", "O(1)", "Answers the number of members of a sorted set.")
        .args(&[key_arg("key", 0)]),
    read(Id::Zdiff, "zdiff", at_least(3), &[counted_keys(1, RO | ACCESS)], sorted_set::zdiff)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "6.2.0",
            "O(N*M+K*log(K)): N the size of the first set, M the number of sets, K the size of the result",
            "Answers the members of the first sorted set that no other has.",
        )
        .args(&[
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            word("withscores", "WITHSCORES").optional(),
        ]),
    write(
        Id::Zdiffstore,
        "zdiffstore",
        at_least(4),
        &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
        sorted_set::zdiffstore,
    )
    .flags(DENYOOM)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "6.2.0",
        "O(N*M+K*log(K)): N the size of the first set, M the number of sets, K the size of the result",
        "Stores the members of the first sorted set that no other has.",
    )
    .args(&[key_arg("destination", 0), integer("numkeys"), key_arg("key", 1).multiple()]),
    write(Id::Zincrby, "zincrby", exactly(4), &[key(1, RW | ACCESS | UPDATE)], sorted_set::zincrby)
        .flags(DENYOOM | FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.2.0",
            "O(log(N)) where N is the size of the set",
            "Adds a number to the score of a member; a missing member counts as 0.",
        )
        .args(&[key_arg("key", 0), integer("increment"), string("member")]),
    read(Id::Zinter, "zinter", at_least(3), &[counted_keys(1, RO | ACCESS)], sorted_set::zinter)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "6.2.0",
            "O(N*K+M*log(M)): N the size of the smallest set, K the number of sets, M that of the result",
            "Answers the members that all sorted sets have.",
        )
        .args(COMBINED),
    read(Id::Zintercard, "zintercard", at_least(3), &[counted_keys(1, RO | ACCESS)], sorted_set::zintercard)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "7.0.0",
            "O(N*K) where N is the size of the smallest set and K the number of sets",
            "Counts the members that all sorted sets have.",
        )
        .args(&[
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            integer("limit").token("LIMIT").optional(),
        ]),
    write(
        Id::Zinterstore,
        "zinterstore",
        at_least(4),
        &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
        sorted_set::zinterstore,
    )
    .flags(DENYOOM)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.0.0",
        "O(N*K+M*log(M)): N the size of the smallest set, K the number of sets, M that of the result",
        "Stores the members that all sorted sets have.",
    )
    .args(STORED),
    write(Id::Zmpop, "zmpop", at_least(4), &[counted_keys(1, RW | ACCESS | DELETE)], sorted_set::zmpop)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "7.0.0",
            "O(K)+O(M*log(N)) where K is the number of keys, N the size of the set, M the elements taken",
            "Takes the elements with the least or greatest scores from the first sorted set that has some.",
        )
        .args(&[
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            one_of("where", WHERE),
            integer("count").token("COUNT").optional(),
        ]),
    read(Id::Zmscore, "zmscore", at_least(3), &[key(1, RO | ACCESS)], sorted_set::zmscore)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "6.2.0",
            "O(N) where N is the number of members named",
            "Answers the scores of members, nil for those that are missing.",
        )
        .args(MEMBERS),
    write(Id::Zpopmax, "zpopmax", at_least(2), &[key(1, RW | ACCESS | DELETE)], sorted_set::zpopmax)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "5.0.0",
            "O(M*log(N)) where N is the size of the set and M the number of elements taken",
            "Takes the elements with the greatest scores from a sorted set.",
        )
        .args(POPPED),
    write(Id::Zpopmin, "zpopmin", at_least(2), &[key(1, RW | ACCESS | DELETE)], sorted_set::zpopmin)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "5.0.0",
            "O(M*log(N)) where N is the size of the set and M the number of elements taken",
            "Takes the elements with the least scores from a sorted set.",
        )
        .args(POPPED),
    read(Id::Zrandmember, "zrandmember", at_least(2), &[key(1, RO | ACCESS)], sorted_set::zrandmember)
        .acl(category::SORTEDSET)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::SortedSet,
            "6.2.0",
            "O(N) where N is the number of members answered",
            "Answers random members of a sorted set.",
        )
        .args(&[
            key_arg("key", 0),
            block("options", &[integer("count"), word("withscores", "WITHSCORES").optional()]).optional(),
        ]),
    write(Id::Zrem, "zrem", at_least(3), &[key(1, RW | DELETE)], sorted_set::zrem)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "1.2.0",
            "O(M*log(N)) where N is the size of the set and M the number of members named",
            "Removes members from a sorted set; the key goes with its last member.",
        )
        .args(MEMBERS),
    read(Id::Zscan, "zscan", at_least(3), &[key(1, RO | ACCESS)], sorted_set::zscan)
        .acl(category::SORTEDSET)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::SortedSet,
            "2.8.0",
            "O(1) for each call, O(N) for the whole iteration",
            "Iterates over the members of a sorted set and their scores.",
        )
        .args(&[
            key_arg("key", 0),
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
        ]),
    read(Id::Zscore, "zscore", exactly(3), &[key(1, RO | ACCESS)], sorted_set::zscore)
        .flags(FAST)
        .acl(category::SORTEDSET)
        .doc(Group::SortedSet, "1.2.0", "O(1)", "Answers the score of a member.")
        .args(&[key_arg("key", 0), string("member")]),
    read(Id::Zunion, "zunion", at_least(3), &[counted_keys(1, RO | ACCESS)], sorted_set::zunion)
        .acl(category::SORTEDSET)
        .doc(
            Group::SortedSet,
            "6.2.0",
            "O(N+M*log(M)) where N is the size of all sets together and M the size of the result",
            "Answers the members of all sorted sets.",
        )
        .args(COMBINED),
    write(
        Id::Zunionstore,
        "zunionstore",
        at_least(4),
        &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
        sorted_set::zunionstore,
    )
    .flags(DENYOOM)
    .acl(category::SORTEDSET)
    .doc(
        Group::SortedSet,
        "2.0.0",
        "O(N+M*log(M)) where N is the size of all sets together and M the size of the result",
        "Stores the members of all sorted sets.",
    )
    .args(STORED),
];
