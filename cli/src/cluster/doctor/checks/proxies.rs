//! Proxies: whether they are there, know each other, and have something to do.

use std::collections::BTreeMap;

use topology::{ClusterState, Proxy, ProxyId};

use super::super::{
    collect::Collected,
    finding::{Fault, Judged},
};
use crate::cluster::names;

/// A proxy that was heard so recently may be about to say that it has put the version in force.
const PATIENCE_MS: u64 = 1_000;

pub(super) fn live(seen: &Collected) -> Judged {
    let state = seen.state()?;
    if state.live_proxies().next().is_none() {
        let fault = Fault::error("no proxy is live").because("no client can reach the data");
        return Ok(vec![fault.next("start a proxy that knows this meta group")]);
    }
    let dead = state.proxies.iter().filter(|(_, proxy)| !proxy.live);
    Ok(dead.map(|(id, proxy)| dead_fault(state, id, proxy)).collect())
}

fn dead_fault(state: &ClusterState, id: &ProxyId, proxy: &Proxy) -> Fault {
    let (address, slots) = (names::address(proxy), state.announced_slots(id));
    let next = forget(state, id, proxy);
    if slots.is_empty() {
        let why = "clients that know its address are refused there; others took over its slots";
        return Fault::warning(format!("proxy {address} is dead")).because(why).next(next);
    }
    let what = format!("proxy {address} is dead and still owns slots {}", names::slots(&slots));
    Fault::error(what).because("no live proxy knows it, so none takes them over").next(next)
}

fn forget(state: &ClusterState, id: &ProxyId, proxy: &Proxy) -> String {
    let mut others = state.live_proxies().map(|(_, other)| other);
    match others.find(|other| other.realm == proxy.realm) {
        Some(other) => format!(
            "start it again; if it is gone for good: {} CLUSTER FORGET {}",
            names::redis_cli(other),
            names::shown(id, proxy)
        ),
        None => "start it again".to_owned(),
    }
}

pub(super) fn acquainted(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let mut realms: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (_, proxy) in state.live_proxies() {
        realms.entry(proxy.realm).or_default().push(names::address(proxy));
    }
    if realms.len() < 2 {
        return Ok(Vec::new());
    }
    let sets: Vec<String> = realms.into_values().map(|members| members.join(", ")).collect();
    let what = format!("proxies do not know each other: {}", sets.join(" | "));
    let why = "each announces its own slots only, so clients of one do not find the others";
    Ok(vec![
        Fault::error(what).because(why).next("miraft cluster setup, or CLUSTER MEET from one to another"),
    ])
}

pub(super) fn roles(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let nobody_owns = state.live_proxies().all(|(id, _)| state.announced_slots(id).is_empty());
    if nobody_owns {
        return Ok(Vec::new());
    }
    Ok(state.live_proxies().filter_map(|(id, proxy)| role_fault(state, id, proxy)).collect())
}

fn role_fault(state: &ClusterState, id: &ProxyId, proxy: &Proxy) -> Option<Fault> {
    let address = names::address(proxy);
    let Some(master) = &proxy.master_id else {
        return state.announced_slots(id).is_empty().then(|| {
            let fault = Fault::warning(format!("proxy {address} neither owns slots nor replicates a master"));
            let why = "cluster clients send it nothing, and it takes over from nobody";
            fault.because(why).next("miraft cluster setup, or redis-cli --cluster rebalance")
        });
    };
    let known = state.proxies.get(master).filter(|master| master.live && master.realm == proxy.realm);
    known.is_none().then(|| {
        let what = format!("proxy {address} replicates {}, which is not there", names::proxy(state, master));
        let why = "it is announced as a master without slots";
        let next = format!("{} CLUSTER REPLICATE <id of a master>", names::redis_cli(proxy));
        Fault::warning(what).because(why).next(next)
    })
}

pub(super) fn current(seen: &Collected) -> Judged {
    let (state, health) = (seen.state()?, seen.health()?);
    let mut faults = Vec::new();
    for (id, proxy) in state.live_proxies() {
        let told = health.proxies.get(id);
        let acked = told.map_or(0, |told| told.acked_version);
        let recently = told.and_then(|told| told.heard_ms_ago).is_some_and(|ms| ms < PATIENCE_MS);
        let (behind, connected) =
            (state.version.0.saturating_sub(acked), told.is_some_and(|told| told.connected));
        let complaint = match (connected, behind) {
            (false, _) => "is not connected to meta".to_owned(),
            (true, 2..) => format!("is {behind} versions of the topology behind"),
            (true, 1) if !recently => "is one version of the topology behind".to_owned(),
            (true, _) => continue,
        };
        let fault = Fault::warning(format!("proxy {} {complaint}", names::address(proxy)));
        let why = "changes wait for it, until its lease ends and it is announced no more";
        faults.push(fault.because(why).next("look at its log, and at the network between it and meta"));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::doctor::{checks::sample, finding::Severity};

    #[test]
    fn dead_proxies_are_named() {
        let mut seen = sample::healthy();
        let dead = sample::proxy(&mut seen, 2);
        (dead.live, dead.fronts) = (false, Vec::new());
        let faults = live(&seen).unwrap();
        assert_eq!((faults.len(), faults[0].severity), (1, Severity::Warning));
        assert_eq!(faults[0].what, "proxy 10.0.0.3:7002 is dead");
        assert!(faults[0].next.contains(&format!("CLUSTER FORGET {}", sample::proxy_id(2))));
        sample::proxy(&mut seen, 2).fronts = vec![topology::GroupId(3)];
        assert_eq!(live(&seen).unwrap()[0].severity, Severity::Error);
        for number in 0..3 {
            sample::proxy(&mut seen, number).live = false;
        }
        assert_eq!(live(&seen).unwrap()[0].what, "no proxy is live");
    }

    #[test]
    fn islands_are_an_error() {
        let mut seen = sample::healthy();
        sample::proxy(&mut seen, 1).realm = 7;
        let faults = acquainted(&seen).unwrap();
        assert!(faults[0].what.ends_with("| 10.0.0.2:7001"), "{:?}", faults[0]);
    }

    #[test]
    fn proxies_without_a_role_are_told() {
        let mut seen = sample::healthy();
        sample::proxy(&mut seen, 2).fronts = Vec::new();
        assert!(roles(&seen).unwrap()[0].what.contains("neither owns slots"));
        sample::proxy(&mut seen, 2).master_id = Some(sample::proxy_id(0));
        assert_eq!(roles(&seen), Ok(Vec::new()));
        sample::proxy(&mut seen, 0).live = false;
        assert!(roles(&seen).unwrap()[0].what.contains("replicates 10.0.0.1:7000, which is not there"));
    }

    #[test]
    fn proxies_that_lag_are_told() {
        let mut seen = sample::healthy();
        let mut set = |number, acked_version, heard_ms_ago| {
            let health = seen.health.as_mut().unwrap().proxies.get_mut(&sample::proxy_id(number)).unwrap();
            (health.acked_version, health.heard_ms_ago) = (acked_version, Some(heard_ms_ago));
        };
        set(0, 8, 100);
        set(1, 8, 2_000);
        set(2, 3, 100);
        let faults = current(&seen).unwrap();
        let said: Vec<&str> = faults.iter().map(|fault| fault.what.as_str()).collect();
        assert_eq!(said.len(), 2);
        assert!(said.iter().any(|what| what.ends_with("7001 is one version of the topology behind")));
        assert!(said.iter().any(|what| what.ends_with("7002 is 6 versions of the topology behind")));
    }
}
