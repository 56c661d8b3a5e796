//! CONFIG REWRITE on a real proxy: what was set is there after a kill.

use std::time::Duration;

use local_cluster::{Config, MemberId};
use miraft_tests::{cluster::TestCluster, resp::Connection, wait};

#[tokio::test]
async fn rewritten_settings_survive_a_kill() {
    let mut cluster =
        TestCluster::start_with(|config| Config { meta: 1, nodes: 1, proxies: 1, ..config }).await;
    let mut client = cluster.connect().await;
    let settings =
        [("slowlog-max-len", "77"), ("cluster-node-timeout", "4000"), ("lazyfree-lazy-expire", "yes")];
    for (name, value) in settings {
        assert_eq!(client.run(&format!("CONFIG SET {name} {value}")).await.unwrap().to_string(), "OK");
    }
    assert_eq!(client.run("CONFIG REWRITE").await.unwrap().to_string(), "OK");
    client.run("CONFIG SET timeout 1000").await.unwrap();

    let proxy = MemberId::proxy(1);
    cluster.kill(proxy).unwrap();
    cluster.restart(proxy).unwrap();
    let address = cluster.plain();
    let mut client =
        wait::until("the proxy is back", Duration::from_secs(10), || Connection::open(&address)).await;
    for (name, value) in [&settings[..], &[("timeout", "0")]].concat() {
        let shown = client.run(&format!("CONFIG GET {name}")).await.unwrap();
        assert_eq!(shown.items()[1].text(), value, "{name}");
    }
}
