//! Scripts that take long: whom they keep waiting, how they are stopped, and what becomes of them when their
//! leader dies.

use miraft_tests::{
    cluster::{self, TestCluster},
    resp::Connection,
    wait,
};
use topology::{GroupId, slot_of};

use super::{PATIENCE, call, keys, open, open_all};

/// Writes, and then runs for so many seconds.
const SCRIPT: &str = "redis.call('INCR', KEYS[1]) local begun = os.clock() \
                      while os.clock() - begun < tonumber(ARGV[1]) do end return redis.call('GET', KEYS[1])";
const KILLED: &str = "-ERR Script killed by user with SCRIPT KILL... script: ";
const BUSY: &str = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str =
    "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
const NOT_BUSY: &str = "-NOTBUSY No scripts in execution right now.";

/// Begins a script on a connection of its own.
fn begin(address: String, script: &[&str]) -> tokio::task::JoinHandle<String> {
    let script: Vec<String> = script.iter().map(ToString::to_string).collect();
    tokio::spawn(async move { open(&address).await.call(&script).await.unwrap().to_string() })
}

async fn wait_until_it_runs(client: &mut Connection) {
    let mut shown = String::new();
    let begun = tokio::time::Instant::now();
    while !shown.contains("duration_ms") {
        assert!(begun.elapsed() < PATIENCE, "no script runs: {shown}");
        shown = call(client, &["FUNCTION", "STATS"]).await;
    }
}

/// Keys of groups that do not have `key`.
async fn keys_elsewhere(cluster: &TestCluster, key: &str) -> Vec<String> {
    let state = cluster.state().await.unwrap();
    let group = |key: &str| -> Option<GroupId> {
        state.groups.iter().find(|(_, g)| g.slots.contains(slot_of(key.as_bytes()))).map(|(&id, _)| id)
    };
    keys().filter(|other| group(other) != group(key)).collect()
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_script_keeps_nobody_but_its_group_waiting() {
    let cluster = cluster::shared().await;
    let mut clients = open_all(&cluster).await;
    let mut others = keys_elsewhere(&cluster, "long").await;
    assert!(!others.is_empty());
    others.truncate(4);
    let script = begin(cluster.plain_addresses().swap_remove(0), &["EVAL", SCRIPT, "1", "long", "3"]);
    wait_until_it_runs(&mut clients[1]).await;
    for (round, client) in clients.iter_mut().enumerate() {
        for key in &others {
            assert_eq!(call(client, &["SET", key, &round.to_string()]).await, "OK");
            assert_eq!(call(client, &["GET", key]).await, round.to_string());
        }
    }
    assert!(!script.is_finished(), "the others were answered meanwhile");
    // It waits for the script, and sees what that wrote.
    assert_eq!(call(&mut clients[2], &["INCR", "long"]).await, "2");
    assert_eq!(script.await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_is_stopped_through_any_proxy_and_leaves_nothing() {
    let cluster = TestCluster::start().await;
    let addresses = cluster.plain_addresses();
    let mut clients = open_all(&cluster).await;
    assert_eq!(call(&mut clients[1], &["SCRIPT", "KILL"]).await, NOT_BUSY);
    assert_eq!(call(&mut clients[0], &["CONFIG", "SET", "lua-time-limit", "10"]).await, "OK");
    assert_eq!(call(&mut clients[0], &["CONFIG", "GET", "busy-reply-*"]).await, "[busy-reply-threshold 10]");
    let endless = "redis.call('SET', KEYS[1], 1) while true do pcall(function() while true do end end) end";
    let script = begin(addresses[0].clone(), &["EVAL", endless, "1", "k"]);
    refused_in_the_end(&mut clients[0], BUSY).await;
    assert_eq!(call(&mut clients[0], &["GET", "k"]).await, BUSY);
    assert_eq!(call(&mut clients[0], &["MULTI"]).await, "OK");
    assert_eq!(call(&mut clients[0], &["GET", "k"]).await, BUSY);
    let aborted = format!("-EXECABORT Transaction discarded because of: {}", &BUSY[1..]);
    assert_eq!(call(&mut clients[0], &["EXEC"]).await, aborted);
    assert_eq!(call(&mut clients[1], &["FUNCTION", "KILL"]).await, BUSY);
    let stats = call(&mut clients[2], &["FUNCTION", "STATS"]).await;
    assert!(stats.contains("pcall(function()") && stats.contains("duration_ms"), "{stats}");
    assert_eq!(call(&mut clients[1], &["SCRIPT", "KILL"]).await, "OK");
    let stopped = script.await.unwrap();
    assert!(stopped.starts_with(KILLED), "{stopped}");
    wait::until("the proxy hears of it", PATIENCE, async || {
        let said = open(&addresses[0]).await.run("PING").await?.to_string();
        anyhow::ensure!(said == "PONG", "{said}");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(call(&mut clients[0], &["EXISTS", "k"]).await, "0");

    let library = "#!lua name=long\nredis.register_function('endless', function() while true do end end)";
    assert_eq!(call(&mut clients[2], &["FUNCTION", "LOAD", library]).await, "long");
    let function = begin(addresses[0].clone(), &["FCALL", "endless", "0"]);
    refused_in_the_end(&mut clients[0], BUSY_FUNCTION).await;
    assert_eq!(call(&mut clients[2], &["SCRIPT", "KILL"]).await, BUSY_FUNCTION);
    assert_eq!(call(&mut clients[2], &["FUNCTION", "KILL"]).await, "OK");
    let stopped = function.await.unwrap();
    assert!(stopped.starts_with(KILLED), "{stopped}");
}

/// PING is refused with this, sooner or later.
async fn refused_in_the_end(client: &mut Connection, refusal: &str) {
    let begun = tokio::time::Instant::now();
    loop {
        let said = call(client, &["PING"]).await;
        if said == refusal {
            return;
        }
        assert!(said == "PONG" && begun.elapsed() < PATIENCE, "{said}");
    }
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_whose_leader_dies_counts_once() {
    let mut cluster = TestCluster::start().await;
    let addresses = cluster.plain_addresses();
    let mut clients = open_all(&cluster).await;
    assert_eq!(call(&mut clients[0], &["SET", "k", "10"]).await, "OK");
    let leader = cluster.leader_of("k").await;
    let script = begin(addresses[0].clone(), &["EVAL", SCRIPT, "1", "k", "2"]);
    wait_until_it_runs(&mut clients[1]).await;
    cluster.kill(leader).unwrap();
    assert_eq!(script.await.unwrap(), "11");
    assert_eq!(call(&mut clients[2], &["GET", "k"]).await, "11");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_script_publishes_is_delivered_once_it_is_committed() {
    let cluster = cluster::shared().await;
    let mut clients = open_all(&cluster).await;
    let (publisher, subscriber) = (0, 1);
    for channel in ["from:script", "elsewhere", "far"] {
        clients[subscriber].call(["SUBSCRIBE", channel]).await.unwrap();
    }
    clients[2].call(["SSUBSCRIBE", "{p}shard"]).await.unwrap();
    let script = "redis.call('SET', KEYS[1], 1) for _, channel in ipairs(ARGV) do \
                  redis.call('PUBLISH', channel, 'to ' .. channel) end \
                  redis.call('SPUBLISH', '{p}shard', 'shard') return 'done'";
    let eval = ["EVAL", script, "1", "{p}", "from:script", "elsewhere", "far"];
    assert_eq!(call(&mut clients[publisher], &eval).await, "done");
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(clients[subscriber].read().await.unwrap().items()[2].text());
    }
    heard.sort();
    assert_eq!(heard, ["to elsewhere", "to far", "to from:script"]);
    assert_eq!(clients[2].read().await.unwrap().items()[2].text(), "shard");
    let failed = "redis.call('PUBLISH', 'far', 'kept') error('mine')";
    assert!(call(&mut clients[publisher], &["EVAL", failed, "0"]).await.contains("mine"));
    assert_eq!(clients[subscriber].read().await.unwrap().items()[2].text(), "kept");
    let flood = "for i = 1, 40 do redis.call('PUBLISH', 'nobody', ARGV[1]) end";
    let refused = call(&mut clients[publisher], &["EVAL", flood, "0", &"x".repeat(1 << 20)]).await;
    assert!(refused.starts_with("-ERR Script attempted to publish too much"), "{refused}");
    let refused =
        call(&mut clients[publisher], &["EVAL_RO", "return redis.call('PUBLISH', 'a', 'b')", "0"]).await;
    assert!(refused.starts_with("-ERR Write commands are not allowed from read-only scripts."), "{refused}");
}
