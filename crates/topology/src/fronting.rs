//! Which proxy fronts which group: spread evenly over the live proxies of realm 0, and as few changes
//! as that allows. Live proxies left without a group replicate a master, evenly too. Who was made a
//! replica by hand stays one of that master.

use std::collections::BTreeMap;

use crate::{ClusterState, GroupId, Proxy, ProxyId, Role};

/// The roles to change; empty when all is as it should be. With no live proxy everything stays, for
/// whoever comes back first.
pub(crate) fn changed_roles(
    state: &ClusterState,
    near: impl Fn(&ProxyId, GroupId) -> bool,
) -> BTreeMap<ProxyId, Role> {
    let bearers = bearers(state);
    if bearers.is_empty() {
        return BTreeMap::new();
    }
    let mut load: BTreeMap<&ProxyId, Vec<GroupId>> =
        bearers.into_iter().map(|id| (id, state.proxies[id].fronts.clone())).collect();
    front_the_rest(state, &mut load, &near);
    even_out(&mut load, &near);
    let masters = choose_masters(state, &load);
    let wanted = |id: &ProxyId, proxy: &Proxy| {
        let mut fronts = load.get(id).cloned().unwrap_or_default();
        fronts.sort_unstable();
        let master = masters.get(id).map(|&master| master.clone());
        // Who is away finds its way back by itself, unless its master is none any more.
        let keeps = |m: &&ProxyId| !proxy.live && load.get(m).is_some_and(|groups| !groups.is_empty());
        let master = master.or_else(|| proxy.master_id.as_ref().filter(keeps).cloned());
        Role { fronts, master }
    };
    let here = state.proxies.iter().filter(|(_, proxy)| proxy.realm == 0);
    let roles = here.map(|(id, proxy)| (id, proxy, wanted(id, proxy)));
    roles
        .filter(|(_, proxy, role)| proxy.fronts != role.fronts || proxy.master_id != role.master)
        .map(|(id, _, role)| (id.clone(), role))
        .collect()
}

/// Live proxies that may front groups: all but the pinned ones, if there are others.
fn bearers(state: &ClusterState) -> Vec<&ProxyId> {
    let live = || state.live_proxies().filter(|(_, proxy)| proxy.realm == 0);
    let free: Vec<&ProxyId> =
        live().filter(|(_, proxy)| !is_pinned(state, proxy)).map(|(id, _)| id).collect();
    if free.is_empty() { live().map(|(id, _)| id).collect() } else { free }
}

/// A replica by hand, of a master that is one and lives.
fn is_pinned(state: &ClusterState, proxy: &Proxy) -> bool {
    let master = proxy.master_id.as_ref().and_then(|master| state.proxies.get(master));
    proxy.pinned && master.is_some_and(|m| m.live && m.realm == 0 && m.master_id.is_none())
}

/// Groups nobody live fronts go to the proxy with the fewest, near their leader among equals.
fn front_the_rest(
    state: &ClusterState,
    load: &mut BTreeMap<&ProxyId, Vec<GroupId>>,
    near: &impl Fn(&ProxyId, GroupId) -> bool,
) {
    for &group in state.groups.keys() {
        let elsewhere = |p: &Proxy| p.realm != 0 && p.fronts.contains(&group);
        if load.values().any(|groups| groups.contains(&group)) || state.proxies.values().any(elsewhere) {
            continue;
        }
        let chosen = load.iter_mut().min_by_key(|(id, groups)| (groups.len(), !near(id, group)));
        if let Some((_, groups)) = chosen {
            groups.push(group);
        }
    }
}

/// Moves single groups until no proxy has two more than another.
fn even_out(load: &mut BTreeMap<&ProxyId, Vec<GroupId>>, near: &impl Fn(&ProxyId, GroupId) -> bool) {
    loop {
        let most = load.iter().max_by_key(|(_, groups)| groups.len()).map(|(&id, groups)| (id, groups.len()));
        let least =
            load.iter().min_by_key(|(_, groups)| groups.len()).map(|(&id, groups)| (id, groups.len()));
        let (Some((from, many)), Some((to, few))) = (most, least) else { return };
        if many <= few + 1 {
            return;
        }
        let Some(groups) = load.get_mut(from) else { return };
        let position =
            groups.iter().rposition(|&g| near(to, g) && !near(from, g)).unwrap_or(groups.len() - 1);
        let group = groups.remove(position);
        if let Some(groups) = load.get_mut(to) {
            groups.push(group);
        }
    }
}

/// A master for each live proxy without groups: the one it has, unless that has more than its share.
fn choose_masters<'a>(
    state: &'a ClusterState,
    load: &BTreeMap<&'a ProxyId, Vec<GroupId>>,
) -> BTreeMap<&'a ProxyId, &'a ProxyId> {
    let masters: Vec<&ProxyId> =
        load.iter().filter(|(_, groups)| !groups.is_empty()).map(|(&id, _)| id).collect();
    let mut chosen = BTreeMap::new();
    if masters.is_empty() {
        return chosen;
    }
    let mut followers: BTreeMap<&ProxyId, usize> = masters.iter().map(|&m| (m, 0)).collect();
    let idle = state
        .live_proxies()
        .filter(|(id, proxy)| proxy.realm == 0 && load.get(id).is_none_or(|groups| groups.is_empty()));
    let surplus: Vec<&ProxyId> = idle.map(|(id, _)| id).collect();
    let share = surplus.len().div_ceil(masters.len());
    for &id in &surplus {
        let proxy = &state.proxies[id];
        let kept = followers.iter_mut().find(|(m, count)| {
            Some(**m) == proxy.master_id.as_ref() && (**count < share || is_pinned(state, proxy))
        });
        if let Some((&master, count)) = kept {
            *count += 1;
            chosen.insert(id, master);
        }
    }
    for &id in &surplus {
        if chosen.contains_key(id) {
            continue;
        }
        if let Some((&master, count)) = followers.iter_mut().min_by_key(|(_, count)| **count) {
            *count += 1;
            chosen.insert(id, master);
        }
    }
    chosen
}
