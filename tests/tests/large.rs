//! Large values and many keys, each on a cluster of their own: they are a good part of a second of
//! work for every process.

use std::collections::HashSet;

use local_cluster::{Config, Role};
use miraft_tests::{
    cluster::TestCluster,
    resp::{self, Connection},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values() {
    // Each must be done in the end, however slow the machine is.
    let patient = (Role::Proxy, "deadline_ms".to_owned(), "40000".to_owned());
    let cluster = TestCluster::start_with(|config| Config { options: vec![patient], ..config }).await;
    let mut connection = cluster.connect().await;
    for mebibytes in [1, 8, 64] {
        let value: Vec<u8> = (0..mebibytes << 20).map(|at: u32| (at ^ (at >> 11)) as u8).collect();
        let reply = connection.call([b"SET".as_slice(), b"large:k", &value]).await.unwrap();
        assert_eq!(reply.to_string(), "OK", "{mebibytes} MiB");
        let mut other = Connection::open(&cluster.plain_addresses()[1]).await.unwrap();
        let read = other.run("GET large:k").await.unwrap();
        assert!(read.bytes() == Some(value.as_slice()), "{mebibytes} MiB differ");
    }
    assert_eq!(connection.run("DEL large:k").await.unwrap().int(), Some(1));
    // Nodes stand still for so long that leases end.
    for _ in 0..4 {
        let grown = connection.run("SETRANGE large:k 100000000 x").await.unwrap();
        assert_eq!(grown.to_string(), "100000001", "a slow reply, no error");
        assert_eq!(connection.run("DEL large:k").await.unwrap().int(), Some(1));
    }
}

/// More than a gigabyte of replies to one pipeline, and to many clients at a time: nobody is refused, and
/// others of the same group get their answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_replies() {
    const VALUE_BYTES: usize = 5 << 20;
    let cluster = TestCluster::start().await;
    let mut connection = cluster.connect().await;
    let value: Vec<u8> = (0..VALUE_BYTES).map(|at| (at ^ (at >> 11)) as u8).collect();
    connection.call([b"SET".as_slice(), b"{r}:k", &value]).await.unwrap();
    let plain = cluster.plain_addresses();
    let pipeline = async {
        let get = resp::encode(["GET", "{r}:k"]);
        let mut reader = Connection::open(&plain[1]).await.unwrap();
        reader.write(&get.repeat(250)).await.unwrap();
        for n in 0..250 {
            let read = reader.read().await.unwrap();
            assert!(read.bytes() == Some(value.as_slice()), "reply {n}: {:.80}", read.to_string());
        }
        let readers = (0..100).map(|_| async {
            let mut reader = Connection::open(&plain[1]).await.unwrap();
            let read = reader.run("GET {r}:k").await.unwrap();
            assert!(read.bytes() == Some(value.as_slice()), "{:.80}", read.to_string());
        });
        futures::future::join_all(readers).await;
    };
    let meanwhile = async {
        let mut other = Connection::open(&plain[1]).await.unwrap();
        for n in 1.. {
            assert_eq!(other.run("INCR {r}:n").await.unwrap().int(), Some(n));
        }
    };
    tokio::select! {
        () = pipeline => {}
        () = meanwhile => {}
    }
}

/// Walks over 100,000 keys, some in memory and some on disk, find each key once, and the cluster
/// keeps answering meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walks_over_many_keys() {
    const KEYS: usize = 100_000;
    let cluster = TestCluster::start().await;
    let mut connection = cluster.connect().await;
    for first in (0..KEYS).step_by(1000) {
        let mut mset = vec!["MSET".to_owned()];
        mset.extend((first..first + 1000).flat_map(|n| [format!("many:{n}"), format!("value {n}")]));
        assert_eq!(connection.call(&mset).await.unwrap().to_string(), "OK");
    }
    let mut other = Connection::open(&cluster.plain_addresses()[1]).await.unwrap();
    let walk = async {
        let keys = connection.run("KEYS many:*").await.unwrap();
        assert_eq!(keys.items().len(), KEYS);
        let (mut cursor, mut seen) = ("0".to_owned(), HashSet::new());
        loop {
            let page = connection.run(&format!("SCAN {cursor} COUNT 1000")).await.unwrap();
            let [next, keys] = page.items() else { panic!("a cursor and keys") };
            seen.extend(keys.items().iter().map(|key| key.to_string()));
            cursor = next.to_string();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), KEYS);
        assert!(connection.run("RANDOMKEY").await.unwrap().to_string().starts_with("many:"));
        assert_eq!(connection.run("DBSIZE").await.unwrap().int(), Some(KEYS as i64));
    };
    let meanwhile = async {
        for n in 0.. {
            let reply = other.run(&format!("APPEND many:{} x", n % KEYS)).await.unwrap();
            assert!(reply.int().is_some_and(|length| length > 6), "{reply}");
        }
    };
    tokio::select! {
        () = walk => {}
        () = meanwhile => {}
    }
}
