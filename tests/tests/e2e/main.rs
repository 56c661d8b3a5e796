//! A whole cluster, end to end, through real clients. The tests share one cluster, and keep apart
//! by key names or databases.

mod clients;
mod commands;
mod counting;
mod keyspace;
mod migrate;
mod protocol;
mod redis_cli;
mod topology;

use miraft_tests::{cluster::TestCluster, resp::Connection};

/// Every client listener of the cluster: plain ones first.
fn every_address(cluster: &TestCluster) -> Vec<String> {
    let mut addresses = cluster.plain_addresses();
    addresses.extend(cluster.cluster_addresses());
    addresses
}

/// A connection to the first proxy's plain listener, in a database of its own.
async fn in_database(cluster: &TestCluster, number: u32) -> Connection {
    let mut connection = cluster.connect().await;
    let reply = connection.run(&format!("SELECT {number}")).await.unwrap();
    assert_eq!(reply.to_string(), "OK");
    connection
}
