//! Keys of any type, and the keyspace as a whole.

use crate::doc::{Arg, Group, block, integer, key_arg, one_of, pattern, string, unix_time, word};
use crate::flags::category;
use crate::flags::flag::{ASKING, DENYOOM, FAST, LOADING, STALE, WRITE};
use crate::handler::keyspace;
use crate::keyspec::key_flag::{ACCESS, DELETE, INCOMPLETE, INSERT, OW, RM, RO, RW, UPDATE};
use crate::keyspec::{key, key_or_empty, keys, keys_after};
use crate::namespace::{Join, Spread};
use crate::spec::{at_least, broadcast_read, broadcast_write, container, exactly, local, read, write};
use crate::{Id, Merge, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    write(Id::Copy, "copy", at_least(3), &[key(1, RO | ACCESS), key(2, OW | UPDATE)], keyspace::copy)
        .flags(DENYOOM)
        .acl(category::KEYSPACE)
        .doc(
            Group::Generic,
            "6.2.0",
            "O(1) for strings, else O(N) in the number of elements",
            "Copies the value and the expiry of a key to another key.",
        )
        .args(&[
            key_arg("source", 0),
            key_arg("destination", 1),
            integer("destination-db").token("DB").optional(),
            word("replace", "REPLACE").optional(),
        ]),
    broadcast_read(Id::Dbsize, "dbsize", exactly(1), keyspace::dbsize, Merge::Sum)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .doc(Group::Server, "1.0.0", "O(1)", "Answers the number of keys of the selected database."),
    write(Id::Del, "del", at_least(2), &[keys(1, -1, 1, RM | DELETE)], keyspace::del)
        .spread(Spread::Whole(Join::Most))
        .acl(category::KEYSPACE)
        .split(Merge::Sum)
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc(Group::Generic, "1.0.0", "O(N) where N is the number of keys", "Deletes keys.")
        .args(&[key_arg("key", 0).multiple()]),
    read(Id::Dump, "dump", exactly(2), &[key(1, RO | ACCESS)], keyspace::dump)
        .acl(category::KEYSPACE)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Generic,
            "2.6.0",
            "O(N) where N is the size of the value",
            "Answers the value of a key in the form that RESTORE takes.",
        )
        .args(&[key_arg("key", 0)]),
    read(Id::Exists, "exists", at_least(2), &[keys(1, -1, 1, RO)], keyspace::exists)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .split(Merge::Sum)
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc(
            Group::Generic,
            "1.0.0",
            "O(N) where N is the number of keys",
            "Counts how many of the keys exist.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    write(Id::Expire, "expire", at_least(3), &[key(1, RW | UPDATE)], keyspace::expire)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "1.0.0", "O(1)", "Sets the time to live of a key in seconds.")
        .args(&[
            key_arg("key", 0),
            integer("seconds"),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")])
                .since("7.0.0")
                .optional(),
        ]),
    write(Id::Expireat, "expireat", at_least(3), &[key(1, RW | UPDATE)], keyspace::expireat)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "1.2.0", "O(1)", "Sets the moment at which a key expires, in Unix seconds.")
        .args(&[
            key_arg("key", 0),
            unix_time("unix-time-seconds"),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")])
                .since("7.0.0")
                .optional(),
        ]),
    read(Id::Expiretime, "expiretime", exactly(2), &[key(1, RO | ACCESS)], keyspace::expiretime)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "7.0.0", "O(1)", "Answers the moment at which a key expires, in Unix seconds.")
        .args(&[key_arg("key", 0)]),
    broadcast_write(Id::Flushall, "flushall", at_least(1), keyspace::flushall, Merge::AllOk)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(Group::Server, "1.0.0", "O(1)", "Deletes all keys of all databases.")
        .args(&[one_of(
            "flush-type",
            &[word("async", "ASYNC").since("4.0.0"), word("sync", "SYNC").since("6.2.0")],
        )
        .optional()]),
    broadcast_write(Id::Flushdb, "flushdb", at_least(1), keyspace::flushdb, Merge::AllOk)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(
            Group::Server,
            "1.0.0",
            "O(1), or O(N) in the number of used slots if other databases hold keys",
            "Deletes all keys of the selected database.",
        )
        .args(&[one_of(
            "flush-type",
            &[word("async", "ASYNC").since("4.0.0"), word("sync", "SYNC").since("6.2.0")],
        )
        .optional()]),
    broadcast_read(Id::Keys, "keys", exactly(2), keyspace::keys, Merge::Concat)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .doc(
            Group::Generic,
            "1.0.0",
            "O(N) where N is the number of keys in the database",
            "Lists the keys whose names match a pattern.",
        )
        .args(&[pattern("pattern")]),
    local(Id::Migrate, "migrate", at_least(6), ProxyCommand::Migrate)
        .flags(WRITE)
        .keys(&[
            key_or_empty(3, RW | ACCESS | DELETE),
            keys_after("KEYS", -2, RW | ACCESS | DELETE | INCOMPLETE),
        ])
        .acl(category::KEYSPACE | category::DANGEROUS)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Generic,
            "2.6.0",
            "O(N) where N is the size of the values",
            "Sends keys to another server, and deletes them here once that has them.",
        )
        .args(&[
            string("host"),
            integer("port"),
            one_of("key-selector", &[key_arg("key", 0), word("empty-string", "\"\"")]),
            integer("destination-db"),
            integer("timeout"),
            word("copy", "COPY").since("3.0.0").optional(),
            word("replace", "REPLACE").since("3.0.0").optional(),
            one_of(
                "authentication",
                &[
                    string("auth").token("AUTH").display("password").since("4.0.7"),
                    block("auth2", &[string("username"), string("password")]).token("AUTH2").since("6.0.0"),
                ],
            )
            .optional(),
            key_arg("keys", 1).token("KEYS").display("key").since("3.0.6").optional().multiple(),
        ]),
    write(Id::Move, "move", exactly(3), &[key(1, RW | ACCESS | UPDATE)], keyspace::move_to_database)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(
            Group::Generic,
            "1.0.0",
            "O(1) for small values, else O(N) in the number of elements",
            "Moves a key to another database.",
        )
        .args(&[key_arg("key", 0), integer("db")]),
    container(
        Id::Object,
        "object",
        &[
            read(Id::ObjectEncoding, "object|encoding", exactly(3), &[key(2, RO)], keyspace::encoding)
                .acl(category::KEYSPACE)
                .tips(&["nondeterministic_output"])
                .doc(Group::Generic, "2.2.3", "O(1)", "Answers how Redis would encode the value of a key.")
                .args(&[key_arg("key", 0)]),
            read(Id::ObjectFreq, "object|freq", exactly(3), &[key(2, RO)], keyspace::freq)
                .acl(category::KEYSPACE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Generic,
                    "4.0.0",
                    "O(1)",
                    "Answers how often a key is used; access frequency is not tracked.",
                )
                .args(&[key_arg("key", 0)]),
            local(Id::ObjectHelp, "object|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .acl(category::KEYSPACE)
                .doc(Group::Generic, "6.2.0", "O(1)", "Lists the subcommands."),
            read(Id::ObjectIdletime, "object|idletime", exactly(3), &[key(2, RO)], keyspace::idletime)
                .acl(category::KEYSPACE)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Generic,
                    "2.2.3",
                    "O(1)",
                    "Answers for how many seconds a key was not used, at least.",
                )
                .args(&[key_arg("key", 0)]),
            read(Id::ObjectRefcount, "object|refcount", exactly(3), &[key(2, RO)], keyspace::refcount)
                .acl(category::KEYSPACE)
                .tips(&["nondeterministic_output"])
                .doc(Group::Generic, "2.2.3", "O(1)", "Answers the number of references to a value.")
                .args(&[key_arg("key", 0)]),
        ],
    )
    .doc(Group::Generic, "2.2.3", "Depends on the subcommand.", "Looks at how values are held."),
    write(Id::Persist, "persist", exactly(2), &[key(1, RW | UPDATE)], keyspace::persist)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "2.2.0", "O(1)", "Removes the expiry of a key.")
        .args(&[key_arg("key", 0)]),
    write(Id::Pexpire, "pexpire", at_least(3), &[key(1, RW | UPDATE)], keyspace::pexpire)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "2.6.0", "O(1)", "Sets the time to live of a key in milliseconds.")
        .args(&[
            key_arg("key", 0),
            integer("milliseconds"),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")])
                .since("7.0.0")
                .optional(),
        ]),
    write(Id::Pexpireat, "pexpireat", at_least(3), &[key(1, RW | UPDATE)], keyspace::pexpireat)
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "2.6.0", "O(1)", "Sets the moment at which a key expires, in Unix milliseconds.")
        .args(&[
            key_arg("key", 0),
            unix_time("unix-time-milliseconds"),
            one_of("condition", &[word("nx", "NX"), word("xx", "XX"), word("gt", "GT"), word("lt", "LT")])
                .since("7.0.0")
                .optional(),
        ]),
    read(Id::Pexpiretime, "pexpiretime", exactly(2), &[key(1, RO | ACCESS)], keyspace::pexpiretime)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(
            Group::Generic,
            "7.0.0",
            "O(1)",
            "Answers the moment at which a key expires, in Unix milliseconds.",
        )
        .args(&[key_arg("key", 0)]),
    read(Id::Pttl, "pttl", exactly(2), &[key(1, RO | ACCESS)], keyspace::pttl)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .tips(&["nondeterministic_output"])
        .doc(Group::Generic, "2.6.0", "O(1)", "Answers the remaining time to live of a key in milliseconds.")
        .args(&[key_arg("key", 0)]),
    broadcast_read(Id::Randomkey, "randomkey", exactly(1), keyspace::randomkey, Merge::RandomKey)
        .acl(category::KEYSPACE)
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"])
        .doc(Group::Generic, "1.0.0", "O(1)", "Answers a random key."),
    write(
        Id::Rename,
        "rename",
        exactly(3),
        &[key(1, RW | ACCESS | DELETE), key(2, OW | UPDATE)],
        keyspace::rename,
    )
    .acl(category::KEYSPACE)
    .doc(Group::Generic, "1.0.0", "O(1)", "Renames a key; replaces the key that has the new name.")
    .args(&[key_arg("key", 0), key_arg("newkey", 1)]),
    write(
        Id::Renamenx,
        "renamenx",
        exactly(3),
        &[key(1, RW | ACCESS | DELETE), key(2, OW | INSERT)],
        keyspace::renamenx,
    )
    .flags(FAST)
    .acl(category::KEYSPACE)
    .doc(Group::Generic, "1.0.0", "O(1)", "Renames a key, but only if no key has the new name.")
    .args(&[key_arg("key", 0), key_arg("newkey", 1)]),
    write(Id::Restore, "restore", at_least(4), &[key(1, OW | UPDATE)], keyspace::restore)
        .flags(DENYOOM)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc(
            Group::Generic,
            "2.6.0",
            "O(N) where N is the size of the value",
            "Creates a key from what DUMP answered.",
        )
        .args(RESTORE_ARGS),
    write(Id::RestoreAsking, "restore-asking", at_least(4), &[key(1, OW | UPDATE)], keyspace::restore)
        .flags(DENYOOM | ASKING)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc(
            Group::Server,
            "3.0.0",
            "O(N) where N is the size of the value",
            "RESTORE of a key that moves to another node.",
        )
        .system()
        .args(RESTORE_ARGS),
    broadcast_read(Id::Scan, "scan", at_least(2), keyspace::scan::scan, Merge::Scan)
        .acl(category::KEYSPACE)
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
        .doc(
            Group::Generic,
            "2.8.0",
            "O(1) for each call, O(N) for the whole iteration",
            "Iterates over the keys of the selected database.",
        )
        .args(&[
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
            string("type").token("TYPE").since("6.0.0").optional(),
        ]),
    broadcast_write(Id::Swapdb, "swapdb", exactly(3), keyspace::swapdb, Merge::AllOk)
        .flags(FAST)
        .acl(category::KEYSPACE | category::DANGEROUS)
        .doc(
            Group::Server,
            "4.0.0",
            "O(N) where N is the size of both databases",
            "Exchanges the keys of two databases.",
        )
        .args(&[integer("index1"), integer("index2")]),
    read(Id::Touch, "touch", at_least(2), &[keys(1, -1, 1, RO)], keyspace::touch)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .split(Merge::Sum)
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc(
            Group::Generic,
            "3.2.1",
            "O(N) where N is the number of keys",
            "Counts how many of the keys exist and marks them as used.",
        )
        .args(&[key_arg("key", 0).multiple()]),
    read(Id::Ttl, "ttl", exactly(2), &[key(1, RO | ACCESS)], keyspace::ttl)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .tips(&["nondeterministic_output"])
        .doc(Group::Generic, "1.0.0", "O(1)", "Answers the remaining time to live of a key in seconds.")
        .args(&[key_arg("key", 0)]),
    read(Id::Type, "type", exactly(2), &[key(1, RO)], keyspace::type_of)
        .spread(Spread::Whole(Join::Known))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .doc(Group::Generic, "1.0.0", "O(1)", "Answers the type of the value of a key.")
        .args(&[key_arg("key", 0)]),
    write(Id::Unlink, "unlink", at_least(2), &[keys(1, -1, 1, RM | DELETE)], keyspace::del)
        .spread(Spread::Whole(Join::Most))
        .flags(FAST)
        .acl(category::KEYSPACE)
        .split(Merge::Sum)
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .doc(
            Group::Generic,
            "4.0.0",
            "O(N) where N is the number of keys",
            "Deletes keys; their memory is reclaimed in the background.",
        )
        .args(&[key_arg("key", 0).multiple()]),
];

const RESTORE_ARGS: &[Arg] = &[
    key_arg("key", 0),
    integer("ttl"),
    string("serialized-value"),
    word("replace", "REPLACE").since("3.0.0").optional(),
    word("absttl", "ABSTTL").since("5.0.0").optional(),
    integer("seconds").token("IDLETIME").since("5.0.0").optional(),
    integer("frequency").token("FREQ").since("5.0.0").optional(),
];
