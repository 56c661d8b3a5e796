//! Commands about all keys, and keys that expire.

use std::{collections::BTreeSet, time::Duration};

use local_cluster::{Listener, Role};
use miraft_tests::{
    cluster::{self, metrics},
    resp::{Connection, Value, encode},
    wait,
};

use crate::in_database;

async fn set_all(connection: &mut Connection, prefix: &str, count: usize) {
    let sets: Vec<_> = (0..count).map(|number| encode(["SET", &format!("{prefix}:{number}"), "v"])).collect();
    for reply in connection.pipeline(&sets).await.unwrap() {
        assert_eq!(reply.to_string(), "OK");
    }
}

/// All keys that one whole SCAN finds, and how many times it named a key.
async fn scan(connection: &mut Connection, arguments: &str) -> (BTreeSet<String>, usize) {
    let (mut keys, mut named, mut cursor) = (BTreeSet::new(), 0, "0".to_owned());
    loop {
        let reply = connection.run(&format!("SCAN {cursor} {arguments}")).await.unwrap();
        let [next, page] = reply.items() else { panic!("SCAN answered {reply}") };
        named += page.items().len();
        keys.extend(page.items().iter().map(Value::text));
        cursor = next.text();
        if cursor == "0" {
            return (keys, named);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_is_complete_while_others_write() {
    const KEYS: usize = 3000;
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 5).await;
    set_all(&mut connection, "stays", KEYS).await;
    let mut noise = in_database(&cluster, 5).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let mut number = 0;
        while stopped.try_recv().is_err() {
            noise.run(&format!("SET comes:{number} v")).await.unwrap();
            noise.run(&format!("DEL comes:{}", number / 2)).await.unwrap();
            noise.run(&format!("APPEND stays:{} v", number % KEYS)).await.unwrap();
            number += 1;
        }
    });
    for arguments in ["COUNT 100", "MATCH stays:* COUNT 1000", "TYPE string COUNT 333"] {
        let (keys, _) = scan(&mut connection, arguments).await;
        let found = keys.iter().filter(|key| key.starts_with("stays:")).count();
        assert_eq!(found, KEYS, "SCAN {arguments}");
    }
    stop.send(()).unwrap();
    writer.await.unwrap();
    assert_eq!(connection.run("FLUSHDB").await.unwrap().to_string(), "OK");
}

#[tokio::test]
async fn scan_names_a_key_once_when_nothing_changes() {
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 6).await;
    set_all(&mut connection, "still", 1000).await;
    let (keys, named) = scan(&mut connection, "COUNT 50").await;
    assert_eq!((keys.len(), named), (1000, 1000));
    let listed = connection.run("KEYS *").await.unwrap();
    assert_eq!(listed.items().iter().map(Value::text).collect::<BTreeSet<_>>(), keys);
}

#[tokio::test]
async fn dbsize_is_exact() {
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 7).await;
    let mut size = async |what: &str| {
        let reply = connection.run(what).await.unwrap();
        assert!(reply.error().is_none(), "{what}: {reply}");
        connection.run("DBSIZE").await.unwrap().int().unwrap()
    };
    assert_eq!(size("MSET a 1 b 2 c 3 d 4 e 5").await, 5);
    assert_eq!(size("SET a again").await, 5);
    assert_eq!(size("DEL a b none").await, 3);
    assert_eq!(size("RENAME c c{c}").await, 3);
    assert_eq!(size("SET f 1 PX 1").await.clamp(3, 4), 4.min(size("PING").await + 1));
    assert_eq!(size("FLUSHDB").await, 0);
}

#[tokio::test]
async fn databases_are_separate() {
    let cluster = cluster::shared().await;
    let mut first = in_database(&cluster, 8).await;
    let mut second = in_database(&cluster, 9).await;
    first.run("SET same first").await.unwrap();
    second.run("SET same second").await.unwrap();
    assert_eq!(first.run("GET same").await.unwrap().to_string(), "first");
    assert_eq!(second.run("FLUSHDB").await.unwrap().to_string(), "OK");
    assert_eq!(first.run("GET same").await.unwrap().to_string(), "first");
    let out_of_range = first.run("SELECT 16").await.unwrap();
    assert_eq!(out_of_range.to_string(), "-ERR DB index is out of range");
    let mut clustered = Connection::open(&cluster.cluster_addresses()[0]).await.unwrap();
    let refused = clustered.run("SELECT 1").await.unwrap();
    assert_eq!(refused.to_string(), "-ERR SELECT is not allowed in cluster mode");
    assert_eq!(clustered.run("SELECT 0").await.unwrap().to_string(), "OK");
}

#[tokio::test]
async fn info_counts_keys_and_those_that_expire() {
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 12).await;
    for (command, shown) in [
        ("MSET lasting:1 v lasting:2 v lasting:3 v", "db12:keys=3,expires=0\r\n"),
        ("SET brief:1 v EX 1000", "db12:keys=4,expires=1\r\n"),
        ("HSET brief:2 f v", "db12:keys=5,expires=1\r\n"),
        ("EXPIRE brief:2 1000", "db12:keys=5,expires=2\r\n"),
        ("SET brief:1 w KEEPTTL", "db12:keys=5,expires=2\r\n"),
        ("PERSIST brief:1", "db12:keys=5,expires=1\r\n"),
        ("DEL brief:2", "db12:keys=4,expires=0\r\n"),
        ("EXPIRE lasting:1 1000", "db12:keys=4,expires=1\r\n"),
        ("EXPIRE lasting:1 -1", "db12:keys=3,expires=0\r\n"),
    ] {
        let reply = connection.run(command).await.unwrap();
        assert!(reply.error().is_none(), "{command}: {reply}");
        let info = connection.run("INFO keyspace").await.unwrap().to_string();
        assert!(info.contains(shown), "{shown} after {command}: {info}");
    }
    connection.run("FLUSHDB").await.unwrap();
    let info = connection.run("INFO keyspace").await.unwrap().to_string();
    assert!(!info.contains("db12:"), "{info}");
}

#[tokio::test]
async fn expired_data_leaves_the_disk() {
    const KEYS: usize = 300;
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 10).await;
    let sets: Vec<_> =
        (0..KEYS).map(|number| encode(["SET", &format!("short:{number}"), "v", "PX", "300"])).collect();
    for reply in connection.pipeline(&sets).await.unwrap() {
        assert_eq!(reply.to_string(), "OK");
    }
    // Nobody reads the keys: the storage nodes delete them by themselves, on every replica.
    let addresses = cluster.addresses(Role::Storage, Listener::Http);
    wait::until("expired keys are deleted", Duration::from_secs(15), || async {
        let size = in_database(&cluster, 10).await.run("DBSIZE").await?;
        anyhow::ensure!(size.int() == Some(0), "DBSIZE {size}");
        let mut expired = 0;
        for address in &addresses {
            let text = metrics::http_get(address, "/metrics").await?;
            let counters = text.lines().filter(|line| line.starts_with("miraft_storage_group_expired_keys{"));
            let counts = counters.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
            expired += counts.sum::<usize>();
        }
        anyhow::ensure!(expired >= KEYS, "{expired} of {KEYS} deleted");
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn expiry_is_the_same_through_every_proxy() {
    let cluster = cluster::shared().await;
    let mut connection = in_database(&cluster, 11).await;
    connection.run("SET brief v PX 200").await.unwrap();
    for address in cluster.plain_addresses() {
        let mut other = Connection::open(&address).await.unwrap();
        other.run("SELECT 11").await.unwrap();
        wait::until_true("the key expires", Duration::from_secs(5), || async {
            in_database(&cluster, 11).await.run("GET brief").await.unwrap() == Value::Nil
        })
        .await;
        assert_eq!(other.run("GET brief").await.unwrap(), Value::Nil, "gone at one proxy, gone at all");
        assert_eq!(other.run("TTL brief").await.unwrap().int(), Some(-2));
    }
}

#[tokio::test]
async fn keys_in_a_slot_are_told() {
    let cluster = cluster::shared().await;
    let mut connection = Connection::open(&cluster.cluster_addresses()[0]).await.unwrap();
    for number in 0..5 {
        connection.run(&format!("SET {{slot-told}}:{number} v")).await.unwrap();
    }
    let slot = connection.run("CLUSTER KEYSLOT slot-told").await.unwrap().int().unwrap();
    let mut counts = Vec::new();
    for address in cluster.cluster_addresses() {
        let mut proxy = Connection::open(&address).await.unwrap();
        counts.push(proxy.run(&format!("CLUSTER COUNTKEYSINSLOT {slot}")).await.unwrap().int().unwrap());
    }
    assert_eq!(counts.iter().max(), Some(&5), "{counts:?}");
}
