//! Commands between proxy and storage node that clients cannot name.

use crate::doc::{Group, integer};
use crate::handler::keyspace;
use crate::spec::{exactly, read};
use crate::{Id, Spec};

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
];
