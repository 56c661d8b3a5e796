//! Groups over loopback: elections, replication, snapshots, transfers, and peers that misbehave.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use common::cluster::{Cluster, GROUP, Node, WAIT, dial, until};
use futures::{StreamExt, stream};
use openraft::{
    network::{RPCOption, RaftNetworkFactory, RaftNetworkV2},
    raft::{AppendEntriesRequest, VoteRequest},
};
use proto::v1::{RaftFrame, RaftItem, RaftKind, raft_peer_client::RaftPeerClient};
use raft_rocks::*;
use tokio::time::Instant;

#[tokio::test]
async fn three_nodes_elect_write_and_survive_their_leader() {
    let mut cluster = Cluster::start(3).await;
    for n in 0..1000 {
        cluster.write(&format!("value {n}")).await;
    }
    cluster.converge(1000).await;

    let old = cluster.leader().await;
    cluster.node(old).kill();
    let new = cluster.leader_other_than(old).await;
    assert_ne!(old, new);
    cluster.write("after the failover").await;
    cluster.converge(1001).await;

    cluster.node(old).start().await;
    cluster.converge(1001).await;
}

#[tokio::test]
async fn a_leader_without_other_voters_holds_its_lease() {
    let cluster = Cluster::start(1).await;
    cluster.write("alone").await;
    let id = cluster.leader().await;
    let raft = cluster.nodes[id as usize - 1].raft();
    let leader = leads_as(raft).expect("it leads");
    assert!(holds_lease(raft, &leader, Duration::ZERO), "nobody else can lead");
    let three = Cluster::start(3).await;
    three.write("with others").await;
    let raft = three.nodes[three.leader().await as usize - 1].raft();
    let leader = leads_as(raft).expect("it leads");
    assert!(!holds_lease(raft, &leader, Duration::ZERO), "others may");
}

#[tokio::test]
async fn all_nodes_restart_with_what_they_acknowledged() {
    let mut cluster = Cluster::start(3).await;
    for n in 0..50 {
        cluster.write(&format!("value {n}")).await;
    }
    for id in 1..=3 {
        cluster.node(id).kill();
    }
    for id in 1..=3 {
        cluster.node(id).start().await;
    }
    cluster.write("after the restart").await;
    cluster.converge(51).await;
}

#[tokio::test]
async fn a_follower_that_fell_behind_gets_a_snapshot() {
    let mut cluster = Cluster::start(3).await;
    cluster.write("first").await;
    let leader = cluster.leader().await;
    let behind = leader % 3 + 1;
    cluster.node(behind).kill();
    for n in 0..200 {
        cluster.write(&format!("{n:0>60000}")).await;
    }
    for node in cluster.running() {
        node.raft().trigger().snapshot().await.expect("triggered");
    }
    let purged = |cluster: &Cluster| {
        let purged =
            cluster.running().all(|node| metrics(node.raft()).purged.is_some_and(|id| id.index > 100));
        purged.then_some(())
    };
    until("purged logs", || purged(&cluster)).await;

    cluster.node(behind).start().await;
    cluster.converge(201).await;
    assert!(cluster.node(behind).machine().installed() >= 1);
    cluster.write("after the snapshot").await;
    cluster.converge(202).await;
}

#[tokio::test]
async fn leadership_moves_when_asked() {
    let cluster = Cluster::start(3).await;
    cluster.write("first").await;
    cluster.converge(1).await;
    let old = cluster.leader().await;
    let to = old % 3 + 1;
    cluster.nodes[old as usize - 1].raft().trigger().transfer_leader(to).await.expect("triggered");
    until("the transfer", || {
        let known = |node: &Node| metrics(node.raft()).current_leader == Some(to);
        cluster.running().all(known).then_some(())
    })
    .await;
    cluster.write("second").await;
    cluster.converge(2).await;
}

#[tokio::test]
async fn who_hands_over_says_so_before_others_know() {
    let alone = Cluster::start(1).await;
    alone.write("alone").await;
    let day = Duration::from_secs(86_400);
    hand_over(alone.nodes[0].raft(), day, WAIT, || panic!("there is nobody")).await;
    let cluster = Cluster::start(3).await;
    cluster.write("first").await;
    cluster.converge(1).await;
    let old = cluster.leader().await;
    let raft = cluster.nodes[old as usize - 1].raft();
    let led = std::cell::Cell::new(None);
    hand_over(raft, day, WAIT, || led.set(metrics(raft).current_leader)).await;
    assert_eq!(led.get(), Some(old));
    assert_ne!(cluster.leader_other_than(old).await, old);
}

#[tokio::test]
async fn a_replica_in_its_quiet_time_answers_no_vote() {
    let cluster = Cluster::start(1).await;
    cluster.write("first").await;
    let raft = cluster.nodes[0].raft();
    let registry = Registry::default();
    registry.insert(GROUP, 1, raft_handle(raft.clone()), Some(Instant::now() + Duration::from_secs(3600)));
    registry.insert(GROUP + 1, 1, raft_handle(raft.clone()), None);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let addr = listener.local_addr().expect("address").to_string();
    let server = tonic::transport::Server::builder().add_service(PeerService::server(registry));
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(async move { server.serve_with_incoming(incoming).await });

    let request = || VoteRequest::new(Vote::new(1, 2), None);
    let option = || RPCOption::new(Duration::from_secs(5));
    let peers = Peers::new(dial());
    let member = Member { store: 1, addr };
    let mut quiet = peers.network(GROUP).new_client(1, &member).await;
    assert!(quiet.pre_vote(request(), option()).await.is_err());
    assert!(quiet.vote(request(), option()).await.is_err());
    let mut other = peers.network(GROUP + 1).new_client(1, &member).await;
    let response = other.pre_vote(request(), option()).await.expect("answered");
    assert!(!response.vote_granted, "a leader with a lease grants nothing");
    let mut unknown = peers.network(GROUP + 2).new_client(1, &member).await;
    assert!(unknown.pre_vote(request(), option()).await.is_err());
}

#[tokio::test]
async fn an_unreachable_peer_costs_one_request_an_attempt() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let addr = listener.local_addr().expect("address").to_string();
    drop(listener);
    let member = Member { store: 1, addr };
    let mut client = Peers::new(dial()).network(GROUP).new_client(1, &member).await;
    let polled = Arc::new(AtomicU64::new(0));
    for attempt in 1..=3 {
        let counted = polled.clone();
        let input = stream::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            AppendEntriesRequest {
                vote: Vote::new_committed(1, 9),
                prev_log_id: None,
                entries: vec![],
                leader_commit: None,
            }
        });
        let option = RPCOption::new(Duration::from_secs(1));
        let results = RaftNetworkV2::stream_append(&mut client, input, option).await;
        let results: Vec<_> = results.expect("never fails before the input is polled").collect().await;
        assert!(matches!(results.as_slice(), [Err(openraft::errors::RPCError::Unreachable(_))]));
        assert!(polled.load(Ordering::Relaxed) >= attempt, "the input was polled");
    }
    assert!(
        client
            .pre_vote(VoteRequest::new(Vote::new(1, 9), None), RPCOption::new(Duration::from_secs(1)))
            .await
            .is_err()
    );
}

/// Items no peer sends.
fn nonsense() -> Vec<RaftItem> {
    let item = |kind: i32, payload: &'static [u8]| RaftItem {
        group: GROUP,
        to_replica: 1,
        stream: 1,
        kind,
        payload: Bytes::from_static(payload),
    };
    vec![
        item(RaftKind::Append.into(), b""),
        item(RaftKind::Append.into(), &[0xff; 200]),
        item(RaftKind::Vote.into(), b"short"),
        item(RaftKind::PreVote.into(), &[7; 1000]),
        item(RaftKind::TransferLeader.into(), &[1]),
        item(RaftKind::AppendReply.into(), &[0, 0]),
        item(99, b""),
        item(-1, b""),
    ]
}

#[tokio::test]
async fn nonsense_closes_its_connection_and_nothing_else() {
    let cluster = Cluster::start(1).await;
    for item in nonsense() {
        let channel = dial()(&cluster.nodes[0].addr).expect("dialled");
        let frame = RaftFrame { items: vec![item.clone()] };
        let frames = stream::iter([frame]).chain(stream::pending());
        let mut replies =
            RaftPeerClient::new(channel).exchange(frames).await.expect("connected").into_inner();
        let end = tokio::time::timeout(Duration::from_secs(30), replies.message()).await.expect("closed");
        assert!(!matches!(end, Ok(Some(_))), "{item:?}");
    }
    cluster.write("still there").await;
}
