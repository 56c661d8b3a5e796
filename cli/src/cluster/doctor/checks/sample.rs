//! A made-up cluster for the tests of checks: three of each, all well.

use std::collections::BTreeMap;

use topology::{
    ClusterState, Group, GroupId, Proxy, ProxyId, Replica, ReplicaId, SlotSet, StorageNode, StoreId, Version,
    view::View,
};

use super::super::{
    collect::{Collected, Probe},
    nodes_text::parse,
    probe::{Reached, Told},
};
use crate::{
    admin::{Asked, Health, Member, Members, ProxyHealth, ReplicaReport, Snapshot, StoreHealth},
    cluster::names,
};

const NODES: u64 = 3;

pub(super) fn proxy_id(number: u16) -> ProxyId {
    ProxyId::of_address(&format!("10.0.0.{}", number + 1), 7000 + number)
}

/// To make it sick.
pub(super) fn state(seen: &mut Collected) -> &mut ClusterState {
    &mut seen.snapshot.as_mut().unwrap().state
}

pub(super) fn proxy(seen: &mut Collected, number: u16) -> &mut Proxy {
    state(seen).proxies.get_mut(&proxy_id(number)).unwrap()
}

pub(super) fn healthy() -> Collected {
    let state = healthy_state();
    let leaders = state.groups.keys().map(|&id| (id, StoreId(id.0))).collect();
    Collected {
        metas: (1..=NODES).map(|id| Asked { address: meta_address(id), answer: Ok(members()) }).collect(),
        health: Some(health(&state)),
        probes: (0..3).map(|number| probe(&state, number)).collect(),
        stores: state.stores.keys().map(|&id| (id, Ok(()))).collect(),
        snapshot: Some(Snapshot { state, leaders }),
    }
}

/// One of three meta nodes answers; the proxies are known from elsewhere.
pub(super) fn without_quorum() -> Collected {
    let mut seen = healthy();
    seen.metas[0].answer.as_mut().unwrap().leader = None;
    for node in &mut seen.metas[1..] {
        node.answer = Err("connection refused".to_owned());
    }
    for probe in &mut seen.probes {
        probe.proxy = None;
        if let Reached::Node(told) = &mut probe.reached {
            told.nodes = Err("no answer within 2 s".to_owned());
        }
    }
    Collected { snapshot: None, health: None, stores: BTreeMap::new(), ..seen }
}

/// Sick of many things.
pub(super) fn sick() -> Collected {
    let mut seen = healthy();
    seen.metas[1].answer = Err("connection refused".to_owned());
    seen.snapshot.as_mut().unwrap().leaders.remove(&GroupId(2));
    state(&mut seen).groups.get_mut(&GroupId(1)).unwrap().slots = SlotSet::default();
    state(&mut seen).stores.get_mut(&StoreId(3)).unwrap().gone = true;
    proxy(&mut seen, 0).realm = 4;
    proxy(&mut seen, 1).live = false;
    proxy(&mut seen, 2).announce_host = "127.0.0.1".to_owned();
    seen.probes[2].reached = Reached::Http;
    let health = seen.health.as_mut().unwrap();
    health.stores.values_mut().for_each(|store| store.disk_free_bytes = 0);
    health.proxies.values_mut().for_each(|proxy| proxy.clock_skew_ms = -9_000);
    health.stores.remove(&StoreId(1));
    seen
}

fn meta_address(id: u64) -> String {
    format!("10.0.0.{id}:7300")
}

fn members() -> Members {
    let member = |id| Member { id, address: meta_address(id), voter: true, matched_index: 10_000 };
    Members { members: (1..=NODES).map(member).collect(), leader: Some(1), term: 2, ..Members::default() }
}

fn healthy_state() -> ClusterState {
    let store = |id: u64| {
        let rpc_addr = format!("10.0.0.{id}:7400");
        (StoreId(id), StorageNode { name: format!("storage-{id}"), rpc_addr, gone: false })
    };
    let replica =
        |group: u64, store: u64| Replica { id: ReplicaId(10 * group + store), store: StoreId(store) };
    let group = |id: u64| {
        let replicas = (1..=NODES).map(|store| replica(id, store)).collect();
        let slots = SlotSet::share(id as usize - 1, NODES as usize);
        (GroupId(id), Group { slots, replicas, formed: true, ..Group::default() })
    };
    let proxy = |number: u16| {
        let proxy = Proxy {
            announce_host: format!("10.0.0.{}", number + 1),
            announce_port: 7000 + number,
            fronts: vec![GroupId(u64::from(number) + 1)],
            live: true,
            ..Proxy::default()
        };
        (proxy_id(number), proxy)
    };
    ClusterState {
        version: Version(9),
        cluster_id: "c".to_owned(),
        next_id: 100,
        replication: 3,
        stores: (1..=NODES).map(store).collect(),
        groups: (1..=NODES).map(group).collect(),
        proxies: (0..3).map(proxy).collect(),
        ..ClusterState::default()
    }
}

fn health(state: &ClusterState) -> Health {
    let report = |store: StoreId, (&id, group): (&GroupId, &Group)| ReplicaReport {
        group: id,
        replica: group.replicas.iter().find(|replica| replica.store == store).unwrap().id,
        leads: id.0 == store.0,
        last_index: 50,
        applied_index: 50,
        voters: group.replicas.iter().map(|replica| replica.id).collect(),
        ..ReplicaReport::default()
    };
    let store = |&id: &StoreId| {
        let health = StoreHealth {
            connected: true,
            heard_ms_ago: Some(100),
            disk_free_bytes: 60 << 30,
            disk_total_bytes: 100 << 30,
            replicas: state.groups.iter().map(|group| report(id, group)).collect(),
            ..StoreHealth::default()
        };
        (id, health)
    };
    let proxy = |id: &ProxyId| {
        let health = ProxyHealth {
            connected: true,
            heard_ms_ago: Some(100),
            acked_version: state.version.0,
            ..ProxyHealth::default()
        };
        (id.clone(), health)
    };
    Health {
        stores: state.stores.keys().map(store).collect(),
        proxies: state.proxies.keys().map(proxy).collect(),
    }
}

fn probe(state: &ClusterState, number: u16) -> Probe {
    let id = proxy_id(number);
    let proxy = &state.proxies[&id];
    let nodes = parse(&View::new(state, &id, proxy).nodes_text());
    let reached = Reached::Node(Told { my_id: id.to_string(), nodes });
    Probe { proxy: Some(id.clone()), address: names::address(proxy), reached }
}
