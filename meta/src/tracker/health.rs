//! What an operator asks about health: who is connected, when it was heard, what it said.

use proto::v1::{Heartbeat, ProxyHealth, ReplicaReport, StoreHealth};
use tokio::time::Instant;
use topology::{ClusterState, ProxyId, StoreId};

use super::{Peer, Tracker};

/// Of the last heartbeat of a node.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// The node's clock less ours when it arrived.
    clock_skew_ms: i64,
    disk_free_bytes: u64,
    disk_total_bytes: u64,
    replicas: Vec<ReplicaReport>,
}

impl Figures {
    fn of(heartbeat: &Heartbeat, clock_ms: u64) -> Self {
        Self {
            // Saturated only by a clock that is off by millions of years.
            clock_skew_ms: i64::try_from(i128::from(heartbeat.clock_ms) - i128::from(clock_ms))
                .unwrap_or(i64::MAX),
            disk_free_bytes: heartbeat.disk_free_bytes,
            disk_total_bytes: heartbeat.disk_total_bytes,
            replicas: heartbeat.replicas.clone(),
        }
    }
}

impl Tracker {
    /// Keeps the figures of a heartbeat that arrived when our clock said `clock_ms`.
    pub fn note(&mut self, peer: &Peer, heartbeat: &Heartbeat, clock_ms: u64) {
        let kept = match peer {
            Peer::Store(id) => self.stores.get_mut(id).map(|track| &mut track.figures),
            Peer::Proxy(id, incarnation) => {
                self.proxies.get_mut(&(id.clone(), *incarnation)).map(|track| &mut track.figures)
            }
        };
        if let Some(figures) = kept {
            *figures = Figures::of(heartbeat, clock_ms);
        }
    }

    /// Of every store that the cluster counts on.
    pub fn store_health(&self, state: &ClusterState, now: Instant) -> Vec<StoreHealth> {
        let stores = state.stores.iter().filter(|(_, node)| !node.gone);
        stores.map(|(&id, _)| self.health_of_store(id, now)).collect()
    }

    fn health_of_store(&self, store: StoreId, now: Instant) -> StoreHealth {
        let unheard = StoreHealth { store_id: store.0, ..StoreHealth::default() };
        let Some(track) = self.stores.get(&store) else { return unheard };
        let figures = &track.figures;
        StoreHealth {
            connected: track.streams > 0,
            heard_ms_ago: track.heard.map(|heard| ms_between(heard, now)),
            clock_skew_ms: figures.clock_skew_ms,
            disk_free_bytes: figures.disk_free_bytes,
            disk_total_bytes: figures.disk_total_bytes,
            replicas: figures.replicas.clone(),
            ..unheard
        }
    }

    /// Of the last process of every proxy that registered.
    pub fn proxy_health(&self, state: &ClusterState, now: Instant) -> Vec<ProxyHealth> {
        let proxies = state.proxies.iter();
        proxies.map(|(id, proxy)| self.health_of_proxy(id, proxy.incarnation, now)).collect()
    }

    fn health_of_proxy(&self, proxy: &ProxyId, incarnation: u64, now: Instant) -> ProxyHealth {
        let unheard = ProxyHealth { proxy_id: proxy.to_string(), incarnation, ..ProxyHealth::default() };
        let Some(track) = self.proxies.get(&(proxy.clone(), incarnation)) else { return unheard };
        ProxyHealth {
            connected: track.streams > 0,
            heard_ms_ago: track.heard.map(|heard| ms_between(heard, now)),
            clock_skew_ms: track.figures.clock_skew_ms,
            acked_version: track.acked.0,
            ..unheard
        }
    }
}

fn ms_between(heard: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(heard).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use topology::Command;

    use super::*;

    #[test]
    fn figures_are_those_of_the_last_heartbeat() {
        let mut state = ClusterState::default();
        state.apply(&Command::Init { cluster_id: "c".into(), replication: 3 }).unwrap();
        for id in [1, 2] {
            let (name, rpc_addr) = (format!("s{id}"), format!("s{id}:1"));
            state.apply(&Command::RegisterStore { store: StoreId(id), name, rpc_addr }).unwrap();
        }
        let start = Instant::now();
        let mut tracker = Tracker::new(Duration::from_secs(3), Duration::from_secs(3));
        tracker.begin(&state, start);
        let peer = Peer::Store(StoreId(1));
        tracker.connected(&peer, start);
        for (clock_ms, free) in [(1_000, 7), (4_000, 5)] {
            let heartbeat = Heartbeat {
                clock_ms,
                disk_free_bytes: free,
                disk_total_bytes: 10,
                replicas: vec![ReplicaReport { group: free, ..ReplicaReport::default() }],
                ..Heartbeat::default()
            };
            tracker.heard(&peer, &heartbeat, start);
            tracker.note(&peer, &heartbeat, 4_250);
        }
        let later = start + Duration::from_millis(1_500);
        let [one, two] = <[StoreHealth; 2]>::try_from(tracker.store_health(&state, later)).unwrap();
        assert_eq!((one.store_id, one.connected, one.heard_ms_ago), (1, true, Some(1_500)));
        assert_eq!((one.clock_skew_ms, one.disk_free_bytes, one.disk_total_bytes), (-250, 5, 10));
        assert_eq!(one.replicas.iter().map(|r| r.group).collect::<Vec<_>>(), [5]);
        assert_eq!((two.store_id, two.connected, two.heard_ms_ago), (2, false, None));
        tracker.disconnected(&peer);
        assert!(!tracker.store_health(&state, later)[0].connected);
    }
}
