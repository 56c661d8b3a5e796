//! Which proxy is announced for which slots.

use std::time::Duration;

use local_cluster::{Listener, MemberId, Role};
use miraft_tests::wait;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

// covers: T17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_proxy_is_replaced_by_its_replica() {
    let mut cluster = manual(4).await;
    let addresses = cluster.cluster_addresses();
    by_hand(&addresses[..3]).await;
    let (host, port) = addresses[0].rsplit_once(':').unwrap();
    must(&addresses[3], &format!("CLUSTER MEET {host} {port}")).await;
    let (dead, replica) = (my_id(&addresses[1]).await, my_id(&addresses[3]).await);
    must(&addresses[3], &format!("CLUSTER REPLICATE {dead}")).await;
    must(&addresses[0], "SET key value").await;

    cluster.kill(MemberId::proxy(2)).unwrap();
    wait::until_true("its replica is announced", PATIENCE, || async {
        let seen = nodes(&addresses[0]).await;
        !seen.contains_key(&dead) && seen[&replica].ends_with(" 5461-10922")
    })
    .await;
    assert_eq!(info(&addresses[2], "cluster_state").await, "ok");
    assert_eq!(text(&addresses[3], "GET key").await, "value");

    cluster.restart(MemberId::proxy(2)).unwrap();
    wait::until_true("it is back as a replica", PATIENCE, || async {
        nodes(&addresses[0]).await.get(&dead).is_some_and(|line| line.contains(&format!("slave {replica} ")))
    })
    .await;
}

/// Redirections as Redis makes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_moved_always_every_node_serves_its_own_slots() {
    let cluster = TestCluster::start_with(|config| config.option(Role::Proxy, "moved", "always")).await;
    let addresses = cluster.cluster_addresses();
    let mut slots = Connection::open(&addresses[0]).await.unwrap().run("CLUSTER SLOTS").await.unwrap();
    let owner = loop {
        let Value::Array(ranges) = &slots else { panic!("{slots}") };
        let of_foo = |range: &&Value| {
            range.items()[0].int().unwrap() <= 12182 && 12182 <= range.items()[1].int().unwrap()
        };
        if let Some(range) = ranges.iter().find(of_foo) {
            let master = range.items()[2].items();
            break format!("{}:{}", master[0].text(), master[1]);
        }
        slots = Connection::open(&addresses[0]).await.unwrap().run("CLUSTER SLOTS").await.unwrap();
    };
    for address in &addresses {
        let expected = if *address == owner { "OK".to_owned() } else { format!("-MOVED 12182 {owner}") };
        assert_eq!(ask(address, "SET foo bar").await, expected);
        let many = ask(address, "MGET foo hello").await;
        assert!(many.starts_with("-CROSSSLOT"), "{many}");
    }
    for number in 1..=3 {
        let plain = cluster.proxy_address(number, Listener::Plain);
        assert_eq!(text(&plain, "GET foo").await, "bar", "plain clients are never redirected");
    }
    let (host, port) = addresses[0].rsplit_once(':').unwrap();
    let output = redis_cli_ok(&["-c", "-h", host, "-p", port, "GET", "foo"]).await;
    assert!(output.contains("bar"), "{output}");
}
