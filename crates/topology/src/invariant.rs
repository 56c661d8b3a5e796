//! What holds for every `ClusterState`, as code. `apply` runs it after each change.

use std::collections::BTreeSet;

use crate::{ClusterState, Group, GroupId, ProxyId, ReplicaId, SLOT_COUNT, StoreId};

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("slot {0} would have two owners")]
    SlotOwnedTwice(u16),
    #[error("id {0} was never allocated")]
    Unallocated(u64),
    #[error("id {0} is in use twice")]
    IdTwice(u64),
    #[error("group {0} has no replica")]
    NoReplica(GroupId),
    #[error("group {group} has two replicas on store {store}")]
    StoreTwice { group: GroupId, store: StoreId },
    #[error("replica {replica} is on unknown store {store}")]
    UnknownStore { replica: ReplicaId, store: StoreId },
    #[error("store name {0} is in use twice")]
    NameTwice(String),
    #[error("group {group} is fronted by node {proxy} but does not exist")]
    FrontsNothing { proxy: ProxyId, group: GroupId },
    #[error("group {0} is fronted twice")]
    FrontedTwice(GroupId),
    #[error("node {0} both fronts groups and replicates another node")]
    MasterAndReplica(ProxyId),
    #[error("node {0} replicates a node that is not a master")]
    NoMaster(ProxyId),
}

/// Checks every invariant.
pub fn check(state: &ClusterState) -> Result<(), Broken> {
    slots_have_one_owner(state)?;
    ids_are_allocated_once(state)?;
    for (&id, group) in &state.groups {
        replicas_are_spread(state, id, group)?;
    }
    names_are_unique(state)?;
    groups_are_fronted_once(state)?;
    masters_are_masters(state)
}

fn slots_have_one_owner(state: &ClusterState) -> Result<(), Broken> {
    let mut owned = vec![false; usize::from(SLOT_COUNT)];
    for slot in state.groups.values().flat_map(|g| g.slots.iter()) {
        let seen = &mut owned[usize::from(slot.number())];
        if std::mem::replace(seen, true) {
            return Err(Broken::SlotOwnedTwice(slot.number()));
        }
    }
    Ok(())
}

fn ids_are_allocated_once(state: &ClusterState) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    let replicas = state.groups.values().flat_map(|g| g.replicas.iter().map(|r| r.id.0));
    for id in state.groups.keys().map(|g| g.0).chain(replicas) {
        if id >= state.next_id {
            return Err(Broken::Unallocated(id));
        }
        if !seen.insert(id) {
            return Err(Broken::IdTwice(id));
        }
    }
    Ok(())
}

fn replicas_are_spread(state: &ClusterState, id: GroupId, group: &Group) -> Result<(), Broken> {
    if group.replicas.is_empty() {
        return Err(Broken::NoReplica(id));
    }
    let mut stores = BTreeSet::new();
    for replica in &group.replicas {
        if !state.stores.contains_key(&replica.store) {
            return Err(Broken::UnknownStore { replica: replica.id, store: replica.store });
        }
        if !stores.insert(replica.store) {
            return Err(Broken::StoreTwice { group: id, store: replica.store });
        }
    }
    Ok(())
}

fn names_are_unique(state: &ClusterState) -> Result<(), Broken> {
    let mut names = BTreeSet::new();
    for node in state.stores.values().filter(|node| !node.gone) {
        if !names.insert(&node.name) {
            return Err(Broken::NameTwice(node.name.clone()));
        }
    }
    Ok(())
}

fn groups_are_fronted_once(state: &ClusterState) -> Result<(), Broken> {
    let mut fronted = BTreeSet::new();
    for (id, proxy) in &state.proxies {
        for &group in &proxy.fronts {
            if !state.groups.contains_key(&group) {
                return Err(Broken::FrontsNothing { proxy: id.clone(), group });
            }
            if !fronted.insert(group) {
                return Err(Broken::FrontedTwice(group));
            }
        }
    }
    Ok(())
}

fn masters_are_masters(state: &ClusterState) -> Result<(), Broken> {
    for (id, proxy) in &state.proxies {
        let Some(master) = &proxy.master_id else { continue };
        if !proxy.fronts.is_empty() {
            return Err(Broken::MasterAndReplica(id.clone()));
        }
        if state.proxies.get(master).is_none_or(|m| m.master_id.is_some()) {
            return Err(Broken::NoMaster(id.clone()));
        }
    }
    Ok(())
}
