//! Lists.

use crate::blocking::Timeout;
use crate::doc::{Arg, Group, double, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::list;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, RO, RW, UPDATE};
use crate::keyspec::{KeySpec, counted_keys, key, keys};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Spec};

/// An element leaves the first list and joins the second.
const FROM_TO: &[KeySpec] = &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)];
const KEY_ELEMENTS: &[Arg] = &[key_arg("key", 0), string("element").multiple()];
const KEY_COUNT: &[Arg] = &[key_arg("key", 0), integer("count").optional().since("6.2.0")];
const ENDS: &[Arg] = &[word("left", "LEFT"), word("right", "RIGHT")];

const PER_ELEMENT: &str = "O(N) where N is the number of elements added";
const PER_ANSWER: &str = "O(N) where N is the number of elements answered";

pub static ROWS: &[Spec] = &[
    write(Id::Blmove, "blmove", exactly(6), FROM_TO, list::blmove)
        .flags(DENYOOM)
        .blocking(Timeout::Last)
        .acl(category::LIST)
        .doc(
            Group::List,
            "6.2.0",
            "O(1)",
            "Moves an element from an end of a list to an end of another, and answers it. Waits for one.",
        )
        .args(&[
            key_arg("source", 0),
            key_arg("destination", 1),
            one_of("wherefrom", ENDS),
            one_of("whereto", ENDS),
            double("timeout"),
        ]),
    write(Id::Blmpop, "blmpop", at_least(5), &[counted_keys(2, RW | ACCESS | DELETE)], list::blmpop)
        .blocking(Timeout::First)
        .acl(category::LIST)
        .doc(
            Group::List,
            "7.0.0",
            "O(N+M) where N is the number of keys and M the number of elements answered",
            "Takes elements from an end of the first list that is not empty. Waits for one.",
        )
        .args(&[
            double("timeout"),
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            one_of("where", ENDS),
            integer("count").token("COUNT").optional(),
        ]),
    write(Id::Blpop, "blpop", at_least(3), &[keys(1, -2, 1, RW | ACCESS | DELETE)], list::blpop)
        .blocking(Timeout::Last)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.0.0",
            "O(N) where N is the number of keys",
            "Takes the first element of the first list that is not empty. Waits for one.",
        )
        .args(&[key_arg("key", 0).multiple(), double("timeout")]),
    write(Id::Brpop, "brpop", at_least(3), &[keys(1, -2, 1, RW | ACCESS | DELETE)], list::brpop)
        .blocking(Timeout::Last)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.0.0",
            "O(N) where N is the number of keys",
            "Takes the last element of the first list that is not empty. Waits for one.",
        )
        .args(&[key_arg("key", 0).multiple(), double("timeout")]),
    write(Id::Brpoplpush, "brpoplpush", exactly(4), FROM_TO, list::brpoplpush)
        .flags(DENYOOM)
        .blocking(Timeout::Last)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.2.0",
            "O(1)",
            "Moves the last element of a list to the front of another, and answers it. Waits for one.",
        )
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
        .args(&[key_arg("source", 0), key_arg("destination", 1), double("timeout")]),
    read(Id::Lindex, "lindex", exactly(3), &[key(1, RO | ACCESS)], list::lindex)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            "O(log N) where N is the size of the list",
            "Answers the element of a list at an index; negative ones count from the end.",
        )
        .args(&[key_arg("key", 0), integer("index")]),
    write(Id::Linsert, "linsert", exactly(5), &[key(1, RW | INSERT)], list::linsert)
        .flags(DENYOOM)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.2.0",
            "O(N) where N is the number of elements before the pivot",
            "Inserts an element before or behind another; creates no list.",
        )
        .args(&[
            key_arg("key", 0),
            one_of("where", &[word("before", "BEFORE"), word("after", "AFTER")]),
            string("pivot"),
            string("element"),
        ]),
    read(Id::Llen, "llen", exactly(2), &[key(1, RO)], list::llen)
        .flags(FAST)
        .acl(category::LIST)
        .doc(Group::List, "1.0.0", "O(1)", "Answers the number of elements of a list.")
        .args(&[key_arg("key", 0)]),
    write(Id::Lmove, "lmove", exactly(5), FROM_TO, list::lmove)
        .flags(DENYOOM)
        .acl(category::LIST)
        .doc(
            Group::List,
            "6.2.0",
            "O(1)",
            "Moves an element from an end of a list to an end of another, and answers it.",
        )
        .args(&[
            key_arg("source", 0),
            key_arg("destination", 1),
            one_of("wherefrom", ENDS),
            one_of("whereto", ENDS),
        ]),
    write(Id::Lmpop, "lmpop", at_least(4), &[counted_keys(1, RW | ACCESS | DELETE)], list::lmpop)
        .acl(category::LIST)
        .doc(
            Group::List,
            "7.0.0",
            "O(N+M) where N is the number of keys and M the number of elements answered",
            "Takes elements from an end of the first list that is not empty.",
        )
        .args(&[
            integer("numkeys"),
            key_arg("key", 0).multiple(),
            one_of("where", ENDS),
            integer("count").token("COUNT").optional(),
        ]),
    write(Id::Lpop, "lpop", at_least(2), &[key(1, RW | ACCESS | DELETE)], list::lpop)
        .flags(FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            PER_ANSWER,
            "Takes the first elements of a list; the key goes with its last element.",
        )
        .args(KEY_COUNT),
    read(Id::Lpos, "lpos", at_least(3), &[key(1, RO | ACCESS)], list::lpos)
        .acl(category::LIST)
        .doc(
            Group::List,
            "6.0.6",
            "O(N) where N is the number of elements compared",
            "Answers the indices of elements that equal a given one.",
        )
        .args(&[
            key_arg("key", 0),
            string("element"),
            integer("rank").token("RANK").optional(),
            integer("num-matches").token("COUNT").optional(),
            integer("len").token("MAXLEN").optional(),
        ]),
    write(Id::Lpush, "lpush", at_least(3), &[key(1, RW | INSERT)], list::lpush)
        .flags(DENYOOM | FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            PER_ELEMENT,
            "Adds elements at the front of a list, one after the other; creates the key if it is missing.",
        )
        .args(KEY_ELEMENTS),
    write(Id::Lpushx, "lpushx", at_least(3), &[key(1, RW | INSERT)], list::lpushx)
        .flags(DENYOOM | FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.2.0",
            PER_ELEMENT,
            "Adds elements at the front of a list, but only if the key exists.",
        )
        .args(KEY_ELEMENTS),
    read(Id::Lrange, "lrange", exactly(4), &[key(1, RO | ACCESS)], list::lrange)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            "O(log S+N) where S is the size of the list and N the number of elements answered",
            "Answers the elements of a list between two indices, both inclusive.",
        )
        .args(&[key_arg("key", 0), integer("start"), integer("stop")]),
    write(Id::Lrem, "lrem", exactly(4), &[key(1, RW | DELETE)], list::lrem)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            "O(N) where N is the size of the list",
            "Removes elements that equal a given one; the key goes with its last element.",
        )
        .args(&[key_arg("key", 0), integer("count"), string("element")]),
    write(Id::Lset, "lset", exactly(4), &[key(1, RW | UPDATE)], list::lset)
        .flags(DENYOOM)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            "O(log N) where N is the size of the list",
            "Replaces the element of a list at an index.",
        )
        .args(&[key_arg("key", 0), integer("index"), string("element")]),
    write(Id::Ltrim, "ltrim", exactly(4), &[key(1, RW | DELETE)], list::ltrim)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            "O(N) where N is the number of elements removed",
            "Keeps the elements of a list between two indices; the key goes with its last element.",
        )
        .args(&[key_arg("key", 0), integer("start"), integer("stop")]),
    write(Id::Rpop, "rpop", at_least(2), &[key(1, RW | ACCESS | DELETE)], list::rpop)
        .flags(FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            PER_ANSWER,
            "Takes the last elements of a list; the key goes with its last element.",
        )
        .args(KEY_COUNT),
    write(Id::Rpoplpush, "rpoplpush", exactly(3), FROM_TO, list::rpoplpush)
        .flags(DENYOOM)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.2.0",
            "O(1)",
            "Moves the last element of a list to the front of another, and answers it.",
        )
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
        .args(&[key_arg("source", 0), key_arg("destination", 1)]),
    write(Id::Rpush, "rpush", at_least(3), &[key(1, RW | INSERT)], list::rpush)
        .flags(DENYOOM | FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "1.0.0",
            PER_ELEMENT,
            "Adds elements at the end of a list, one after the other; creates the key if it is missing.",
        )
        .args(KEY_ELEMENTS),
    write(Id::Rpushx, "rpushx", at_least(3), &[key(1, RW | INSERT)], list::rpushx)
        .flags(DENYOOM | FAST)
        .acl(category::LIST)
        .doc(
            Group::List,
            "2.2.0",
            PER_ELEMENT,
            "Adds elements at the end of a list, but only if the key exists.",
        )
        .args(KEY_ELEMENTS),
];
