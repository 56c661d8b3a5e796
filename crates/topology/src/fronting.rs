//! Which proxy fronts which group: spread evenly over the live proxies, and as few changes as that
//! allows. Live proxies left without a group replicate a master, evenly too.

use std::collections::BTreeMap;

use crate::{ClusterState, GroupId, ProxyId, Role};

/// The roles to change; empty when all is as it should be. With no live proxy everything stays, for
/// whoever comes back first.
pub(crate) fn changed_roles(
    state: &ClusterState,
    near: impl Fn(&ProxyId, GroupId) -> bool,
) -> BTreeMap<ProxyId, Role> {
    if state.live_proxies().next().is_none() {
        return BTreeMap::new();
    }
    let mut load: BTreeMap<&ProxyId, Vec<GroupId>> =
        state.live_proxies().map(|(id, _)| (id, Vec::new())).collect();
    keep_what_is_fronted(state, &mut load);
    front_the_rest(state, &mut load, &near);
    even_out(&mut load, &near);
    let masters = choose_masters(state, &load);
    let wanted = |id: &ProxyId| {
        let mut fronts = load.get(id).cloned().unwrap_or_default();
        fronts.sort_unstable();
        Role { fronts, master: masters.get(id).map(|&master| master.clone()) }
    };
    let roles = state.proxies.iter().map(|(id, proxy)| (id, proxy, wanted(id)));
    roles
        .filter(|(_, proxy, role)| proxy.fronts != role.fronts || proxy.master_id != role.master)
        .map(|(id, _, role)| (id.clone(), role))
        .collect()
}

fn keep_what_is_fronted(state: &ClusterState, load: &mut BTreeMap<&ProxyId, Vec<GroupId>>) {
    for (id, groups) in load {
        groups.clone_from(&state.proxies[*id].fronts);
    }
}

/// Groups nobody live fronts go to the proxy with the fewest, near their leader among equals.
fn front_the_rest(
    state: &ClusterState,
    load: &mut BTreeMap<&ProxyId, Vec<GroupId>>,
    near: &impl Fn(&ProxyId, GroupId) -> bool,
) {
    for &group in state.groups.keys() {
        if load.values().any(|groups| groups.contains(&group)) {
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
    state: &ClusterState,
    load: &BTreeMap<&'a ProxyId, Vec<GroupId>>,
) -> BTreeMap<&'a ProxyId, &'a ProxyId> {
    let masters: Vec<&ProxyId> =
        load.iter().filter(|(_, groups)| !groups.is_empty()).map(|(&id, _)| id).collect();
    let surplus: Vec<&ProxyId> =
        load.iter().filter(|(_, groups)| groups.is_empty()).map(|(&id, _)| id).collect();
    let mut chosen = BTreeMap::new();
    if masters.is_empty() {
        return chosen;
    }
    let share = surplus.len().div_ceil(masters.len());
    let mut followers: BTreeMap<&ProxyId, usize> = masters.iter().map(|&m| (m, 0)).collect();
    for &id in &surplus {
        let current = state.proxies[id].master_id.as_ref();
        let kept = followers.iter_mut().find(|(m, count)| Some(**m) == current && **count < share);
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
