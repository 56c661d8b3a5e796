//! Storage nodes: whether they are there, their disks; and everybody's clocks.

use std::collections::BTreeMap;

use topology::{ClusterState, StorageNode, StoreId};

use super::super::{
    collect::Collected,
    finding::{Fault, Judged},
};
use crate::cluster::names;

/// Meta stops using a storage node that is silent for less.
const SILENCE_MAX_MS: u64 = 5_000;
const SKEW_MS: u64 = 500;
const SKEW_MAX_MS: u64 = 5_000;
/// Storage nodes refuse writes a little below that.
const DISK_FREE_BYTES_MIN: u64 = 512 << 20;
/// Of a disk, unless that is a lot.
const DISK_FREE_PERCENT: u64 = 10;
const DISK_FREE_BYTES_PLENTY: u64 = 20 << 30;

pub(super) fn heard(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let mut faults = Vec::new();
    for (&id, store) in present(state) {
        let complaints: Vec<String> =
            [silence(seen, id), unreached(seen, id)].into_iter().flatten().collect();
        if complaints.is_empty() {
            continue;
        }
        let what = format!("storage node {} at {} {}", store.name, store.rpc_addr, complaints.join(" and "));
        let replicas = state.groups.values().flat_map(|group| &group.replicas);
        let replicas = replicas.filter(|replica| replica.store == id).count();
        let why = format!("the {} on it do not count for their quorums", names::count(replicas, "replica"));
        let next = "start it again with its data directory, or look at its log";
        faults.push(Fault::error(what).because(why).next(next));
    }
    Ok(faults)
}

fn present(state: &ClusterState) -> impl Iterator<Item = (&StoreId, &StorageNode)> {
    state.stores.iter().filter(|(_, store)| !store.gone)
}

fn silence(seen: &Collected, id: StoreId) -> Option<String> {
    let health = seen.health.as_ref()?;
    match health.stores.get(&id) {
        None => Some("has not been heard since meta's leader leads".to_owned()),
        Some(store) => match store.heard_ms_ago {
            None => Some("has not been heard since meta's leader leads".to_owned()),
            Some(ms) if ms > SILENCE_MAX_MS => Some(format!("is silent since {}", names::duration(ms))),
            Some(_) if !store.connected => Some("is not connected to meta".to_owned()),
            Some(_) => None,
        },
    }
}

fn unreached(seen: &Collected, id: StoreId) -> Option<String> {
    let why = seen.stores.get(&id)?.as_ref().err()?;
    Some(format!("cannot be reached from here ({why})"))
}

pub(super) fn addresses(seen: &Collected) -> Judged {
    let mut by_address: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, store) in present(seen.state()?) {
        by_address.entry(&store.rpc_addr).or_default().push(&store.name);
    }
    let shared = by_address.into_iter().filter(|(_, names)| names.len() > 1);
    let fault = |(address, names): (&str, Vec<&str>)| {
        let fault =
            Fault::error(format!("storage nodes {} have the same address {address}", names.join(" and ")));
        let why = "messages for one reach the other; one of them has moved, or `advertise` is wrong";
        fault.because(why).next("give each its own `advertise`, and remove who does not exist any more")
    };
    Ok(shared.map(fault).collect())
}

pub(super) fn disks(seen: &Collected) -> Judged {
    let (state, health) = (seen.state()?, seen.health()?);
    let mut faults = Vec::new();
    for (&id, store) in health.stores.iter().filter(|(_, store)| store.disk_total_bytes > 0) {
        let (free, total) = (store.disk_free_bytes, store.disk_total_bytes);
        let what = format!(
            "the disk of {} has {} free of {}",
            names::store(state, id),
            names::bytes(free),
            names::bytes(total)
        );
        let nearly = free < total / 100 * DISK_FREE_PERCENT && free < DISK_FREE_BYTES_PLENTY;
        if free < DISK_FREE_BYTES_MIN {
            let why = "below disk_reserve_bytes it refuses writes";
            faults.push(Fault::error(what).because(why).next("make space, or move it to a larger disk"));
        } else if nearly {
            let why = "when it is full, the groups led there refuse writes";
            faults.push(Fault::warning(what).because(why).next("make space, or move it to a larger disk"));
        }
    }
    Ok(faults)
}

pub(super) fn clocks(seen: &Collected) -> Judged {
    let (state, health) = (seen.state()?, seen.health()?);
    let stores = health.stores.iter().filter(|(_, store)| store.connected);
    let stores = stores.map(|(&id, store)| (names::store(state, id), store.clock_skew_ms));
    let proxies = health.proxies.iter().filter(|(_, proxy)| proxy.connected);
    let proxies = proxies.map(|(id, proxy)| (names::proxy(state, id), proxy.clock_skew_ms));
    Ok(stores.chain(proxies).filter_map(|(name, skew_ms)| skewed(&name, skew_ms)).collect())
}

fn skewed(name: &str, skew_ms: i64) -> Option<Fault> {
    let off = skew_ms.unsigned_abs();
    let direction = if skew_ms > 0 { "ahead of" } else { "behind" };
    let what = format!("the clock of {name} is {} {direction} that of meta's leader", names::duration(off));
    let fault = match off {
        SKEW_MAX_MS.. => Fault::error(what),
        SKEW_MS.. => Fault::warning(what),
        _ => return None,
    };
    let why = "when the leader of a group changes, keys expire earlier or later by so much";
    Some(fault.because(why).next("synchronise the clocks of all machines (chrony, systemd-timesyncd)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::StoreHealth,
        cluster::doctor::{checks::sample, finding::Severity},
    };

    fn store(seen: &mut Collected, id: u64) -> &mut StoreHealth {
        seen.health.as_mut().unwrap().stores.get_mut(&StoreId(id)).unwrap()
    }

    #[test]
    fn a_silent_storage_node_is_named() {
        let mut seen = sample::healthy();
        (store(&mut seen, 2).connected, store(&mut seen, 2).heard_ms_ago) = (false, Some(12_000));
        seen.stores.insert(StoreId(2), Err("connection refused".to_owned()));
        let faults = heard(&seen).unwrap();
        let expected = "storage node storage-2 at 10.0.0.2:7400 is silent since 12 s \
                        and cannot be reached from here (connection refused)";
        assert_eq!((faults.len(), faults[0].what.as_str()), (1, expected));
        assert!(faults[0].why.starts_with("the 3 replicas"));
        store(&mut seen, 1).heard_ms_ago = None;
        assert_eq!(heard(&seen).unwrap().len(), 2);
    }

    #[test]
    fn without_health_the_address_decides() {
        let mut seen = Collected { health: None, ..sample::healthy() };
        assert_eq!(heard(&seen), Ok(Vec::new()));
        seen.stores.insert(StoreId(3), Err("connection refused".to_owned()));
        assert!(heard(&seen).unwrap()[0].what.contains("storage-3"));
        sample::state(&mut seen).stores.get_mut(&StoreId(3)).unwrap().gone = true;
        assert_eq!(heard(&seen), Ok(Vec::new()), "gone ones are looked at elsewhere");
    }

    #[test]
    fn shared_addresses_are_an_error() {
        let mut seen = sample::healthy();
        sample::state(&mut seen).stores.get_mut(&StoreId(3)).unwrap().rpc_addr = "10.0.0.1:7400".to_owned();
        assert!(addresses(&seen).unwrap()[0].what.contains("storage-1 and storage-3"));
    }

    #[test]
    fn full_disks_are_told() {
        let mut seen = sample::healthy();
        store(&mut seen, 1).disk_free_bytes = 100 << 20;
        store(&mut seen, 2).disk_free_bytes = 5 << 30;
        let severities: Vec<Severity> = disks(&seen).unwrap().iter().map(|fault| fault.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
        store(&mut seen, 2).disk_total_bytes = 0;
        assert_eq!(disks(&seen).unwrap().len(), 1, "it does not tell");
    }

    #[test]
    fn skewed_clocks_are_told() {
        let mut seen = sample::healthy();
        store(&mut seen, 1).clock_skew_ms = -700;
        let proxy = sample::proxy_id(2);
        seen.health.as_mut().unwrap().proxies.get_mut(&proxy).unwrap().clock_skew_ms = 60_000;
        let faults = clocks(&seen).unwrap();
        assert_eq!(faults[0].what, "the clock of storage-1 is 700 ms behind that of meta's leader");
        assert_eq!(faults[1].what, "the clock of 10.0.0.3:7002 is 60 s ahead of that of meta's leader");
        assert_eq!([faults[0].severity, faults[1].severity], [Severity::Warning, Severity::Error]);
    }
}
