//! Golden outputs, and the rules of the format.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Group, GroupId, Slot};

fn proxy(port: u16, fronts: &[u64]) -> Proxy {
    Proxy {
        announce_host: "10.0.0.1".to_owned(),
        announce_port: port,
        fronts: fronts.iter().map(|&g| GroupId(g)).collect(),
        config_epoch: u64::from(port - 6999),
        live: true,
        ..Proxy::default()
    }
}

fn id(port: u16) -> ProxyId {
    ProxyId::of_address("10.0.0.1", port)
}

fn group(slots: SlotSet) -> Group {
    Group { slots, formed: true, ..Group::default() }
}

/// Two masters and a replica of the first; every slot assigned.
fn state() -> ClusterState {
    let mut state = ClusterState { version: Version(9), current_epoch: 3, ..ClusterState::default() };
    state.groups.insert(GroupId(1), group(SlotSet::share(0, 3)));
    state.groups.insert(GroupId(2), group(SlotSet::share(1, 3)));
    state.groups.insert(GroupId(3), group(SlotSet::share(2, 3)));
    state.proxies.insert(id(7000), proxy(7000, &[1, 2]));
    state.proxies.insert(id(7001), proxy(7001, &[3]));
    let replica =
        Proxy { master_id: Some(id(7000)), announce_hostname: "p3.example".to_owned(), ..proxy(7002, &[]) };
    state.proxies.insert(id(7002), replica);
    state
}

fn view<'a>(state: &'a ClusterState, id: &'a ProxyId) -> View<'a> {
    static NOBODY: std::sync::LazyLock<Proxy> = std::sync::LazyLock::new(Proxy::default);
    View::new(state, id, &NOBODY)
}

// covers: T3, T14
#[test]
fn nodes_text_as_redis_writes_it() {
    let (state, me) = (state(), id(7000));
    let (a, b, c) = (id(7000), id(7001), id(7002));
    let myself = format!("{a} 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-10921\n");
    let master = format!("{b} 10.0.0.1:7001@17001 master - 0 0 2 connected 10922-16383\n");
    let replica = format!("{c} 10.0.0.1:7002@17002,p3.example slave {a} 0 0 1 connected\n");
    let mut rest = [(b, master), (c, replica)];
    rest.sort();
    let expected = format!("{myself}{}{}", rest[0].1, rest[1].1);
    assert_eq!(view(&state, &me).nodes_text(), expected);
}

// covers: T14
#[test]
fn info_text_as_redis_writes_it() {
    let (state, me) = (state(), id(7002));
    let expected = "cluster_state:ok\r\n\
        cluster_slots_assigned:16384\r\n\
        cluster_slots_ok:16384\r\n\
        cluster_slots_pfail:0\r\n\
        cluster_slots_fail:0\r\n\
        cluster_known_nodes:3\r\n\
        cluster_size:2\r\n\
        cluster_current_epoch:3\r\n\
        cluster_my_epoch:1\r\n\
        cluster_stats_messages_sent:0\r\n\
        cluster_stats_messages_received:0\r\n\
        total_cluster_links_buffer_limit_exceeded:0\r\n";
    assert_eq!(view(&state, &me).info_text(), expected);
}

// covers: T14
#[test]
fn slots_and_shards_name_master_and_replicas() {
    let (state, me) = (state(), id(7001));
    let view = view(&state, &me);
    let (a, b, c) = (id(7000), id(7001), id(7002));
    let ranges: Vec<_> = view
        .slot_ranges()
        .into_iter()
        .map(|r| (r.first, r.last, r.nodes.iter().map(|n| n.id.clone()).collect::<Vec<_>>()))
        .collect();
    let expected = [(0, 10921, vec![a.clone(), c.clone()]), (10922, 16383, vec![b.clone()])];
    assert_eq!(ranges, expected);
    let shards: Vec<_> =
        view.shards().into_iter().map(|s| (s.slots.ranges().to_vec(), s.nodes.len())).collect();
    assert_eq!(shards, [(vec![(0, 10921)], 2), (vec![(10922, 16383)], 1)]);
}

// covers: T14
#[test]
fn replicas_are_listed_for_masters_only() {
    let (state, me) = (state(), id(7001));
    let view = view(&state, &me);
    let master = id(7000).to_string().to_uppercase();
    let lines = view.replicas_of(master.as_bytes()).expect("a master");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with(id(7002).as_str()) && lines[0].ends_with("connected"));
    assert_eq!(view.replicas_of(me.as_str().as_bytes()), Ok(vec![]));
    assert_eq!(view.replicas_of(id(7002).as_str().as_bytes()), Err(NodeError::NotMaster));
    assert_eq!(view.replicas_of(b"nope"), Err(NodeError::Unknown("nope".to_owned())));
}

#[test]
fn a_shard_has_one_id() {
    let state = state();
    let shard = |port| view(&state, &id(port)).my_shard_id();
    assert_eq!(shard(7000), shard(7002));
    assert_ne!(shard(7000), shard(7001));
    assert!(shard(7000).len() == 40 && ProxyId::parse(&shard(7000)).is_some());
    assert_eq!(view(&state, &id(7002)).my_slots().ranges(), [(0, 10921)]);
}

// covers: T17
#[test]
fn the_dead_are_not_announced() {
    let mut state = state();
    state.proxies.get_mut(&id(7000)).expect("there").live = false;
    let text = view(&state, &id(7001)).nodes_text();
    assert!(!text.contains(id(7000).as_str()), "neither as a node nor as somebody's master:\n{text}");
    let orphan = text.lines().find(|l| l.contains(":7002@")).expect("announced");
    assert!(orphan.contains(" master - "), "{orphan}");
}

#[test]
fn a_proxy_that_is_not_registered_yet_shows_itself() {
    let state = ClusterState::default();
    let (me, own) = (id(7000), proxy(7000, &[]));
    let view = View::new(&state, &me, &own);
    let expected = format!("{me} 10.0.0.1:7000@17000 myself,master - 0 0 1 connected\n");
    assert_eq!(view.nodes_text(), expected);
    assert!(view.info_text().starts_with("cluster_state:fail\r\ncluster_slots_assigned:0\r\n"));
}

// covers: T10
#[test]
fn one_unowned_slot_fails_the_cluster() {
    let mut state = state();
    let group = state.groups.get_mut(&GroupId(2)).expect("there");
    group.slots = group.slots.difference(&SlotSet::from_slots(Slot::new(6000)));
    // The count alone does not tell: another group has one slot twice.
    let view = view(&state, state.proxies.keys().next().expect("some"));
    assert!(!view.is_ok());
    assert!(view.info_text().contains("cluster_state:fail\r\ncluster_slots_assigned:16383\r\n"));
    assert!(view.nodes_text().contains(" 0-5999 6001-10921"));
}

/// Any state of up to six proxies and six groups.
fn any_state() -> impl Strategy<Value = ClusterState> {
    let proxies = proptest::collection::vec((any::<bool>(), 0u64..9, any::<bool>(), 0usize..6), 1..6);
    let owners = proptest::collection::vec(0u64..7, 40);
    (proxies, owners).prop_map(|(proxies, owners)| {
        let mut state = ClusterState { version: Version(1), ..ClusterState::default() };
        for group in 1..7 {
            let own = |slot: &Slot| owners[usize::from(slot.number()) * owners.len() / 16384] == group;
            let slots = SlotSet::from_slots(SlotSet::all().iter().filter(own));
            state.groups.insert(GroupId(group), self::group(slots));
        }
        let mut free: BTreeSet<u64> = (1..7).collect();
        for (at, (live, epoch, fronts, master)) in proxies.into_iter().enumerate() {
            let taken: Vec<u64> = if fronts { free.pop_first().into_iter().collect() } else { Vec::new() };
            let port = 7000 + at as u16;
            let base = Proxy { live, config_epoch: epoch, ..proxy(port, &taken) };
            let master_id = (!fronts).then(|| id(7000 + master as u16));
            state.proxies.insert(id(port), Proxy { master_id, ..base });
        }
        state
    })
}

// covers: T3
proptest! {
    #[test]
    fn every_line_keeps_the_rules(state in any_state()) {
        let mut agreed: Option<Vec<String>> = None;
        for (me, proxy) in state.proxies.iter().filter(|(_, p)| p.live) {
            let text = View::new(&state, me, proxy).nodes_text();
            prop_assert!(text.ends_with('\n') && !text.contains("\n\n"));
            prop_assert_eq!(text.matches("myself,").count(), 1);
            let first = text.lines().next().expect("at least myself");
            prop_assert!(first.starts_with(me.as_str()) && first.contains(" myself,"));
            for line in text.lines() {
                let fields: Vec<_> = line.split(' ').collect();
                prop_assert!(fields.len() >= 8 && fields.iter().all(|f| !f.is_empty()), "{}", line);
                prop_assert!(ProxyId::parse(fields[0]).is_some());
                prop_assert!(fields[2].ends_with("master") == (fields[3] == "-"));
                let master_line = format!("{} 10.", fields[3]);
                prop_assert!(fields[3] == "-" || text.contains(&master_line));
                prop_assert_eq!(fields[7], "connected");
            }
            let mut plain: Vec<_> = text.lines().map(|l| l.replace("myself,", "")).collect();
            plain.sort();
            prop_assert_eq!(&plain, agreed.get_or_insert_with(|| plain.clone()));
        }
    }

    #[test]
    fn nodes_slots_and_shards_agree(state in any_state()) {
        let me = state.proxies.keys().next().expect("at least one");
        let view = View::new(&state, me, &state.proxies[me]);
        let ranges = view.slot_ranges();
        prop_assert!(ranges.windows(2).all(|w| w[0].last < w[1].first));
        for node in view.nodes() {
            let own: Vec<_> =
                ranges.iter().filter(|r| r.nodes[0].id == node.id).map(|r| (r.first, r.last)).collect();
            prop_assert_eq!(&own[..], node.slots.ranges());
            prop_assert!(node.is_master() || node.slots.is_empty());
            let shards = view.shards();
            prop_assert_eq!(shards.iter().filter(|s| s.nodes.iter().any(|n| n.id == node.id)).count(), 1);
        }
    }
}
