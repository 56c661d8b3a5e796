//! Streams and groups of consumers.

use crate::blocking::Timeout;
use crate::doc::{Arg, Group, block, integer, key_arg, one_of, string, unix_time, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST, LOADING, STALE};
use crate::handler::stream;
use crate::keyspec::key_flag::{ACCESS, DELETE, INSERT, RO, RW, UPDATE};
use crate::keyspec::{half_after, key};
use crate::spec::{at_least, container, exactly, local, read, write};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    write(Id::Xack, "xack", at_least(4), &[key(1, RW | UPDATE)], stream::xack)
        .flags(FAST)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(1) for each id",
            "Acknowledges entries: they are no longer pending in their group.",
        )
        .args(&[key_arg("key", 0), string("group"), string("ID").multiple()]),
    write(
        Id::Xadd,
        "xadd",
        at_least(5),
        &[key(1, RW | UPDATE).notes("UPDATE instead of INSERT because of the optional trimming feature")],
        stream::xadd,
    )
    .flags(DENYOOM | FAST)
    .acl(category::STREAM)
    .tips(&["nondeterministic_output"])
    .doc(
        Group::Stream,
        "5.0.0",
        "O(1), and O(N) for trimming where N is the number of entries trimmed",
        "Adds an entry to a stream; creates the key if it is missing.",
    )
    .args(&[
        key_arg("key", 0),
        word("nomkstream", "NOMKSTREAM").since("6.2.0").optional(),
        block("trim", TRIM).optional(),
        one_of("id-selector", &[word("auto-id", "*"), string("id")]),
        block("data", &[string("field"), string("value")]).multiple(),
    ]),
    write(Id::Xautoclaim, "xautoclaim", at_least(6), &[key(1, RW | DELETE)], stream::xautoclaim)
        .flags(FAST)
        .acl(category::STREAM)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Stream,
            "6.2.0",
            "O(N) where N is COUNT",
            "Gives a consumer the entries that have been pending for long, in the order of their ids.",
        )
        .args(&[
            key_arg("key", 0),
            string("group"),
            string("consumer"),
            string("min-idle-time"),
            string("start"),
            integer("count").token("COUNT").optional(),
            word("justid", "JUSTID").optional(),
        ]),
    write(Id::Xclaim, "xclaim", at_least(6), &[key(1, RW | UPDATE)], stream::xclaim)
        .flags(FAST)
        .acl(category::STREAM)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Stream,
            "5.0.0",
            "O(log N) for each id, where N is the number of pending entries",
            "Gives a consumer pending entries of others.",
        )
        .args(&[
            key_arg("key", 0),
            string("group"),
            string("consumer"),
            string("min-idle-time"),
            string("ID").multiple(),
            integer("ms").token("IDLE").optional(),
            unix_time("unix-time-milliseconds").token("TIME").optional(),
            integer("count").token("RETRYCOUNT").optional(),
            word("force", "FORCE").optional(),
            word("justid", "JUSTID").optional(),
            string("lastid").token("LASTID").optional(),
        ]),
    write(Id::Xdel, "xdel", at_least(3), &[key(1, RW | DELETE)], stream::xdel)
        .flags(FAST)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(1) for each id",
            "Deletes entries of a stream, which stays when it is empty.",
        )
        .args(&[key_arg("key", 0), string("ID").multiple()]),
    container(Id::Xgroup, "xgroup", XGROUP).doc(
        Group::Stream,
        "5.0.0",
        "Depends on the subcommand.",
        "Changes groups of consumers.",
    ),
    container(Id::Xinfo, "xinfo", XINFO).doc(
        Group::Stream,
        "5.0.0",
        "Depends on the subcommand.",
        "Looks at streams and groups of consumers.",
    ),
    read(Id::Xlen, "xlen", exactly(2), &[key(1, RO)], stream::xlen)
        .flags(FAST)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Answers the number of entries of a stream.")
        .args(&[key_arg("key", 0)]),
    read(Id::Xpending, "xpending", at_least(3), &[key(1, RO | ACCESS)], stream::xpending)
        .acl(category::STREAM)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of entries answered or, with IDLE, looked at; the summary: of consumers",
            "Answers which entries of a group are pending.",
        )
        .args(&[
            key_arg("key", 0),
            string("group"),
            block(
                "filters",
                &[
                    integer("min-idle-time").token("IDLE").since("6.2.0").optional(),
                    string("start"),
                    string("end"),
                    integer("count"),
                    string("consumer").optional(),
                ],
            )
            .optional(),
        ]),
    read(Id::Xrange, "xrange", at_least(4), &[key(1, RO | ACCESS)], stream::xrange)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of entries answered",
            "Answers the entries of an interval of ids.",
        )
        .args(&[
            key_arg("key", 0),
            string("start"),
            string("end"),
            integer("count").token("COUNT").optional(),
        ]),
    read(Id::Xread, "xread", at_least(4), &[half_after("STREAMS", 1, RO | ACCESS)], stream::xread)
        .blocking(BLOCK)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "",
            "Answers the entries of streams after the ids named; waits until there are some if BLOCK is given.",
        )
        .args(&[
            integer("count").token("COUNT").optional(),
            integer("milliseconds").token("BLOCK").optional(),
            block("streams", STREAMS).token("STREAMS"),
        ]),
    write(
        Id::Xreadgroup,
        "xreadgroup",
        at_least(7),
        &[half_after("STREAMS", 4, RO | ACCESS)],
        stream::xreadgroup,
    )
    .blocking(BLOCK)
    .acl(category::STREAM)
    .doc(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries answered",
        "Delivers new entries to a consumer, or answers what is pending for it; waits if BLOCK is given.",
    )
    .args(&[
        block("group-block", &[string("group"), string("consumer")]).token("GROUP"),
        integer("count").token("COUNT").optional(),
        integer("milliseconds").token("BLOCK").optional(),
        word("noack", "NOACK").optional(),
        block("streams", STREAMS).token("STREAMS"),
    ]),
    read(Id::Xrevrange, "xrevrange", at_least(4), &[key(1, RO | ACCESS)], stream::xrevrange)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of entries answered",
            "Answers the entries of an interval of ids, the last one first.",
        )
        .args(&[
            key_arg("key", 0),
            string("end"),
            string("start"),
            integer("count").token("COUNT").optional(),
        ]),
    write(Id::Xsetid, "xsetid", at_least(3), &[key(1, RW | UPDATE)], stream::xsetid)
        .flags(DENYOOM | FAST)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Sets the last id of a stream, for tools that copy streams.")
        .args(&[
            key_arg("key", 0),
            string("last-id"),
            integer("entries-added").token("ENTRIESADDED").since("7.0.0").optional(),
            string("max-deleted-id").token("MAXDELETEDID").since("7.0.0").optional(),
        ]),
    write(Id::Xtrim, "xtrim", at_least(4), &[key(1, RW | DELETE)], stream::xtrim)
        .acl(category::STREAM)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of entries trimmed",
            "Deletes the first entries of a stream.",
        )
        .args(&[key_arg("key", 0), block("trim", TRIM)]),
];

const BLOCK: Timeout = Timeout::Option { word: "BLOCK", until: "STREAMS" };

const STREAMS: &[Arg] = &[key_arg("key", 0).multiple(), string("ID").multiple()];

const TRIM: &[Arg] = &[
    one_of("strategy", &[word("maxlen", "MAXLEN"), word("minid", "MINID").since("6.2.0")]),
    one_of("operator", &[word("equal", "="), word("approximately", "~")]).optional(),
    string("threshold"),
    integer("count").token("LIMIT").since("6.2.0").optional(),
];

const XGROUP: &[Spec] = &[
    write(Id::XgroupCreate, "xgroup|create", at_least(5), &[key(2, RW | INSERT)], stream::create)
        .flags(DENYOOM)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Creates a group that reads after an id.")
        .args(&[
            key_arg("key", 0),
            string("group"),
            one_of("id-selector", &[string("id"), word("new-id", "$")]),
            word("mkstream", "MKSTREAM").optional(),
            integer("entries-read").token("ENTRIESREAD").optional(),
        ]),
    write(
        Id::XgroupCreateconsumer,
        "xgroup|createconsumer",
        exactly(5),
        &[key(2, RW | INSERT)],
        stream::create_consumer,
    )
    .flags(DENYOOM)
    .acl(category::STREAM)
    .doc(Group::Stream, "6.2.0", "O(1)", "Creates a consumer of a group.")
    .args(&[key_arg("key", 0), string("group"), string("consumer")]),
    write(
        Id::XgroupDelconsumer,
        "xgroup|delconsumer",
        exactly(5),
        &[key(2, RW | DELETE)],
        stream::delete_consumer,
    )
    .acl(category::STREAM)
    .doc(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries that are pending for it",
        "Deletes a consumer of a group, and what is pending for it.",
    )
    .args(&[key_arg("key", 0), string("group"), string("consumer")]),
    write(Id::XgroupDestroy, "xgroup|destroy", exactly(4), &[key(2, RW | DELETE)], stream::destroy)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Deletes a group, its consumers and what is pending in it.")
        .args(&[key_arg("key", 0), string("group")]),
    local(Id::XgroupHelp, "xgroup|help", exactly(2), ProxyCommand::Help)
        .flags(LOADING | STALE)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Lists the subcommands."),
    write(Id::XgroupSetid, "xgroup|setid", at_least(5), &[key(2, RW | UPDATE)], stream::set_id)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Sets the id after which a group reads.")
        .args(&[
            key_arg("key", 0),
            string("group"),
            one_of("id-selector", &[string("id"), word("new-id", "$")]),
            integer("entriesread").display("entries-read").token("ENTRIESREAD").optional(),
        ]),
];

const XINFO: &[Spec] = &[
    read(Id::XinfoConsumers, "xinfo|consumers", exactly(4), &[key(2, RO | ACCESS)], stream::consumers)
        .acl(category::STREAM)
        .tips(&["nondeterministic_output"])
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of consumers",
            "Answers the consumers of a group.",
        )
        .args(&[key_arg("key", 0), string("group")]),
    read(Id::XinfoGroups, "xinfo|groups", exactly(3), &[key(2, RO | ACCESS)], stream::groups)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(N) where N is the number of groups",
            "Answers the groups of a stream.",
        )
        .args(&[key_arg("key", 0)]),
    local(Id::XinfoHelp, "xinfo|help", exactly(2), ProxyCommand::Help)
        .flags(LOADING | STALE)
        .acl(category::STREAM)
        .doc(Group::Stream, "5.0.0", "O(1)", "Lists the subcommands."),
    read(Id::XinfoStream, "xinfo|stream", at_least(3), &[key(2, RO | ACCESS)], stream::stream)
        .acl(category::STREAM)
        .doc(
            Group::Stream,
            "5.0.0",
            "O(1); with FULL O(N) where N is what is answered",
            "Answers what is known of a stream.",
        )
        .args(&[
            key_arg("key", 0),
            block("full-block", &[word("full", "FULL"), integer("count").token("COUNT").optional()])
                .optional(),
        ]),
];
