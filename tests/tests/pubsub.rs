//! Publish and subscribe through real processes: any proxy to any proxy, patterns, shard channels, the
//! death of the leader where messages meet, and subscribers that do not read.

use std::{process::Stdio, time::Duration};

use local_cluster::{Config, Listener, MemberId};
use miraft_tests::{
    cluster::{self, TestCluster, info_field},
    resp::{Connection, Value, encode},
    wait,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

const PATIENCE: Duration = Duration::from_secs(20);
const MESSAGES: usize = 1000;

async fn open(address: &str) -> Connection {
    Connection::open(address).await.unwrap()
}

/// A connection that has subscribed, with its confirmations read.
async fn subscribed(address: &str, command: &str) -> Connection {
    let mut connection = open(address).await;
    let words: Vec<&str> = command.split_whitespace().collect();
    connection.write(&encode(&words)).await.unwrap();
    for (at, name) in words[1..].iter().enumerate() {
        let confirmation = connection.read().await.unwrap().to_string();
        assert_eq!(confirmation, format!("[{} {name} {}]", words[0].to_lowercase(), at + 1));
    }
    connection
}

/// Publishes numbers at once; each reaches so many subscribers.
async fn publish(publisher: &mut Connection, command: &str, channel: &str, receivers: i64) {
    let commands: Vec<_> =
        (0..MESSAGES).map(|number| encode([command, channel, &number.to_string()])).collect();
    for reply in publisher.pipeline(&commands).await.unwrap() {
        assert_eq!(reply, Value::Int(receivers));
    }
}

/// Reads the numbers in order, each once, behind `head`.
async fn hear(subscriber: &mut Connection, head: &str) {
    for number in 0..MESSAGES {
        let message = subscriber.read().await.unwrap().to_string();
        assert_eq!(message, format!("[{head} {number}]"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_reach_subscribers_of_every_proxy_in_order_and_once() {
    let cluster = cluster::shared().await;
    let (plain, nodes) = (cluster.plain_addresses(), cluster.cluster_addresses());
    for channel in ["news", "{tag}weather", "a channel", ""] {
        let mut listeners = Vec::new();
        for address in plain.iter().chain(&nodes) {
            let mut connection = open(address).await;
            let confirmation = connection.call(["SUBSCRIBE", channel]).await.unwrap();
            assert_eq!(confirmation.to_string(), format!("[subscribe {channel} 1]"));
            listeners.push(connection);
        }
        let mut publisher = open(&plain[1]).await;
        publish(&mut publisher, "PUBLISH", channel, listeners.len() as i64).await;
        for listener in &mut listeners {
            hear(listener, &format!("message {channel}")).await;
        }
        for listener in &mut listeners {
            let ended = listener.run("UNSUBSCRIBE").await.unwrap();
            assert_eq!(ended.to_string(), format!("[unsubscribe {channel} 0]"));
        }
        publish(&mut open(&nodes[2]).await, "PUBLISH", channel, 0).await;
    }
}

/// A leader that has no followers is never acknowledged by any, and leads all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_node_without_others_delivers_messages_and_invalidations() {
    let mut cluster =
        TestCluster::start_with(|config| Config { meta: 1, nodes: 1, proxies: 2, ..config }).await;
    let plain = cluster.plain_addresses();
    let mut listener = subscribed(&plain[0], "SUBSCRIBE news").await;
    let mut publisher = open(&plain[1]).await;
    publish(&mut publisher, "PUBLISH", "news", 1).await;
    hear(&mut listener, "message news").await;

    let mut reader = open(&plain[0]).await;
    reader.run("HELLO 3").await.unwrap();
    assert_eq!(reader.run("CLIENT TRACKING ON").await.unwrap().to_string(), "OK");
    assert_eq!(reader.run("GET cached").await.unwrap(), Value::Nil);
    publisher.run("SET cached new").await.unwrap();
    assert_eq!(reader.read().await.unwrap().to_string(), "[invalidate [cached]]");

    let node = MemberId::storage(1);
    cluster.kill(node).unwrap();
    cluster.restart(node).unwrap();
    wait::until("messages pass again", PATIENCE, async || {
        let receivers = Connection::open(&plain[1]).await?.run("PUBLISH news again").await?;
        anyhow::ensure!(receivers == Value::Int(1), "{receivers}");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(listener.read().await.unwrap().to_string(), "[message news again]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_match_channels_of_every_slot() {
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let mut listener = subscribed(&plain[0], "PSUBSCRIBE pattern:*").await;
    let mut publisher = open(&plain[2]).await;
    for number in 0..100 {
        let channel = format!("pattern:{number}");
        assert_eq!(publisher.call(["PUBLISH", &channel, "x"]).await.unwrap(), Value::Int(1));
        let message = listener.read().await.unwrap().to_string();
        assert_eq!(message, format!("[pmessage pattern:* {channel} x]"));
    }
    assert_eq!(publisher.run("PUBLISH other x").await.unwrap(), Value::Int(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shard_channels_are_a_world_of_their_own() {
    let cluster = cluster::shared().await;
    let nodes = cluster.cluster_addresses();
    let mut shard = subscribed(&nodes[0], "SSUBSCRIBE shard").await;
    let mut listener = subscribed(&nodes[1], "SUBSCRIBE shard").await;
    let mut publisher = open(&nodes[2]).await;
    publish(&mut publisher, "SPUBLISH", "shard", 1).await;
    publish(&mut publisher, "PUBLISH", "shard", 1).await;
    hear(&mut shard, "smessage shard").await;
    hear(&mut listener, "message shard").await;
    let refused = publisher.run("SSUBSCRIBE a b").await.unwrap();
    assert_eq!(refused.error(), Some("CROSSSLOT Keys in request don't hash to the same slot"));
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_is_replaced() {
    const CHANNEL: &str = "failover";
    let mut cluster = TestCluster::start().await;
    let listening = cluster.proxy_address(1, Listener::Plain);
    let mut listener = subscribed(&listening, &format!("SUBSCRIBE {CHANNEL}")).await;
    let mut patterns = subscribed(&listening, "PSUBSCRIBE fail*").await;
    let mut publisher = open(&cluster.proxy_address(2, Listener::Plain)).await;
    publish(&mut publisher, "PUBLISH", CHANNEL, 2).await;
    hear(&mut listener, &format!("message {CHANNEL}")).await;
    hear(&mut patterns, &format!("pmessage fail* {CHANNEL}")).await;

    let leader = leader_of(&cluster, CHANNEL).await;
    cluster.kill(leader).unwrap();
    // What is published meanwhile may reach nobody; clients see a slow reply, no error.
    let mut sent = 0;
    while publisher.call(["PUBLISH", CHANNEL, "again"]).await.unwrap().int().unwrap() < 2 {
        sent += 1;
        assert!(sent < 1_000_000, "subscribers never come back");
    }
    publish(&mut publisher, "PUBLISH", CHANNEL, 2).await;
    for (listener, head) in [(&mut listener, "message"), (&mut patterns, "pmessage fail*")] {
        let mut message = listener.read().await.unwrap().to_string();
        while message.ends_with(" again]") {
            message = listener.read().await.unwrap().to_string();
        }
        for number in 0..MESSAGES {
            assert_eq!(message, format!("[{head} {CHANNEL} {number}]"));
            if number + 1 < MESSAGES {
                message = listener.read().await.unwrap().to_string();
            }
        }
    }
}

async fn leader_of(cluster: &TestCluster, channel: &str) -> MemberId {
    wait::until("the leader of the channel's group", PATIENCE, || async {
        let state = cluster.state().await?;
        let group = state.owner(topology::slot_of(channel.as_bytes()));
        let leaders = cluster.leaders().await?;
        let found = leaders.into_iter().find(|(id, _)| Some(*id) == group);
        found.map(|(_, member)| member).ok_or_else(|| anyhow::anyhow!("nobody leads {group:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_and_others_go_on() {
    const FIELD: &str = "client_output_buffer_limit_disconnections";
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let mut boss = open(&plain[0]).await;
    let limit = ["CONFIG", "SET", "client-output-buffer-limit"];
    boss.call(limit.into_iter().chain(["pubsub 1mb 0 0"])).await.unwrap();
    let before: u64 = info_field(&mut boss, "INFO", FIELD).await.unwrap().parse().unwrap();
    let mut good = subscribed(&plain[0], "SUBSCRIBE flood").await;
    let mut deaf = subscribed(&plain[0], "SUBSCRIBE flood").await;
    let mut publisher = open(&plain[1]).await;
    let text = "x".repeat(200_000);
    let mut cut_off = before;
    while cut_off == before {
        let receivers = publisher.call(["PUBLISH", "flood", &text]).await.unwrap();
        assert!(matches!(receivers, Value::Int(1 | 2)), "{receivers}");
        assert_eq!(good.read().await.unwrap().items()[2].text(), text);
        cut_off = info_field(&mut boss, "INFO", FIELD).await.unwrap().parse().unwrap();
    }
    assert_eq!(cut_off, before + 1);
    while deaf.read().await.is_ok() {}
    wait::until("only one is left", PATIENCE, || async {
        let mut publisher = Connection::open(&plain[2]).await?;
        let receivers = publisher.call(["PUBLISH", "flood", "end"]).await?;
        anyhow::ensure!(receivers == Value::Int(1), "{receivers}");
        anyhow::Ok(())
    })
    .await;
    let default = "pubsub 33554432 8388608 60";
    boss.call(limit.into_iter().chain([default])).await.unwrap();
}

// covers: T16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cli_listens() {
    let cluster = cluster::shared().await;
    for address in [cluster.plain(), cluster.cluster_addresses().remove(1)] {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut command = tokio::process::Command::new("redis-cli");
        command.args(["-h", host, "-p", port, "SUBSCRIBE", "cli"]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut expect = async |words: [&str; 3]| {
            for word in words {
                let line = lines.next_line().await.unwrap().expect("redis-cli goes on");
                assert!(line.contains(word), "{line} instead of {word}");
            }
        };
        expect(["subscribe", "cli", "1"]).await;
        let mut publisher = open(&cluster.plain_addresses()[2]).await;
        assert_eq!(publisher.run("PUBLISH cli hello").await.unwrap(), Value::Int(1));
        expect(["message", "cli", "hello"]).await;
    }
}
