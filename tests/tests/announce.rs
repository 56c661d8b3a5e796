//! What proxies announce, when it is not what they are bound to.

use local_cluster::{Listener, MemberId, Role};
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value},
};

const ANNOUNCED_HOST: &str = "127.0.0.2";
const HOSTNAME: &str = "cache.example";

// covers: T13, T18
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_addresses_differ_from_bound_ones() {
    let mut cluster = TestCluster::start_with(|mut config| {
        config.meta = 1;
        config.nodes = 1;
        config.announce = ANNOUNCED_HOST.to_owned();
        config.option(Role::Proxy, "announce_hostname", HOSTNAME)
    })
    .await;
    let before = announced(&cluster).await;
    for (number, node) in (1..).zip(&before) {
        let bound = cluster.proxy_address(number, Listener::Cluster);
        let port = bound.rsplit_once(':').unwrap().1;
        let expected = format!(" {ANNOUNCED_HOST}:{port}@");
        assert!(node.contains(&expected) && node.contains(&format!(",{HOSTNAME} ")), "{node}");
    }

    let proxy = MemberId::proxy(2);
    cluster.kill(proxy).unwrap();
    cluster.restart(proxy).unwrap();
    cluster.wait_ready(|_| ()).await.unwrap();
    let id = |line: &String| line.split(' ').next().map(str::to_owned);
    let after = announced(&cluster).await;
    assert!(before.iter().map(id).eq(after.iter().map(id)), "ids survive a restart");

    let mut connection = Connection::open(&cluster.cluster_addresses()[0]).await.unwrap();
    let slots = connection.run("CLUSTER SLOTS").await.unwrap();
    let nodes: Vec<&Value> = slots.items().iter().flat_map(|range| &range.items()[2..]).collect();
    assert!(!nodes.is_empty() && nodes.iter().all(|node| node.items()[0].text() == ANNOUNCED_HOST));
}

/// The line of each proxy about itself.
async fn announced(cluster: &TestCluster) -> Vec<String> {
    let mut lines = Vec::new();
    for address in cluster.cluster_addresses() {
        let nodes = Connection::open(&address).await.unwrap().run("CLUSTER NODES").await.unwrap().text();
        lines.push(nodes.lines().next().unwrap().to_owned());
    }
    lines
}
