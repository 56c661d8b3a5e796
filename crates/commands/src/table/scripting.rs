//! Scripts and functions. There are none yet: what a server without functions can truly answer.

use crate::doc::{Group, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{ALLOW_BUSY, DENYOOM, LOADING, NOSCRIPT, STALE, WRITE};
use crate::spec::{at_least, container, exactly, local};
use crate::{Id, ProxyCommand, Spec};

pub static ROWS: &[Spec] = &[container(
    Id::Function,
    "function",
    &[
        local(Id::FunctionDump, "function|dump", exactly(2), ProxyCommand::FunctionDump)
            .flags(NOSCRIPT)
            .acl(category::SCRIPTING)
            .doc(Group::Scripting, "7.0.0", "O(1)", "Answers all libraries, of which there are none."),
        local(Id::FunctionHelp, "function|help", exactly(2), ProxyCommand::Help)
            .flags(LOADING | STALE)
            .acl(category::SCRIPTING)
            .doc(Group::Scripting, "7.0.0", "O(1)", "Lists the subcommands."),
        local(Id::FunctionList, "function|list", at_least(2), ProxyCommand::FunctionList)
            .flags(NOSCRIPT)
            .acl(category::SCRIPTING)
            .tips(&["nondeterministic_output_order"])
            .doc(Group::Scripting, "7.0.0", "O(1)", "Lists the libraries, of which there are none.")
            .args(&[
                string("library-name-pattern").token("LIBRARYNAME").optional(),
                word("withcode", "WITHCODE").optional(),
            ]),
        local(Id::FunctionRestore, "function|restore", at_least(3), ProxyCommand::FunctionRestore)
            .flags(NOSCRIPT | WRITE | DENYOOM)
            .acl(category::SCRIPTING)
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .doc(
                Group::Scripting,
                "7.0.0",
                "O(1)",
                "Takes what FUNCTION DUMP answered, if that holds no libraries.",
            )
            .args(&[
                string("serialized-value"),
                one_of(
                    "policy",
                    &[word("flush", "FLUSH"), word("append", "APPEND"), word("replace", "REPLACE")],
                )
                .optional(),
            ]),
        local(Id::FunctionStats, "function|stats", exactly(2), ProxyCommand::FunctionStats)
            .flags(NOSCRIPT | ALLOW_BUSY)
            .acl(category::SCRIPTING)
            .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
            .doc(Group::Scripting, "7.0.0", "O(1)", "Answers which function runs: none."),
    ],
)
.doc(
    Group::Scripting,
    "7.0.0",
    "Depends on the subcommand.",
    "Looks at functions, of which there are none.",
)];
