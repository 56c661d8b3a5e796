//! Large values, on a cluster of their own: 64 MiB are a good part of a second of work for every
//! process.

use miraft_tests::{cluster::TestCluster, resp::Connection};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values() {
    let cluster = TestCluster::start().await;
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
}
