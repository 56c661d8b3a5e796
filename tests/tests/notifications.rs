//! Keyspace notifications through real processes: what happens to a key is told at every proxy, in
//! order; nothing is told that did not happen, also when leaders die.

use std::time::Duration;

use local_cluster::Listener;
use miraft_tests::{
    cluster::{self, TestCluster},
    resp::Connection,
    wait,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Who hears nothing for so long asks again.
const SILENCE: Duration = Duration::from_millis(500);

async fn open(address: &str) -> Connection {
    Connection::open(address).await.unwrap()
}

async fn announce(connection: &mut Connection, classes: &str) {
    let set = ["CONFIG", "SET", "notify-keyspace-events", classes];
    assert_eq!(connection.call(set).await.unwrap().text(), "OK");
}

async fn listening(address: &str, pattern: &str) -> Connection {
    let mut connection = open(address).await;
    let confirmed = connection.call(["PSUBSCRIBE", pattern]).await.unwrap().to_string();
    assert_eq!(confirmed, format!("[psubscribe {pattern} 1]"));
    connection
}

/// Tests that change the cluster's one setting take turns.
static SETTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_keys_is_told_at_every_proxy() {
    let _turn = SETTING.lock().await;
    let cluster = cluster::shared().await;
    let (plain, nodes) = (cluster.plain_addresses(), cluster.cluster_addresses());
    let mut writer = open(&plain[1]).await;
    announce(&mut writer, "KEAm").await;
    for address in plain.iter().chain(&nodes) {
        let shown = open(address).await.run("CONFIG GET notify-keyspace-events").await.unwrap();
        assert_eq!(shown.to_string(), "[notify-keyspace-events AKEm]");
    }
    let mut listeners = Vec::new();
    for address in plain.iter().chain(&nodes) {
        listeners.push(listening(address, "__key*__:*").await);
    }
    // Keys of three slots, and so perhaps of several groups: each is written when the last was heard.
    for (command, events) in [
        ("SET n:a 1", &["n:a set"][..]),
        ("INCR n:a", &["n:a incrby"]),
        ("EXPIRE n:a 100", &["n:a expire"]),
        ("GET n:missing", &["n:missing keymiss"]),
        ("LPUSH n:list x", &["n:list lpush"]),
        ("RPOP n:list", &["n:list rpop", "n:list del"]),
        ("EVAL return{redis.call('set',KEYS[1],1),redis.call('del',KEYS[1])} 1 n:s", &["n:s set", "n:s del"]),
        (r#"JSON.SET n:doc $ {"a":[]}"#, &["n:doc json.set"]),
        ("JSON.ARRPOP n:doc $.a", &[]),
        ("SET n:gone 1 PX 1", &["n:gone set", "n:gone expire", "n:gone expired"]),
        ("RENAME {n}:a {n}:b", &[]),
        ("MSET {n}:a 1 {n}:c 2", &["{n}:a set", "{n}:c set"]),
        ("RENAME {n}:a {n}:b", &["{n}:a rename_from", "{n}:b rename_to"]),
    ] {
        writer.run(command).await.unwrap();
        for event in events {
            let (key, event) = event.rsplit_once(' ').unwrap();
            let by_key = format!("[pmessage __key*__:* __keyspace@0__:{key} {event}]");
            let by_event = format!("[pmessage __key*__:* __keyevent@0__:{event} {key}]");
            for listener in &mut listeners {
                assert_eq!(listener.read().await.unwrap().to_string(), by_key, "{command}");
                assert_eq!(listener.read().await.unwrap().to_string(), by_event, "{command}");
            }
        }
    }
    announce(&mut writer, "El").await;
    writer.run("SET n:silent 1").await.unwrap();
    writer.run("RPUSH n:list x").await.unwrap();
    for listener in &mut listeners {
        let heard = listener.read().await.unwrap().to_string();
        assert_eq!(heard, "[pmessage __key*__:* __keyevent@0__:rpush n:list]");
    }
    announce(&mut writer, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_class_is_refused() {
    let _turn = SETTING.lock().await;
    let cluster = cluster::shared().await;
    let mut client = cluster.connect().await;
    let set = ["CONFIG", "SET", "timeout", "7", "notify-keyspace-events", "Kq"];
    let refused = client.call(set).await.unwrap();
    let text = "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - \
                Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    assert_eq!(refused.error(), Some(text));
    assert_eq!(client.run("CONFIG GET timeout").await.unwrap().to_string(), "[timeout 0]");
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_that_did_not_happen_when_a_leader_dies() {
    const KEY: &str = "counted";
    let mut cluster = TestCluster::start().await;
    let mut writer = open(&cluster.proxy_address(1, Listener::Plain)).await;
    announce(&mut writer, "K$").await;
    let mut listener = listening(&cluster.proxy_address(2, Listener::Plain), "__keyspace@0__:*").await;
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let counter = tokio::spawn({
        let ended = ended.clone();
        async move {
            let mut last = 0;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                last = writer.run(&format!("INCR {KEY}")).await.unwrap().int().expect("a number");
            }
            (writer, last)
        }
    });
    let leader = cluster.leader_of(KEY).await;
    let told = format!("[pmessage __keyspace@0__:* __keyspace@0__:{KEY} incrby]");
    let mut heard = 0;
    while heard < 100 {
        assert_eq!(listener.read().await.unwrap().to_string(), told);
        heard += 1;
    }
    cluster.kill(leader).unwrap();
    // What was told before the leader died may still be on its way: the next leader is another one.
    wait::until("another leader", PATIENCE, || async {
        let now = cluster.leader_of(KEY).await;
        anyhow::ensure!(now != leader, "{leader} still leads");
        anyhow::Ok(())
    })
    .await;
    for _ in 0..200 {
        assert_eq!(listener.read().await.unwrap().to_string(), told);
        heard += 1;
    }
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut writer, last) = counter.await.unwrap();
    // What was heard until here may all be of the leader that died; the next one tells what happens once
    // the proxies have subscribed there, so a last event is repeated until it is heard.
    let end = format!("[pmessage __keyspace@0__:* __keyspace@0__:{{{KEY}}}end set]");
    let hears_the_end = async {
        loop {
            writer.run(&format!("SET {{{KEY}}}end 1")).await.unwrap();
            let Ok(message) = tokio::time::timeout(SILENCE, listener.read()).await else { continue };
            match message.unwrap().to_string() {
                message if message == end => break,
                message => assert_eq!(message, told),
            }
            heard += 1;
        }
    };
    tokio::time::timeout(PATIENCE, hears_the_end).await.expect("the next leader tells what happens");
    assert_eq!(writer.run(&format!("GET {KEY}")).await.unwrap().text(), last.to_string());
    assert!(heard <= last, "{heard} increments were told, {last} happened");
}
