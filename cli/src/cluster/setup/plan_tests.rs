//! Plans for states at every stage. Each plan is also carried out, and must leave nothing to plan.

use topology::{GroupId, StoreId, Version, check};

use super::*;

const HOST: &str = "10.0.0.1";

fn id(port: u16) -> ProxyId {
    ProxyId::of_address(HOST, port)
}

fn run(state: &mut ClusterState, command: &Command) {
    let outcome = state.apply(command).unwrap();
    assert!(outcome.replies.iter().all(Result::is_ok), "{command:?}: {:?}", outcome.replies);
}

/// Registered and live, each on its own unless `automatic`.
fn registered(stores: u64, ports: impl IntoIterator<Item = u16>, automatic: bool) -> ClusterState {
    let mut state = ClusterState::default();
    run(&mut state, &Command::Init { cluster_id: "c".to_owned(), replication: 3 });
    for store in 1..=stores {
        let (name, rpc_addr) = (format!("storage-{store}"), format!("{HOST}:{store}"));
        run(&mut state, &Command::RegisterStore { store: StoreId(store), name, rpc_addr });
    }
    for port in ports {
        register(&mut state, port, automatic);
    }
    state
}

fn register(state: &mut ClusterState, port: u16, automatic: bool) {
    let command = Command::RegisterProxy {
        proxy: id(port),
        announce_host: HOST.to_owned(),
        announce_port: port,
        announce_hostname: String::new(),
        incarnation: 1,
        apart: !automatic,
    };
    run(state, &command);
}

fn islands(ports: impl IntoIterator<Item = u16>) -> ClusterState {
    registered(3, ports, false)
}

fn wish(masters: usize, replicas: usize) -> Wish {
    Wish { masters: Some(masters), replicas }
}

/// Carries the plan out to the end, and checks that nothing is left to do.
fn set_up(state: &mut ClusterState, wish: Wish) -> Vec<Command> {
    let commands = plan(state, wish).unwrap();
    for command in &commands {
        run(state, command);
    }
    check(state).unwrap();
    assert_eq!(plan(state, wish), Ok(Vec::new()), "the second time there is nothing to do");
    commands
}

fn sizes(state: &ClusterState) -> Vec<usize> {
    let mut sizes: Vec<usize> = state.proxies.keys().map(|id| state.announced_slots(id).len()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

fn replicas_of(state: &ClusterState, master: &ProxyId) -> usize {
    state.proxies.values().filter(|proxy| proxy.master_id.as_ref() == Some(master)).count()
}

fn cluster(state: &mut ClusterState, at: u16, change: Change) {
    run(state, &Command::Cluster { at: id(at), changes: vec![change] });
}

fn kill(state: &mut ClusterState, port: u16) {
    run(state, &Command::ProxyLeaseExpired { proxy: id(port), incarnation: 1 });
}

#[test]
fn islands_become_a_cluster() {
    let mut state = islands(7000..7006);
    let commands = set_up(&mut state, Wish { masters: None, replicas: 1 });
    assert_eq!(sizes(&state), [5462, 5461, 5461, 0, 0, 0]);
    assert_eq!(commands.len(), 1 + 3 + 3, "one to meet, one a master, one a replica");
    let masters = [7000, 7001, 7002].map(id);
    assert_eq!(masters.each_ref().map(|master| replicas_of(&state, master)), [1, 1, 1]);
    assert_eq!(state.announced_slots(&masters[0]).ranges(), [(0, 5461)]);
    let mut epochs = masters.each_ref().map(|master| state.proxies[master].config_epoch);
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3]);
    assert_eq!(state.groups.len(), 3);
}

#[test]
fn without_a_wish_every_proxy_is_a_master() {
    let mut state = islands([7000, 7001]);
    set_up(&mut state, Wish::default());
    assert_eq!(sizes(&state), [8192, 8192]);
}

#[test]
fn those_beyond_the_wish_are_replicas_too() {
    let mut state = islands(7000..7005);
    set_up(&mut state, wish(2, 1));
    assert_eq!([7000, 7001].map(|port| replicas_of(&state, &id(port))), [2, 1]);
}

#[test]
fn every_cut_between_two_commands_is_mended() {
    let whole = plan(&islands(7000..7006), wish(3, 1)).unwrap();
    for done in 0..whole.len() {
        let mut state = islands(7000..7006);
        for command in &whole[..done] {
            run(&mut state, command);
        }
        let rest = set_up(&mut state, wish(3, 1));
        assert_eq!(rest.len(), whole.len() - done, "{rest:?}");
        assert_eq!(sizes(&state), [5462, 5461, 5461, 0, 0, 0]);
    }
}

#[test]
fn owned_slots_stay_where_they_are() {
    let mut state = islands(7000..7003);
    let mine = SlotSet::from_slots((0..10_000).filter_map(topology::Slot::new));
    cluster(&mut state, 7002, Change::AddSlots { slots: mine.clone() });
    set_up(&mut state, Wish::default());
    assert_eq!(state.announced_slots(&id(7002)), mine);
    assert_eq!(sizes(&state), [10_000, 3192, 3192]);
}

#[test]
fn a_proxy_that_comes_later_becomes_a_replica() {
    let mut state = islands(7000..7002);
    set_up(&mut state, Wish::default());
    register(&mut state, 7002, false);
    set_up(&mut state, Wish::default());
    assert_eq!(sizes(&state), [8192, 8192, 0]);
    assert_eq!(state.proxies[&id(7002)].realm, state.proxies[&id(7000)].realm);
    assert_eq!(replicas_of(&state, &id(7000)), 1);
}

#[test]
fn a_master_without_a_replica_gets_one_that_another_can_spare() {
    let mut state = islands(7000..7004);
    set_up(&mut state, wish(2, 1));
    let (first, second) = (id(7000), id(7001));
    let stray = state.proxies.iter().find(|(_, p)| p.master_id.as_ref() == Some(&second)).unwrap().0.clone();
    let changes = vec![Change::Replicate { master: first.to_string() }];
    run(&mut state, &Command::Cluster { at: stray, changes });
    assert_eq!(replicas_of(&state, &first), 2);
    set_up(&mut state, wish(2, 1));
    assert_eq!([&first, &second].map(|master| replicas_of(&state, master)), [1, 1]);
}

#[test]
fn parked_slots_go_back_to_who_has_their_keys() {
    let mut state = islands(7000..7003);
    set_up(&mut state, Wish::default());
    let before = state.announced_slots(&id(7001));
    cluster(&mut state, 7001, Change::FlushSlots);
    let (&group, version) = state
        .groups
        .iter()
        .find(|(_, group)| !group.parked.is_empty())
        .map(|(id, g)| (id, g.parked_at))
        .unwrap();
    run(&mut state, &Command::ParkedFound { group, at: version, in_use: before.clone() });
    set_up(&mut state, Wish::default());
    assert_eq!(state.announced_slots(&id(7001)), before);
}

#[test]
fn an_automatic_cluster_is_left_to_meta() {
    let mut state = registered(3, 7000..7003, true);
    assert_eq!(plan(&state, wish(2, 0)), Ok(Vec::new()), "before its groups are made");
    run(&mut state, &Command::Bootstrap { groups: 3 });
    assert_eq!(plan(&state, Wish::default()), Ok(Vec::new()), "before they are fronted");
    let fronts = [(7000, 1), (7001, 5), (7002, 9)]
        .map(|(port, group)| (id(port), topology::Role { fronts: vec![GroupId(group)], master: None }));
    run(&mut state, &Command::SetFronts { roles: fronts.into() });
    assert_eq!(plan(&state, wish(3, 0)), Ok(Vec::new()));
    assert!(state.version > Version(0));
}

#[test]
fn an_automatic_cluster_gets_lost_slots_back() {
    let mut state = registered(3, [7000], true);
    run(&mut state, &Command::Bootstrap { groups: 1 });
    let role = topology::Role { fronts: vec![GroupId(1)], master: None };
    run(&mut state, &Command::SetFronts { roles: [(id(7000), role)].into() });
    cluster(&mut state, 7000, Change::FlushSlots);
    set_up(&mut state, Wish::default());
    assert_eq!(sizes(&state), [16384]);
}

#[test]
fn what_cannot_be_done_is_said() {
    assert_eq!(plan(&islands([]), Wish::default()), Err(Problem::NoProxy));
    assert_eq!(plan(&registered(0, [7000], false), Wish::default()), Err(Problem::NoStorage));
    let few = |masters, replicas, live| Err(Problem::TooFewProxies { masters, replicas, live });
    assert_eq!(plan(&islands(7000..7003), wish(4, 0)), few(4, 0, 3));
    assert_eq!(plan(&islands(7000..7003), wish(2, 1)), few(2, 1, 3));
    assert_eq!(plan(&islands([7000]), Wish { masters: None, replicas: 1 }), few(1, 1, 1));

    let mut state = islands(7000..7004);
    set_up(&mut state, wish(2, 1));
    assert_eq!(plan(&state, wish(3, 0)), Err(Problem::SlotsTaken { owners: 2, wanted: 3 }));
    cluster(&mut state, 7000, Change::DelSlots { slots: SlotSet::from_slots(topology::Slot::new(5)) });
    assert_eq!(plan(&state, wish(3, 0)), Err(Problem::Replicas { free: 2, wanted: 3 }));
    set_up(&mut state, Wish::default());
}

#[test]
fn a_dead_island_with_slots_is_told() {
    let mut state = islands(7000..7002);
    let slots = SlotSet::from_slots(topology::Slot::new(5));
    cluster(&mut state, 7001, Change::AddSlots { slots });
    kill(&mut state, 7001);
    let dead = Problem::OwnerDead { address: "10.0.0.1:7001".to_owned(), slots: "5".to_owned() };
    assert_eq!(plan(&state, Wish::default()), Err(dead));
}

#[test]
fn dead_proxies_are_not_counted_on() {
    let mut state = islands(7000..7003);
    kill(&mut state, 7000);
    set_up(&mut state, Wish::default());
    assert_eq!(sizes(&state), [8192, 8192, 0]);
}
