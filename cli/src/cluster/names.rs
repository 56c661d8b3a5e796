//! What things are called in tables, findings and JSON.

use topology::{ClusterState, Proxy, ProxyId, SlotSet, StoreId};

/// As cluster clients dial it.
pub(crate) fn address(proxy: &Proxy) -> String {
    let (host, port) = (&proxy.announce_host, proxy.announce_port);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The id that cluster clients see.
pub(crate) fn shown<'a>(id: &'a ProxyId, proxy: &'a Proxy) -> &'a ProxyId {
    proxy.alias.as_ref().unwrap_or(id)
}

/// How an operator asks that proxy.
pub(crate) fn redis_cli(proxy: &Proxy) -> String {
    format!("redis-cli -h {} -p {}", proxy.announce_host, proxy.announce_port)
}

pub(crate) fn proxy(state: &ClusterState, id: &ProxyId) -> String {
    state.proxies.get(id).map_or_else(|| id.to_string(), address)
}

pub(crate) fn store(state: &ClusterState, id: StoreId) -> String {
    state.stores.get(&id).map_or_else(|| id.to_string(), |store| store.name.clone())
}

/// `0-5460 9000`; a long list ends with how many ranges are left out.
pub(crate) fn slots(slots: &SlotSet) -> String {
    const RANGES_MAX: usize = 8;
    let range = |&(first, last): &(u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let ranges = slots.ranges();
    let mut text = ranges.iter().take(RANGES_MAX).map(range).collect::<Vec<_>>().join(" ");
    if ranges.len() > RANGES_MAX {
        text += &format!(" and {} more ranges", ranges.len() - RANGES_MAX);
    }
    text
}

/// `1 slot`, `2 slots`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// `340 ms`, `12 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        _ => format!("{} s", ms / 1000),
    }
}

/// `1.5 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(4) as usize;
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{:.1} {}", bytes as f64 / (1u64 << (10 * unit)) as f64, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use topology::Slot;

    use super::*;

    #[test]
    fn quantities_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
        assert_eq!(bytes(3 << 40), "3.0 TiB");
        assert_eq!((duration(340), duration(12_400)), ("340 ms".to_owned(), "12 s".to_owned()));
        assert_eq!((count(1, "slot"), count(0, "slot")), ("1 slot".to_owned(), "0 slots".to_owned()));
    }

    #[test]
    fn long_lists_of_slots_are_cut() {
        let every_other = SlotSet::from_slots((0..20).filter_map(|n| Slot::new(2 * n)));
        assert_eq!(slots(&every_other), "0 2 4 6 8 10 12 14 and 12 more ranges");
        assert_eq!(slots(&SlotSet::all()), "0-16383");
    }

    #[test]
    fn ipv6_hosts_can_be_dialled() {
        let proxy = Proxy { announce_host: "::1".to_owned(), announce_port: 7000, ..Proxy::default() };
        assert_eq!(address(&proxy), "[::1]:7000");
    }
}
