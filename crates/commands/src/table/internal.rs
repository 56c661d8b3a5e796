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
        .doc(Group::Scripting, "", "O(N) where N is the number of digests", "Tells which scripts are stored.")
        .internal(),
    group(Id::StoreScript, "storescript", exactly(2), &[], script(ScriptCommand::Store, true))
        .doc(Group::Scripting, "", "O(N) where N is the length of the script", "Stores a script.")
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
