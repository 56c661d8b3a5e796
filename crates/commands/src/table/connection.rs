//! Connections. The proxy executes all of these itself.

use crate::doc::{Group, block, integer, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[
    local(Id::Auth, "auth", at_least(2), ProxyCommand::Auth)
        .flags(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY)
        .acl(category::CONNECTION)
        .doc(Group::Connection, "1.0.0", "O(1)", "Authenticates the connection.")
        .args(&[string("username").since("6.0.0").optional(), string("password")]),
    container(
        Id::Client,
        "client",
        &[
            local(Id::ClientCaching, "client|caching", exactly(3), ProxyCommand::ClientCaching)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "6.0.0",
                    "O(1)",
                    "Says whether the keys of the next command are tracked.",
                )
                .args(&[one_of("mode", &[word("yes", "YES"), word("no", "NO")])]),
            local(Id::ClientGetname, "client|getname", exactly(2), ProxyCommand::ClientGetName)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Connection, "2.6.9", "O(1)", "Answers the name of the connection."),
            local(Id::ClientGetredir, "client|getredir", exactly(2), ProxyCommand::ClientGetRedir)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "6.0.0",
                    "O(1)",
                    "Answers the id of the connection that is told of changed keys.",
                ),
            local(Id::ClientHelp, "client|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Connection, "5.0.0", "O(1)", "Lists the subcommands."),
            local(Id::ClientId, "client|id", exactly(2), ProxyCommand::ClientId)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Connection, "5.0.0", "O(1)", "Answers the id of the connection."),
            local(Id::ClientInfo, "client|info", exactly(2), ProxyCommand::ClientInfo)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["nondeterministic_output"])
                .doc(Group::Connection, "6.2.0", "O(1)", "Describes the connection."),
            local(Id::ClientKill, "client|kill", at_least(3), ProxyCommand::ClientKill)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "2.4.0",
                    "O(N) where N is the number of connections",
                    "Closes connections.",
                )
                .args(&[one_of(
                    "filter",
                    &[
                        string("old-format").display("ip:port"),
                        one_of(
                            "new-format",
                            &[
                                integer("client-id").token("ID").since("2.8.12").optional(),
                                one_of(
                                    "client-type",
                                    &[
                                        word("normal", "normal"),
                                        word("master", "master").since("3.2.0"),
                                        word("slave", "slave"),
                                        word("replica", "replica").since("5.0.0"),
                                        word("pubsub", "pubsub"),
                                    ],
                                )
                                .token("TYPE")
                                .since("2.8.12")
                                .optional(),
                                string("username").token("USER").optional(),
                                string("addr").token("ADDR").display("ip:port").optional(),
                                string("laddr").token("LADDR").display("ip:port").since("6.2.0").optional(),
                                one_of("skipme", &[word("yes", "YES"), word("no", "NO")])
                                    .token("SKIPME")
                                    .optional(),
                            ],
                        )
                        .multiple(),
                    ],
                )]),
            local(Id::ClientList, "client|list", at_least(2), ProxyCommand::ClientList)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["nondeterministic_output"])
                .doc(
                    Group::Connection,
                    "2.4.0",
                    "O(N) where N is the number of connections",
                    "Describes all connections of this node.",
                )
                .args(&[
                    one_of(
                        "client-type",
                        &[
                            word("normal", "normal"),
                            word("master", "master"),
                            word("replica", "replica"),
                            word("pubsub", "pubsub"),
                        ],
                    )
                    .token("TYPE")
                    .since("5.0.0")
                    .optional(),
                    integer("client-id").token("ID").since("6.2.0").optional().multiple(),
                ]),
            local(Id::ClientNoEvict, "client|no-evict", exactly(3), ProxyCommand::ClientNoEvict)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "7.0.0",
                    "O(1)",
                    "Exempts the connection from being evicted for its memory.",
                )
                .args(&[one_of("enabled", &[word("on", "ON"), word("off", "OFF")])]),
            local(Id::ClientNoTouch, "client|no-touch", exactly(3), ProxyCommand::ClientNoTouch)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "7.2.0",
                    "O(1)",
                    "Keeps the connection's commands from marking keys as used.",
                )
                .args(&[one_of("enabled", &[word("on", "ON"), word("off", "OFF")])]),
            local(Id::ClientPause, "client|pause", at_least(3), ProxyCommand::ClientPause)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "3.0.0",
                    "O(1)",
                    "Holds back the commands of all connections of this node for a while.",
                )
                .args(&[
                    integer("timeout"),
                    one_of("mode", &[word("write", "WRITE"), word("all", "ALL")]).since("6.2.0").optional(),
                ]),
            local(Id::ClientReply, "client|reply", exactly(3), ProxyCommand::ClientReply)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(Group::Connection, "3.2.0", "O(1)", "Switches the replies to the connection on or off.")
                .args(&[one_of("action", &[word("on", "ON"), word("off", "OFF"), word("skip", "SKIP")])]),
            local(Id::ClientSetinfo, "client|setinfo", exactly(4), ProxyCommand::ClientSetInfo)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(Group::Connection, "7.2.0", "O(1)", "Records the name or version of the client library.")
                .args(&[one_of(
                    "attr",
                    &[string("libname").token("lib-name"), string("libver").token("lib-ver")],
                )]),
            local(Id::ClientSetname, "client|setname", exactly(3), ProxyCommand::ClientSetName)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(Group::Connection, "2.6.9", "O(1)", "Names the connection.")
                .args(&[string("connection-name")]),
            local(Id::ClientTracking, "client|tracking", at_least(3), ProxyCommand::ClientTracking)
                .flags(NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "6.0.0",
                    "O(1). Some options may introduce additional complexity.",
                    "Switches telling the connection of changed keys, which it may cache, on or off.",
                )
                .args(&[
                    one_of("status", &[word("on", "ON"), word("off", "OFF")]),
                    integer("client-id").token("REDIRECT").optional(),
                    string("prefix").token("PREFIX").optional().multiple().multiple_token(),
                    word("BCAST", "BCAST").optional(),
                    word("OPTIN", "OPTIN").optional(),
                    word("OPTOUT", "OPTOUT").optional(),
                    word("NOLOOP", "NOLOOP").optional(),
                ]),
            local(
                Id::ClientTrackinginfo,
                "client|trackinginfo",
                exactly(2),
                ProxyCommand::ClientTrackingInfo,
            )
            .flags(NOSCRIPT | LOADING | STALE)
            .acl(category::CONNECTION)
            .doc(
                Group::Connection,
                "6.2.0",
                "O(1)",
                "Answers what the connection is told of changed keys.",
            ),
            local(Id::ClientUnblock, "client|unblock", at_least(3), ProxyCommand::ClientUnblock)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "5.0.0",
                    "O(1)",
                    "Wakes a connection that waits in a blocking command.",
                )
                .args(&[
                    integer("client-id"),
                    one_of("unblock-type", &[word("timeout", "TIMEOUT"), word("error", "ERROR")]).optional(),
                ]),
            local(Id::ClientUnpause, "client|unpause", exactly(2), ProxyCommand::ClientUnpause)
                .flags(ADMIN | NOSCRIPT | LOADING | STALE)
                .acl(category::CONNECTION)
                .doc(
                    Group::Connection,
                    "6.2.0",
                    "O(N) where N is the number of connections",
                    "Ends CLIENT PAUSE.",
                ),
        ],
    )
    .doc(Group::Connection, "2.4.0", "Depends on the subcommand.", "Looks at and manages connections."),
    local(Id::Echo, "echo", exactly(2), ProxyCommand::Echo)
        .flags(LOADING | STALE | FAST)
        .acl(category::CONNECTION)
        .doc(Group::Connection, "1.0.0", "O(1)", "Answers its argument.")
        .args(&[string("message")]),
    local(Id::Hello, "hello", at_least(1), ProxyCommand::Hello)
        .flags(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY)
        .acl(category::CONNECTION)
        .doc(
            Group::Connection,
            "6.0.0",
            "O(1)",
            "Chooses the protocol version; authenticates and names the connection if wanted.",
        )
        .args(&[block(
            "arguments",
            &[
                integer("protover"),
                block("auth", &[string("username"), string("password")]).token("AUTH").optional(),
                string("clientname").token("SETNAME").optional(),
            ],
        )
        .optional()]),
    local(Id::Ping, "ping", at_least(1), ProxyCommand::Ping)
        .flags(FAST)
        .acl(category::CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .doc(Group::Connection, "1.0.0", "O(1)", "Answers PONG, or its argument.")
        .args(&[string("message").optional()]),
    local(Id::Quit, "quit", at_least(1), ProxyCommand::Quit)
        .flags(ALLOW_BUSY | NOSCRIPT | LOADING | STALE | FAST | NO_AUTH)
        .acl(category::CONNECTION)
        .doc(Group::Connection, "1.0.0", "O(1)", "Closes the connection.")
        .deprecated("7.2.0", "just closing the connection"),
    local(Id::Reset, "reset", exactly(1), ProxyCommand::Reset)
        .flags(NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY)
        .acl(category::CONNECTION)
        .doc(Group::Connection, "6.2.0", "O(1)", "Puts the connection back into its first state."),
    local(Id::Select, "select", exactly(2), ProxyCommand::Select)
        .flags(LOADING | STALE | FAST)
        .acl(category::CONNECTION)
        .doc(Group::Connection, "1.0.0", "O(1)", "Chooses the database of the connection.")
        .args(&[integer("index")]),
    local(Id::Wait, "wait", exactly(3), ProxyCommand::Wait)
        .acl(category::CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .doc(
            Group::Generic,
            "3.0.0",
            "O(N) where N is the number of groups that were written to",
            "Waits until replicas have what the connection wrote, and counts them.",
        )
        .args(&[integer("numreplicas"), integer("timeout")]),
    local(Id::Waitaof, "waitaof", exactly(4), ProxyCommand::WaitAof)
        .flags(NOSCRIPT)
        .acl(category::CONNECTION)
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .doc(
            Group::Generic,
            "7.2.0",
            "O(N) where N is the number of groups that were written to",
            "Waits until what the connection wrote is synced by leaders and replicas, and counts them.",
        )
        .args(&[integer("numlocal"), integer("numreplicas"), integer("timeout")]),
];
