//! Commands that wait, on a real cluster: order, time, other proxies, and the death of a leader.

use std::time::{Duration, Instant};

use local_cluster::Config;
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value, encode},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn run(client: &mut Connection, command: &str) -> String {
    client.run(command).await.unwrap().to_string()
}

/// A client whose command waits, and is known to.
async fn waiting(address: &str, command: &str) -> Connection {
    let mut client = Connection::open(address).await.unwrap();
    let id = client.run("CLIENT ID").await.unwrap().int().unwrap();
    client.write(&encode(command.split_whitespace())).await.unwrap();
    let other = Connection::open(address).await.unwrap();
    let other = tokio::sync::Mutex::new(other);
    wait::until_true("the client is blocked", PATIENCE, || async {
        let line = run(&mut *other.lock().await, &format!("CLIENT LIST ID {id}")).await;
        line.contains(" flags=b ")
    })
    .await;
    client
}

/// `CLIENT LIST` shows a command as blocked before the storage side knows of it: a write that finds
/// nobody waiting is seen by the waiting command's own try, so nothing is lost, but the order of two
/// clients is only certain once each is known there.
async fn settled(address: &str, key: &str) {
    let mut client = Connection::open(address).await.unwrap();
    run(&mut client, &format!("EXISTS {key}")).await;
}

// covers: D3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_longest_is_served_first_through_any_proxy() {
    let cluster = TestCluster::start_with(|config| Config { proxies: 2, ..config }).await;
    let plain = cluster.plain_addresses();
    let mut pusher = Connection::open(&plain[0]).await.unwrap();

    let mut first = waiting(&plain[1], "BLPOP {b}list {b}other 0").await;
    settled(&plain[1], "{b}list").await;
    let mut second = waiting(&plain[0], "BRPOP {b}list 0").await;
    settled(&plain[0], "{b}list").await;
    assert_eq!(run(&mut pusher, "RPUSH {b}list 1").await, "1");
    assert_eq!(first.read().await.unwrap().to_string(), "[{b}list 1]");
    // Within a transaction nobody is served; after it, in order.
    for command in ["MULTI", "RPUSH {b}list 2 3", "LPOP {b}list", "EXEC"] {
        run(&mut pusher, command).await;
    }
    assert_eq!(second.read().await.unwrap().to_string(), "[{b}list 3]");
    assert_eq!(run(&mut pusher, "EXISTS {b}list").await, "0");

    // What a served command moves serves the next one.
    let mut last = waiting(&plain[1], "BLPOP {b}to 0").await;
    settled(&plain[1], "{b}to").await;
    let mut mover = waiting(&plain[0], "BLMOVE {b}from {b}to LEFT RIGHT 0").await;
    settled(&plain[0], "{b}from").await;
    run(&mut pusher, "RPUSH {b}from x").await;
    assert_eq!(mover.read().await.unwrap().to_string(), "x");
    assert_eq!(last.read().await.unwrap().to_string(), "[{b}to x]");

    // Another type serves nobody; the right one does.
    let mut popper = waiting(&plain[1], "BZPOPMIN {b}z 0").await;
    settled(&plain[1], "{b}z").await;
    run(&mut pusher, "SET {b}z text").await;
    run(&mut pusher, "DEL {b}z").await;
    run(&mut pusher, "ZADD {b}z 2 b 1 a").await;
    assert_eq!(popper.read().await.unwrap().to_string(), "[{b}z a 1]");

    // Whoever could be served but for another key is told.
    run(&mut pusher, "SET {b}text x").await;
    let refused = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    for command in
        ["BRPOPLPUSH {b}l {b}text 0", "BLMOVE {b}l {b}text LEFT LEFT 0", "BLMPOP 0 2 {b}first {b}l LEFT"]
    {
        let mut waiter = waiting(&plain[1], command).await;
        settled(&plain[1], "{b}l").await;
        run(&mut pusher, "SET {b}first x").await;
        assert_eq!(run(&mut pusher, "RPUSH {b}l a").await, "1");
        assert_eq!(waiter.read().await.unwrap().to_string(), refused, "{command}");
        assert_eq!(run(&mut pusher, "LRANGE {b}l 0 -1").await, "[a]");
        run(&mut pusher, "DEL {b}l {b}first").await;
    }

    // The client's own later commands wait.
    let mut reader = waiting(&plain[0], "BLPOP {b}q 0").await;
    reader.write(&encode(["GET", "{b}none"])).await.unwrap();
    run(&mut pusher, "RPUSH {b}q v").await;
    assert_eq!(reader.read().await.unwrap().to_string(), "[{b}q v]");
    assert_eq!(reader.read().await.unwrap(), Value::Nil);

    ended(&plain).await;
}

/// By time, by CLIENT UNBLOCK, by leaving: what comes afterwards is for others.
async fn ended(plain: &[String]) {
    let mut client = Connection::open(&plain[0]).await.unwrap();
    let begun = Instant::now();
    assert_eq!(run(&mut client, "BLPOP {b}e 0.2").await, "nil");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    for (how, expected) in [("TIMEOUT", "nil"), ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK")] {
        let mut blocked = Connection::open(&plain[0]).await.unwrap();
        let id = blocked.run("CLIENT ID").await.unwrap().int().unwrap();
        blocked.write(&encode(["BLPOP", "{b}e", "0"])).await.unwrap();
        let asker = tokio::sync::Mutex::new(&mut client);
        wait::until_true("it is unblocked", PATIENCE, || async {
            run(*asker.lock().await, &format!("CLIENT UNBLOCK {id} {how}")).await == "1"
        })
        .await;
        let clients = run(*asker.lock().await, "INFO clients").await;
        assert!(clients.contains("blocked_clients:0"), "{clients}");
        assert_eq!(blocked.read().await.unwrap().to_string(), expected);
    }
    drop(waiting(&plain[1], "BLPOP {b}e 0").await);
    let other = tokio::sync::Mutex::new(Connection::open(&plain[1]).await.unwrap());
    wait::until_true("nobody is blocked", PATIENCE, || async {
        run(&mut *other.lock().await, "INFO clients").await.contains("blocked_clients:0")
    })
    .await;
    // Whether its end has come to the storage side: the element stays once it has.
    let pusher = tokio::sync::Mutex::new(client);
    wait::until_true("what is pushed stays", PATIENCE, || async {
        let mut pusher = pusher.lock().await;
        run(&mut pusher, "RPUSH {b}e kept").await;
        run(&mut pusher, "LLEN {b}e").await != "0"
    })
    .await;
}

// covers: R1, R2, D7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_command_outlives_its_leader_and_pops_once() {
    let mut cluster = TestCluster::start().await;
    let address = cluster.plain();
    let mut popper = waiting(&address, "BLPOP {f}list 0").await;
    let mut reader = waiting(&address, "XREAD BLOCK 0 STREAMS {f}stream $").await;
    settled(&address, "{f}list").await;
    let mut pusher = cluster.connect().await;
    // A key of another type ends no waiting, whoever leads.
    assert_eq!(run(&mut pusher, "SET {f}stream text").await, "OK");
    let leader = cluster.leader_of("{f}list").await;
    cluster.kill(leader).unwrap();
    assert_eq!(run(&mut pusher, "RPUSH {f}list a b").await, "2");
    assert_eq!(popper.read().await.unwrap().to_string(), "[{f}list a]");
    assert_eq!(run(&mut pusher, "LRANGE {f}list 0 -1").await, "[b]");
    assert_eq!(run(&mut pusher, "DEL {f}stream").await, "1");
    assert_eq!(run(&mut pusher, "XADD {f}stream 5-0 field value").await, "5-0");
    assert_eq!(reader.read().await.unwrap().to_string(), "[[{f}stream [[5-0 [field value]]]]]");
    cluster.restart(leader).unwrap();

    // Under load, with leaders dying: each element is popped once by somebody, or still there.
    let poppers: Vec<_> = (0..4).map(|_| tokio::spawn(pop_until_told(address.clone()))).collect();
    let mut pushed = Vec::new();
    for number in 0..300 {
        if number == 100 {
            let leader = cluster.leader_of("{f}work").await;
            cluster.kill(leader).unwrap();
            cluster.restart(leader).unwrap();
        }
        assert!(pusher.run(&format!("RPUSH {{f}}work {number}")).await.unwrap().int().is_some());
        pushed.push(number.to_string());
    }
    for _ in &poppers {
        run(&mut pusher, "RPUSH {f}work stop").await;
    }
    let mut popped = Vec::new();
    for popper in poppers {
        popped.extend(popper.await.unwrap());
    }
    popped.sort_by_key(|number| number.parse::<u32>().unwrap());
    assert_eq!(popped, pushed);
}

async fn pop_until_told(address: String) -> Vec<String> {
    let mut client = Connection::open(&address).await.unwrap();
    let mut popped = Vec::new();
    loop {
        let reply = client.run("BLPOP {f}work 0").await.unwrap();
        match reply.items() {
            [_, element] if element.text() == "stop" => return popped,
            [_, element] => popped.push(element.text()),
            _ => panic!("{reply}"),
        }
    }
}
