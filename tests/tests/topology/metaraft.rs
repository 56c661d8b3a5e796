//! Meta nodes join and leave while clients go on, driven through a proxy.

use std::time::Duration;

use local_cluster::MemberId;
use miraft_tests::{joiner::Joiner, wait};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn members(address: &str) -> Vec<(String, String)> {
    let members = Connection::open(address).await.unwrap().run("CLUSTER METARAFT MEMBERS").await.unwrap();
    members.items().iter().map(|m| (m.items()[0].text(), m.items()[1].text())).collect()
}

fn are(roles: &[(u64, &str)]) -> Vec<(String, String)> {
    roles.iter().map(|(id, role)| (id.to_string(), (*role).to_owned())).collect()
}

// covers: T12, R6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meta_nodes_join_and_leave() {
    let mut cluster = manual(3).await;
    let addresses = cluster.cluster_addresses();
    let at = addresses[0].as_str();
    by_hand(&addresses).await;
    assert_eq!(members(at).await, are(&[(1, "voter"), (2, "voter"), (3, "voter")]));

    let _fourth = joined(at, 4).await;
    assert_eq!(members(at).await, are(&[(1, "voter"), (2, "voter"), (3, "voter"), (4, "voter")]));

    let dead = MemberId::meta(if cluster.meta_leader().await == MemberId::meta(1) { 2 } else { 1 });
    cluster.kill(dead).unwrap();
    must(at, &format!("CLUSTER METARAFT REMOVE {}", dead.number)).await;
    must(at, &format!("CLUSTER METARAFT REMOVE {}", dead.number)).await;
    assert_eq!(members(at).await.len(), 3);
    for (command, expected) in [
        ("CLUSTER METARAFT PROMOTE 77", "-ERR"),
        ("CLUSTER METARAFT PROMOTE x", "-ERR Invalid meta node id"),
        ("CLUSTER METARAFT ADDLEARNER 9 nowhere", "-ERR Invalid meta node address"),
        ("CLUSTER METARAFT FROB", "-ERR unknown action"),
        ("CLUSTER METARAFT REMOVE 2 3 4 1", "-ERR"),
    ] {
        let answer = ask(at, command).await;
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    let status = text(at, "CLUSTER METARAFT STATUS").await;
    assert!(status.contains("metaraft_voters:3\r\n"), "{status}");
    must(at, "CLUSTER DELSLOTS 7").await;
    must(at, "CLUSTER ADDSLOTS 7").await;
    must(&addresses[2], "SET key value").await;

    // None of those that the proxies and storage nodes were told of stays.
    let (_fifth, _sixth) = (joined(at, 5).await, joined(at, 6).await);
    for number in (1..=3).filter(|number| *number != dead.number) {
        let remove = format!("CLUSTER METARAFT REMOVE {number}");
        wait::until_true("it is removed", PATIENCE, || async { ask(at, &remove).await == "OK" }).await;
        cluster.kill(MemberId::meta(number)).unwrap();
    }
    assert_eq!(members(at).await, are(&[(4, "voter"), (5, "voter"), (6, "voter")]));
    for address in &addresses {
        let bump = || async { !ask(address, "CLUSTER BUMPEPOCH").await.starts_with('-') };
        wait::until_true("changes go on", PATIENCE, bump).await;
    }
    assert_eq!(text(&addresses[1], "GET key").await, "value");
}

/// A node that has become a voter.
async fn joined(at: &str, id: u64) -> Joiner {
    let joiner = Joiner::start(id);
    let add = format!("CLUSTER METARAFT ADDLEARNER {id} {}", joiner.address);
    wait::until_true("it is added", PATIENCE, || async { ask(at, &add).await == "OK" }).await;
    must(at, &add).await;
    let promote = format!("CLUSTER METARAFT PROMOTE {id:040x}");
    wait::until_true("it has caught up", PATIENCE, || async { ask(at, &promote).await == "OK" }).await;
    joiner
}
