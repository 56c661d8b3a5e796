//! Scripts and functions.

use crate::doc::{Arg, Group, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{
    ALLOW_BUSY, DENYOOM, LOADING, NO_MANDATORY_KEYS, NOSCRIPT, READONLY, SKIP_MONITOR, STALE, WRITE,
};
use crate::keyspec::key_flag::{ACCESS, RO, RW, UPDATE};
use crate::keyspec::{KeySpec, counted_keys};
use crate::spec::{at_least, container, exactly, group, local, script};
use crate::{Id, ProxyCommand, ScriptCommand, Spec};

const WRITTEN: KeySpec = counted_keys(2, RW | ACCESS | UPDATE);
const READ: KeySpec = counted_keys(2, RO | ACCESS);
const EVALS: &[KeySpec] =
    &[WRITTEN.notes("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")];
const READS_BY_EVAL: &[KeySpec] =
    &[READ.notes("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")];
const MAY_WRITE: u32 = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE;
const READS: u32 = NOSCRIPT | SKIP_MONITOR | NO_MANDATORY_KEYS | STALE | READONLY;
const DEPENDS: &str = "Depends on the script that is executed.";

/// Arguments of EVAL and its kin; `script` names the first one.
const fn arguments(first: Arg) -> [Arg; 4] {
    [first, integer("numkeys"), key_arg("key", 0).optional().multiple(), string("arg").optional().multiple()]
}

const OF_SCRIPT: &[Arg] = &arguments(string("script"));
const OF_DIGEST: &[Arg] = &arguments(string("sha1"));
const OF_FUNCTION: &[Arg] = &arguments(string("function"));
const FLUSH_MODE: &[Arg] =
    &[one_of("flush-type", &[word("async", "ASYNC"), word("sync", "SYNC")]).optional()];
const ON_ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const DEPENDS_ON_FUNCTION: &str = "Depends on the function that is executed.";

pub static ROWS: &[Spec] = &[
    group(Id::Eval, "eval", at_least(3), EVALS, script(ScriptCommand::Eval, true))
        .flags(MAY_WRITE)
        .acl(category::SCRIPTING)
        .doc(Group::Scripting, "2.6.0", DEPENDS, "Executes a Lua script.")
        .args(OF_SCRIPT),
    group(Id::EvalRo, "eval_ro", at_least(3), READS_BY_EVAL, script(ScriptCommand::Eval, false))
        .flags(READS)
        .acl(category::SCRIPTING)
        .doc(Group::Scripting, "7.0.0", DEPENDS, "Executes a Lua script that only reads.")
        .args(OF_SCRIPT),
    group(Id::Evalsha, "evalsha", at_least(3), &[WRITTEN], script(ScriptCommand::EvalSha, true))
        .flags(MAY_WRITE)
        .acl(category::SCRIPTING)
        .doc(Group::Scripting, "2.6.0", DEPENDS, "Executes a Lua script that is known, by its digest.")
        .args(OF_DIGEST),
    group(Id::EvalshaRo, "evalsha_ro", at_least(3), &[READ], script(ScriptCommand::EvalSha, false))
        .flags(READS)
        .acl(category::SCRIPTING)
        .doc(
            Group::Scripting,
            "7.0.0",
            DEPENDS,
            "Executes a Lua script that only reads and is known, by its digest.",
        )
        .args(OF_DIGEST),
    group(Id::Fcall, "fcall", at_least(3), EVALS, script(ScriptCommand::Call, true))
        .flags(MAY_WRITE)
        .acl(category::SCRIPTING)
        .doc(Group::Scripting, "7.0.0", DEPENDS_ON_FUNCTION, "Calls a function.")
        .args(OF_FUNCTION),
    group(Id::FcallRo, "fcall_ro", at_least(3), READS_BY_EVAL, script(ScriptCommand::Call, false))
        .flags(READS)
        .acl(category::SCRIPTING)
        .doc(Group::Scripting, "7.0.0", DEPENDS_ON_FUNCTION, "Calls a function that only reads.")
        .args(OF_FUNCTION),
    container(
        Id::Script,
        "script",
        &[
            local(Id::ScriptDebug, "script|debug", exactly(3), ProxyCommand::ScriptDebug)
                .flags(NOSCRIPT)
                .acl(category::SCRIPTING)
                .doc(Group::Scripting, "3.2.0", "O(1)", "Would set the debug mode of scripts: there is none.")
                .args(&[one_of("mode", &[word("yes", "YES"), word("sync", "SYNC"), word("no", "NO")])]),
            local(Id::ScriptExists, "script|exists", at_least(3), ProxyCommand::ScriptExists)
                .flags(NOSCRIPT)
                .acl(category::SCRIPTING)
                .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
                .doc(
                    Group::Scripting,
                    "2.6.0",
                    "O(N) where N is the number of digests",
                    "Tells which scripts are known, by their digests.",
                )
                .args(&[string("sha1").multiple()]),
            local(Id::ScriptFlush, "script|flush", at_least(2), ProxyCommand::ScriptFlush)
                .flags(NOSCRIPT)
                .acl(category::SCRIPTING)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(
                    Group::Scripting,
                    "2.6.0",
                    "O(N) where N is the number of scripts",
                    "Forgets all scripts.",
                )
                .args(&[one_of("flush-type", &[word("async", "ASYNC"), word("sync", "SYNC")])
                    .since("6.2.0")
                    .optional()]),
            local(Id::ScriptHelp, "script|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .acl(category::SCRIPTING)
                .doc(Group::Scripting, "5.0.0", "O(1)", "Lists the subcommands."),
            local(Id::ScriptKill, "script|kill", exactly(2), ProxyCommand::ScriptKill)
                .flags(NOSCRIPT | ALLOW_BUSY)
                .acl(category::SCRIPTING)
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .doc(Group::Scripting, "2.6.0", "O(1)", "Ends a script that runs; it leaves nothing."),
            local(Id::ScriptLoad, "script|load", exactly(3), ProxyCommand::ScriptLoad)
                .flags(NOSCRIPT | STALE)
                .acl(category::SCRIPTING)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .doc(
                    Group::Scripting,
                    "2.6.0",
                    "O(N) where N is the length of the script",
                    "Stores a script in every group.",
                )
                .args(&[string("script")]),
        ],
    )
    .doc(Group::Scripting, "2.6.0", "Depends on the subcommand.", "Manages scripts."),
    container(
        Id::Function,
        "function",
        &[
            local(Id::FunctionDelete, "function|delete", exactly(3), ProxyCommand::FunctionDelete)
                .flags(NOSCRIPT | WRITE)
                .acl(category::SCRIPTING)
                .tips(ON_ALL_SHARDS)
                .doc(Group::Scripting, "7.0.0", "O(1)", "Deletes a library and its functions.")
                .args(&[string("library-name")]),
            local(Id::FunctionDump, "function|dump", exactly(2), ProxyCommand::FunctionDump)
                .flags(NOSCRIPT)
                .acl(category::SCRIPTING)
                .doc(
                    Group::Scripting,
                    "7.0.0",
                    "O(N) where N is the number of functions",
                    "Answers all libraries in a form that FUNCTION RESTORE takes.",
                ),
            local(Id::FunctionFlush, "function|flush", at_least(2), ProxyCommand::FunctionFlush)
                .flags(NOSCRIPT | WRITE)
                .acl(category::SCRIPTING)
                .tips(ON_ALL_SHARDS)
                .doc(
                    Group::Scripting,
                    "7.0.0",
                    "O(N) where N is the number of functions deleted",
                    "Deletes all libraries.",
                )
                .args(FLUSH_MODE),
            local(Id::FunctionHelp, "function|help", exactly(2), ProxyCommand::Help)
                .flags(LOADING | STALE)
                .acl(category::SCRIPTING)
                .doc(Group::Scripting, "7.0.0", "O(1)", "Lists the subcommands."),
            local(Id::FunctionKill, "function|kill", exactly(2), ProxyCommand::FunctionKill)
                .flags(NOSCRIPT | ALLOW_BUSY)
                .acl(category::SCRIPTING)
                .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
                .doc(Group::Scripting, "7.0.0", "O(1)", "Ends a function that runs; it leaves nothing."),
            local(Id::FunctionList, "function|list", at_least(2), ProxyCommand::FunctionList)
                .flags(NOSCRIPT)
                .acl(category::SCRIPTING)
                .tips(&["nondeterministic_output_order"])
                .doc(
                    Group::Scripting,
                    "7.0.0",
                    "O(N) where N is the number of functions",
                    "Lists libraries and their functions.",
                )
                .args(&[
                    string("library-name-pattern").token("LIBRARYNAME").optional(),
                    word("withcode", "WITHCODE").optional(),
                ]),
            local(Id::FunctionLoad, "function|load", at_least(3), ProxyCommand::FunctionLoad)
                .flags(NOSCRIPT | WRITE | DENYOOM)
                .acl(category::SCRIPTING)
                .tips(ON_ALL_SHARDS)
                .doc(
                    Group::Scripting,
                    "7.0.0",
                    "O(1) (considering compilation time is redundant)",
                    "Loads a library into the whole cluster.",
                )
                .args(&[word("replace", "REPLACE").optional(), string("function-code")]),
            local(Id::FunctionRestore, "function|restore", at_least(3), ProxyCommand::FunctionRestore)
                .flags(NOSCRIPT | WRITE | DENYOOM)
                .acl(category::SCRIPTING)
                .tips(ON_ALL_SHARDS)
                .doc(
                    Group::Scripting,
                    "7.0.0",
                    "O(N) where N is the number of functions on the payload",
                    "Loads the libraries that FUNCTION DUMP answered.",
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
                .doc(Group::Scripting, "7.0.0", "O(1)", "Counts libraries and functions."),
        ],
    )
    .doc(Group::Scripting, "7.0.0", "Depends on the subcommand.", "Manages libraries of functions."),
];
