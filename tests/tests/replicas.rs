//! WAIT and WAITAOF on a real cluster: they count what replicas have, not what they ought to have.

use std::{
    ops::DerefMut,
    time::{Duration, Instant},
};

use local_cluster::{Config, MemberId, Role};
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, encode},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn run(client: &mut Connection, command: &str) -> String {
    client.run(command).await.unwrap().to_string()
}

/// A storage node that does not lead the group of `key`.
async fn follower(cluster: &TestCluster, key: &str) -> MemberId {
    let leader = cluster.leader_of(key).await;
    let nodes = cluster.members().iter().map(|member| member.id);
    nodes.filter(|id| id.role == Role::Storage).find(|&id| id != leader).unwrap()
}

/// Until the replica that was away has caught up.
async fn until_all_have_it(client: &mut Connection, command: &str, expected: &str) {
    let client = tokio::sync::Mutex::new(client);
    wait::until("all replicas have it", PATIENCE, || async {
        let reply = run(client.lock().await.deref_mut(), command).await;
        if reply == expected { Ok(()) } else { Err(reply) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_counts_the_replicas_that_have_what_was_written() {
    let mut cluster = TestCluster::start().await;
    let mut client = cluster.connect().await;
    assert_eq!(run(&mut client, "SET {w}a 1").await, "OK");
    assert_eq!(run(&mut client, "WAIT 2 0").await, "2");
    assert_eq!(run(&mut client, "WAITAOF 1 2 0").await, "[1 2]");
    // A script is told at once, how much it may ask for.
    let script = "return {redis.call('WAIT', 9, 0), redis.pcall('WAIT', 1, -1).err, redis.pcall('WAITAOF', 0, 0, 0).err}";
    let told = client.call(["EVAL", script, "1", "{w}a"]).await.unwrap().to_string();
    assert_eq!(told, "[2 ERR timeout is negative ERR This Redis command is not allowed from script]");
    let mut newcomer = cluster.connect().await;
    assert_eq!(run(&mut newcomer, "WAIT 2 5000").await, "2", "who wrote nothing asks about all");

    // One replica is frozen, then gone: two of three go on.
    let away = follower(&cluster, "{w}a").await;
    for kill in [false, true] {
        if kill { cluster.kill(away) } else { cluster.pause(away) }.unwrap();
        assert_eq!(run(&mut client, "SET {w}a 2").await, "OK");
        let begun = Instant::now();
        assert_eq!(run(&mut client, "WAIT 2 100").await, "1");
        assert!(begun.elapsed() >= Duration::from_millis(100));
        assert_eq!(run(&mut client, "WAIT 1 0").await, "1", "enough are there");
        assert_eq!(run(&mut client, "WAITAOF 1 2 100").await, "[1 1]");
        // Behind its writes in one pipeline; and in a transaction, where nothing waits.
        client.write(&encode(["SET", "{w}a", "3"])).await.unwrap();
        client.write(&encode(["WAIT", "1", "0"])).await.unwrap();
        assert_eq!(client.read().await.unwrap().to_string(), "OK");
        assert_eq!(client.read().await.unwrap().to_string(), "1");
        for command in ["MULTI", "SET {w}a 4", "WAIT 2 0"] {
            run(&mut client, command).await;
        }
        let ended = run(&mut client, "EXEC").await;
        assert!(["[OK 0]", "[OK 1]"].contains(&ended.as_str()), "{ended}");
        ends_by_hand(&cluster, &mut client).await;
        if kill { cluster.restart(away) } else { cluster.resume(away) }.unwrap();
        until_all_have_it(&mut client, "WAIT 2 1000", "2").await;
        assert_eq!(run(&mut client, "WAITAOF 1 2 0").await, "[1 2]");
    }

    // What is asked before a leader dies is answered by the next.
    assert_eq!(run(&mut client, "SET {w}a 5").await, "OK");
    let leader = cluster.leader_of("{w}a").await;
    cluster.kill(leader).unwrap();
    client.write(&encode(["WAIT", "2", "0"])).await.unwrap();
    cluster.restart(leader).unwrap();
    assert_eq!(client.read().await.unwrap().to_string(), "2");
}

/// CLIENT UNBLOCK.
async fn ends_by_hand(cluster: &TestCluster, writer: &mut Connection) {
    for (how, expected) in [("TIMEOUT", "1"), ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK")] {
        let mut waiter = cluster.connect().await;
        assert_eq!(run(&mut waiter, "SET {w}b 1").await, "OK");
        let id = waiter.run("CLIENT ID").await.unwrap().int().unwrap();
        waiter.write(&encode(["WAIT", "2", "0"])).await.unwrap();
        let asker = tokio::sync::Mutex::new(&mut *writer);
        wait::until_true("it waits, and is unblocked", PATIENCE, || async {
            run(*asker.lock().await, &format!("CLIENT UNBLOCK {id} {how}")).await == "1"
        })
        .await;
        assert_eq!(waiter.read().await.unwrap().to_string(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_counts_as_synced_where_nothing_is() {
    let lax = (Role::Storage, "durability".to_owned(), "os".to_owned());
    let cluster = TestCluster::start_with(|config| Config { options: vec![lax], ..config }).await;
    let mut client = cluster.connect().await;
    assert_eq!(run(&mut client, "SET a 1").await, "OK");
    let refused = "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    assert_eq!(run(&mut client, "WAITAOF 1 0 0").await, refused);
    assert_eq!(run(&mut client, "WAITAOF 0 1 20").await, "[0 0]");
    assert_eq!(run(&mut client, "WAIT 2 0").await, "2");
    for (command, refusal) in [
        ("WAIT x 0", "-ERR value is not an integer or out of range"),
        ("WAIT 1 -1", "-ERR timeout is negative"),
        ("WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1"),
    ] {
        assert_eq!(run(&mut client, command).await, refusal, "{command}");
    }
}
