//! What a cluster still lacks to be set up, as changes to ask meta for.
//!
//! Pure, and nothing is remembered between two calls: after each round, or after a run that was cut
//! short, the plan for the state as it is then holds what is still missing, and nothing else.
//!
//! - Every live proxy meets the first one: who owns slots comes first, then by address.
//! - Who owns slots stays their master; nobody is ever made to give one up.
//! - Slots that a group may hold keys of go back to the proxy that fronts it. The others are shared
//!   out so that the masters end up with as many each.
//! - Whoever is no master becomes the replica of the master that has the fewest.

use std::collections::{BTreeMap, BTreeSet};

use topology::{Change, ClusterState, Command, GroupId, Proxy, ProxyId, SlotSet};

use super::share::{Load, share_out};
use crate::cluster::names;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// None: as many as there can be with so many replicas each.
    pub masters: Option<usize>,
    /// Of each master.
    pub replicas: usize,
}

/// What cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("no proxy is live: start one that knows this meta group")]
    NoProxy,
    #[error("there is no storage node to keep data on: start one that knows this meta group")]
    NoStorage,
    #[error(
        "{masters} masters with {replicas} replicas each need {} proxies, and {live} are live: \
         start more, or ask for less with --masters and --replicas",
        masters * (replicas + 1)
    )]
    TooFewProxies { masters: usize, replicas: usize, live: usize },
    #[error(
        "all slots are owned by {owners} masters, and --masters asks for {wanted}: setup never moves a \
         slot, `redis-cli --cluster rebalance --cluster-use-empty-masters` does"
    )]
    SlotsTaken { owners: usize, wanted: usize },
    #[error(
        "only {free} proxies may own slots, and --masters asks for {wanted}: the others are replicas; \
         CLUSTER RESET makes one free"
    )]
    Replicas { free: usize, wanted: usize },
    #[error(
        "{address} owns slots {slots} but is dead: start it again, or delete it with \
         CLUSTER FORGET at a proxy that knows it"
    )]
    OwnerDead { address: String, slots: String },
}

impl Problem {
    /// Once more processes are there.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoProxy | Self::NoStorage | Self::TooFewProxies { .. })
    }
}

/// The changes that are missing, in this order.
pub(crate) fn plan(state: &ClusterState, wish: Wish) -> Result<Vec<Command>, Problem> {
    let proxies = by_rank(state);
    let Some(&(first, _)) = proxies.first() else { return Err(Problem::NoProxy) };
    owners_live(state)?;
    let mut commands: Vec<Command> = meet(&proxies, first).into_iter().collect();
    if is_automatic(state) {
        commands.extend(given_back(state, &proxies)?);
        return Ok(commands);
    }
    let masters = choose_masters(state, &proxies, wish)?;
    commands.extend(assign(state, &masters)?);
    commands.extend(replicate(state, &proxies, &masters, wish.replicas));
    Ok(commands)
}

/// Meta makes groups, masters and replicas by itself: only there do proxies begin in realm 0.
pub(crate) fn is_automatic(state: &ClusterState) -> bool {
    state.live_proxies().any(|(_, proxy)| proxy.realm == 0)
}

/// Slots that somebody took from a group. Until there are groups, that is for meta.
fn given_back(state: &ClusterState, proxies: &Ranked<'_>) -> Result<Vec<Command>, Problem> {
    if state.groups.is_empty() {
        return Ok(Vec::new());
    }
    let owners = proxies.iter().filter(|(id, proxy)| owns(state, id, proxy)).map(|&(id, _)| id);
    assign(state, &owners.collect::<Vec<_>>())
}

type Ranked<'a> = Vec<(&'a ProxyId, &'a Proxy)>;

/// Live proxies: owners of slots, then masters, then by address.
fn by_rank(state: &ClusterState) -> Ranked<'_> {
    let mut proxies: Ranked<'_> = state.live_proxies().collect();
    let by_address = |proxy: &Proxy| (proxy.announce_host.clone(), proxy.announce_port);
    proxies.sort_by_cached_key(|(id, proxy)| {
        (!owns(state, id, proxy), proxy.master_id.is_some(), by_address(proxy))
    });
    proxies
}

/// It is announced with slots, or fronts a group that may hold keys.
fn owns(state: &ClusterState, id: &ProxyId, proxy: &Proxy) -> bool {
    let has_parked = |group: &GroupId| state.groups.get(group).is_some_and(|g| !g.parked.is_empty());
    !state.announced_slots(id).is_empty() || proxy.fronts.iter().any(has_parked)
}

/// A dead owner whom somebody knows is succeeded by one of those; an island that is dead keeps its
/// slots for itself.
fn owners_live(state: &ClusterState) -> Result<(), Problem> {
    let realms: BTreeSet<u64> = state.live_proxies().map(|(_, proxy)| proxy.realm).collect();
    for (id, proxy) in state.proxies.iter().filter(|(_, proxy)| !proxy.live) {
        if !realms.contains(&proxy.realm) && owns(state, id, proxy) {
            let slots = names::slots(&state.announced_slots(id));
            return Err(Problem::OwnerDead { address: names::address(proxy), slots });
        }
    }
    Ok(())
}

fn choose_masters<'a>(
    state: &ClusterState,
    proxies: &Ranked<'a>,
    wish: Wish,
) -> Result<Vec<&'a ProxyId>, Problem> {
    let (live, replicas) = (proxies.len(), wish.replicas);
    let owners = proxies.iter().filter(|(id, proxy)| owns(state, id, proxy)).count();
    let wanted = wish.masters.unwrap_or_else(|| live / (replicas + 1)).max(owners).max(1);
    if wanted * (replicas + 1) > live {
        return Err(Problem::TooFewProxies { masters: wanted, replicas, live });
    }
    let may_own: Vec<&ProxyId> =
        proxies.iter().filter(|(_, proxy)| proxy.master_id.is_none()).map(|&(id, _)| id).collect();
    let free = may_own.len();
    let taken = unassigned(state).is_empty();
    match wish.masters {
        Some(_) if taken && wanted > owners => Err(Problem::SlotsTaken { owners, wanted }),
        Some(_) if wanted > free => Err(Problem::Replicas { free, wanted }),
        _ => Ok(may_own.into_iter().take(if taken { owners } else { wanted }).collect()),
    }
}

/// One of each set of proxies that do not know the first is enough: all of a set come to know it.
fn meet(proxies: &Ranked<'_>, first: &ProxyId) -> Option<Command> {
    let mut known: BTreeSet<u64> = BTreeSet::new();
    let mut changes = Vec::new();
    for &(id, proxy) in proxies {
        if known.insert(proxy.realm) && id != first {
            changes.push(Change::Meet { node: id.clone() });
        }
    }
    (!changes.is_empty()).then(|| Command::Cluster { at: first.clone(), changes })
}

fn unassigned(state: &ClusterState) -> SlotSet {
    let moving = state.moving.keys().filter_map(|&slot| topology::Slot::new(slot));
    let owned = state.groups.values().flat_map(|group| group.slots.iter());
    SlotSet::all().difference(&SlotSet::from_slots(owned.chain(moving)))
}

/// One command a master that gets slots.
fn assign(state: &ClusterState, masters: &[&ProxyId]) -> Result<Vec<Command>, Problem> {
    let mut left = unassigned(state);
    if left.is_empty() {
        return Ok(Vec::new());
    }
    if state.present_stores().next().is_none() {
        return Err(Problem::NoStorage);
    }
    let mut loads: Vec<Load> =
        masters.iter().map(|id| Load { had: state.announced_slots(id), gets: SlotSet::default() }).collect();
    for (group, parked) in parked(state, &left) {
        left = left.difference(&parked);
        let home = home_of(state, masters, group);
        let least = loads.iter().enumerate().min_by_key(|(_, load)| load.len()).map(|(at, _)| at);
        if let Some(at) = home.or(least) {
            loads[at].gets = loads[at].gets.union(&parked);
        }
    }
    share_out(&left, &mut loads);
    let with_slots = masters.iter().zip(loads).filter(|(_, load)| !load.gets.is_empty());
    Ok(with_slots.map(|(&id, load)| add_slots(state, id, load.gets)).collect())
}

/// Unassigned slots that groups may hold keys of.
fn parked(state: &ClusterState, unassigned: &SlotSet) -> BTreeMap<GroupId, SlotSet> {
    let parked = state.groups.iter().map(|(&id, group)| (id, group.parked.intersection(unassigned)));
    parked.filter(|(_, parked)| !parked.is_empty()).collect()
}

/// Which of the masters fronts the group.
fn home_of(state: &ClusterState, masters: &[&ProxyId], group: GroupId) -> Option<usize> {
    masters.iter().position(|id| state.proxies.get(id).is_some_and(|proxy| proxy.fronts.contains(&group)))
}

/// Its first slots also give it an epoch of its own, as CLUSTER BUMPEPOCH does.
fn add_slots(state: &ClusterState, id: &ProxyId, slots: SlotSet) -> Command {
    let mut changes = vec![Change::AddSlots { slots }];
    if state.proxies.get(id).is_some_and(|proxy| proxy.config_epoch == 0) {
        changes.push(Change::BumpEpoch);
    }
    Command::Cluster { at: id.clone(), changes }
}

/// Who is neither master nor replica follows the master with the fewest; then those with fewer than
/// `wanted` get one of a master with more.
fn replicate(
    state: &ClusterState,
    proxies: &Ranked<'_>,
    masters: &[&ProxyId],
    wanted: usize,
) -> Vec<Command> {
    let mut followers: Followers<'_> = masters.iter().map(|&id| (id, Vec::new())).collect();
    let mut moves: BTreeMap<&ProxyId, &ProxyId> = BTreeMap::new();
    let mut idle = Vec::new();
    for &(id, proxy) in proxies.iter().filter(|(id, _)| !masters.contains(id)) {
        match proxy.master_id.as_ref().and_then(|master| followers.get_mut(master)) {
            Some(followers) => followers.push(id),
            None => idle.push(id),
        }
    }
    for id in idle {
        if let Some(master) = with_fewest(masters, &followers) {
            followers.entry(master).or_default().push(id);
            moves.insert(id, master);
        }
    }
    while let Some((id, master)) = one_too_many(masters, &mut followers, wanted) {
        moves.insert(id, master);
    }
    moves.into_iter().map(|(id, master)| follow(state, id, master)).collect()
}

type Followers<'a> = BTreeMap<&'a ProxyId, Vec<&'a ProxyId>>;

/// The first of them, in order of rank.
fn with_fewest<'a>(masters: &[&'a ProxyId], followers: &Followers<'a>) -> Option<&'a ProxyId> {
    masters.iter().copied().min_by_key(|master| followers.get(master).map_or(0, Vec::len))
}

/// A replica of a master that has more than `wanted`, for one that has fewer: it follows that now.
fn one_too_many<'a>(
    masters: &[&'a ProxyId],
    followers: &mut Followers<'a>,
    wanted: usize,
) -> Option<(&'a ProxyId, &'a ProxyId)> {
    let poor = with_fewest(masters, followers)?;
    if followers.get(poor).is_some_and(|own| own.len() >= wanted) {
        return None;
    }
    let rich = followers.values_mut().filter(|own| own.len() > wanted).max_by_key(|own| own.len())?;
    let id = rich.pop()?;
    followers.entry(poor).or_default().push(id);
    Some((id, poor))
}

fn follow(state: &ClusterState, id: &ProxyId, master: &ProxyId) -> Command {
    let shown = state.proxies.get(master).map_or(master, |proxy| names::shown(master, proxy));
    Command::Cluster { at: id.clone(), changes: vec![Change::Replicate { master: shown.to_string() }] }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
