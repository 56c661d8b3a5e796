//! Random command sequences: every state that comes up keeps the invariants, and apply keeps its
//! promises (idempotent, all or nothing, version by version).

use std::collections::BTreeMap;

use proptest::prelude::*;
use topology::{
    Change, ClusterState, Command, GroupId, ProxyId, Refused, ReplicaId, Role, Slot, SlotMark, SlotSet,
    StoreId, UsersChange, Version, check,
};

fn proxy(n: u16) -> ProxyId {
    ProxyId::of_address("127.0.0.1", 7000 + n)
}

fn proxies() -> impl Strategy<Value = ProxyId> {
    (0u16..4).prop_map(proxy)
}

fn role() -> impl Strategy<Value = Role> {
    let fronts = prop::collection::vec((1u64..20).prop_map(GroupId), 0..3);
    (fronts, prop::option::of(proxies())).prop_map(|(fronts, master)| Role { fronts, master })
}

fn slots() -> impl Strategy<Value = SlotSet> {
    prop::collection::vec(0u16..64, 1..4)
        .prop_map(|n| SlotSet::from_slots(n.into_iter().filter_map(Slot::new)))
}

fn change() -> impl Strategy<Value = Change> {
    let node = || proxies().prop_map(|id| id.to_string());
    prop_oneof![
        proxies().prop_map(|node| Change::Meet { node }),
        node().prop_map(|node| Change::Forget { node }),
        slots().prop_map(|slots| Change::AddSlots { slots }),
        slots().prop_map(|slots| Change::DelSlots { slots }),
        Just(Change::FlushSlots),
        (0u16..64, mark()).prop_map(|(slot, to)| Change::SetSlot { slot, to }),
        node().prop_map(|master| Change::Replicate { master }),
        any::<bool>().prop_map(|hard| Change::Reset { hard }),
        (1u64..5).prop_map(|epoch| Change::SetConfigEpoch { epoch }),
        Just(Change::BumpEpoch),
        any::<bool>().prop_map(|force| Change::Failover { force }),
    ]
}

fn mark() -> impl Strategy<Value = SlotMark> {
    let node = || proxies().prop_map(|id| id.to_string());
    prop_oneof![
        node().prop_map(SlotMark::Migrating),
        node().prop_map(SlotMark::Importing),
        Just(SlotMark::Stable),
        node().prop_map(SlotMark::Owner),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let store = || (1u64..8).prop_map(StoreId);
    let group = || (1u64..20).prop_map(GroupId);
    let replica = || (1u64..40).prop_map(ReplicaId);
    prop_oneof![
        (1u32..4).prop_map(|replication| Command::Init { cluster_id: "c".into(), replication }),
        (store(), 0u8..4).prop_map(|(store, n)| Command::RegisterStore {
            store,
            name: format!("s{n}"),
            rpc_addr: format!("10.0.0.{n}:1"),
        }),
        store().prop_map(|store| Command::RemoveStore { store }),
        (0u16..4, 1u64..3).prop_map(|(n, incarnation)| Command::RegisterProxy {
            proxy: proxy(n),
            announce_host: "127.0.0.1".into(),
            announce_port: 7000 + n,
            announce_hostname: String::new(),
            incarnation,
            apart: n % 2 == 0,
        }),
        (proxies(), 1u64..3)
            .prop_map(|(proxy, incarnation)| Command::ProxyLeaseExpired { proxy, incarnation }),
        (proxies(), 1u64..3).prop_map(|(proxy, incarnation)| Command::ProxyAlive { proxy, incarnation }),
        proxies().prop_map(|proxy| Command::ForgetProxy { proxy }),
        (0u32..5).prop_map(|groups| Command::Bootstrap { groups }),
        group().prop_map(|group| Command::GroupFormed { group }),
        proxies().prop_map(|proxy| Command::HandOver { proxy }),
        (proxies(), prop::collection::vec(change(), 1..3))
            .prop_map(|(at, changes)| Command::Cluster { at, changes }),
        (group(), 0u64..80, slots()).prop_map(|(group, at, in_use)| Command::ParkedFound {
            group,
            at: Version(at),
            in_use
        }),
        (group(), replica(), store()).prop_map(|(group, old, new_store)| Command::ReplaceReplica {
            group,
            old,
            new_store
        }),
        (group(), store()).prop_map(|(group, store)| Command::AddReplica { group, store }),
        (group(), replica()).prop_map(|(group, replica)| Command::RemoveReplica { group, replica }),
        prop::collection::btree_map(proxies(), role(), 1..3).prop_map(|roles| Command::SetFronts { roles }),
        users_change().prop_map(Command::ChangeUsers),
    ]
}

fn users_change() -> impl Strategy<Value = UsersChange> {
    let name = || (0u8..3).prop_map(|n| format!("user{n}"));
    let rules = prop::option::of((0u8..3).prop_map(|n| format!("on ~{n}*")));
    (0u64..4, prop::collection::btree_map(name(), rules, 0..3), prop::option::of(name()))
        .prop_map(|(seen, rules, anew_but)| UsersChange { seen, rules, anew_but })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_reachable_state_is_sound(commands in prop::collection::vec(command(), 1..60)) {
        let mut state = ClusterState::default();
        let init = Command::Init { cluster_id: "c".into(), replication: 3 };
        for cmd in std::iter::once(&init).chain(&commands) {
            prop_assert_eq!(check(&state), Ok(()));
            let before = state.clone();
            match state.apply(cmd) {
                Ok(outcome) => {
                    prop_assert_eq!(outcome.version, state.version);
                    prop_assert_eq!(outcome.changed, state != before);
                    prop_assert_eq!(state.version.0 - before.version.0, u64::from(outcome.changed));
                    if matches!(cmd, Command::Cluster { .. }) {
                        continue;
                    }
                    let after = state.clone();
                    if matches!(cmd, Command::ChangeUsers(_)) {
                        prop_assert_eq!(state.apply(cmd), Err(Refused::UsersChanged));
                        continue;
                    }
                    let again = state.apply(cmd).expect("what was accepted is accepted again");
                    prop_assert!(!again.changed, "applied twice: {:?}", cmd);
                    prop_assert_eq!(&state, &after);
                }
                Err(_) => prop_assert_eq!(&state, &before),
            }
            prop_assert!(state.next_id >= before.next_id);
        }
        prop_assert_eq!(check(&state), Ok(()));
    }

    #[test]
    fn commands_survive_json(cmd in command()) {
        let text = serde_json::to_vec(&cmd).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Command>(&text).unwrap(), cmd);
    }
}

fn initialised(stores: u64) -> ClusterState {
    let mut state = ClusterState::default();
    state.apply(&Command::Init { cluster_id: "c".into(), replication: 3 }).unwrap();
    for n in 1..=stores {
        let (name, rpc_addr) = (format!("s{n}"), format!("10.0.0.{n}:1"));
        state.apply(&Command::RegisterStore { store: StoreId(n), name, rpc_addr }).unwrap();
    }
    state
}

#[test]
fn bootstrap_spreads_groups_and_shares_all_slots() {
    let mut state = initialised(5);
    state.apply(&Command::Bootstrap { groups: 4 }).unwrap();
    assert_eq!(state.groups.values().map(|g| g.slots.len()).sum::<usize>(), 16384);
    assert!(state.groups.values().all(|g| g.replicas.len() == 3 && !g.formed));
    let firsts: std::collections::BTreeSet<_> = state.groups.values().map(|g| g.replicas[0].store).collect();
    assert_eq!(firsts.len(), 4, "first leaders on different stores");
    let version = state.version;
    state.apply(&Command::Bootstrap { groups: 7 }).unwrap();
    assert_eq!(state.version, version, "groups exist: nothing to do");
}

#[test]
fn a_known_name_under_a_new_id_means_a_lost_disk() {
    let mut state = initialised(3);
    let again =
        Command::RegisterStore { store: StoreId(9), name: "s2".into(), rpc_addr: "10.0.0.2:1".into() };
    state.apply(&again).unwrap();
    assert!(state.stores[&StoreId(2)].gone && !state.stores[&StoreId(9)].gone);
    let old = Command::RegisterStore { store: StoreId(2), name: "s2".into(), rpc_addr: "10.0.0.2:1".into() };
    assert_eq!(state.apply(&old), Err(Refused::StoreGone(StoreId(2))));
}

#[test]
fn replicas_of_a_group_that_has_not_formed_stay() {
    let mut state = initialised(4);
    state.apply(&Command::Bootstrap { groups: 1 }).unwrap();
    let (&group, entry) = state.groups.iter().next().unwrap();
    let old = entry.replicas[0].id;
    let replace = Command::ReplaceReplica { group, old, new_store: StoreId(4) };
    assert_eq!(state.apply(&replace), Err(Refused::NotFormed(group)));
    state.apply(&Command::GroupFormed { group }).unwrap();
    state.apply(&replace).unwrap();
    let replaced = state.groups[&group].replicas[0];
    assert!(replaced.store == StoreId(4) && replaced.id != old);
}

#[test]
fn taking_groups_over_raises_the_epoch() {
    let mut state = initialised(3);
    state.apply(&Command::Bootstrap { groups: 1 }).unwrap();
    let (&group, _) = state.groups.iter().next().unwrap();
    for n in 0..2 {
        state
            .apply(&Command::RegisterProxy {
                proxy: proxy(n),
                announce_host: "127.0.0.1".into(),
                announce_port: 7000 + n,
                announce_hostname: String::new(),
                incarnation: 1,
                apart: false,
            })
            .unwrap();
    }
    let fronts = |n: u16, fronts: Vec<GroupId>| (proxy(n), Role { fronts, master: None });
    state.apply(&Command::SetFronts { roles: BTreeMap::from([fronts(0, vec![group])]) }).unwrap();
    let roles = BTreeMap::from([fronts(0, vec![]), fronts(1, vec![group])]);
    state.apply(&Command::SetFronts { roles }).unwrap();
    assert!(state.proxies[&proxy(1)].config_epoch > state.proxies[&proxy(0)].config_epoch);
    assert_eq!(state.announced_slots(&proxy(1)).len(), 16384);
}

#[test]
fn a_user_made_anew_is_another() {
    let mut state = initialised(1);
    let mut change = |seen, rules: &[(&str, Option<&str>)], anew_but: Option<&str>| {
        let rules =
            rules.iter().map(|(name, rules)| ((*name).to_owned(), rules.map(str::to_owned))).collect();
        let change = UsersChange { seen, rules, anew_but: anew_but.map(str::to_owned) };
        state.apply(&Command::ChangeUsers(change)).map(|_| {
            let ids = state.users.by_name.iter().map(|(name, user)| (name.clone(), user.id));
            ids.collect::<Vec<_>>()
        })
    };
    let of = |users: &[(&str, u64)]| -> Vec<(String, u64)> {
        users.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect()
    };
    let both = [("a", Some("on")), ("b", Some("off"))];
    assert_eq!(change(0, &both, None), Ok(of(&[("a", 1), ("b", 1)])));
    assert_eq!(
        change(1, &[("a", Some("off"))], None),
        Ok(of(&[("a", 1), ("b", 1)])),
        "changed, but the same"
    );
    assert_eq!(change(1, &[("a", None)], None), Err(Refused::UsersChanged));
    assert_eq!(change(2, &[("a", None)], None), Ok(of(&[("b", 1)])));
    assert_eq!(change(3, &[("a", Some("on"))], None), Ok(of(&[("a", 4), ("b", 1)])));
    assert_eq!(change(4, &both, Some("a")), Ok(of(&[("a", 4), ("b", 5)])), "loaded anew");
    let long = "x".repeat(topology::users::USERS_BYTES_MAX);
    assert_eq!(change(5, &[("a", Some(&long))], None), Err(Refused::TooManyUsers));
}
