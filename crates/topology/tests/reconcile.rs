//! The reconciler against a model of the rest of the cluster: it reaches its goal in few steps, and
//! then asks for nothing more.

use std::collections::{BTreeMap, BTreeSet};

use topology::{
    Change, ClusterState, Command, GroupId, ProxyId, Slot, SlotMark, SlotSet, StoreId,
    namespace::{Found, Phase},
    reconcile::{LeaderReport, Observed, Policy, next_step},
};

const STEPS_MAX: usize = 50;

fn policy(groups: u32) -> Policy {
    Policy { auto_bootstrap: true, expected_stores: 3, groups, replication: 3 }
}

/// A cluster whose storage nodes do at once what the state asks for.
struct Model {
    state: ClusterState,
    healthy: BTreeSet<StoreId>,
    policy: Policy,
    /// Slots that hold keys.
    in_use: SlotSet,
    /// Rules for which some group has keys.
    namespaces_in_use: BTreeSet<String>,
    /// Groups that have not looked.
    blind: BTreeSet<GroupId>,
}

impl Model {
    fn new(groups: u32) -> Self {
        Self::with_policy(policy(groups))
    }

    fn with_policy(policy: Policy) -> Self {
        let mut model = Self {
            state: ClusterState::default(),
            healthy: BTreeSet::new(),
            policy,
            in_use: SlotSet::default(),
            namespaces_in_use: BTreeSet::new(),
            blind: BTreeSet::new(),
        };
        model.settle();
        model
    }

    fn add_store(&mut self, id: u64, name: &str) {
        let rpc_addr = format!("{name}:7100");
        let cmd = Command::RegisterStore { store: StoreId(id), name: name.into(), rpc_addr };
        self.state.apply(&cmd).unwrap();
        self.healthy.insert(StoreId(id));
    }

    fn add_proxy(&mut self, port: u16) -> ProxyId {
        let proxy = ProxyId::of_address("h", port);
        let cmd = Command::RegisterProxy {
            proxy: proxy.clone(),
            announce_host: "h".into(),
            announce_port: port,
            announce_hostname: String::new(),
            incarnation: 1,
            apart: !self.policy.auto_bootstrap,
        };
        self.state.apply(&cmd).unwrap();
        proxy
    }

    fn observe(&self) -> Observed {
        let mut leaders = BTreeMap::new();
        for (&id, group) in &self.state.groups {
            let voters: BTreeSet<_> = group.replicas.iter().map(|r| r.id).collect();
            let Some(leader) = group.replicas.iter().find(|r| self.healthy.contains(&r.store)) else {
                continue;
            };
            let report = LeaderReport {
                store: leader.store,
                replica: leader.id,
                term: 1,
                voters,
                learners: BTreeSet::new(),
                parked_at: self.state.version,
                parked_in_use: self.in_use.clone(),
                namespaces: match self.blind.contains(&id) {
                    true => Found::default(),
                    false => Found { version: self.state.version, in_use: self.namespaces_in_use.clone() },
                },
            };
            leaders.insert(id, report);
        }
        Observed {
            fresh_cluster_id: "c".into(),
            healthy_stores: self.healthy.clone(),
            leaders,
            ..Observed::default()
        }
    }

    /// Applies what the reconciler asks for until it asks for nothing; answers the commands.
    fn settle(&mut self) -> Vec<Command> {
        self.settle_seeing(|_| {})
    }

    fn settle_seeing(&mut self, adjust: impl Fn(&mut Observed)) -> Vec<Command> {
        let mut all = Vec::new();
        for _ in 0..STEPS_MAX {
            let mut seen = self.observe();
            adjust(&mut seen);
            let steps = next_step(&self.state, &seen, &self.policy);
            if steps.is_empty() {
                return all;
            }
            for cmd in steps {
                let outcome = self.state.apply(&cmd).unwrap_or_else(|e| panic!("{cmd:?}: {e}"));
                assert!(outcome.changed, "a needless command: {cmd:?}");
                all.push(cmd);
            }
        }
        panic!("does not settle: {all:#?}");
    }

    fn fronts(&self) -> Vec<usize> {
        self.state.live_proxies().map(|(_, p)| p.fronts.len()).collect()
    }
}

fn ready(groups: u32, proxies: u16) -> Model {
    let mut model = Model::new(groups);
    for n in 1..=3 {
        model.add_store(n, &format!("s{n}"));
    }
    for n in 0..proxies {
        model.add_proxy(7000 + n);
    }
    model.settle();
    model
}

#[test]
fn groups_are_made_once_enough_stores_are_there() {
    let mut model = Model::new(0);
    assert_eq!(model.state.cluster_id, "c");
    model.add_store(1, "s1");
    model.add_store(2, "s2");
    model.settle();
    assert!(model.state.groups.is_empty());
    model.add_store(3, "s3");
    model.settle();
    assert_eq!(model.state.groups.len(), 3);
    assert!(model.state.groups.values().all(|g| g.formed));
}

#[test]
fn nothing_is_made_by_itself_in_manual_mode() {
    let mut model = Model::new(2);
    model.policy.auto_bootstrap = false;
    for n in 1..=3 {
        model.add_store(n, &format!("s{n}"));
    }
    assert_eq!(model.settle(), []);
}

#[test]
fn a_lost_disk_is_replaced_in_every_group() {
    let mut model = ready(4, 0);
    model.healthy.remove(&StoreId(2));
    assert_eq!(model.settle(), [], "a silent store is not a lost one");
    model.add_store(9, "s2");
    let steps = model.settle();
    assert_eq!(steps.iter().filter(|c| matches!(c, Command::ReplaceReplica { .. })).count(), 4);
    for group in model.state.groups.values() {
        assert!(group.replicas.iter().any(|r| r.store == StoreId(9)));
        assert!(group.replicas.iter().all(|r| r.store != StoreId(2)));
    }
}

#[test]
fn a_group_changes_only_while_its_others_are_well() {
    let mut model = ready(1, 0);
    model.healthy.remove(&StoreId(2));
    model.add_store(9, "s2");
    model.healthy.remove(&StoreId(3));
    assert_eq!(model.settle(), [], "one of the others is silent");
    model.healthy.insert(StoreId(3));
    let pending = |seen: &mut Observed| {
        for report in seen.leaders.values_mut() {
            report.voters.pop_last();
        }
    };
    assert_eq!(model.settle_seeing(pending), [], "its last change is under way");
    assert_eq!(model.settle().len(), 1);
}

#[test]
fn missing_replicas_are_added() {
    let mut model = Model::new(1);
    model.policy.expected_stores = 1;
    model.add_store(1, "s1");
    model.settle();
    assert_eq!(model.state.groups.values().next().unwrap().replicas.len(), 1);
    model.add_store(2, "s2");
    model.add_store(3, "s3");
    model.settle();
    assert_eq!(model.state.groups.values().next().unwrap().replicas.len(), 3);
}

#[test]
fn groups_are_fronted_evenly_and_surplus_proxies_replicate() {
    let model = ready(4, 3);
    let mut fronts = model.fronts();
    fronts.sort_unstable();
    assert_eq!(fronts, [1, 1, 2]);

    let model = ready(2, 6);
    let masters = model.state.proxies.values().filter(|p| !p.fronts.is_empty()).count();
    assert_eq!(masters, 2);
    let mut followers: BTreeMap<&ProxyId, usize> = BTreeMap::new();
    for master in model.state.proxies.values().filter_map(|p| p.master_id.as_ref()) {
        *followers.entry(master).or_default() += 1;
    }
    assert_eq!(followers.into_values().collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_dead_proxy_is_relieved_and_others_keep_what_they_have() {
    let mut model = ready(3, 3);
    let dead = model.state.proxies.keys().next().unwrap().clone();
    let before = model.state.clone();
    model.state.apply(&Command::ProxyLeaseExpired { proxy: dead.clone(), incarnation: 1 }).unwrap();
    model.settle();
    assert!(model.state.proxies[&dead].fronts.is_empty());
    for (id, proxy) in model.state.proxies.iter().filter(|(id, _)| **id != dead) {
        assert!(before.proxies[id].fronts.iter().all(|g| proxy.fronts.contains(g)), "kept its groups");
    }
    assert_eq!(model.fronts().iter().sum::<usize>(), 3);

    let back = |seen: &mut Observed| seen.returned_proxies = vec![(dead.clone(), 1)];
    model.settle_seeing(back);
    assert_eq!(model.fronts(), [1, 1, 1]);
}

#[test]
fn the_last_proxy_keeps_its_groups_when_it_dies() {
    let mut model = ready(2, 1);
    let only = model.state.proxies.keys().next().unwrap().clone();
    let seen = |seen: &mut Observed| seen.expired_proxies = vec![(only.clone(), 1)];
    let steps = model.settle_seeing(seen);
    assert_eq!(steps, [Command::ProxyLeaseExpired { proxy: only.clone(), incarnation: 1 }]);
    assert_eq!(model.state.proxies[&only].fronts.len(), 2);
}

#[test]
fn a_tie_goes_to_the_proxy_beside_the_leader() {
    let mut model = ready(1, 0);
    let group: GroupId = *model.state.groups.keys().next().unwrap();
    let leader = model.observe().leaders[&group].store;
    let host = model.state.stores[&leader].name.clone();
    for (announce_host, port) in [("elsewhere".to_owned(), 1), (host.clone(), 2), ("other".to_owned(), 3)] {
        let cmd = Command::RegisterProxy {
            proxy: ProxyId::of_address(&announce_host, port),
            announce_host,
            announce_port: port,
            announce_hostname: String::new(),
            incarnation: 1,
            apart: false,
        };
        model.state.apply(&cmd).unwrap();
    }
    model.settle();
    assert_eq!(model.state.proxies[&ProxyId::of_address(&host, 2)].fronts, [group]);
}

fn manual() -> (Model, Vec<ProxyId>) {
    let mut model = Model::with_policy(Policy { auto_bootstrap: false, ..policy(0) });
    for n in 1..=3 {
        model.add_store(n, &format!("s{n}"));
    }
    let proxies = (0..6).map(|n| model.add_proxy(7000 + n)).collect();
    model.settle();
    (model, proxies)
}

impl Model {
    /// What each change says, after everything that follows from it.
    fn change(&mut self, at: &ProxyId, change: Change) -> String {
        let outcome = self.state.apply(&Command::Cluster { at: at.clone(), changes: vec![change] }).unwrap();
        self.settle();
        match outcome.replies.into_iter().next().unwrap() {
            Ok(said) => said,
            Err(refused) => refused.to_string(),
        }
    }

    fn created(&mut self, proxies: &[ProxyId]) {
        for (n, proxy) in proxies[..3].iter().enumerate() {
            assert_eq!(self.change(proxy, Change::AddSlots { slots: SlotSet::share(n, 3) }), "OK");
        }
        for proxy in &proxies[1..] {
            assert_eq!(self.change(proxy, Change::Meet { node: proxies[0].clone() }), "OK");
        }
        for (replica, master) in proxies[3..].iter().zip(proxies) {
            assert_eq!(self.change(replica, Change::Replicate { master: master.to_string() }), "OK");
        }
    }

    fn die(&mut self, proxy: &ProxyId) {
        self.state.apply(&Command::ProxyLeaseExpired { proxy: proxy.clone(), incarnation: 1 }).unwrap();
        self.settle();
    }
}

fn slots(numbers: impl IntoIterator<Item = u16>) -> SlotSet {
    SlotSet::from_slots(numbers.into_iter().filter_map(Slot::new))
}

// covers: T1
#[test]
fn islands_become_a_cluster_by_hand() {
    let (mut model, proxies) = manual();
    assert!(model.state.groups.is_empty());
    let realms: BTreeSet<u64> = model.state.proxies.values().map(|p| p.realm).collect();
    assert_eq!(realms.len(), 6, "nobody knows anybody");
    assert_eq!(model.change(&proxies[0], Change::SetConfigEpoch { epoch: 1 }), "OK");
    model.created(&proxies);
    assert_eq!(model.state.groups.len(), 3);
    assert_eq!(model.state.realm_slots(model.state.proxies[&proxies[5]].realm), SlotSet::all());
    assert_eq!(model.state.proxies[&proxies[4]].master_id.as_ref(), Some(&proxies[1]));
    let refused = model.change(&proxies[0], Change::SetConfigEpoch { epoch: 9 });
    assert!(refused.contains("only when the node does not know any other"), "{refused}");
    let version = model.state.version;
    assert_eq!(model.change(&proxies[0], Change::Meet { node: proxies[3].clone() }), "OK");
    assert_eq!(model.state.version, version, "they know each other");
}

// covers: T6
#[test]
fn a_slot_is_taken_once_also_among_strangers() {
    let (mut model, proxies) = manual();
    assert_eq!(model.change(&proxies[0], Change::AddSlots { slots: slots([5]) }), "OK");
    let refused = model.change(&proxies[1], Change::AddSlots { slots: slots([4, 5]) });
    assert_eq!(refused, "ERR Slot 5 is already busy");
    assert!(model.state.announced_slots(&proxies[1]).is_empty(), "all or nothing");
}

#[test]
fn keys_stay_where_they_are_when_their_slot_is_taken_away() {
    let (mut model, proxies) = manual();
    model.created(&proxies);
    model.in_use = slots([7]);
    assert_eq!(model.change(&proxies[1], Change::DelSlots { slots: slots([7, 8]) }), "OK");
    let again = model.change(&proxies[1], Change::DelSlots { slots: slots([8]) });
    assert_eq!(again, "ERR Slot 8 is already unassigned");
    assert_eq!(model.change(&proxies[1], Change::AddSlots { slots: slots([8]) }), "OK");
    assert!(model.state.announced_slots(&proxies[1]).contains(Slot::new(8).unwrap()));
    let refused = model.change(&proxies[1], Change::AddSlots { slots: slots([7]) });
    assert!(refused.starts_with("ERR Slot 7 holds keys"), "{refused}");
    assert_eq!(model.change(&proxies[0], Change::AddSlots { slots: slots([7]) }), "OK");
    assert_eq!(model.state.announced_slots(&proxies[0]), SlotSet::share(0, 3).difference(&slots([8])));
}

#[test]
fn an_empty_slot_moves_and_one_with_keys_does_not() {
    let (mut model, proxies) = manual();
    model.created(&proxies);
    model.in_use = slots([3]);
    for slot in [3, 4] {
        let importing = SlotMark::Importing(proxies[0].to_string());
        assert_eq!(model.change(&proxies[2], Change::SetSlot { slot, to: importing }), "OK");
        let owner = SlotMark::Owner(proxies[2].to_string());
        assert_eq!(model.change(&proxies[2], Change::SetSlot { slot, to: owner }), "OK");
    }
    let moved = model.state.announced_slots(&proxies[2]);
    assert!(moved.contains(Slot::new(4).unwrap()) && !moved.contains(Slot::new(3).unwrap()));
    assert!(model.state.moving.is_empty());
    let marks: Vec<_> = model.state.proxies[&proxies[2]].importing.keys().collect();
    assert_eq!(marks, [&3], "closed with the move");
    let owner = SlotMark::Owner("0".repeat(40));
    let refused = model.change(&proxies[2], Change::SetSlot { slot: 4, to: owner });
    assert_eq!(refused, format!("ERR Unknown node {}", "0".repeat(40)));
}

// covers: T17
#[test]
fn a_replica_takes_over_what_a_dead_proxy_fronts() {
    let (mut model, proxies) = manual();
    model.created(&proxies);
    model.die(&proxies[0]);
    assert_eq!(model.state.announced_slots(&proxies[3]), SlotSet::share(0, 3));
    model.die(&proxies[3]);
    assert_eq!(model.state.realm_slots(0).len(), 0, "realm 0 is empty in a cluster made by hand");
    let owners = proxies.iter().filter(|p| !model.state.announced_slots(p).is_empty()).count();
    assert_eq!(owners, 2, "another master takes over");
    model.state.apply(&Command::ProxyAlive { proxy: proxies[0].clone(), incarnation: 1 }).unwrap();
    model.settle();
    assert!(model.state.proxies[&proxies[0]].master_id.is_some(), "back as a replica");
}

// covers: T11
#[test]
fn reset_makes_an_island_and_the_cluster_can_be_made_again() {
    let (mut model, proxies) = manual();
    model.created(&proxies);
    for proxy in &proxies {
        assert_eq!(model.change(proxy, Change::Reset { hard: true }), "OK");
    }
    assert!(model.state.proxies.values().all(|p| p.config_epoch == 0 && p.alias.is_some()));
    let groups = model.state.groups.len();
    for (n, proxy) in proxies[..3].iter().rev().enumerate() {
        assert_eq!(model.change(proxy, Change::AddSlots { slots: SlotSet::share(n, 3) }), "OK");
    }
    assert_eq!(model.state.groups.len(), groups, "groups are used again");
}

#[test]
fn forgetting_is_idempotent_and_hands_over() {
    let (mut model, proxies) = manual();
    model.created(&proxies);
    let forget = |id: &ProxyId| Change::Forget { node: id.to_string() };
    for at in [0, 2, 3] {
        assert_eq!(model.change(&proxies[at], forget(&proxies[1])), "OK");
    }
    assert_eq!(model.state.announced_slots(&proxies[4]), SlotSet::share(1, 3), "its replica");
    assert!(model.change(&proxies[0], forget(&proxies[0])).contains("can't forget myself"));
    assert!(model.change(&proxies[3], forget(&proxies[0])).contains("Can't forget my master"));
    let stranger = ProxyId::of_address("x", 1);
    assert_eq!(model.change(&proxies[0], forget(&stranger)), format!("ERR Unknown node {stranger}"));
    assert_eq!(model.change(&proxies[0], Change::Meet { node: proxies[1].clone() }), "OK");
    assert_eq!(model.change(&proxies[0], forget(&proxies[1])), "OK", "known again, and forgotten again");
}

// covers: T8
#[test]
fn a_replica_by_hand_stays_one_where_roles_are_spread() {
    let mut model = Model::new(0);
    for n in 1..=3 {
        model.add_store(n, &format!("s{n}"));
    }
    let proxies: Vec<ProxyId> = (0..6).map(|n| model.add_proxy(7000 + n)).collect();
    model.settle();
    let masters: Vec<_> = proxies.iter().filter(|p| model.state.proxies[*p].master_id.is_none()).collect();
    assert_eq!(masters.len(), 3);
    for replica in proxies.iter().filter(|p| !masters.contains(p)) {
        let master = masters[0].to_string();
        assert_eq!(model.change(replica, Change::Replicate { master }), "OK");
        assert_eq!(model.state.proxies[replica].master_id.as_ref(), Some(masters[0]));
    }
    let replica = proxies.iter().find(|p| !masters.contains(p)).unwrap();
    assert_eq!(model.change(replica, Change::Failover { force: false }), "OK");
    assert_eq!(model.state.proxies[masters[0]].master_id.as_ref(), Some(replica));
}

#[test]
fn namespaces_come_and_go_once_every_group_has_looked() {
    let mut model = Model::new(2);
    (1..=3).for_each(|id| model.add_store(id, &format!("s{id}")));
    model.settle();
    let phase = |model: &Model| model.state.namespaces.get("users").map(|rule| rule.phase);
    let (add, remove) =
        (Command::AddNamespace { rule: "users".into() }, Command::RemoveNamespace { rule: "users".into() });
    let blind = *model.state.groups.keys().next().unwrap();
    model.blind.insert(blind);
    model.state.apply(&add).unwrap();
    model.settle();
    assert_eq!(phase(&model), Some(Phase::Adding), "one group has not looked");
    model.blind.clear();
    model.settle();
    assert_eq!(phase(&model), Some(Phase::Active));

    model.namespaces_in_use.insert("users".into());
    model.state.apply(&remove).unwrap();
    model.settle();
    assert_eq!(phase(&model), Some(Phase::Active), "there are such namespaces");
    model.namespaces_in_use.clear();
    model.state.apply(&remove).unwrap();
    model.settle();
    assert_eq!(phase(&model), None);

    model.namespaces_in_use.insert("users".into());
    model.state.apply(&add).unwrap();
    model.settle();
    assert_eq!(phase(&model), None, "there are such keys");
}
