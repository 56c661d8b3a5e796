//! `ClusterState`: what meta's Raft group replicates, and what every other process caches.
//!
//! Hard state only: who exists, who holds what, who fronts what. Leaders, lags and loads are soft
//! and travel beside it. Serialised as JSON, so that processes of neighbouring builds understand
//! one another: unknown fields are ignored, new ones have defaults.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Classes, GroupId, Namespaces, ProxyId, ReplicaId, SlotSet, StoreId, Users, Version};

/// The replicated state of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterState {
    /// Adds one with each change that others can see.
    pub version: Version,
    /// Random, set by the first entry; empty before.
    pub cluster_id: String,
    /// Next id to allocate for groups and replicas (one counter; ids are never reused).
    #[serde(default)]
    pub next_id: u64,
    /// Replicas per group that placement aims at.
    #[serde(default)]
    pub replication: u32,
    #[serde(default)]
    pub stores: BTreeMap<StoreId, StorageNode>,
    #[serde(default)]
    pub groups: BTreeMap<GroupId, Group>,
    #[serde(default)]
    pub proxies: BTreeMap<ProxyId, Proxy>,
    /// Redis's cluster epoch as announced.
    #[serde(default)]
    pub current_epoch: u64,
    /// Parked slots on their way to another node, by number: it gets them once they are found empty.
    /// Until then they are announced, and routed, as before.
    #[serde(default)]
    pub moving: BTreeMap<u16, ProxyId>,
    /// Which keys are namespaces.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Ids (as shown) of nodes that were forgotten and not met again. Bounded.
    #[serde(default)]
    pub forgotten: BTreeSet<ProxyId>,
    /// Who may use the cluster.
    #[serde(default)]
    pub users: Users,
    /// Which keyspace events are announced.
    #[serde(default)]
    pub notifications: Classes,
}

/// A registered storage node (one data directory).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageNode {
    /// Stable name. The same name under a new `StoreId` means that the disk was lost.
    pub name: String,
    /// host:port of its RPC listener.
    pub rpc_addr: String,
    /// Its disk is lost or it was removed: its replicas are to be replaced.
    #[serde(default)]
    pub gone: bool,
}

/// A Raft group and the slots it serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    pub slots: SlotSet,
    /// Desired members. The group's leader drives its Raft membership towards this list.
    pub replicas: Vec<Replica>,
    /// False until a leader was seen: the store of the first replica then initialises the Raft
    /// membership with `replicas`. Once true, a replica without data waits to be added.
    #[serde(default)]
    pub formed: bool,
    /// Slots that were taken from the group while it may hold keys of theirs.
    #[serde(default)]
    pub parked: SlotSet,
    /// The version that parked some last.
    #[serde(default)]
    pub parked_at: Version,
    /// What `parked_at` was when the parked slots were last looked through: all that are left held
    /// keys.
    #[serde(default)]
    pub checked_at: Version,
}

/// A desired member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub id: ReplicaId,
    pub store: StoreId,
}

/// A proxy: one node of the announced Redis Cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Proxy {
    pub announce_host: String,
    pub announce_port: u16,
    /// Announced host name, may be empty.
    #[serde(default)]
    pub announce_hostname: String,
    /// Groups this proxy fronts: it is announced as the master of exactly their slots. None: it is
    /// announced as a replica of `master_id`.
    #[serde(default)]
    pub fronts: Vec<GroupId>,
    #[serde(default)]
    pub master_id: Option<ProxyId>,
    #[serde(default)]
    pub config_epoch: u64,
    /// Its lease is in force.
    #[serde(default)]
    pub live: bool,
    /// Of the process that registered last; heartbeats of an older one are ignored.
    #[serde(default)]
    pub incarnation: u64,
    /// Proxies of one realm know each other. 0: where proxies begin unless they start apart.
    #[serde(default)]
    pub realm: u64,
    /// The id under which it is announced since its last hard reset.
    #[serde(default)]
    pub alias: Option<ProxyId>,
    /// Its master was chosen by hand: it is not given another, or groups, to even things out.
    #[serde(default)]
    pub pinned: bool,
    /// CLUSTER SETSLOT … MIGRATING: slots and their targets.
    #[serde(default)]
    pub migrating: BTreeMap<u16, ProxyId>,
    /// CLUSTER SETSLOT … IMPORTING: slots and their sources.
    #[serde(default)]
    pub importing: BTreeMap<u16, ProxyId>,
}

impl ClusterState {
    /// The group that serves `slot`.
    pub fn owner(&self, slot: crate::Slot) -> Option<GroupId> {
        self.groups.iter().find(|(_, g)| g.slots.contains(slot)).map(|(&id, _)| id)
    }

    /// Slots announced for `proxy`: those of the groups it fronts.
    pub fn announced_slots(&self, proxy: &ProxyId) -> SlotSet {
        let fronts = self.proxies.get(proxy).map(|p| p.fronts.as_slice()).unwrap_or_default();
        self.slots_of(fronts.iter().filter_map(|g| self.groups.get(g)))
    }

    /// Slots that the proxies of a realm announce, or will once they are live again. Groups that
    /// nobody fronts yet count for realm 0.
    pub fn realm_slots(&self, realm: u64) -> SlotSet {
        let elsewhere: BTreeSet<GroupId> = self
            .proxies
            .values()
            .filter(|proxy| proxy.realm != realm)
            .flat_map(|proxy| proxy.fronts.iter().copied())
            .collect();
        if realm == 0 {
            return self
                .slots_of(self.groups.iter().filter(|(id, _)| !elsewhere.contains(id)).map(|(_, g)| g));
        }
        let here = self.proxies.values().filter(|proxy| proxy.realm == realm);
        self.slots_of(here.flat_map(|proxy| &proxy.fronts).filter_map(|g| self.groups.get(g)))
    }

    fn slots_of<'a>(&self, groups: impl Iterator<Item = &'a Group>) -> SlotSet {
        let moving = |slot: &crate::Slot| self.moving.contains_key(&slot.number());
        SlotSet::from_slots(groups.flat_map(|g| g.slots.iter().chain(g.parked.iter().filter(moving))))
    }
}
