//! What meta's leader knows from heartbeats: who is there, which topology version each proxy has in
//! force, whose lease runs until when, who leads which group. Soft state, begun anew with each
//! reign; time comes in as a parameter.
//!
//! Leases, and why they are safe:
//! - a proxy counts its lease from when it *sent* a heartbeat; we count from when that heartbeat
//!   *arrived*, and add a margin for clocks that run apart: our end is never earlier than its own;
//! - a lease is granted only after leadership was confirmed at a time past that arrival: whoever
//!   leads next is elected later than that, and gives each proxy the state calls live a full lease
//!   from the beginning of its own reign;
//! - only processes that the state calls live get one, and none whose expiry is being proposed. So
//!   every lease in force belongs to a proxy which the next leader finds live.

mod health;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use proto::v1::{Heartbeat, LeaderHint, ReplicaReport, heartbeat::Node};
use tokio::time::Instant;
use topology::{
    ClusterState, GroupId, ProxyId, ReplicaId, SLOT_COUNT, Slot, SlotSet, StoreId, Version, namespace,
    reconcile::{LeaderReport, Observed},
};

use health::Figures;

/// A process that heartbeats: a data directory, or one run of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Store(StoreId),
    Proxy(ProxyId, u64),
}

impl Peer {
    /// None if the heartbeat names nobody.
    pub fn of(heartbeat: &Heartbeat) -> Option<Self> {
        match heartbeat.node.as_ref()? {
            Node::StoreId(id) => Some(Self::Store(StoreId(*id))),
            Node::ProxyId(id) => Some(Self::Proxy(ProxyId::parse(id)?, heartbeat.incarnation)),
        }
    }

    /// Registered, and not replaced since.
    pub fn is_known(&self, state: &ClusterState) -> bool {
        match self {
            Self::Store(id) => state.stores.get(id).is_some_and(|node| !node.gone),
            Self::Proxy(id, incarnation) => {
                state.proxies.get(id).is_some_and(|p| p.incarnation == *incarnation)
            }
        }
    }
}

/// What a heartbeat told that others wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// A node acknowledged a version of the state, or a group one of the libraries.
    pub acked: bool,
    /// The reconciler may have something to do.
    pub liveness: bool,
    /// A group has another leader, or another membership.
    pub leaders: bool,
}

#[derive(Debug, Default)]
struct StoreTrack {
    heard: Option<Instant>,
    streams: usize,
    acked: Version,
    figures: Figures,
}

#[derive(Debug)]
struct ProxyTrack {
    heard: Option<Instant>,
    streams: usize,
    figures: Figures,
    acked: Version,
    /// As late as the proxy itself could think.
    lease_end: Instant,
    /// The state called it live when we looked last.
    live: bool,
    /// Its expiry was proposed and may commit at any time: no lease until the state says so.
    expiring: bool,
}

pub(crate) struct Tracker {
    lease: Duration,
    silence: Duration,
    stores: HashMap<StoreId, StoreTrack>,
    proxies: BTreeMap<(ProxyId, u64), ProxyTrack>,
    leaders: BTreeMap<GroupId, (LeaderReport, Instant)>,
    /// The newest version of the libraries that any replica of a group has applied: it is committed
    /// there, and nothing that is evaluated later goes by an older one.
    libraries: BTreeMap<GroupId, u64>,
}

impl Tracker {
    /// `lease`: as granted to proxies. `silence`: a store unheard for so long is not healthy.
    pub fn new(lease: Duration, silence: Duration) -> Self {
        let (stores, proxies, leaders, libraries) = Default::default();
        Self { lease, silence, stores, proxies, leaders, libraries }
    }

    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// A reign begins at `now`: every live proxy may hold a lease of the last leader.
    pub fn begin(&mut self, state: &ClusterState, now: Instant) {
        self.stores.clear();
        self.proxies.clear();
        self.leaders.clear();
        self.libraries.clear();
        self.sync(state, now);
    }

    /// Takes in which proxies the state calls live. One that has become so has a lease's time to be
    /// heard.
    pub fn sync(&mut self, state: &ClusterState, now: Instant) {
        for (id, proxy) in state.live_proxies() {
            self.proxies.entry((id.clone(), proxy.incarnation)).or_insert_with(|| ProxyTrack::new(now));
        }
        let grace_end = now + with_margin(self.lease);
        for ((id, incarnation), track) in &mut self.proxies {
            let live = is_live(state, id, *incarnation);
            if live && !track.live {
                track.lease_end = track.lease_end.max(grace_end);
            }
            track.expiring &= live;
            track.live = live;
        }
        self.proxies.retain(|(id, incarnation), track| {
            let known = state.proxies.get(id).is_some_and(|p| p.incarnation == *incarnation);
            known || track.streams > 0 || track.lease_end > now
        });
    }

    pub fn connected(&mut self, peer: &Peer, now: Instant) {
        match peer {
            Peer::Store(id) => {
                self.stores.entry(*id).or_default().streams += 1;
            }
            Peer::Proxy(id, incarnation) => {
                let track =
                    self.proxies.entry((id.clone(), *incarnation)).or_insert_with(|| ProxyTrack::new(now));
                track.streams += 1;
            }
        }
    }

    pub fn disconnected(&mut self, peer: &Peer) {
        match peer {
            Peer::Store(id) => {
                if let Some(track) = self.stores.get_mut(id) {
                    track.streams = track.streams.saturating_sub(1);
                }
            }
            Peer::Proxy(id, incarnation) => {
                if let Some(track) = self.proxies.get_mut(&(id.clone(), *incarnation)) {
                    track.streams = track.streams.saturating_sub(1);
                }
            }
        }
    }

    /// Whether the store's process is on the line right now.
    pub fn is_connected(&self, store: StoreId, now: Instant) -> bool {
        self.stores.get(&store).is_some_and(|track| track.streams > 0 && track.is_fresh(now, self.silence))
    }

    pub fn heard(&mut self, peer: &Peer, heartbeat: &Heartbeat, now: Instant) -> News {
        match peer {
            Peer::Store(id) => {
                self.heard_store(*id, Version(heartbeat.acked_version), &heartbeat.replicas, now)
            }
            Peer::Proxy(id, incarnation) => {
                self.heard_proxy((id.clone(), *incarnation), Version(heartbeat.acked_version), now)
            }
        }
    }

    fn heard_store(
        &mut self,
        store: StoreId,
        acked: Version,
        reports: &[ReplicaReport],
        now: Instant,
    ) -> News {
        let track = self.stores.entry(store).or_default();
        let liveness = !track.is_fresh(now, self.silence);
        track.heard = Some(now);
        // A process that was started again begins anew.
        let mut newer = acked > track.acked;
        track.acked = acked;
        let mut leaders = false;
        for report in reports {
            leaders |= self.report(store, report, now);
            let known = self.libraries.entry(GroupId(report.group)).or_default();
            newer |= report.libraries_version > *known;
            *known = report.libraries_version.max(*known);
        }
        News { liveness, leaders, acked: newer }
    }

    /// Whether every group that serves slots has these libraries, or newer ones, in its log.
    pub fn have_libraries(&self, version: u64, state: &ClusterState) -> bool {
        let serves = |(_, group): &(&GroupId, &topology::Group)| !group.slots.is_empty();
        let has = |(id, _)| self.libraries.get(id).is_some_and(|known| *known >= version);
        version == 0 || state.groups.iter().filter(serves).all(has)
    }

    fn heard_proxy(&mut self, key: (ProxyId, u64), acked: Version, now: Instant) -> News {
        let track = self.proxies.entry(key).or_insert_with(|| ProxyTrack::new(now));
        let liveness = track.heard.is_none();
        track.heard = Some(now);
        let newer = acked > track.acked;
        track.acked = track.acked.max(acked);
        News { acked: newer, liveness, leaders: false }
    }

    /// Answers whether anything but the time changed.
    fn report(&mut self, store: StoreId, report: &ReplicaReport, now: Instant) -> bool {
        let group = GroupId(report.group);
        let known = self.leaders.get(&group).map(|(leader, _)| leader);
        if !report.is_leader {
            let stepped_down = known.is_some_and(|l| l.replica.0 == report.replica && l.term <= report.term);
            if stepped_down {
                self.leaders.remove(&group);
            }
            return stepped_down;
        }
        if known.is_some_and(|leader| leader.term > report.term) {
            return false;
        }
        let ids = |list: &[u64]| list.iter().copied().map(ReplicaId).collect();
        let leader = LeaderReport {
            store,
            replica: ReplicaId(report.replica),
            term: report.term,
            voters: ids(&report.voters),
            learners: ids(&report.learners),
            parked_at: Version(report.parked_version),
            parked_in_use: slot_set(&report.parked_in_use),
            namespaces: namespace::Found {
                version: Version(report.namespaces_version),
                in_use: report.namespaces_in_use.iter().cloned().collect(),
            },
        };
        let changed = known != Some(&leader);
        self.leaders.insert(group, (leader, now));
        changed
    }

    pub fn hints(&self) -> Vec<LeaderHint> {
        let hint = |(group, (leader, _)): (&GroupId, &(LeaderReport, Instant))| LeaderHint {
            group: group.0,
            store_id: leader.store.0,
            term: leader.term,
        };
        self.leaders.iter().map(hint).collect()
    }

    /// Grants the process a lease counted from `arrived`, when the heartbeat it answers did; the
    /// caller has confirmed its leadership at a later time. Answers whether there is one.
    pub fn grant(&mut self, peer: &Peer, arrived: Instant, state: &ClusterState) -> bool {
        let Peer::Proxy(id, incarnation) = peer else { return false };
        let live = is_live(state, id, *incarnation);
        let lease = with_margin(self.lease);
        match self.proxies.get_mut(&(id.clone(), *incarnation)) {
            Some(track) if live && !track.expiring => {
                track.lease_end = track.lease_end.max(arrived + lease);
                true
            }
            _ => false,
        }
    }

    /// For the reconciler. What it names as expired gets no lease until that is settled.
    pub fn observe(&mut self, state: &ClusterState, now: Instant) -> Observed {
        self.sync(state, now);
        let mut seen = Observed::default();
        let healthy = self.stores.iter().filter(|(_, track)| track.is_fresh(now, self.silence));
        seen.healthy_stores.extend(healthy.map(|(&id, _)| id));
        let leaders = self.leaders.iter().filter(|(_, (_, heard))| now - *heard < self.silence);
        seen.leaders.extend(leaders.map(|(&group, (leader, _))| (group, leader.clone())));
        for ((id, incarnation), track) in &mut self.proxies {
            let heard = track.streams > 0 && track.heard.is_some_and(|heard| now - heard < self.lease);
            if track.live && (track.expiring || track.lease_end <= now) {
                track.expiring = true;
                seen.expired_proxies.push((id.clone(), *incarnation));
            } else if !track.live && heard {
                seen.returned_proxies.push((id.clone(), *incarnation));
            }
        }
        seen
    }

    /// The barrier of a topology change: None when every proxy that may still answer from an older
    /// version than `version` is no more, else when to look again at the latest.
    pub fn outdated_until(&self, version: Version, now: Instant) -> Option<Instant> {
        self.proxies.values().filter(|t| t.acked < version && t.lease_end > now).map(|t| t.lease_end).min()
    }

    /// The barrier of a change for storage nodes: None when every one that is on the line goes by
    /// `version`, else when to look again at the latest. (The others learn of it before they are.)
    pub fn stores_outdated_until(&self, version: Version, now: Instant) -> Option<Instant> {
        let on_the_line = self.stores.values().filter(|t| t.streams > 0 && t.is_fresh(now, self.silence));
        let outdated = on_the_line.filter(|track| track.acked < version);
        outdated.filter_map(|track| track.heard).min().map(|heard| heard + self.silence)
    }

    pub fn counts(&self) -> (usize, usize) {
        let stores = self.stores.values().filter(|t| t.streams > 0).count();
        (stores, self.proxies.values().filter(|t| t.streams > 0).count())
    }
}

impl ProxyTrack {
    fn new(lease_end: Instant) -> Self {
        Self {
            heard: None,
            streams: 0,
            figures: Figures::default(),
            acked: Version(0),
            lease_end,
            live: false,
            expiring: false,
        }
    }
}

impl StoreTrack {
    fn is_fresh(&self, now: Instant, silence: Duration) -> bool {
        self.heard.is_some_and(|heard| now - heard < silence)
    }
}

fn is_live(state: &ClusterState, proxy: &ProxyId, incarnation: u64) -> bool {
    state.proxies.get(proxy).is_some_and(|p| p.live && p.incarnation == incarnation)
}

/// From pairs of first and last.
fn slot_set(pairs: &[u32]) -> SlotSet {
    let numbers = pairs.chunks_exact(2).flat_map(|pair| pair[0]..=pair[1].min(u32::from(SLOT_COUNT)));
    SlotSet::from_slots(numbers.filter_map(|n| Slot::new(u16::try_from(n).ok()?)))
}

/// Clocks may run apart by 2 %, and a timer may fire a little early.
fn with_margin(lease: Duration) -> Duration {
    lease + lease / 50 + Duration::from_millis(5)
}

#[cfg(test)]
mod tests {
    use topology::Command;

    use super::*;

    const LEASE: Duration = Duration::from_secs(3);
    const LONG: Duration = Duration::from_secs(4);

    fn proxy() -> ProxyId {
        ProxyId::of_address("h", 1)
    }

    fn register(incarnation: u64) -> Command {
        Command::RegisterProxy {
            proxy: proxy(),
            announce_host: "h".into(),
            announce_port: 1,
            announce_hostname: String::new(),
            incarnation,
            apart: false,
        }
    }

    fn state_with_proxy() -> ClusterState {
        let mut state = ClusterState::default();
        state.apply(&Command::Init { cluster_id: "c".into(), replication: 3 }).unwrap();
        state.apply(&register(1)).unwrap();
        state
    }

    fn acking(version: u64) -> Heartbeat {
        Heartbeat { acked_version: version, ..Heartbeat::default() }
    }

    #[test]
    fn a_new_leader_waits_for_every_live_proxy() {
        let (state, start) = (state_with_proxy(), Instant::now());
        let mut tracker = Tracker::new(LEASE, LEASE);
        tracker.begin(&state, start);
        assert!(tracker.outdated_until(Version(2), start).is_some());
        assert!(tracker.observe(&state, start + LEASE).expired_proxies.is_empty());
        assert_eq!(tracker.outdated_until(Version(2), start + LONG), None);
        assert_eq!(tracker.observe(&state, start + LONG).expired_proxies, [(proxy(), 1)]);
    }

    #[test]
    fn an_acknowledgement_or_the_end_of_the_lease_lifts_the_barrier() {
        let (state, start) = (state_with_proxy(), Instant::now());
        let peer = Peer::Proxy(proxy(), 1);
        let mut tracker = Tracker::new(LEASE, LEASE);
        tracker.begin(&state, start);
        tracker.connected(&peer, start);
        assert!(tracker.heard(&peer, &acking(2), start).acked);
        assert_eq!(tracker.outdated_until(Version(2), start), None);
        assert!(tracker.outdated_until(Version(3), start).is_some());
        assert!(tracker.grant(&peer, start + LEASE, &state));
        assert!(tracker.outdated_until(Version(3), start + LONG).is_some(), "the lease was renewed");
        assert_eq!(tracker.outdated_until(Version(3), start + 2 * LONG), None);
    }

    #[test]
    fn libraries_are_in_force_once_every_group_has_them() {
        let (mut state, now) = (state_with_proxy(), Instant::now());
        let (store, name, rpc_addr) = (StoreId(1), "s".to_owned(), "s:1".to_owned());
        state.apply(&Command::RegisterStore { store, name, rpc_addr }).unwrap();
        state.apply(&Command::Bootstrap { groups: 2 }).unwrap();
        let groups: Vec<u64> = state.groups.keys().map(|id| id.0).collect();
        let mut tracker = Tracker::new(LEASE, LEASE);
        let report = |tracker: &mut Tracker, group, libraries_version| {
            let report = ReplicaReport { group, libraries_version, ..ReplicaReport::default() };
            let heartbeat = Heartbeat { replicas: vec![report], ..Heartbeat::default() };
            tracker.heard(&Peer::Store(store), &heartbeat, now).acked
        };
        assert!(tracker.have_libraries(0, &state) && !tracker.have_libraries(1, &state));
        assert!(report(&mut tracker, groups[0], 2));
        assert!(!tracker.have_libraries(1, &state));
        assert!(report(&mut tracker, groups[1], 1));
        assert!(tracker.have_libraries(1, &state) && !tracker.have_libraries(2, &state));
        assert!(!report(&mut tracker, groups[0], 1), "a follower that lags says nothing new");
        tracker.begin(&state, now);
        assert!(!tracker.have_libraries(1, &state), "nobody has told this leader");
    }

    #[test]
    fn no_lease_while_an_expiry_may_commit() {
        let (mut state, start) = (state_with_proxy(), Instant::now());
        let peer = Peer::Proxy(proxy(), 1);
        let mut tracker = Tracker::new(LEASE, LEASE);
        tracker.begin(&state, start);
        tracker.connected(&peer, start);
        let late = start + LONG;
        assert_eq!(tracker.observe(&state, late).expired_proxies.len(), 1);
        tracker.heard(&peer, &acking(2), late);
        assert!(!tracker.grant(&peer, late, &state));
        assert_eq!(tracker.observe(&state, late).expired_proxies.len(), 1, "settled first");

        state.apply(&Command::ProxyLeaseExpired { proxy: proxy(), incarnation: 1 }).unwrap();
        let seen = tracker.observe(&state, late);
        assert_eq!((seen.expired_proxies.len(), seen.returned_proxies), (0, vec![(proxy(), 1)]));
        assert!(!tracker.grant(&peer, late, &state), "not live");

        state.apply(&Command::ProxyAlive { proxy: proxy(), incarnation: 1 }).unwrap();
        assert!(tracker.observe(&state, late).expired_proxies.is_empty(), "has a lease's time");
        assert!(tracker.grant(&peer, late, &state));
    }

    #[test]
    fn a_restarted_proxy_does_not_speak_for_its_old_process() {
        let (mut state, start) = (state_with_proxy(), Instant::now());
        let mut tracker = Tracker::new(LEASE, LEASE);
        tracker.begin(&state, start);
        state.apply(&register(2)).unwrap();
        tracker.sync(&state, start);
        let new = Peer::Proxy(proxy(), 2);
        tracker.connected(&new, start);
        tracker.heard(&new, &acking(9), start);
        assert!(tracker.outdated_until(Version(9), start).is_some(), "the old one may hold a lease");
        assert_eq!(tracker.outdated_until(Version(9), start + LONG), None);
        assert!(!tracker.grant(&Peer::Proxy(proxy(), 1), start, &state));
    }

    #[test]
    fn the_leader_of_the_highest_term_counts() {
        let mut tracker = Tracker::new(LEASE, LEASE);
        let now = Instant::now();
        let report = |replica: u64, term: u64, is_leader: bool| Heartbeat {
            replicas: vec![ReplicaReport {
                group: 1,
                replica,
                term,
                is_leader,
                voters: vec![1, 2],
                ..Default::default()
            }],
            ..Heartbeat::default()
        };
        let (one, two) = (Peer::Store(StoreId(1)), Peer::Store(StoreId(2)));
        assert!(tracker.heard(&one, &report(1, 5, true), now).leaders);
        assert!(!tracker.heard(&one, &report(1, 5, true), now).leaders, "nothing new");
        assert!(!tracker.heard(&two, &report(2, 4, true), now).leaders, "deposed");
        assert!(tracker.heard(&two, &report(2, 6, true), now).leaders);
        assert_eq!(tracker.hints()[0].store_id, 2);
        assert!(!tracker.heard(&one, &report(1, 6, false), now).leaders, "not the one we know");
        assert!(tracker.heard(&two, &report(2, 6, false), now).leaders);
        assert!(tracker.hints().is_empty());
    }
}
