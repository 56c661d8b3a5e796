//! What proxies tell clients to connect to.

use std::{collections::BTreeMap, net::IpAddr};

use topology::{ClusterState, Proxy};

use super::super::{
    collect::{Collected, Probe},
    finding::{Fault, Judged, Severity, Unknown},
    probe::Reached,
};
use crate::cluster::names;

const LOST: &str = "cluster clients connect to announced addresses only, and lose the slots announced there";
const SET: &str = "set announce_host and announce_port of that proxy, and restart it";

pub(super) fn reachable(seen: &Collected) -> Judged {
    if seen.probes.is_empty() {
        return Err(Unknown("no address of a proxy is known"));
    }
    Ok(seen.probes.iter().filter_map(|probe| unreached(seen, probe)).collect())
}

fn unreached(seen: &Collected, probe: &Probe) -> Option<Fault> {
    let address = &probe.address;
    let what = match &probe.reached {
        Reached::Nobody(why) => format!("{address} is announced, but cannot be reached from here: {why}"),
        Reached::Http => format!("{address} is announced, but is an HTTP port"),
        Reached::Stranger(said) => format!("{address} is announced, but does not speak Redis: {said:?}"),
        Reached::Plain => format!("{address} is announced, but is a plain listener, not a cluster listener"),
        Reached::Locked(said) => return Some(locked(address, said)),
        Reached::Node(told) => {
            let expected = expected_ids(seen, probe)?;
            if expected.contains(&told.my_id) {
                return None;
            }
            format!("{address} is announced by node {}, but leads to node {}", expected[0], told.my_id)
        }
    };
    Some(Fault::error(what).because(LOST).next(SET))
}

fn locked(address: &str, said: &str) -> Fault {
    let what = format!("{address} does not let the doctor in: {said}");
    Fault { severity: Severity::Unknown, ..Fault::warning(what) }
        .because("what it says could not be compared")
        .next("give the password with --auth or REDISCLI_AUTH")
}

/// The id that it shows, and the one it was born with; none if meta does not tell.
fn expected_ids(seen: &Collected, probe: &Probe) -> Option<[String; 2]> {
    let id = probe.proxy.as_ref()?;
    let proxy = seen.state().ok()?.proxies.get(id)?;
    Some([names::shown(id, proxy).to_string(), id.to_string()])
}

pub(super) fn distinct(seen: &Collected) -> Judged {
    let mut by_address: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, proxy) in seen.state()?.live_proxies() {
        by_address.entry(names::address(proxy)).or_default().push(names::shown(id, proxy).to_string());
    }
    let shared = by_address.into_iter().filter(|(_, ids)| ids.len() > 1);
    let fault = |(address, ids): (String, Vec<String>)| {
        Fault::error(format!("{address} is announced by several proxies: {}", ids.join(", ")))
            .because("clients reach one of them and take it for the other")
            .next(SET)
    };
    Ok(shared.map(fault).collect())
}

/// Only this machine reaches a loopback address, and none the unspecified one.
pub(super) fn sensible(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let elsewhere = hosts(state).find(|host| !is_loopback(host));
    let fault = |proxy: &Proxy| {
        let (address, host) = (names::address(proxy), proxy.announce_host.as_str());
        if host.is_empty() || proxy.announce_port == 0 || is_unspecified(host) {
            let fault = Fault::error(format!("{address} is announced, which is no address to connect to"));
            return Some(fault.because(LOST).next(SET));
        }
        let other = elsewhere.filter(|_| is_loopback(host))?;
        let fault = Fault::error(format!("{address} is announced, which leads every machine to itself"));
        let why = format!("the cluster also runs on other machines ({other}): {LOST}");
        Some(fault.because(why).next(SET))
    };
    Ok(state.live_proxies().filter_map(|(_, proxy)| fault(proxy)).collect())
}

/// Of storage nodes and live proxies.
fn hosts(state: &ClusterState) -> impl Iterator<Item = &str> {
    let stores = state.stores.values().filter(|store| !store.gone);
    let stores = stores.filter_map(|store| store.rpc_addr.rsplit_once(':').map(|(host, _)| host));
    let proxies = state.live_proxies().map(|(_, proxy)| proxy.announce_host.as_str());
    stores.chain(proxies).filter(|host| !host.is_empty() && !is_unspecified(host))
}

fn ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || ip(host).is_some_and(|ip| ip.is_loopback())
}

fn is_unspecified(host: &str) -> bool {
    ip(host).is_some_and(|ip| ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::doctor::checks::sample;

    #[test]
    fn addresses_that_lead_elsewhere_are_errors() {
        let wrong = [
            (
                Reached::Nobody("connection refused".to_owned()),
                "cannot be reached from here: connection refused",
            ),
            (Reached::Http, "is an HTTP port"),
            (Reached::Plain, "is a plain listener"),
            (Reached::Stranger("SSH-2.0".to_owned()), "does not speak Redis"),
        ];
        for (reached, expected) in wrong {
            let mut seen = sample::healthy();
            seen.probes[1].reached = reached;
            let faults = reachable(&seen).unwrap();
            assert!(faults.len() == 1 && faults[0].what.contains(expected), "{faults:?}");
            assert!(faults[0].what.starts_with(&seen.probes[1].address));
        }
    }

    #[test]
    fn another_node_at_the_address_is_an_error() {
        let mut seen = sample::healthy();
        seen.probes.swap(0, 1);
        let id = seen.probes[0].proxy.take();
        seen.probes[0].proxy = std::mem::replace(&mut seen.probes[1].proxy, id);
        assert_eq!(reachable(&seen).unwrap().len(), 2);
    }

    #[test]
    fn a_password_is_asked_for_not_complained_about() {
        let mut seen = sample::healthy();
        seen.probes[0].reached = Reached::Locked("NOAUTH Authentication required.".to_owned());
        assert_eq!(reachable(&seen).unwrap()[0].severity, Severity::Unknown);
    }

    #[test]
    fn an_id_after_a_hard_reset_is_known() {
        let mut seen = sample::healthy();
        sample::proxy(&mut seen, 0).alias = Some(sample::proxy_id(9));
        assert_eq!(reachable(&seen), Ok(Vec::new()));
    }

    #[test]
    fn addresses_announced_twice_are_an_error() {
        let mut seen = sample::healthy();
        let second = sample::proxy(&mut seen, 1);
        (second.announce_host, second.announce_port) = ("10.0.0.1".to_owned(), 7000);
        assert!(distinct(&seen).unwrap()[0].what.starts_with("10.0.0.1:7000 is announced by several"));
    }

    #[test]
    fn loopback_and_nowhere_are_errors_where_there_are_other_machines() {
        let mut seen = sample::healthy();
        sample::proxy(&mut seen, 0).announce_host = "127.0.0.1".to_owned();
        sample::proxy(&mut seen, 1).announce_host = "0.0.0.0".to_owned();
        assert_eq!(sensible(&seen).unwrap().len(), 2);
        let state = sample::state(&mut seen);
        state.stores.values_mut().for_each(|store| store.rpc_addr = "127.0.0.1:7400".to_owned());
        state.proxies.values_mut().for_each(|proxy| proxy.announce_host = "localhost".to_owned());
        assert_eq!(sensible(&seen), Ok(Vec::new()), "all on one machine");
    }
}
