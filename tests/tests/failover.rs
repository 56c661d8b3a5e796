//! Real processes, killed, frozen and wiped under load.
//!
//! Every history is judged by a linearizability checker, and every counter by its total.

use std::time::Duration;

use local_cluster::{Listener, MemberId, Role};
use miraft_tests::{
    cluster::{TestCluster, metrics},
    load::{Load, Plan, Report},
    resp::{Connection, encode},
    wait,
};
use redis::AsyncCommands as _;

/// The promise is 2 s on a quiet machine; a shared one gets more.
const WRITE_GAP_MAX: Duration = Duration::from_secs(5);
/// Writes that show that the load flows.
const FLOWING: u64 = 600;

fn load(cluster: &TestCluster) -> Load {
    Load::start(Plan::new(cluster.plain_addresses()))
}

/// Reads everything back and judges the whole history.
async fn assert_consistent(report: &mut Report, cluster: &TestCluster) {
    report.read_back(&cluster.plain()).await.expect("every key can be read");
    report.assert_consistent(&cluster.plain()).await;
}

fn assert_gap(what: &str, gap: Duration) {
    eprintln!("{what}: longest pause of a client's writes {} ms", gap.as_millis());
    assert!(gap < WRITE_GAP_MAX, "{what}: no write of some client succeeded for {gap:?}");
}

// covers: R1, R2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_leader_of_data() {
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let leader = cluster.a_leader().await;
    cluster.kill(leader).unwrap();
    load.more_writes(FLOWING).await;
    cluster.restart(leader).unwrap();
    load.more_writes(FLOWING).await;
    let mut report = load.stop().await;
    assert_gap("kill -9 of a storage node", report.write_gap());
    assert_eq!(report.errors(), Vec::<&str>::new(), "clients see a slow reply, no error");
    assert_eq!(report.lost_replies(), 0, "clients see a slow reply, no lost connection");
    cluster.wait_replicated(Duration::from_secs(30)).await;
    assert_consistent(&mut report, &cluster).await;
}

/// A graceful stop: the groups are led elsewhere before the process ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_leader_of_data() {
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let leader = cluster.a_leader().await;
    let groups = cluster.state().await.unwrap().groups.len();
    cluster.terminate(leader).await.unwrap();
    let log = std::fs::read_to_string(cluster.log(leader)).unwrap();
    assert!(log.matches("hands leadership over").count() >= 1, "{log}");
    wait::until("every group is led", Duration::from_secs(5), || async {
        let mut led = std::collections::BTreeSet::new();
        for node in cluster.members().iter().filter(|m| m.id.role == Role::Storage && m.id != leader) {
            led.extend(metrics::led_groups(&node.address(Listener::Http).unwrap_or_default()).await?);
        }
        anyhow::ensure!(led.len() == groups, "{led:?}");
        anyhow::Ok(())
    })
    .await;
    load.more_writes(FLOWING).await;
    cluster.restart(leader).unwrap();
    load.more_writes(FLOWING).await;
    let mut report = load.stop().await;
    assert_gap("stop of a storage node", report.write_gap());
    assert_eq!(report.errors(), Vec::<&str>::new(), "clients see a slow reply, no error");
    cluster.wait_replicated(Duration::from_secs(30)).await;
    assert_consistent(&mut report, &cluster).await;
}

// covers: R1, T17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_proxy() {
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let seeds: Vec<String> = cluster.cluster_addresses().iter().map(|at| format!("redis://{at}")).collect();
    let client = redis::cluster::ClusterClient::new(seeds).unwrap();
    let mut client = client.get_async_connection().await.unwrap();
    assert_eq!(write_everywhere(&mut client).await, Ok(()));
    let proxy = MemberId::proxy(1);
    let lost = cluster.proxy_address(1, Listener::Plain);
    cluster.kill(proxy).unwrap();
    let witness = cluster.proxy_address(2, Listener::Cluster);
    let gone = cluster.proxy_address(1, Listener::Cluster);
    wait::until("the dead proxy leaves CLUSTER NODES", Duration::from_secs(10), || async {
        let nodes = Connection::open(&witness).await?.run("CLUSTER NODES").await?.text();
        anyhow::ensure!(!nodes.contains(&format!(" {gone}@")), "{nodes}");
        anyhow::ensure!(announced_slots(&nodes) == 16384, "not all slots are fronted:\n{nodes}");
        anyhow::Ok(())
    })
    .await;
    wait::until("a cluster client carries on by itself", Duration::from_secs(10), || {
        let mut client = client.clone();
        async move { write_everywhere(&mut client).await }
    })
    .await;
    load.more_writes(FLOWING).await;
    cluster.restart(proxy).unwrap();
    wait::until("the proxy comes back", Duration::from_secs(10), || async {
        let nodes = Connection::open(&witness).await?.run("CLUSTER NODES").await?.text();
        anyhow::ensure!(nodes.contains(&format!(" {gone}@")), "{nodes}");
        anyhow::Ok(())
    })
    .await;
    let mut report = load.stop().await;
    assert_eq!(report.errors(), Vec::<&str>::new());
    assert_gap("kill -9 of a proxy, clients of the others", report.write_gap_away_from(&[lost]));
    assert_gap("kill -9 of a proxy, all clients", report.write_gap());
    report.read_back(&cluster.proxy_address(2, Listener::Plain)).await.unwrap();
    report.assert_consistent(&cluster.proxy_address(2, Listener::Plain)).await;
}

/// One write to each of many slots.
async fn write_everywhere(client: &mut redis::cluster_async::ClusterConnection) -> Result<(), String> {
    for number in 0..100 {
        let written: redis::RedisResult<()> = client.set(format!("everywhere:{number}"), number).await;
        written.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn announced_slots(nodes: &str) -> u32 {
    let ranges = nodes.lines().flat_map(|line| line.split(' ').skip(8));
    let size = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let numbers = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        Some(numbers.1 - numbers.0 + 1)
    };
    ranges.filter_map(size).sum()
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_leader_of_meta() {
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let leader = cluster.meta_leader().await;
    cluster.kill(leader).unwrap();
    let next = wait::until("another meta leader", Duration::from_secs(10), || async {
        let now = cluster.meta_leader().await;
        anyhow::ensure!(now != leader, "{now} still leads");
        anyhow::Ok(now)
    })
    .await;
    load.more_writes(FLOWING).await;
    cluster.restart(leader).unwrap();
    load.more_writes(FLOWING).await;
    let mut report = load.stop().await;
    eprintln!("{next} took over from {leader}");
    assert_eq!(report.errors(), Vec::<&str>::new(), "meta is not on the road of data");
    assert_eq!(report.lost_replies(), 0);
    assert_gap("kill -9 of the meta leader", report.write_gap());
    assert_consistent(&mut report, &cluster).await;
}

// covers: R3, T13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_killed_at_once() {
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(2 * FLOWING).await;
    let before = node_ids(&cluster).await;
    let members: Vec<MemberId> = cluster.members().iter().map(|member| member.id).collect();
    for &member in &members {
        cluster.kill(member).unwrap();
    }
    let mut report = load.stop().await;
    for member in members {
        cluster.restart(member).unwrap();
    }
    cluster.wait_ready(|_| ()).await.unwrap();
    assert_eq!(node_ids(&cluster).await, before, "ids survive a restart");
    assert_consistent(&mut report, &cluster).await;
}

async fn node_ids(cluster: &TestCluster) -> Vec<String> {
    let mut ids = Vec::new();
    for address in cluster.cluster_addresses() {
        ids.push(Connection::open(&address).await.unwrap().run("CLUSTER MYID").await.unwrap().text());
    }
    ids
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_leader_serves_nothing_stale() {
    const FROZEN: Duration = Duration::from_secs(5);
    let mut cluster = TestCluster::start().await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let leader = cluster.a_leader().await;
    cluster.pause(leader).unwrap();
    let frozen = tokio::time::Instant::now();
    load.more_writes(FLOWING).await;
    // How long it is frozen is the fault itself, not a wait for something.
    tokio::time::sleep_until(frozen + FROZEN).await;
    cluster.resume(leader).unwrap();
    load.more_writes(FLOWING).await;
    let mut report = load.stop().await;
    assert_eq!(report.errors(), Vec::<&str>::new(), "clients see a slow reply, no error");
    assert_gap("SIGSTOP of a storage node", report.write_gap());
    cluster.wait_replicated(Duration::from_secs(30)).await;
    assert_consistent(&mut report, &cluster).await;
}

// covers: R2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_followers_that_are_late() {
    const FROZEN: Duration = Duration::from_secs(3);
    let mut cluster = TestCluster::start().await;
    let mut client = cluster.connect().await;
    assert_eq!(client.run("INCR late").await.unwrap().int(), Some(1));
    let leader = cluster.leader_of("late").await;
    let followers: Vec<_> = (1..=3).map(MemberId::storage).filter(|id| *id != leader).collect();
    followers.iter().for_each(|id| cluster.pause(*id).unwrap());
    let resume = async {
        // How long they are frozen is the fault itself, not a wait for something.
        tokio::time::sleep(FROZEN).await;
        followers.iter().for_each(|id| cluster.resume(*id).unwrap());
    };
    let (reply, ()) = tokio::join!(client.run("INCR late"), resume);
    assert_eq!(reply.unwrap().to_string(), "2", "a slow reply, no error");
    assert_eq!(client.run("GET late").await.unwrap().to_string(), "2");
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wiped_node_rebuilds_from_its_peers() {
    const KEYS: usize = 20_000;
    let mut cluster = TestCluster::start().await;
    fill(&mut cluster.connect().await, KEYS).await;
    let load = load(&cluster);
    load.more_writes(FLOWING).await;
    let wiped = cluster.a_leader().await;
    cluster.kill(wiped).unwrap();
    cluster.wipe(wiped).unwrap();
    cluster.restart(wiped).unwrap();
    load.more_writes(FLOWING).await;
    let mut report = load.stop().await;
    cluster.wait_replicated(Duration::from_secs(40)).await;

    // Now the rebuilt node's copy is needed for a majority.
    let storage = cluster.members().iter().filter(|member| member.id.role == Role::Storage);
    let other = storage.map(|member| member.id).find(|&id| id != wiped).unwrap();
    cluster.kill(other).unwrap();
    assert_filled(&mut cluster.connect().await, KEYS).await;
    assert_consistent(&mut report, &cluster).await;
    assert_eq!(report.errors(), Vec::<&str>::new());
}

fn value_of(number: usize) -> String {
    format!("{number:01000}")
}

async fn fill(connection: &mut Connection, keys: usize) {
    for start in (0..keys).step_by(500) {
        let sets: Vec<_> = (start..start + 500)
            .map(|number| encode(["SET", &format!("fill:{number}"), &value_of(number)]))
            .collect();
        for reply in connection.pipeline(&sets).await.unwrap() {
            assert_eq!(reply.to_string(), "OK");
        }
    }
}

async fn assert_filled(connection: &mut Connection, keys: usize) {
    for start in (0..keys).step_by(500) {
        let numbers = start..start + 500;
        let gets: Vec<_> = numbers.clone().map(|number| encode(["GET", &format!("fill:{number}")])).collect();
        let replies = connection.pipeline(&gets).await.unwrap();
        for (number, reply) in numbers.zip(replies) {
            assert_eq!(reply.to_string(), value_of(number), "fill:{number}");
        }
    }
}
