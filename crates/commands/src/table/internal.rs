//! Commands between proxy and storage node that clients cannot name.

use crate::doc::{Group, integer};
use crate::handler::keyspace;
use crate::keyspec::key_flag::RO;
use crate::keyspec::keys;
use crate::spec::{at_least, exactly, group, read, script};
use crate::{GroupCommand, Id, Kind, ScriptCommand, Spec};

pub static ROWS: &[Spec] = &[
    read(Id::CountKeysInSlot, "countkeysinslot", exactly(2), &[], keyspace::count_keys_in_slot)
        .doc(
            Group::Cluster,
            "",
            "O(N) where N is the number of keys in the slot",
            "Counts the keys of a slot.",
        )
        .args(&[integer("slot")])
        .internal(),
    read(Id::GetKeysInSlot, "getkeysinslot", exactly(3), &[], keyspace::get_keys_in_slot)
        .doc(Group::Cluster, "", "O(N) where N is the number of keys asked for", "Lists keys of a slot.")
        .args(&[integer("slot"), integer("count")])
        .internal(),
    group(Id::DropScripts, "dropscripts", exactly(1), &[], script(ScriptCommand::Drop, true))
        .doc(Group::Scripting, "", "O(N) where N is the number of scripts", "Forgets all scripts.")
        .internal(),
    group(Id::KnowScripts, "knowscripts", at_least(2), &[], script(ScriptCommand::Know, false))
        .doc(
            Group::Scripting,
            "",
            "O(N) where N is the number of digests",
            "Answers scripts, or null, by their digests.",
        )
        .internal(),
    group(Id::StoreScript, "storescript", exactly(2), &[], script(ScriptCommand::Store, true))
        .doc(Group::Scripting, "", "O(N) where N is the length of the script", "Stores a script.")
        .internal(),
    group(Id::ListLibraries, "listlibraries", at_least(1), &[], script(ScriptCommand::ListLibraries, false))
        .doc(Group::Scripting, "", "O(N) where N is the number of libraries", "Lists libraries of functions.")
        .internal(),
    group(Id::DumpLibraries, "dumplibraries", exactly(1), &[], script(ScriptCommand::DumpLibraries, false))
        .doc(Group::Scripting, "", "O(N) where N is the length of the libraries", "Answers all libraries.")
        .internal(),
    group(Id::LibraryStats, "librarystats", exactly(1), &[], script(ScriptCommand::LibraryStats, false))
        .doc(Group::Scripting, "", "O(1)", "Counts libraries and functions.")
        .internal(),
    group(Id::StopScript, "stopscript", exactly(2), &[], script(ScriptCommand::Stop, false))
        .doc(Group::Scripting, "", "O(1)", "Stops a script, or a function.")
        .internal(),
    group(Id::ReadLibrary, "readlibrary", at_least(2), &[], script(ScriptCommand::ReadLibrary, false))
        .doc(
            Group::Scripting,
            "",
            "O(N) where N is the length of the code",
            "Tells what a library registers.",
        )
        .internal(),
    group(Id::ReadLibraries, "readlibraries", exactly(2), &[], script(ScriptCommand::ReadLibraries, false))
        .doc(
            Group::Scripting,
            "",
            "O(N) where N is the length of the payload",
            "Tells what libraries register.",
        )
        .internal(),
    group(
        Id::Figures,
        "figures",
        exactly(1),
        &[],
        Kind::Group { command: GroupCommand::Figures, writes: false },
    )
    .doc(Group::Server, "", "O(1)", "Tells what INFO shows of a group.")
    .internal(),
    group(
        Id::Replication,
        "replication",
        at_least(1),
        &[],
        Kind::Group { command: GroupCommand::Replication, writes: false },
    )
    .doc(Group::Generic, "", "O(N) where N is the number of replicas", "Tells what replicas have.")
    .args(&[integer("index").optional()])
    .internal(),
    group(
        Id::Spread,
        "spread",
        at_least(4),
        &[],
        Kind::Group { command: GroupCommand::Spread, writes: true },
    )
    .doc(Group::Hash, "", "Depends on the command.", "Executes a command on shards of a namespace.")
    .internal(),
    group(
        Id::StopWaiting,
        "stopwaiting",
        exactly(1),
        &[],
        Kind::Group { command: GroupCommand::StopWaiting, writes: true },
    )
    .doc(Group::Generic, "", "O(1)", "Ends the waiting of a blocking command.")
    .internal(),
    group(
        Id::Transaction,
        "transaction",
        exactly(3),
        &[],
        Kind::Group { command: GroupCommand::Transaction, writes: true },
    )
    .doc(Group::Transactions, "", "Depends on its commands.", "Executes a transaction.")
    .internal(),
    group(
        Id::WatchTokens,
        "watchtokens",
        at_least(2),
        &[keys(1, -1, 1, RO)],
        Kind::Group { command: GroupCommand::Watch, writes: false },
    )
    .doc(Group::Transactions, "", "O(N) where N is the number of keys", "Begins to watch keys.")
    .internal(),
];
