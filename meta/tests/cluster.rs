//! Real meta nodes over loopback, with stand-ins for storage nodes and proxies.

mod health;
mod membership;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use proto::v1::MembersRequest;
use support::{FakeProxy, FakeStore, Metas, PATIENCE, ProxyView, eventually, is_settled};
use tokio::time::timeout;
use topology::{Change, ClusterState, Command, Proxy, ProxyId, Role, Slot, SlotSet, StoreId};

fn as_usual(_: &mut meta::Options) {}

/// Leases short enough to wait for.
fn short_leases(options: &mut meta::Options) {
    options.proxy_lease_ms = 1_000;
}

/// Lets another proxy than now, and not `except`, front the first group.
fn move_front(state: &ClusterState, except: Option<&ProxyId>) -> Command {
    let group = *state.groups.keys().next().unwrap();
    let may = |(id, proxy): &(&ProxyId, &Proxy)| !proxy.fronts.contains(&group) && Some(*id) != except;
    let (to, _) = state.live_proxies().find(may).expect("another proxy");
    let mut roles = BTreeMap::new();
    for (id, proxy) in &state.proxies {
        let mut fronts: Vec<_> = proxy.fronts.iter().copied().filter(|g| *g != group).collect();
        if id == to {
            fronts.push(group);
            fronts.sort_unstable();
        }
        roles.insert(id.clone(), Role { fronts, master: None });
    }
    Command::SetFronts { roles }
}

/// T2: no create step.
#[tokio::test]
async fn a_cluster_bootstraps_itself() {
    let metas = Metas::start(3, as_usual);
    let (_stores, proxies) = metas.populate(3, 3).await;
    let state = metas.state().await;
    assert_eq!(state.groups.len(), 3);
    assert!(!state.cluster_id.is_empty());
    for group in state.groups.values() {
        assert_eq!(group.replicas.iter().map(|r| r.store).collect::<BTreeSet<_>>().len(), 3);
    }
    assert!(state.proxies.values().all(|p| p.fronts.len() == 1));
    until("every proxy may answer", || proxies.iter().all(|p| p.view(ProxyView::may_answer))).await;
    let members = metas.admin(2).members(MembersRequest {}).await.unwrap().into_inner();
    assert_eq!(members.members.iter().filter(|m| m.voter).count(), 3);
}

#[tokio::test]
async fn one_node_is_a_cluster_too() {
    let mut metas = Metas::start(1, as_usual);
    let (_stores, _proxies) = metas.populate(3, 1).await;
    let before = metas.state().await;
    metas.stop(1);
    metas.start_node(1);
    let after = metas.until("the state is back", |state| is_settled(state, 1)).await;
    assert_eq!(after.cluster_id, before.cluster_id);
    assert_eq!(after.groups, before.groups);
}

/// R1, for meta.
#[tokio::test]
async fn changes_go_on_when_the_leader_dies() {
    let mut metas = Metas::start(3, as_usual);
    let (_stores, proxies) = metas.populate(3, 3).await;
    let before = metas.state().await;
    let leader = metas.leader().await;
    metas.kill(leader);
    let died = Instant::now();
    let change = Command::RegisterStore { store: StoreId(77), name: "s77".into(), rpc_addr: "s77:1".into() };
    let answer = metas.apply("after", &change).await;
    assert_eq!(answer.error, "");
    println!("writable again after {:?}", died.elapsed());
    assert!(answer.version > before.version.0);
    until("every proxy follows the new leader", || {
        proxies.iter().all(|p| p.view(|view| view.version >= answer.version && view.may_answer()))
    })
    .await;
    metas.start_node(leader);
    metas.until("still settled", |state| is_settled(state, 3)).await;
}

/// R3, T5: everything acknowledged is there, and a retry gets the first answer.
#[tokio::test]
async fn a_killed_cluster_comes_back_as_it_was() {
    let mut metas = Metas::start(3, as_usual);
    let (_stores, _proxies) = metas.populate(3, 2).await;
    let change = Command::RegisterStore { store: StoreId(77), name: "s77".into(), rpc_addr: "s77:1".into() };
    let first = metas.apply("op-1", &change).await;
    let refused = metas.apply("op-2", &Command::RemoveStore { store: StoreId(99) }).await;
    assert_eq!(refused.error, "ERR Unknown store 99");
    let before = metas.state().await;
    for id in 1..=3 {
        metas.kill(id);
    }
    for id in 1..=3 {
        metas.start_node(id);
    }
    let after = metas.state().await;
    assert!(after.version >= before.version);
    assert_eq!((after.cluster_id, after.groups), (before.cluster_id, before.groups));
    let again = metas.apply("op-1", &change).await;
    assert_eq!((again.version, again.error), (first.version, first.error));
    assert_eq!(metas.apply("op-2", &change).await.error, "ERR Unknown store 99", "by id, whatever is asked");
}

/// T5: without a quorum a change fails in time; after recovery a retry counts once.
#[tokio::test]
async fn without_a_quorum_changes_fail_in_time() {
    let mut metas = Metas::start(3, as_usual);
    metas.populate(3, 0).await;
    let leader = metas.leader().await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    for &id in &others {
        metas.kill(id);
    }
    let change = Command::RegisterStore { store: StoreId(77), name: "s77".into(), rpc_addr: "s77:1".into() };
    let asked = metas.apply_at(leader, "op", &change, 0);
    timeout(PATIENCE, asked).await.unwrap().expect_err("no quorum, no change");
    for &id in &others {
        metas.start_node(id);
    }
    let first = metas.apply("op", &change).await;
    assert_eq!(first.error, "");
    let again = metas.apply("op", &change).await;
    assert_eq!(again.version, first.version);
}

/// T4: when a change answers, no proxy answers from before it.
#[tokio::test]
async fn a_change_is_done_when_every_proxy_shows_it() {
    let metas = Metas::start(3, short_leases);
    let (_stores, proxies) = metas.populate(3, 3).await;
    for trial in 0..12u64 {
        for (n, proxy) in proxies.iter().enumerate() {
            proxy.delay(Some(Duration::from_millis((trial * 37 + n as u64 * 113) % 300)));
        }
        let state = metas.state().await;
        let answer = metas.apply(&format!("trial-{trial}"), &move_front(&state, None)).await;
        assert_eq!(answer.error, "");
        for proxy in &proxies {
            proxy.view(|view| {
                let shows = view.version >= answer.version;
                assert!(shows || !view.may_answer(), "trial {trial}: {view:?}, want {}", answer.version);
            });
        }
    }
}

/// A proxy that hears nothing any more delays a change until its lease is over, not longer.
#[tokio::test]
async fn a_dead_proxy_delays_a_change_by_its_lease_at_most() {
    let metas = Metas::start(1, short_leases);
    let (_stores, mut proxies) = metas.populate(3, 3).await;
    let state = metas.state().await;
    let dead = proxies.pop().unwrap();
    let change = move_front(&state, Some(&dead.id));
    drop(dead);
    let answer = timeout(PATIENCE, metas.apply("", &change)).await.expect("the lease ends");
    assert_eq!(answer.error, "");
}

/// A proxy that is connected but has not put the topology in force holds the change up.
#[tokio::test]
async fn a_change_is_not_done_before_a_slow_proxy_has_it() {
    let metas = Metas::start(1, as_usual);
    let (_stores, proxies) = metas.populate(3, 2).await;
    let state = metas.state().await;
    proxies[0].delay(None);
    let change = move_front(&state, None);
    let early = metas.apply_at(1, "op", &change, 300).await;
    assert_eq!(early.expect_err("not in force").code(), tonic::Code::DeadlineExceeded);
    proxies[0].delay(Some(Duration::ZERO));
    // The next version reaches it.
    let nudge = Command::RegisterStore { store: StoreId(77), name: "s77".into(), rpc_addr: "s77:1".into() };
    metas.apply("", &nudge).await;
    assert_eq!(metas.apply_at(1, "op", &change, 4_000).await.unwrap().error, "");
}

/// T17: another proxy fronts the groups of a dead one; the others keep theirs.
#[tokio::test]
async fn a_dead_proxy_is_relieved() {
    let metas = Metas::start(3, short_leases);
    let (_stores, mut proxies) = metas.populate(3, 3).await;
    let before = metas.state().await;
    let dead = proxies.pop().unwrap().id.clone();
    let after = metas.until("two proxies front everything", |state| is_settled(state, 2)).await;
    assert!(!after.proxies[&dead].live && after.proxies[&dead].fronts.is_empty());
    for proxy in &proxies {
        let (had, has) = (&before.proxies[&proxy.id].fronts, &after.proxies[&proxy.id].fronts);
        assert!(had.iter().all(|group| has.contains(group)));
    }
    let port = 7002;
    assert_eq!(ProxyId::of_address("127.0.0.1", port), dead);
    let _back = FakeProxy::start(metas.client(), port);
    metas.until("it is back", |state| is_settled(state, 3) && !state.proxies[&dead].fronts.is_empty()).await;
}

#[tokio::test]
async fn a_lost_disk_is_replaced() {
    let metas = Metas::start(3, as_usual);
    let (mut stores, _proxies) = metas.populate(3, 1).await;
    drop(stores.pop());
    stores.push(FakeStore::start(metas.client(), 33, "s3"));
    let state = metas
        .until("all replicas moved", |state| {
            let uses = |id: u64| {
                state.groups.values().filter(|g| g.replicas.iter().any(|r| r.store.0 == id)).count()
            };
            uses(33) == state.groups.len() && uses(3) == 0
        })
        .await;
    assert!(state.stores[&StoreId(3)].gone);
}

/// T6: one slot, three claims at once, through three endpoints.
#[tokio::test]
async fn of_concurrent_claims_one_wins() {
    let metas = Metas::start(3, as_usual);
    let (_stores, proxies) = metas.populate(3, 3).await;
    let slots = SlotSet::from_slots(Slot::new(5));
    let ask = |at: &ProxyId, change: Change| Command::Cluster { at: at.clone(), changes: vec![change] };
    let freed = metas.apply("free", &ask(&proxies[0].id, Change::DelSlots { slots: slots.clone() })).await;
    assert_eq!(freed.replies[0].text, "OK");
    let asked = proxies.iter().map(|proxy| {
        let claim = ask(&proxy.id, Change::AddSlots { slots: slots.clone() });
        let metas = &metas;
        async move { (&proxy.id, metas.apply(&format!("claim-{}", proxy.id), &claim).await) }
    });
    let answers = futures::future::join_all(asked).await;
    let state = metas.state().await;
    let owner = state.owner(Slot::new(5).unwrap()).unwrap();
    for (proxy, answer) in answers {
        let won = state.proxies[proxy].fronts.contains(&owner);
        let wanted = if won { "OK" } else { "ERR Slot 5 is already busy" };
        assert_eq!(answer.replies[0].text, wanted, "{proxy}");
    }
}

#[tokio::test]
async fn strangers_and_nonsense_are_refused() {
    let metas = Metas::start(1, as_usual);
    metas.state().await;
    let client = metas.client();
    let refused = |request| client.register_storage(request);
    let good = proto::v1::RegisterStorageRequest {
        store_id: 1,
        name: "s1".into(),
        rpc_addr: "s1:7100".into(),
        ..Default::default()
    };
    metas.until("there is a cluster id", |state| !state.cluster_id.is_empty()).await;
    let foreign = proto::v1::RegisterStorageRequest { cluster_id: "other".into(), ..good.clone() };
    assert!(refused(foreign).await.unwrap_err().to_string().contains("belongs to other"));
    for bad in [
        proto::v1::RegisterStorageRequest { store_id: 0, ..good.clone() },
        proto::v1::RegisterStorageRequest { name: String::new(), ..good.clone() },
        proto::v1::RegisterStorageRequest { rpc_addr: "nowhere".into(), ..good.clone() },
    ] {
        assert!(refused(bad).await.is_err());
    }
    let own = Command::ProxyLeaseExpired { proxy: ProxyId::of_address("h", 1), incarnation: 1 };
    let status = metas.apply_at(1, "", &own, 0).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    refused(good).await.unwrap();
}

/// A thousand changes make checkpoints; a node that was away catches up by snapshot.
#[tokio::test]
async fn checkpoints_carry_what_the_log_no_longer_holds() {
    let mut metas = Metas::start(3, as_usual);
    metas.state().await;
    let away = (1..=3).find(|id| *id != 1).unwrap();
    metas.kill(away);
    let store =
        |n: u64| Command::RegisterStore { store: StoreId(n), name: format!("s{n}"), rpc_addr: "h:1".into() };
    metas.until("there is a cluster id", |state| !state.cluster_id.is_empty()).await;
    let leader = metas.leader().await;
    for n in 0..2_500 {
        assert_eq!(metas.apply("", &store(n % 50 + 1)).await.error, "");
    }
    let checkpoint = metas.data_dir(leader).join("checkpoint");
    until("a checkpoint", || checkpoint.exists()).await;
    metas.start_node(away);
    let received = metas.data_dir(away).join("checkpoint");
    until("the snapshot arrives", || received.exists()).await;
    for id in 1..=3 {
        metas.stop(id);
    }
    for id in 1..=3 {
        metas.start_node(id);
    }
    let state = metas.state().await;
    assert_eq!(state.stores.len(), 50);
}

async fn until(what: &str, wanted: impl Fn() -> bool) {
    eventually(what, async || wanted().then_some(())).await;
}
