//! What to change next, given the replicated state and what heartbeats say. Pure; meta's leader
//! calls it again after each change and each observation, and proposes what it answers.
//!
//! Each command is idempotent and safe on its own, so nothing is remembered between two calls:
//! a new leader goes on where the last one stopped.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ClusterState, Command, Group, GroupId, ProxyId, Replica, ReplicaId, SlotSet, StoreId, Version, fronting,
    namespace,
};

/// What is to be reached without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Create groups once enough stores are there, and spread them over the proxies. Else that is
    /// done by hand, and only what a dead proxy leaves is taken care of.
    pub auto_bootstrap: bool,
    /// How many stores are enough.
    pub expected_stores: u32,
    /// Groups to create; 0: one per store.
    pub groups: u32,
    /// Replicas per group.
    pub replication: u32,
}

/// What the leader of meta knows beyond the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Used if the cluster has no id yet.
    pub fresh_cluster_id: String,
    /// Stores whose heartbeats are current.
    pub healthy_stores: BTreeSet<StoreId>,
    /// Per group, what its leader reported last. Not older than a few heartbeats.
    pub leaders: BTreeMap<GroupId, LeaderReport>,
    /// Proxy processes whose lease ran out although the state calls them live.
    pub expired_proxies: Vec<(ProxyId, u64)>,
    /// Proxy processes that are heard from although the state calls them dead.
    pub returned_proxies: Vec<(ProxyId, u64)>,
}

/// A group as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderReport {
    pub store: StoreId,
    pub replica: ReplicaId,
    pub term: u64,
    /// Of the committed membership.
    pub voters: BTreeSet<ReplicaId>,
    pub learners: BTreeSet<ReplicaId>,
    /// What it found in its parked slots, as of which version; none yet: version 0.
    pub parked_at: Version,
    pub parked_in_use: SlotSet,
    /// What it found in the way of rules for namespaces that come or go.
    pub namespaces: namespace::Found,
}

/// The commands to propose now, in this order. Empty: nothing to do.
pub fn next_step(state: &ClusterState, seen: &Observed, policy: &Policy) -> Vec<Command> {
    if state.cluster_id.is_empty() {
        let cluster_id = seen.fresh_cluster_id.clone();
        return vec![Command::Init { cluster_id, replication: policy.replication }];
    }
    let liveness = proxy_liveness(state, seen);
    if !liveness.is_empty() {
        return liveness;
    }
    let mut steps: Vec<Command> = bootstrap(state, seen, policy).into_iter().collect();
    steps.extend(formed(state, seen));
    steps.extend(placement(state, seen));
    steps.extend(parked(state, seen));
    steps.extend(namespaces(state, seen));
    let left = left_behind(state);
    if left.is_empty() && policy.auto_bootstrap {
        steps.extend(fronting(state, seen));
    }
    steps.extend(left);
    steps
}

fn proxy_liveness(state: &ClusterState, seen: &Observed) -> Vec<Command> {
    let is = |proxy: &ProxyId, incarnation: u64, live: bool| {
        state.proxies.get(proxy).is_some_and(|p| p.incarnation == incarnation && p.live == live)
    };
    let expired = seen.expired_proxies.iter().filter(|(id, incarnation)| is(id, *incarnation, true));
    let returned = seen.returned_proxies.iter().filter(|(id, incarnation)| is(id, *incarnation, false));
    expired
        .map(|(id, incarnation)| Command::ProxyLeaseExpired { proxy: id.clone(), incarnation: *incarnation })
        .chain(
            returned.map(|(id, incarnation)| Command::ProxyAlive {
                proxy: id.clone(),
                incarnation: *incarnation,
            }),
        )
        .collect()
}

fn bootstrap(state: &ClusterState, seen: &Observed, policy: &Policy) -> Option<Command> {
    if !policy.auto_bootstrap || !state.groups.is_empty() {
        return None;
    }
    let ready = state.present_stores().filter(|store| seen.healthy_stores.contains(store)).count() as u32;
    let wanted = if policy.groups == 0 { ready } else { policy.groups };
    (ready > 0 && ready >= policy.expected_stores).then_some(Command::Bootstrap { groups: wanted })
}

fn formed<'a>(state: &'a ClusterState, seen: &'a Observed) -> impl Iterator<Item = Command> + 'a {
    let unformed = state.groups.iter().filter(|(_, group)| !group.formed);
    unformed
        .filter(|(id, _)| seen.leaders.get(id).is_some_and(|leader| !leader.voters.is_empty()))
        .map(|(&group, _)| Command::GroupFormed { group })
}

/// Replaces replicas of stores that are gone, and adds those that replication lacks: one at a time
/// per group, once its last change is through, and only while all others are well.
fn placement(state: &ClusterState, seen: &Observed) -> Vec<Command> {
    let mut load = replicas_per_store(state);
    let mut steps = Vec::new();
    for (&id, group) in &state.groups {
        if !ready_for_change(state, seen, id, group) {
            continue;
        }
        let lost = group.replicas.iter().find(|r| is_gone(state, r));
        let lacking = (group.replicas.len() as u32) < state.replication;
        if lost.is_none() && !lacking {
            continue;
        }
        let Some(store) = emptiest_store(seen, group, &load) else { continue };
        *load.entry(store).or_default() += 1;
        steps.push(match lost {
            Some(old) => Command::ReplaceReplica { group: id, old: old.id, new_store: store },
            None => Command::AddReplica { group: id, store },
        });
    }
    steps
}

/// Formed, led, its membership is what the state asks for, and every replica but the lost ones is
/// on a healthy store.
fn ready_for_change(state: &ClusterState, seen: &Observed, id: GroupId, group: &Group) -> bool {
    let Some(leader) = seen.leaders.get(&id) else { return false };
    let desired: BTreeSet<ReplicaId> = group.replicas.iter().map(|r| r.id).collect();
    let others_well =
        group.replicas.iter().filter(|r| !is_gone(state, r)).all(|r| seen.healthy_stores.contains(&r.store));
    group.formed && leader.voters == desired && others_well
}

fn is_gone(state: &ClusterState, replica: &Replica) -> bool {
    state.stores.get(&replica.store).is_none_or(|node| node.gone)
}

/// Stores that may hold replicas, with how many they do hold.
fn replicas_per_store(state: &ClusterState) -> BTreeMap<StoreId, usize> {
    let mut load: BTreeMap<StoreId, usize> = state.present_stores().map(|id| (id, 0)).collect();
    for replica in state.groups.values().flat_map(|g| &g.replicas) {
        if let Some(count) = load.get_mut(&replica.store) {
            *count += 1;
        }
    }
    load
}

fn emptiest_store(seen: &Observed, group: &Group, load: &BTreeMap<StoreId, usize>) -> Option<StoreId> {
    let holds = |store: StoreId| group.replicas.iter().any(|r| r.store == store);
    let candidates = load.iter().filter(|(store, _)| seen.healthy_stores.contains(store) && !holds(**store));
    candidates.min_by_key(|(_, count)| **count).map(|(&store, _)| store)
}

/// What leaders found in slots that were taken from their groups.
fn parked<'a>(state: &'a ClusterState, seen: &'a Observed) -> impl Iterator<Item = Command> + 'a {
    state.groups.iter().filter_map(|(&id, group)| {
        let leader = seen.leaders.get(&id)?;
        let news =
            group.checked_at < group.parked_at || !group.parked.difference(&leader.parked_in_use).is_empty();
        let current = leader.parked_at >= group.parked_at;
        (news && current && !group.parked.is_empty()).then(|| Command::ParkedFound {
            group: id,
            at: leader.parked_at,
            in_use: leader.parked_in_use.clone(),
        })
    })
}

/// Rules that all groups have looked at since they began to come or go.
fn namespaces<'a>(state: &'a ClusterState, seen: &'a Observed) -> impl Iterator<Item = Command> + 'a {
    state.namespaces.changing().filter_map(|(text, rule)| {
        let mut in_use = false;
        for group in state.groups.keys() {
            let found = &seen.leaders.get(group)?.namespaces;
            if found.version < rule.since {
                return None;
            }
            in_use |= found.in_use.contains(text);
        }
        Some(Command::SettleNamespace { rule: text.to_owned(), since: rule.since, in_use })
    })
}

/// Dead proxies whose groups another one can front.
fn left_behind(state: &ClusterState) -> Vec<Command> {
    let takes_over = |realm: u64| state.live_proxies().any(|(_, other)| other.realm == realm);
    let dead = state.proxies.iter().filter(|(_, p)| !p.live && !p.fronts.is_empty() && takes_over(p.realm));
    dead.map(|(id, _)| Command::HandOver { proxy: id.clone() }).collect()
}

fn fronting(state: &ClusterState, seen: &Observed) -> Option<Command> {
    let near = |proxy: &ProxyId, group: GroupId| {
        let leader = seen.leaders.get(&group).and_then(|report| state.stores.get(&report.store));
        leader.is_some_and(|node| host_of(&node.rpc_addr) == state.proxies[proxy].announce_host)
    };
    let roles = fronting::changed_roles(state, near);
    (!roles.is_empty()).then_some(Command::SetFronts { roles })
}

fn host_of(addr: &str) -> &str {
    addr.rsplit_once(':').map_or(addr, |(host, _)| host)
}
