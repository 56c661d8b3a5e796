//! `redis-cli --cluster`.

use std::time::Duration;

use local_cluster::{Listener, Member};
use miraft_tests::wait;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn create(addresses: &[String]) -> String {
    let mut arguments = vec!["--cluster", "create"];
    arguments.extend(addresses.iter().map(String::as_str));
    arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
    let output = redis_cli_ok(&arguments).await;
    assert!(output.contains("[OK] All 16384 slots covered."), "{output}");
    output
}

// covers: T1, T9, T11, T13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_check_reset_and_create_again() {
    let cluster = manual(6).await;
    let addresses = cluster.cluster_addresses();
    for address in &addresses {
        assert_eq!(info(address, "cluster_known_nodes").await, "1");
        assert_eq!(info(address, "cluster_state").await, "fail");
    }
    for round in 0..times(5, 50) {
        create(&addresses).await;
        for address in &addresses {
            let output = redis_cli_ok(&["--cluster", "check", address]).await;
            assert!(output.contains("[OK] All nodes agree about slots configuration."), "{output}");
            assert_eq!(info(address, "cluster_state").await, "ok");
        }
        let lines = nodes(&addresses[0]).await;
        assert_eq!(lines.values().filter(|line| line.contains("slave")).count(), 3, "{lines:#?}");
        let key = format!("round:{round}");
        let mut client = Connection::open(&addresses[5]).await.unwrap();
        assert_eq!(client.run(&format!("SET {key} v")).await.unwrap().to_string(), "OK");
        assert_eq!(client.run(&format!("DEL {key}")).await.unwrap().to_string(), "1");
        let before = my_id(&addresses[0]).await;
        for address in &addresses {
            must(address, if round % 2 == 0 { "CLUSTER RESET HARD" } else { "CLUSTER RESET SOFT" }).await;
        }
        assert_eq!(my_id(&addresses[0]).await == before, round % 2 == 1, "a hard reset makes a new id");
        assert_eq!(info(&addresses[0], "cluster_known_nodes").await, "1");
    }
}

// covers: T1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_without_replicas_then_add_fix_and_delete_nodes() {
    let cluster = manual(5).await;
    let addresses = cluster.cluster_addresses();
    let mut arguments = vec!["--cluster", "create"];
    arguments.extend(addresses[..3].iter().map(String::as_str));
    arguments.push("--cluster-yes");
    redis_cli_ok(&arguments).await;
    let output = redis_cli_ok(&["--cluster", "info", &addresses[1]]).await;
    assert!(output.contains("0 keys in 3 masters"), "{output}");

    let output = redis_cli_ok(&["--cluster", "call", &addresses[0], "CLUSTER", "MYID"]).await;
    for address in &addresses[..3] {
        assert!(output.contains(&my_id(address).await), "{output}");
    }

    added_and_deleted(&addresses).await;
    fixed(&addresses).await;
    moved(&addresses).await;
}

/// A master without slots, and a replica.
async fn added_and_deleted(addresses: &[String]) {
    redis_cli_ok(&["--cluster", "add-node", &addresses[3], &addresses[0]]).await;
    let master = my_id(&addresses[0]).await;
    let replica =
        ["--cluster", "add-node", &addresses[4], &addresses[0], "--cluster-slave", "--cluster-master-id"];
    redis_cli_ok(&[&replica[..], &[master.as_str()]].concat()).await;
    let seen = nodes(&addresses[1]).await;
    assert_eq!(seen.len(), 5, "{seen:#?}");
    let line = &seen[&my_id(&addresses[4]).await];
    assert!(line.contains(&format!(" slave {master} ")), "{line}");
    let again = redis_cli(&["--cluster", "add-node", &addresses[4], &addresses[0]]).await;
    assert!(!again.0 && again.1.contains("is not empty"), "{}", again.1);

    for address in &addresses[3..] {
        let id = my_id(address).await;
        redis_cli_ok(&["--cluster", "del-node", &addresses[0], &id]).await;
        assert!(!nodes(&addresses[2]).await.contains_key(&id));
        assert_eq!(info(address, "cluster_known_nodes").await, "1");
    }
    let id = my_id(&addresses[1]).await;
    let (ok, output) = redis_cli(&["--cluster", "del-node", &addresses[0], &id]).await;
    assert!(!ok && output.contains("is not empty"), "{output}");
}

/// Slots that nobody owns are assigned.
async fn fixed(addresses: &[String]) {
    must(&addresses[0], "CLUSTER DELSLOTSRANGE 100 110").await;
    let (ok, output) = redis_cli(&["--cluster", "check", &addresses[1]]).await;
    assert!(!ok && output.contains("Not all 16384 slots are covered"), "{output}");
    redis_cli_ok(&["--cluster", "fix", &addresses[1], "--cluster-yes"]).await;
    redis_cli_ok(&["--cluster", "check", &addresses[2]]).await;

    must(&addresses[0], &format!("CLUSTER SETSLOT 7 MIGRATING {}", my_id(&addresses[1]).await)).await;
    let (ok, output) = redis_cli(&["--cluster", "check", &addresses[1]]).await;
    assert!(!ok && output.contains("has slots in migrating state"), "{output}");
    redis_cli_ok(&["--cluster", "fix", &addresses[1], "--cluster-yes"]).await;
    redis_cli_ok(&["--cluster", "check", &addresses[2]]).await;
}

/// Empty slots go where reshard wants them.
async fn moved(addresses: &[String]) {
    let (from, to) = (my_id(&addresses[0]).await, my_id(&addresses[2]).await);
    let reshard = ["--cluster", "reshard", &addresses[1], "--cluster-from", &from, "--cluster-to", &to];
    redis_cli_ok(&[&reshard[..], &["--cluster-slots", "20", "--cluster-yes"]].concat()).await;
    redis_cli_ok(&["--cluster", "check", &addresses[0]]).await;
    // `fix` gave the slots that nobody owned to any of the masters.
    let line = &nodes(&addresses[1]).await[&to];
    assert!(line.contains(" 0-19 ") && line.ends_with(" 10923-16383"), "{line}");
    let mut client = Connection::open(&addresses[1]).await.unwrap();
    for number in 0..2000 {
        let key = format!("moved:{number}");
        assert_eq!(client.run(&format!("SET {key} {number}")).await.unwrap().to_string(), "OK");
    }
}

/// A group is formed by its first replica; if that is gone, by another.
// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_form_without_the_store_that_died_before() {
    let mut cluster = manual(3).await;
    let addresses = cluster.cluster_addresses();
    wait::until_true("all stores are known", PATIENCE, || async {
        cluster.state().await.is_ok_and(|state| state.stores.len() == 3)
    })
    .await;
    // On one host the first store is the first of every group.
    let state = cluster.state().await.unwrap();
    let (first, node) = state.stores.first_key_value().unwrap();
    let at = |member: &&Member| member.address(Listener::Rpc).as_ref() == Some(&node.rpc_addr);
    let doomed = cluster.members().iter().find(at).unwrap().id;
    cluster.kill(doomed).unwrap();
    by_hand(&addresses).await;
    let state = cluster.state().await.unwrap();
    assert!(state.groups.values().all(|group| group.replicas[0].store == *first));
    for (at, address) in addresses.iter().enumerate() {
        for number in 0..10 {
            must(address, &format!("SET key:{at}:{number} value")).await;
        }
    }
}
