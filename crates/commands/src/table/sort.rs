//! SORT.

use crate::doc::{Arg, Group, block, integer, key_arg, one_of, pattern, word};
use crate::flags::category;
use crate::flags::flag::DENYOOM;
use crate::handler::sort;
use crate::keyspec::key_flag::{ACCESS, OW, RO, UPDATE};
use crate::keyspec::{Begin, KeySpec, hidden_target, key};
use crate::options;
use crate::spec::{at_least, read, write};
use crate::{Id, Spec};

const PATTERNS: KeySpec = KeySpec { begin: Begin::Unknown, ..key(0, RO | ACCESS) }.notes(
    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the \
     key we sort",
);
const TARGET: KeySpec = hidden_target("STORE", 2, &options::SORT, OW | UPDATE).notes(
    "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument \
     array",
);

const BY: Arg = pattern("by-pattern").token("BY").key_spec(1).optional();
const LIMIT: Arg = block("limit", &[integer("offset"), integer("count")]).token("LIMIT").optional();
const GET: Arg = pattern("get-pattern").token("GET").key_spec(1).optional().multiple_token();
const ORDER: Arg = one_of("order", &[word("asc", "ASC"), word("desc", "DESC")]).optional();
const ALPHA: Arg = word("sorting", "ALPHA").optional();
const COST: &str = "O(N+M*log(M)) where N is the number of elements and M the number of those answered";
const FAMILIES: u32 = category::SET | category::SORTEDSET | category::LIST | category::DANGEROUS;

pub static ROWS: &[Spec] = &[
    write(Id::Sort, "sort", at_least(2), &[key(1, RO | ACCESS), PATTERNS, TARGET], sort::sort)
        .flags(DENYOOM)
        .acl(FAMILIES)
        .doc(
            Group::Generic,
            "1.0.0",
            COST,
            "Sorts the elements of a list, a set or a sorted set, and answers or stores them.",
        )
        .args(&[
            key_arg("key", 0),
            BY,
            LIMIT,
            GET,
            ORDER,
            ALPHA,
            key_arg("destination", 2).token("STORE").optional(),
        ]),
    read(Id::SortRo, "sort_ro", at_least(2), &[key(1, RO | ACCESS), PATTERNS], sort::sort_ro)
        .acl(FAMILIES)
        .doc(
            Group::Generic,
            "7.0.0",
            COST,
            "Sorts the elements of a list, a set or a sorted set, and answers them.",
        )
        .args(&[key_arg("key", 0), BY, LIMIT, GET, ORDER, ALPHA]),
];
