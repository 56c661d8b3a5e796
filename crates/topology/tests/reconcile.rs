//! The reconciler against a model of the rest of the cluster: it reaches its goal in few steps, and
//! then asks for nothing more.

use std::collections::{BTreeMap, BTreeSet};

use topology::{
    ClusterState, Command, GroupId, ProxyId, StoreId,
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
}

impl Model {
    fn new(groups: u32) -> Self {
        let mut model =
            Self { state: ClusterState::default(), healthy: BTreeSet::new(), policy: policy(groups) };
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
        };
        model.state.apply(&cmd).unwrap();
    }
    model.settle();
    assert_eq!(model.state.proxies[&ProxyId::of_address(&host, 2)].fronts, [group]);
}
