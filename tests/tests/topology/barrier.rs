//! OK means that everyone sees it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use local_cluster::{Bootstrap, Config, MemberId, Role};
use miraft_tests::{relay::Relay, wait};
use tokio::time::timeout;

use super::*;

/// Clients that change the topology at the same time, each its own slots.
const CLIENTS: usize = 8;

// covers: T4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_by_every_proxy_when_it_is_confirmed() {
    let relay = Relay::start(50..=500).await.unwrap();
    let address = relay.address();
    let cluster = TestCluster::start_prepared(
        |config| {
            let config = Config { bootstrap: Bootstrap::Manual, meta: 1, ..config };
            config.option(Role::Proxy, "meta", address)
        },
        |cluster| relay.lead_to(cluster.meta_addresses().swap_remove(0)),
    )
    .await;
    let addresses = cluster.cluster_addresses();
    by_hand(&addresses).await;
    for address in &addresses {
        assert_eq!(nodes(address).await.len(), 3, "met");
    }
    let trials = times(8, 1000usize.div_ceil(CLIENTS * 2));
    let clients = (0..CLIENTS).map(|number| slot_comes_and_goes(&addresses, number, trials));
    join_all(clients).await;
    roles_change(&addresses, times(2, 20)).await;
}

/// DELSLOTS and ADDSLOTS of one slot, each followed by a look at every proxy.
async fn slot_comes_and_goes(addresses: &[String], number: usize, trials: usize) {
    let owner = number % addresses.len();
    let slot = owner * 5461 + 100 + 2 * number;
    let mut connections = Vec::new();
    for address in addresses {
        connections.push(Connection::open(address).await.unwrap());
    }
    for _ in 0..trials {
        for (command, present) in [("DELSLOTS", false), ("ADDSLOTS", true)] {
            let reply = connections[owner].run(&format!("CLUSTER {command} {slot}")).await.unwrap();
            assert_eq!(reply.to_string(), "OK", "{command} {slot}");
            for connection in &mut connections {
                let ranges = connection.run("CLUSTER SLOTS").await.unwrap();
                let is_in = |range: &Value| {
                    let bound = |at: usize| range.items()[at].int().unwrap() as usize;
                    (bound(0)..=bound(1)).contains(&slot)
                };
                assert_eq!(ranges.items().iter().any(is_in), present, "stale after {command} {slot}");
            }
        }
    }
}

/// FORGET, MEET, REPLICATE: the third node gives its slots up first.
async fn roles_change(addresses: &[String], rounds: usize) {
    let (id, master) = (my_id(&addresses[2]).await, my_id(&addresses[0]).await);
    let (host, port) = addresses[2].rsplit_once(':').unwrap();
    must(&addresses[2], "CLUSTER FLUSHSLOTS").await;
    for _ in 0..rounds {
        must(&addresses[2], &format!("CLUSTER REPLICATE {master}")).await;
        for address in addresses {
            let line = &nodes(address).await[&id];
            assert!(line.contains(&format!("slave {master} ")), "{line}");
        }
        must(&addresses[0], &format!("CLUSTER FORGET {id}")).await;
        for (address, known) in addresses.iter().zip([2, 2, 1]) {
            assert_eq!(nodes(address).await.len(), known, "after FORGET at {address}");
        }
        must(&addresses[1], &format!("CLUSTER MEET {host} {port}")).await;
        for address in addresses {
            assert_eq!(nodes(address).await.len(), 3, "after MEET at {address}");
        }
    }
}

// covers: T5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_of_meta_changes_fail_and_data_goes_on() {
    let mut cluster = manual(3).await;
    let addresses = cluster.cluster_addresses();
    by_hand(&addresses).await;
    must(&addresses[0], "SET before 1").await;
    let lost = [
        cluster.meta_leader().await,
        if cluster.meta_leader().await == MemberId::meta(1) { MemberId::meta(2) } else { MemberId::meta(1) },
    ];
    for id in lost {
        cluster.kill(id).unwrap();
    }
    for command in ["CLUSTER DELSLOTS 5", "CLUSTER BUMPEPOCH"] {
        let answer = timeout(Duration::from_secs(20), ask(&addresses[0], command)).await.expect(command);
        assert!(answer.starts_with("-ERR "), "{command}: {answer}");
    }
    assert_eq!(text(&addresses[1], "GET before").await, "1");
    must(&addresses[1], "SET during 2").await;
    for id in lost {
        cluster.restart(id).unwrap();
    }
    // Whether or not the first one took effect, the same command says what it did.
    wait::until("the change is made", Duration::from_secs(20), || async {
        match ask(&addresses[0], "CLUSTER DELSLOTS 5").await {
            answer if answer == "OK" => Ok(()),
            answer => Err(answer),
        }
    })
    .await;
    assert_eq!(info(&addresses[2], "cluster_slots_assigned").await, "16383");
    assert_eq!(text(&addresses[2], "GET during").await, "2");
}

// covers: T6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_claims_to_a_slot_one_is_granted() {
    let cluster = manual(3).await;
    let addresses = cluster.cluster_addresses();
    for met in [false, true] {
        if met {
            let (host, port) = addresses[0].rsplit_once(':').unwrap();
            must(&addresses[1], &format!("CLUSTER MEET {host} {port}")).await;
            must(&addresses[2], &format!("CLUSTER MEET {host} {port}")).await;
        }
        for slot in (0..times(10, 100)).map(|n| 2 * n + usize::from(met)) {
            let command = format!("CLUSTER ADDSLOTS {slot}");
            let answers = join_all(addresses.iter().map(|address| ask(address, &command))).await;
            let busy = format!("-ERR Slot {slot} is already busy");
            assert_eq!(answers.iter().filter(|answer| *answer == "OK").count(), 1, "{answers:?}");
            assert_eq!(answers.iter().filter(|answer| **answer == busy).count(), 2, "{answers:?}");
        }
    }
    assert_eq!(cluster.state().await.unwrap().realm_slots(0).len(), 0, "all in the realm that was met");
}

// covers: T7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slots_are_one_change() {
    let cluster = manual(3).await;
    let addresses = cluster.cluster_addresses();
    let before = cluster.state().await.unwrap().version;
    let mut command = "CLUSTER ADDSLOTS".to_owned();
    (0..5461).for_each(|slot| command.push_str(&format!(" {slot}")));
    for (address, command) in addresses.iter().zip([&*command, "CLUSTER ADDSLOTSRANGE 5461 10922"]) {
        let asked = Instant::now();
        must(address, command).await;
        println!("{} slots in {:?}", if command.len() > 100 { 5461 } else { 5462 }, asked.elapsed());
    }
    // Beside the two: groups that are formed, and nodes that a busy machine has taken for dead.
    let changes = cluster.state().await.unwrap().version.0 - before.0;
    assert!(changes < 100, "{changes} changes");

    // One by one, in a pipeline.
    let last = times(11_500, 16_384);
    let one_by_one: Vec<Vec<u8>> = (10_923..last)
        .map(|slot| miraft_tests::resp::encode(["CLUSTER", "ADDSLOTS", &slot.to_string()]))
        .collect();
    let mut third = Connection::open(&addresses[2]).await.unwrap();
    let answers = third.pipeline(&one_by_one).await.unwrap();
    assert!(answers.iter().all(|answer| answer.to_string() == "OK"));
    assert_eq!(info(&addresses[2], "cluster_slots_assigned").await, (last - 10_923).to_string());
}
