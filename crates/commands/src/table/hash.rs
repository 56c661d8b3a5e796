//! Hashes.

use crate::doc::{Arg, Group, block, double, integer, key_arg, pattern, string, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::hash;
use crate::keyspec::key;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, RO, RW, UPDATE};
use crate::namespace::{Join, Spread};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Merge, Spec};

const FIELD_VALUES: &[Arg] =
    &[key_arg("key", 0), block("data", &[string("field"), string("value")]).multiple()];

pub static ROWS: &[Spec] = &[
    write(Id::Hdel, "hdel", at_least(3), &[key(1, RW | DELETE)], hash::hdel)
        .spread(Spread::Fields { step: 1, merge: Merge::Sum })
        .flags(FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the number of fields",
            "Deletes fields of a hash; the key goes with its last field.",
        )
        .args(&[key_arg("key", 0), string("field").multiple()]),
    read(Id::Hexists, "hexists", exactly(3), &[key(1, RO)], hash::hexists)
        .spread(Spread::Field)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "2.0.0", "O(1)", "Answers whether a hash has a field.")
        .args(&[key_arg("key", 0), string("field")]),
    read(Id::Hget, "hget", exactly(3), &[key(1, RO | ACCESS)], hash::hget)
        .spread(Spread::Field)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "2.0.0", "O(1)", "Answers the value of a field of a hash.")
        .args(&[key_arg("key", 0), string("field")]),
    read(Id::Hgetall, "hgetall", exactly(2), &[key(1, RO | ACCESS)], hash::hgetall)
        .spread(Spread::Whole(Join::Concat))
        .acl(category::HASH)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash",
            "Answers all fields of a hash and their values.",
        )
        .args(&[key_arg("key", 0)]),
    write(Id::Hincrby, "hincrby", exactly(4), &[key(1, RW | ACCESS | UPDATE)], hash::hincrby)
        .spread(Spread::Field)
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "2.0.0",
            "O(1)",
            "Adds a number to the integer value of a field; a missing field counts as 0.",
        )
        .args(&[key_arg("key", 0), string("field"), integer("increment")]),
    write(Id::Hincrbyfloat, "hincrbyfloat", exactly(4), &[key(1, RW | ACCESS | UPDATE)], hash::hincrbyfloat)
        .spread(Spread::Field)
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "2.6.0",
            "O(1)",
            "Adds a decimal number to the numeric value of a field; a missing field counts as 0.",
        )
        .args(&[key_arg("key", 0), string("field"), double("increment")]),
    read(Id::Hkeys, "hkeys", exactly(2), &[key(1, RO | ACCESS)], hash::hkeys)
        .spread(Spread::Whole(Join::Concat))
        .acl(category::HASH)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash",
            "Answers the names of all fields of a hash.",
        )
        .args(&[key_arg("key", 0)]),
    read(Id::Hlen, "hlen", exactly(2), &[key(1, RO)], hash::hlen)
        .spread(Spread::Whole(Join::Sum))
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "2.0.0", "O(1)", "Answers the number of fields of a hash.")
        .args(&[key_arg("key", 0)]),
    read(Id::Hmget, "hmget", at_least(3), &[key(1, RO | ACCESS)], hash::hmget)
        .spread(Spread::Fields { step: 1, merge: Merge::ByKeyOrder })
        .flags(FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the number of fields",
            "Answers the values of fields of a hash, nil for those that are missing.",
        )
        .args(&[key_arg("key", 0), string("field").multiple()]),
    write(Id::Hmset, "hmset", at_least(4), &[key(1, RW | UPDATE)], hash::hmset)
        .spread(Spread::Fields { step: 2, merge: Merge::AllOk })
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "2.0.0", "O(N) where N is the number of fields", "Sets fields of a hash.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
        .args(FIELD_VALUES),
    read(Id::Hrandfield, "hrandfield", at_least(2), &[key(1, RO | ACCESS)], hash::hrandfield)
        .acl(category::HASH)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Hash,
            "6.2.0",
            "O(N) where N is the number of fields answered",
            "Answers random fields of a hash.",
        )
        .args(&[
            key_arg("key", 0),
            block("options", &[integer("count"), word("withvalues", "WITHVALUES").optional()]).optional(),
        ]),
    read(Id::Hscan, "hscan", at_least(3), &[key(1, RO | ACCESS)], hash::hscan)
        .spread(Spread::Scan)
        .acl(category::HASH)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Hash,
            "2.8.0",
            "O(1) for each call, O(N) for the whole iteration",
            "Iterates over the fields of a hash and their values.",
        )
        .args(&[
            key_arg("key", 0),
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
        ]),
    write(Id::Hset, "hset", at_least(4), &[key(1, RW | UPDATE)], hash::hset)
        .spread(Spread::Fields { step: 2, merge: Merge::Sum })
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the number of fields",
            "Sets fields of a hash; creates the key if it is missing.",
        )
        .args(FIELD_VALUES),
    write(Id::Hsetnx, "hsetnx", exactly(4), &[key(1, RW | INSERT)], hash::hsetnx)
        .spread(Spread::Field)
        .flags(DENYOOM | FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "2.0.0", "O(1)", "Sets a field of a hash, but only if it is missing.")
        .args(&[key_arg("key", 0), string("field"), string("value")]),
    read(Id::Hstrlen, "hstrlen", exactly(3), &[key(1, RO)], hash::hstrlen)
        .spread(Spread::Field)
        .flags(FAST)
        .acl(category::HASH)
        .doc(Group::Hash, "3.2.0", "O(1)", "Answers the length of the value of a field of a hash.")
        .args(&[key_arg("key", 0), string("field")]),
    read(Id::Hvals, "hvals", exactly(2), &[key(1, RO | ACCESS)], hash::hvals)
        .spread(Spread::Whole(Join::Concat))
        .acl(category::HASH)
        .tips(&["nondeterministic_output_order"])
        .doc(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash",
            "Answers the values of all fields of a hash.",
        )
        .args(&[key_arg("key", 0)]),
];
