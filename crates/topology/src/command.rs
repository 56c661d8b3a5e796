//! Topology changes: what meta's Raft group replicates.
//!
//! Every change is a [`Command`], applied by the pure function [`ClusterState::apply`]. Invariants:
//! - apply is total and deterministic: the same state and command give the same result anywhere;
//! - a refused command changes nothing;
//! - a command that is applied again changes nothing and is not refused, if what it asks for holds
//!   ([`Command::Cluster`] answers what Redis does: ADDSLOTS of a slot that one has is an error;
//!   [`Command::ChangeUsers`] is refused, because it names what it was made from);
//! - the version grows by one exactly when the rest of the state changed;
//! - no command leads to a state that [`check`](crate::check) objects to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Broken, Change, Classes, ClusterState, GroupId, LibraryChange, LibraryRefused, ProxyId, ReplicaId, Said,
    SlotSet, StoreId, UsersChange, Version, check,
};

/// One topology change. Serialised as JSON (`{"do": "group_formed", "group": 3}`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// First entry of a cluster's life; later ones change nothing.
    Init {
        cluster_id: String,
        replication: u32,
    },
    /// A storage node introduces its data directory. Under a known name, but with a new id: the
    /// old directory is lost, and its store is marked gone.
    RegisterStore {
        store: StoreId,
        name: String,
        rpc_addr: String,
    },
    /// A store's replicas are to be moved elsewhere, for good.
    RemoveStore {
        store: StoreId,
    },
    /// A proxy process introduces itself; it counts as live from here on.
    RegisterProxy {
        proxy: ProxyId,
        announce_host: String,
        announce_port: u16,
        #[serde(default)]
        announce_hostname: String,
        incarnation: u64,
        /// If it is new: it begins as an island, known to nobody.
        #[serde(default)]
        apart: bool,
    },
    /// The lease of that incarnation ran out.
    ProxyLeaseExpired {
        proxy: ProxyId,
        incarnation: u64,
    },
    /// That incarnation is heard again.
    ProxyAlive {
        proxy: ProxyId,
        incarnation: u64,
    },
    /// Drops a proxy that is not live.
    ForgetProxy {
        proxy: ProxyId,
    },
    /// What a proxy that is not live fronts goes to another that knows it.
    HandOver {
        proxy: ProxyId,
    },
    /// What a client of `at` asks for. One after the other, each as a whole or not at all; what one
    /// is refused does not undo those before it.
    Cluster {
        at: ProxyId,
        changes: Vec<Change>,
    },
    /// The leader of a group looked through the slots parked up to version `at`, none of which it
    /// serves: only `in_use` hold keys.
    ParkedFound {
        group: GroupId,
        at: Version,
        in_use: SlotSet,
    },
    /// Creates `groups` groups that share all slots, placed on the stores that are not gone. Changes
    /// nothing where groups exist.
    Bootstrap {
        groups: u32,
    },
    /// A leader of the group was seen.
    GroupFormed {
        group: GroupId,
    },
    /// A new replica on `new_store` takes the place of `old`.
    ReplaceReplica {
        group: GroupId,
        old: ReplicaId,
        new_store: StoreId,
    },
    AddReplica {
        group: GroupId,
        store: StoreId,
    },
    RemoveReplica {
        group: GroupId,
        replica: ReplicaId,
    },
    /// Replaces the roles of the named proxies; the others keep theirs.
    SetFronts {
        roles: BTreeMap<ProxyId, Role>,
    },
    /// Refused if it was made from another revision; so, applied again, it changes nothing.
    ChangeUsers(UsersChange),
    /// Changes the libraries of functions. They are no part of the state: meta applies this to
    /// [`Libraries`](crate::Libraries), and to a state it means nothing.
    Libraries {
        libraries: LibraryChange,
    },
    /// Which keyspace events are announced from here on.
    SetNotifications {
        classes: Classes,
    },
    /// Hashes that the rule covers are namespaces, once no keys are in the way.
    AddNamespace {
        rule: String,
    },
    /// They are not any more, once there are none.
    RemoveNamespace {
        rule: String,
    },
    /// All groups have looked for keys in the way of the change that version `since` brought.
    SettleNamespace {
        rule: String,
        since: Version,
        in_use: bool,
    },
}

/// What a proxy is announced as.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Role {
    /// Groups it fronts, ascending. Empty: a replica of `master`, or a master without slots.
    #[serde(default)]
    pub fronts: Vec<GroupId>,
    #[serde(default)]
    pub master: Option<ProxyId>,
}

/// What an accepted command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of the state afterwards.
    pub version: Version,
    /// False when what was asked for held already.
    pub changed: bool,
    /// Of [`Command::Cluster`]: what each change answers.
    pub replies: Vec<Result<Said, Refused>>,
}

/// Why a command was refused. The text is what a Redis client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("ERR Slot {0} is already busy")]
    SlotBusy(u16),
    #[error("ERR Slot {0} is already unassigned")]
    SlotUnassigned(u16),
    #[error("ERR Invalid or out of range slot")]
    SlotRange,
    #[error("ERR Slot {slot} holds keys in group {group}, which another node fronts: assign it there")]
    SlotInUse { slot: u16, group: GroupId },
    /// To be asked again once the group's leader has looked.
    #[error("ERR Slot {0} was served by another node until now and may hold keys, try again")]
    SlotUnchecked(u16),
    #[error("ERR I'm not the owner of hash slot {0}")]
    NotSlotOwner(u16),
    #[error("ERR I'm already the owner of hash slot {0}")]
    AlreadySlotOwner(u16),
    #[error("ERR Please use ADDSLOTS only with masters.")]
    AddSlotsToReplica,
    #[error("ERR Please use SETSLOT only with masters.")]
    SetSlotOnReplica,
    #[error("ERR Unknown node {0}")]
    UnknownProxy(ProxyId),
    #[error("ERR Unknown node {0}")]
    UnknownNode(String),
    #[error("ERR I don't know about node {0}")]
    DontKnow(String),
    #[error("ERR Target node is not a master")]
    TargetNotMaster,
    #[error("ERR Node {0} is known but not reachable")]
    ProxyNotLive(ProxyId),
    #[error("ERR I tried hard but I can't forget myself...")]
    ForgetMyself,
    #[error("ERR Can't forget my master!")]
    ForgetMyMaster,
    #[error("ERR Can't replicate myself")]
    ReplicateMyself,
    #[error("ERR I can only replicate a master, not a replica.")]
    ReplicateReplica,
    #[error("ERR To set a master the node must be empty and without assigned slots.")]
    NotEmpty,
    #[error("ERR The user can assign a config epoch only when the node does not know any other node.")]
    EpochNotAlone,
    #[error("ERR Node config epoch is already non-zero")]
    EpochSet,
    #[error("ERR You should send CLUSTER FAILOVER to a replica")]
    FailoverOfMaster,
    #[error("ERR Master is down or failed, please use CLUSTER FAILOVER FORCE")]
    MasterDown,
    #[error("ERR The cluster is not initialised")]
    NotInitialised,
    #[error("ERR Unknown group {0}")]
    UnknownGroup(GroupId),
    #[error("ERR Unknown store {0}")]
    UnknownStore(StoreId),
    #[error("ERR Store {0} was replaced or removed; delete its data directory to join again")]
    StoreGone(StoreId),
    #[error("ERR Store {store} already holds a replica of group {group}")]
    StoreHoldsGroup { store: StoreId, group: GroupId },
    #[error("ERR Group {0} has not formed yet")]
    NotFormed(GroupId),
    #[error("ERR Group {0} would be left without a replica")]
    LastReplica(GroupId),
    #[error("ERR No storage node to place replicas on")]
    NoStores,
    #[error("ERR The number of groups must be between 1 and {max}")]
    GroupCount { max: u32 },
    #[error("ERR Node {0} is live")]
    ProxyLive(ProxyId),
    #[error("ERR A namespace is named by up to 256 bytes without blanks; `*` may stand at the end")]
    NamespaceText,
    #[error("ERR The namespace overlaps with '{0}'")]
    NamespaceOverlaps(String),
    #[error("ERR There are {max} rules for namespaces already")]
    NamespaceCount { max: usize },
    #[error("ERR Node {0} was started again since")]
    StaleIncarnation(ProxyId),
    /// To be made again from the users as they are.
    #[error("ERR The users have changed meanwhile, try again")]
    UsersChanged,
    #[error("ERR There would be too many users")]
    TooManyUsers,
    #[error(transparent)]
    Library(#[from] LibraryRefused),
    #[error("ERR {0}")]
    Invariant(#[from] Broken),
}

impl ClusterState {
    /// Applies `cmd`, or refuses it and changes nothing.
    pub fn apply(&mut self, cmd: &Command) -> Result<Outcome, Refused> {
        let mut next = self.clone();
        let replies = next.transition(cmd)?;
        let changed = next != *self;
        if changed {
            next.version.0 += 1;
            check(&next)?;
            *self = next;
        }
        Ok(Outcome { version: self.version, changed, replies })
    }
}
