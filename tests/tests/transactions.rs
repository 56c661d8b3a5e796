//! MULTI, EXEC and WATCH on a real cluster.

use local_cluster::Config;
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value},
};

async fn run(client: &mut Connection, command: &str) -> String {
    client.run(command).await.unwrap().to_string()
}

/// `script` holds lines of `command => reply`.
async fn play(client: &mut Connection, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once(" => ").unwrap();
        assert_eq!(run(client, command).await.trim_end(), expected, "{command}");
    }
}

// covers: D3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_atomic() {
    let cluster = TestCluster::start_with(|config| Config { proxies: 2, ..config }).await;
    let plain = cluster.plain_addresses();
    let mut client = Connection::open(&plain[0]).await.unwrap();
    let mut other = Connection::open(&plain[1]).await.unwrap();

    play(
        &mut client,
        "MULTI => OK
         SET {t}a 1 => QUEUED
         INCR {t}a => QUEUED
         HSET {t}a f v => QUEUED
         PING hello => QUEUED
         GET {t}a => QUEUED
         EXEC => [OK 2 -WRONGTYPE Operation against a key holding the wrong kind of value hello 2]
         EXEC => -ERR EXEC without MULTI
         MULTI => OK
         MULTI => -ERR MULTI calls can not be nested
         SET {t}a 5 => QUEUED
         DISCARD => OK
         GET {t}a => 2
         DISCARD => -ERR DISCARD without MULTI
         MULTI => OK
         NOSUCH => -ERR unknown command 'NOSUCH', with args beginning with: 
         SET {t}a 5 => QUEUED
         EXEC => -EXECABORT Transaction discarded because of previous errors.
         MULTI => OK
         EXEC => []
         MULTI => OK
         EXEC now => -EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command
         SET {t}a 2 => OK
         EXEC => -ERR EXEC without MULTI
         ACL SETUSER nx on nopass ~* +@all -exec => OK
         AUTH nx any => OK
         MULTI => OK
         EXEC => -EXECABORT Transaction discarded because of: NOPERM User nx has no permissions to run the 'exec' command
         DISCARD => -ERR DISCARD without MULTI
         AUTH default any => OK
         ACL DELUSER nx => 1
         MULTI => OK
         SELECT 3 => QUEUED
         SET {t}db three => QUEUED
         EXEC => [OK OK]
         GET {t}db => three
         SELECT 0 => OK
         GET {t}db => nil",
    )
    .await;

    // Keys of several groups: nothing runs.
    assert_eq!(run(&mut client, "MULTI").await, "OK");
    for key in 0..20 {
        assert_eq!(run(&mut client, &format!("SET spread:{key} v")).await, "QUEUED");
    }
    let refused = run(&mut client, "EXEC").await;
    assert!(refused.starts_with("-CROSSSLOT"), "{refused}");
    assert_eq!(run(&mut client, "EXISTS spread:0 spread:1 spread:2 spread:3").await, "0");

    watched(&mut client, &mut other).await;
    in_resp3(&plain[0]).await;
    no_increment_is_lost(&plain).await;

    // A command on all keys needs a group that has them all, unless it is alone.
    play(
        &mut client,
        "SET {t}a 1 => OK
         MULTI => OK
         FLUSHDB => QUEUED
         PING => QUEUED
         EXEC => [OK PONG]
         MULTI => OK
         DBSIZE => QUEUED
         EXEC => [0]",
    )
    .await;
    for command in ["MULTI", "FLUSHDB", "SET {t}a 1"] {
        run(&mut client, command).await;
    }
    let refused = run(&mut client, "EXEC").await;
    assert!(refused.starts_with("-CROSSSLOT"), "{refused}");
}

async fn watched(client: &mut Connection, other: &mut Connection) {
    let attempt = "MULTI => OK
                   SET {w}out done => QUEUED";
    // Another client's write, through another proxy.
    play(client, "SET {w}a 1 => OK\nWATCH {w}a {w}missing => OK").await;
    assert_eq!(run(other, "SET {w}a 1").await, "OK");
    play(client, attempt).await;
    assert_eq!(run(client, "EXEC").await, "nil");
    assert_eq!(run(client, "EXISTS {w}out").await, "0");
    // Nobody touched it; a read is no write.
    play(client, "WATCH {w}a => OK").await;
    assert_eq!(run(other, "GET {w}a").await, "1");
    play(client, attempt).await;
    assert_eq!(run(client, "EXEC").await, "[OK]");
    // A key that was not there and came; a key that expires; a flush; a part of a large hash.
    for (before, change) in [
        ("DEL {w}x", "SETNX {w}x 1"),
        ("SET {w}x 1 PX 60000", "PEXPIRE {w}x 1"),
        ("SET {w}x 1", "DEL {w}x"),
        ("SET {w}x 1", "FLUSHALL"),
        ("EXISTS {w}x", "HSET {w}x f 1"),
    ] {
        run(client, before).await;
        assert_eq!(run(client, "WATCH {w}x").await, "OK");
        run(other, change).await;
        assert_eq!(run(client, "MULTI").await, "OK");
        assert_eq!(run(client, "PING").await, "QUEUED");
        assert_eq!(run(client, "EXEC").await, "nil", "after {change}");
    }
    let value = "v".repeat(100);
    for field in 0..600 {
        run(other, &format!("HSET {{w}}large f{field} {value}")).await;
    }
    assert_eq!(run(client, "WATCH {w}large").await, "OK");
    assert_eq!(run(other, "HSET {w}large f7 new").await, "0");
    play(client, "MULTI => OK\nPING => QUEUED\nEXEC => nil").await;
    // UNWATCH, DISCARD and EXEC forget.
    for forget in ["UNWATCH", "MULTI\nDISCARD"] {
        assert_eq!(run(client, "WATCH {w}y").await, "OK");
        run(other, "SET {w}y 1").await;
        for command in forget.lines() {
            assert_eq!(run(client, command).await, "OK");
        }
        play(client, "MULTI => OK\nPING => QUEUED\nEXEC => [PONG]").await;
    }
    play(client, "MULTI => OK\nWATCH a => -ERR WATCH inside MULTI is not allowed\nEXEC => []").await;
}

async fn in_resp3(address: &str) {
    let mut client = Connection::open(address).await.unwrap();
    client.run("HELLO 3").await.unwrap();
    play(
        &mut client,
        "HSET {3}h z 1 y 2 x 3 a 4 b 5 c 6 => 6
         MULTI => OK
         HGETALL {3}h => QUEUED
         GET {3}none => QUEUED",
    )
    .await;
    let reply = client.run("EXEC").await.unwrap();
    assert!(matches!(reply.items(), [Value::Map(_), Value::Nil]), "{reply:?}");
    assert_eq!(reply.to_string(), "[[z 1 y 2 x 3 a 4 b 5 c 6] nil]", "in the order of the hash");
}

/// Optimistic increments by many clients through both proxies: each that is told it happened, did.
async fn no_increment_is_lost(addresses: &[String]) {
    let workers = (0..8).map(|number| {
        let address = addresses[number % addresses.len()].clone();
        tokio::spawn(async move {
            let mut client = Connection::open(&address).await.unwrap();
            let mut done = 0;
            while done < 25 {
                client.run("WATCH {n}counter").await.unwrap();
                let read = client.run("GET {n}counter").await.unwrap().text();
                let next = read.parse::<u64>().unwrap_or_default() + 1;
                client.run("MULTI").await.unwrap();
                client.run(&format!("SET {{n}}counter {next}")).await.unwrap();
                done += usize::from(client.run("EXEC").await.unwrap() != Value::Nil);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let mut client = Connection::open(&addresses[0]).await.unwrap();
    assert_eq!(run(&mut client, "GET {n}counter").await, "200");
}

// covers: R1, R2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_outlives_its_leader_whole_and_a_watch_does_not() {
    let mut cluster = TestCluster::start().await;
    let mut client = cluster.connect().await;
    play(&mut client, "SET {k}a 0 => OK\nWATCH {k}a => OK").await;
    let leader = cluster.leader_of("{k}a").await;
    cluster.kill(leader).unwrap();
    // The new leader knows nothing of the watch: the transaction fails, which is allowed at any time.
    play(&mut client, "MULTI => OK\nINCR {k}a => QUEUED\nEXEC => nil").await;
    play(&mut client, "MULTI => OK\nINCR {k}a => QUEUED\nINCR {k}b => QUEUED\nEXEC => [1 1]").await;
    cluster.restart(leader).unwrap();
}
