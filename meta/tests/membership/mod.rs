//! Meta nodes join and leave a running group.

use std::time::Duration;

use futures::future::join_all;
use proto::v1::{AddLearnerRequest, GetHealthRequest, MembersRequest, PromoteRequest, RemoveRequest};
use tonic::Code;
use topology::{Command, StoreId};

use crate::{
    as_usual,
    support::{Metas, eventually, holds_for, is_settled, name, voters},
};

fn some_change(n: u64) -> Command {
    Command::RegisterStore { store: StoreId(100 + n), name: format!("x{n}"), rpc_addr: format!("x{n}:1") }
}

async fn change(metas: &Metas, n: u64) {
    assert_eq!(metas.apply(&format!("change-{n}"), &some_change(n)).await.error, "");
}

// covers: T12, R6
#[tokio::test]
async fn a_node_joins_gets_a_vote_and_carries_on_without_the_old_leader() {
    let mut metas = Metas::start(3, as_usual);
    metas.populate(3, 1).await;
    let leader = metas.leader().await;
    metas.start_joining(4);
    eventually("it serves", async || metas.admin(4).members(MembersRequest {}).await.ok()).await;
    assert_eq!(metas.members_at(4).await.members, [], "it forms no group");
    assert!(!metas.is_ready(4).await);

    let learner = metas.add_learner(4, &name(4)).await.unwrap();
    assert_eq!(learner.members.len(), 4);
    assert_eq!(voters(&learner), [1, 2, 3]);
    eventually("it is ready", async || metas.is_ready(4).await.then_some(())).await;
    assert_eq!(voters(&metas.join(4).await), [1, 2, 3, 4]);
    let seen = eventually("it knows", async || {
        let seen = metas.members_at(4).await;
        (voters(&seen).len() == 4).then_some(seen)
    });
    assert_eq!(seen.await.leader, leader);

    metas.kill(leader);
    change(&metas, 1).await;
    assert_ne!(metas.leader().await, leader);
    // Data that is there goes before the option.
    metas.kill(4);
    metas.start_node(leader);
    metas.start_joining(4);
    change(&metas, 2).await;
    eventually("it is back", async || metas.is_ready(4).await.then_some(())).await;
}

// covers: T12
#[tokio::test]
async fn a_learner_that_lags_gets_no_vote() {
    let mut metas = Metas::start(3, as_usual);
    metas.start_joining(4);
    metas.add_learner(4, &name(4)).await.unwrap();
    eventually("it has the log", async || {
        let members = metas.members_at(metas.leader().await).await.members;
        members.iter().any(|member| member.id == 4 && member.matched_index > 0).then_some(())
    })
    .await;
    metas.kill(4);
    metas.until("there is a cluster", |state| !state.cluster_id.is_empty()).await;
    for n in 0..150 {
        change(&metas, n).await;
    }
    let refused = metas.promote(&[4]).await.unwrap_err().to_string();
    let lag = refused.split_once("ERR Node 4 lags ").and_then(|(_, rest)| rest.split(' ').next());
    let lag: u64 = lag.unwrap_or_else(|| panic!("{refused}")).parse().unwrap();
    assert!((150..200).contains(&lag), "{refused}");
    assert!(refused.ends_with("entries behind, try again when it has caught up\""), "{refused}");

    metas.add_learner(5, &name(5)).await.unwrap();
    let refused = metas.promote(&[5]).await.unwrap_err().to_string();
    assert!(refused.contains("ERR Node 5 does not answer"), "{refused}");
    assert_eq!(voters(&metas.members_at(metas.leader().await).await), [1, 2, 3]);
    metas.start_joining(4);
    assert_eq!(voters(&metas.join(4).await), [1, 2, 3, 4]);
}

// covers: T12
#[tokio::test]
async fn nonsense_is_refused_with_its_reason() {
    let mut metas = Metas::start(1, as_usual);
    let refused = async |asked: Result<_, daemon::meta_client::Refused>, why: &str| {
        let refused = asked.expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    };
    refused(metas.remove(&[1], false).await, "ERR Node 1 is the last voter").await;
    refused(metas.promote(&[1, 9]).await, "ERR Unknown node 9").await;
    refused(metas.add_learner(1, "other:1").await, "known under another address, meta-1:1").await;
    refused(metas.add_learner(2, &name(1)).await, "ERR Address meta-1:1 belongs to node 1").await;
    metas.start_alone(7);
    eventually("another group", async || metas.is_ready(7).await.then_some(())).await;
    refused(metas.add_learner(7, &name(7)).await, "belongs to another group").await;
    let members = metas.remove(&[9], false).await.expect("already gone");
    assert_eq!(voters(&metas.promote(&[1]).await.expect("has a vote")), [1]);
    assert_eq!(members.members.len(), 1);

    let mut admin = metas.admin(1);
    let invalid = |status: tonic::Status| assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    invalid(admin.promote(PromoteRequest { ids: Vec::new() }).await.unwrap_err());
    invalid(admin.remove(RemoveRequest { ids: vec![9; 1_000], ..Default::default() }).await.unwrap_err());
    invalid(admin.add_learner(AddLearnerRequest { id: 0, addr: name(2) }).await.unwrap_err());
    invalid(admin.add_learner(AddLearnerRequest { id: 2, addr: "nowhere".into() }).await.unwrap_err());
}

// covers: T12, R6
#[tokio::test]
async fn the_leader_leaves_and_does_no_harm_afterwards() {
    let mut metas = Metas::start(3, as_usual);
    metas.populate(3, 1).await;
    let old = metas.leader().await;
    eventually("it is ready", async || metas.is_ready(old).await.then_some(())).await;
    let members = metas.remove(&[old], false).await.expect("the answer arrives");
    assert!(!voters(&members).contains(&old) && members.members.len() == 2);
    let leader = metas.leader().await;
    assert_ne!(leader, old);
    metas.remove(&[old], false).await.expect("gone already");
    eventually("it notices", async || (!metas.is_ready(old).await).then_some(())).await;

    // With its data, as if it still belonged to them.
    metas.kill(old);
    metas.start_node(old);
    let before = metas.members_at(leader).await;
    holds_for(Duration::from_secs(3), "the same leader", async || {
        let now = metas.members_at(leader).await;
        (now.leader, now.term) == (before.leader, before.term) && !metas.is_ready(old).await
    })
    .await;
    change(&metas, 1).await;
    let refused = metas.add_learner(old, &name(old)).await.unwrap_err().to_string();
    assert!(refused.contains("ids are never used again"), "{refused}");
}

#[tokio::test]
async fn a_quorum_that_answers_is_left() {
    let mut metas = Metas::start(3, as_usual);
    let leader = metas.leader().await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    metas.kill(others[0]);
    holds_for(Duration::from_secs(3), "the leader", async || metas.members_at(leader).await.leader == leader)
        .await;
    let refused = metas.remove(&[others[1]], false).await.unwrap_err().to_string();
    assert!(refused.contains("that there would be only 1 answer"), "{refused}");
    assert_eq!(voters(&metas.remove(&[others[0]], false).await.unwrap()).len(), 2);
    change(&metas, 1).await;
}

// covers: T12, R6
#[tokio::test]
async fn every_node_is_replaced_while_others_stay_connected() {
    let mut metas = Metas::start(3, as_usual);
    let (_stores, proxies) = metas.populate(3, 2).await;
    for old in 1..=3 {
        let new = old + 3;
        metas.start_joining(new);
        metas.join(new).await;
        let members = metas.remove(&[old], false).await.unwrap();
        assert_eq!(members.members.len(), 3);
        metas.kill(old);
        change(&metas, old).await;
    }
    // Nobody configured the nodes that are left: stores and proxies heard of them.
    let leader = metas.leader().await;
    metas.kill(leader);
    change(&metas, 4).await;
    eventually("all are connected", async || {
        let health = metas.ask(async |mut admin| admin.get_health(GetHealthRequest {}).await).await.unwrap();
        let stores = health.stores.iter().filter(|store| store.connected).count();
        let proxies = health.proxies.iter().filter(|proxy| proxy.connected).count();
        (stores == 3 && proxies == 2).then_some(())
    })
    .await;
    let state = metas.until("still settled", |state| is_settled(state, 2)).await;
    eventually("every proxy follows", async || {
        proxies.iter().all(|p| p.view(|v| v.version >= state.version.0 && v.may_answer())).then_some(())
    })
    .await;
}

// covers: T12
#[tokio::test]
async fn requests_at_once_and_again_do_no_harm() {
    let mut metas = Metas::start(3, as_usual);
    metas.start_joining(4);
    metas.start_joining(5);
    let added = join_all([4, 5, 4, 5, 4].map(async |id| metas.add_learner(id, &name(id)).await));
    for members in added.await {
        members.expect("added");
    }
    join_all([4, 5, 4, 5].map(async |id| metas.join(id).await)).await;
    assert_eq!(voters(&metas.promote(&[1, 2, 3, 4, 5]).await.unwrap()), [1, 2, 3, 4, 5]);
    let demoted = metas.remove(&[4], true).await.unwrap();
    assert_eq!((voters(&demoted), demoted.members.len()), (vec![1, 2, 3, 5], 5));
    let removed = join_all([vec![4], vec![5, 4], vec![5]].map(async |ids| metas.remove(&ids, false).await));
    for members in removed.await {
        members.expect("removed");
    }
    let members = metas.members_at(metas.leader().await).await;
    assert_eq!((voters(&members), members.members.len()), (vec![1, 2, 3], 3));
    assert!(members.applied_index > 0 && members.last_index >= members.applied_index);
}

/// Whatever the leader had done of it when it died.
#[tokio::test]
async fn a_change_outlives_its_leader() {
    let mut metas = Metas::start(3, as_usual);
    metas.start_joining(4);
    metas.join(4).await;
    let leader = metas.leader().await;
    let gone = (1..=3).find(|id| *id != leader).unwrap();
    let mut admin = metas.admin(leader);
    let asked = tokio::spawn(async move {
        admin.remove(RemoveRequest { ids: vec![gone], keep_as_learners: false }).await
    });
    // The request is on its way.
    metas.members_at(leader).await;
    metas.kill(leader);
    let _ = asked.await;
    let members = metas.remove(&[gone], false).await.unwrap();
    assert_eq!((voters(&members).len(), members.members.len()), (3, 3));
    change(&metas, 1).await;
}
