//! JSON documents. Redis has them as a module; versions are those of RedisJSON.

use crate::doc::{Arg, Group, block, double, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::DENYOOM;
use crate::handler::json;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE};
use crate::keyspec::{key, keys};
use crate::spec::{at_least, container, exactly, local, read, write};
use crate::{Id, Merge, ProxyCommand, Spec};

const KEY_AND_PATH: &[Arg] = &[key_arg("key", 0), string("path").optional()];
const OF_EACH_VALUE: &str =
    "O(N) where N is the size of the document if the path may lead to several values, else O(1)";
const OF_DOCUMENT: &str = "O(N) where N is the size of the document";

pub static ROWS: &[Spec] = &[
    write(Id::JsonArrappend, "json.arrappend", at_least(4), &[key(1, RW | UPDATE | INSERT)], json::arrappend)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Appends values to arrays.")
        .args(&[key_arg("key", 0), string("path"), string("value").multiple()]),
    read(Id::JsonArrindex, "json.arrindex", at_least(4), &[key(1, RO | ACCESS)], json::arrindex)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            "O(N) where N is the size of the array, or of the document if the path may lead to several values",
            "Answers the index of the first element of an array that equals a value.",
        )
        .args(&[
            key_arg("key", 0),
            string("path"),
            string("value"),
            block("range", &[integer("start"), integer("stop").optional()]).optional(),
        ]),
    write(Id::JsonArrinsert, "json.arrinsert", at_least(5), &[key(1, RW | UPDATE | INSERT)], json::arrinsert)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Inserts values into arrays, before an index.")
        .args(&[key_arg("key", 0), string("path"), integer("index"), string("value").multiple()]),
    read(Id::JsonArrlen, "json.arrlen", at_least(2), &[key(1, RO)], json::arrlen)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Answers the lengths of arrays.")
        .args(KEY_AND_PATH),
    write(Id::JsonArrpop, "json.arrpop", at_least(2), &[key(1, RW | ACCESS | DELETE)], json::arrpop)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            OF_EACH_VALUE,
            "Removes an element from arrays and answers it, the last one unless an index is given.",
        )
        .args(&[
            key_arg("key", 0),
            block("path", &[string("path"), integer("index").optional()]).optional(),
        ]),
    write(Id::JsonArrtrim, "json.arrtrim", exactly(5), &[key(1, RW | DELETE)], json::arrtrim)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Removes all elements of arrays but those of a range.")
        .args(&[key_arg("key", 0), string("path"), integer("start"), integer("stop")]),
    write(Id::JsonClear, "json.clear", at_least(2), &[key(1, RW | DELETE)], json::clear)
        .acl(category::JSON)
        .doc(Group::Json, "2.0.0", OF_EACH_VALUE, "Empties arrays and objects, and sets numbers to 0.")
        .args(KEY_AND_PATH),
    container(
        Id::JsonDebug,
        "json.debug",
        &[
            local(Id::JsonDebugHelp, "json.debug|help", exactly(2), ProxyCommand::Help)
                .acl(category::JSON)
                .doc(Group::Json, "1.0.0", "O(1)", "Print this help."),
            read(Id::JsonDebugMemory, "json.debug|memory", at_least(3), &[key(2, RO)], json::memory)
                .acl(category::JSON)
                .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Answers how many bytes of memory values take.")
                .args(KEY_AND_PATH),
        ],
    )
    .acl(category::JSON)
    .doc(Group::Json, "1.0.0", "Depends on the subcommand.", "Tells about the inside of documents."),
    write(Id::JsonDel, "json.del", at_least(2), &[key(1, RW | DELETE)], json::del)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            OF_EACH_VALUE,
            "Deletes values; the key goes with the whole document, or with the last value in it.",
        )
        .args(KEY_AND_PATH),
    write(Id::JsonForget, "json.forget", at_least(2), &[key(1, RW | DELETE)], json::del)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "The same as JSON.DEL.")
        .args(KEY_AND_PATH),
    read(Id::JsonGet, "json.get", at_least(2), &[key(1, RO | ACCESS)], json::get)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            OF_DOCUMENT,
            "Answers the values that one or more paths lead to, as JSON text unless FORMAT says otherwise.",
        )
        .args(&[
            key_arg("key", 0),
            string("indent").token("INDENT").optional(),
            string("newline").token("NEWLINE").optional(),
            string("space").token("SPACE").optional(),
            one_of(
                "format",
                &[word("string", "STRING"), word("expand1", "EXPAND1"), word("expand", "EXPAND")],
            )
            .token("FORMAT")
            .optional(),
            string("path").optional().multiple(),
        ]),
    write(Id::JsonMerge, "json.merge", at_least(4), &[key(1, RW | UPDATE)], json::merge)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "2.6.0",
            "O(M+N) where M is the size of the values that the path leads to and N that of the patch",
            "Merges a patch into values: sets, replaces and, with null, deletes fields.",
        )
        .args(&[key_arg("key", 0), string("path"), string("value")]),
    read(Id::JsonMget, "json.mget", at_least(3), &[keys(1, -2, 1, RO | ACCESS)], json::mget)
        .split(Merge::ByKeyOrder)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            "O(M*N) where M is the number of keys and N the size of a document",
            "Answers the values that a path leads to in several documents.",
        )
        .args(&[key_arg("key", 0).multiple(), string("path")]),
    write(Id::JsonMset, "json.mset", at_least(4), &[keys(1, -1, 3, OW | UPDATE)], json::mset)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "2.6.0",
            "O(K*(M+N)) where K is the number of keys, M the size of a document and N that of a value",
            "Sets or adds values in several documents of one slot.",
        )
        .args(&[
            block("triplet", &[key_arg("key", 0), string("path"), string("value")]).multiple(),
        ]),
    write(Id::JsonNumincrby, "json.numincrby", exactly(4), &[key(1, RW | ACCESS | UPDATE)], json::numincrby)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Adds a number to numbers.")
        .args(&[key_arg("key", 0), string("path"), double("value")]),
    write(Id::JsonNummultby, "json.nummultby", exactly(4), &[key(1, RW | ACCESS | UPDATE)], json::nummultby)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Multiplies numbers by a number.")
        .args(&[key_arg("key", 0), string("path"), double("value")]),
    read(Id::JsonObjkeys, "json.objkeys", at_least(2), &[key(1, RO | ACCESS)], json::objkeys)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            "O(N) where N is the number of fields, or the size of the document if the path may lead to several values",
            "Answers the names of the fields of objects.",
        )
        .args(KEY_AND_PATH),
    read(Id::JsonObjlen, "json.objlen", at_least(2), &[key(1, RO)], json::objlen)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Answers the number of fields of objects.")
        .args(KEY_AND_PATH),
    read(Id::JsonResp, "json.resp", at_least(2), &[key(1, RO | ACCESS)], json::resp)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            OF_DOCUMENT,
            "Answers values in the types of RESP2; arrays and objects begin with their bracket.",
        )
        .args(KEY_AND_PATH),
    write(Id::JsonSet, "json.set", at_least(4), &[key(1, RW | UPDATE | INSERT)], json::set)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(
            Group::Json,
            "1.0.0",
            "O(M+N) where M is the size of the document and N that of the value",
            "Sets values, or adds a field to an object; creates the key if the path is the root.",
        )
        .args(&[
            key_arg("key", 0),
            string("path"),
            string("value"),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).optional(),
        ]),
    write(Id::JsonStrappend, "json.strappend", at_least(3), &[key(1, RW | UPDATE | INSERT)], json::strappend)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Appends a string to strings.")
        .args(&[key_arg("key", 0), string("path").optional(), string("value")]),
    read(Id::JsonStrlen, "json.strlen", at_least(2), &[key(1, RO)], json::strlen)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Answers the lengths of strings in bytes.")
        .args(KEY_AND_PATH),
    write(Id::JsonToggle, "json.toggle", exactly(3), &[key(1, RW | ACCESS | UPDATE)], json::toggle)
        .flags(DENYOOM)
        .acl(category::JSON)
        .doc(Group::Json, "2.0.0", OF_EACH_VALUE, "Negates booleans.")
        .args(&[key_arg("key", 0), string("path")]),
    read(Id::JsonType, "json.type", at_least(2), &[key(1, RO)], json::type_of)
        .acl(category::JSON)
        .doc(Group::Json, "1.0.0", OF_EACH_VALUE, "Answers the types of values.")
        .args(KEY_AND_PATH),
];
