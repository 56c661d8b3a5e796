//! redis-rs, as a client of a single server and as a client of a cluster.

use std::{collections::HashMap, time::Duration};

use miraft_tests::cluster;
use redis::{AsyncCommands as _, AsyncConnectionConfig, aio::MultiplexedConnection};

/// The library gives up after half a second by default, less than a busy disk may take.
const PATIENCE: Duration = Duration::from_secs(10);

async fn multiplexed(client: &redis::Client) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new();
    let config = config.set_response_timeout(Some(PATIENCE)).set_connection_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

// covers: T16
#[tokio::test]
async fn plain_client_through_every_proxy() {
    let cluster = cluster::shared().await;
    for (writer, address) in cluster.plain_addresses().into_iter().enumerate() {
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let mut connection = multiplexed(&client).await;
        for number in 0..50 {
            let key = format!("rs-plain:{writer}:{number}");
            let () = connection.set(&key, number).await.unwrap();
        }
    }
    for address in cluster.plain_addresses() {
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let mut connection = multiplexed(&client).await;
        for writer in 0..cluster.plain_addresses().len() {
            let keys: Vec<String> = (0..50).map(|number| format!("rs-plain:{writer}:{number}")).collect();
            let values: Vec<i64> = connection.mget(&keys).await.unwrap();
            assert_eq!(values, (0..50).collect::<Vec<i64>>(), "written by {writer}, read at {address}");
        }
    }
}

// covers: T16
#[tokio::test]
async fn cluster_client_from_any_seed() {
    let cluster = cluster::shared().await;
    for (turn, seed) in cluster.cluster_addresses().into_iter().enumerate() {
        let builder = redis::cluster::ClusterClientBuilder::new(vec![format!("redis://{seed}")]);
        let client = builder.response_timeout(PATIENCE).connection_timeout(PATIENCE).build().unwrap();
        let mut connection = client.get_async_connection().await.unwrap();
        for number in 0..50 {
            let () = connection.set(format!("rs-cluster:{turn}:{number}"), number).await.unwrap();
        }
        let keys: Vec<String> = (0..50).map(|number| format!("rs-cluster:{turn}:{number}")).collect();
        let values: Vec<i64> = connection.mget(&keys).await.unwrap();
        assert_eq!(values, (0..50).collect::<Vec<i64>>());
        let removed: i64 = connection.del(&keys).await.unwrap();
        assert_eq!(removed, 50);
    }
}

#[tokio::test]
async fn both_protocols() {
    let cluster = cluster::shared().await;
    for address in cluster.plain_addresses() {
        for protocol in ["", "?protocol=resp3"] {
            let client = redis::Client::open(format!("redis://{address}/{protocol}")).unwrap();
            let mut connection = multiplexed(&client).await;
            let () = connection.set("rs-protocol", "value").await.unwrap();
            let found: Vec<Option<String>> = connection.mget(&["rs-protocol", "rs-none"]).await.unwrap();
            assert_eq!(found, [Some("value".to_owned()), None]);
            let settings: HashMap<String, String> =
                redis::cmd("CONFIG").arg(&["GET", "maxclients"]).query_async(&mut connection).await.unwrap();
            assert!(settings.contains_key("maxclients"));
        }
    }
}

#[tokio::test]
async fn pipelines_of_a_client() {
    let cluster = cluster::shared().await;
    let client = redis::Client::open(format!("redis://{}", cluster.plain())).unwrap();
    let mut connection = multiplexed(&client).await;
    let mut pipeline = redis::pipe();
    for number in 0..500 {
        pipeline.set(format!("rs-pipe:{number}"), number).ignore();
    }
    for number in 0..500 {
        pipeline.get(format!("rs-pipe:{number}"));
    }
    let values: Vec<i64> = pipeline.query_async(&mut connection).await.unwrap();
    assert_eq!(values, (0..500).collect::<Vec<i64>>());
}
