//! MIGRATE: to another database, for the servers that the tests find are too old for our payloads; to a real
//! redis-server as far as that refuses; and from one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use miraft_tests::{
    cluster,
    real_redis::RealRedis,
    resp::{Connection, encode},
};

async fn run(client: &mut Connection, words: &[&str]) -> String {
    client.call(words.iter().copied()).await.unwrap().to_string()
}

const ELSEWHERE: &str = "5";

/// `MIGRATE` of a key or, with an empty one, of those behind KEYS, to a server.
async fn migrate(client: &mut Connection, to: &str, key: &str, options: &[&str]) -> String {
    let (host, port) = to.split_once(':').unwrap();
    let words = [&["MIGRATE", host, port, key, ELSEWHERE, "5000"], options].concat();
    run(client, &words).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_to_another_server_with_their_expiry() {
    let cluster = cluster::shared().await;
    let target = cluster.plain_addresses()[0].clone();
    let mut there = Connection::open(&target).await.unwrap();
    run(&mut there, &["SELECT", ELSEWHERE]).await;
    for (at, address) in super::every_address(&cluster).iter().enumerate() {
        let mut here = Connection::open(address).await.unwrap();
        let key = |name: &str| format!("{{migrate{at}}}{name}");
        let (text, list, hash) = (key("text"), key("list"), key("hash"));
        run(&mut here, &["SET", &text, "value", "EX", "1000"]).await;
        run(&mut here, &["RPUSH", &list, "a", "b"]).await;
        run(&mut here, &["HSET", &hash, "field", "value"]).await;
        assert_eq!(migrate(&mut here, &target, &text, &[]).await, "OK");
        assert_eq!(run(&mut here, &["EXISTS", &text]).await, "0");
        assert_eq!(run(&mut there, &["GET", &text]).await, "value");
        let ttl: i64 = run(&mut there, &["TTL", &text]).await.parse().unwrap();
        assert!((990..=1000).contains(&ttl), "{ttl}");

        // Several, of which one is not there.
        let missing = key("missing");
        let keys = ["COPY", "KEYS", &list, &missing, &hash];
        assert_eq!(migrate(&mut here, &target, "", &keys).await, "OK");
        assert_eq!(run(&mut here, &["EXISTS", &list, &hash]).await, "2");
        assert_eq!(run(&mut there, &["LRANGE", &list, "0", "-1"]).await, "[a b]");
        assert_eq!(run(&mut there, &["HGET", &hash, "field"]).await, "value");
        assert_eq!(migrate(&mut here, &target, &missing, &[]).await, "NOKEY");

        // What is there stays, unless it is to be replaced; then it is not deleted here either.
        let refused = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
        run(&mut here, &["RPUSH", &list, "c"]).await;
        assert_eq!(migrate(&mut here, &target, &list, &[]).await, refused);
        assert_eq!(run(&mut here, &["LLEN", &list]).await, "3");
        assert_eq!(migrate(&mut here, &target, &list, &["REPLACE"]).await, "OK");
        assert_eq!(run(&mut there, &["LLEN", &list]).await, "3");
        assert_eq!(run(&mut here, &["EXISTS", &list]).await, "0");
    }
    // From Redis.
    let real = RealRedis::start(&[]).await;
    let mut client = Connection::open(&real.address).await.unwrap();
    run(&mut client, &["ZADD", "{migrate}zset", "1", "member"]).await;
    assert_eq!(migrate(&mut client, &target, "{migrate}zset", &[]).await, "OK");
    assert_eq!(run(&mut there, &["ZSCORE", "{migrate}zset", "member"]).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_take_keys_loses_none() {
    let cluster = cluster::shared().await;
    let target = cluster.plain_addresses()[0].clone();
    let mut here = Connection::open(&target).await.unwrap();
    let real = RealRedis::start(&["--requirepass", "hush"]).await;
    // Takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port().to_string();
    run(&mut here, &["SET", "{kept}key", "value"]).await;
    let refused = "-ERR Target instance replied with error: NOAUTH Authentication required.";
    assert_eq!(migrate(&mut here, &real.address, "{kept}key", &[]).await, refused);
    let refused = migrate(&mut here, &real.address, "{kept}key", &["AUTH", "wrong"]).await;
    assert!(refused.starts_with("-ERR Target instance replied with error: WRONGPASS"), "{refused}");
    let words = ["MIGRATE", "127.0.0.1", &silent_port, "{kept}key", "0", "100"];
    let refused = "-IOERR error or timeout reading to target instance";
    assert_eq!(run(&mut here, &words).await, refused);
    drop(silent);
    let refused = "-IOERR error or timeout connecting to the client";
    assert_eq!(run(&mut here, &words).await, refused);
    let words = ["MIGRATE", "127.0.0.1", "no port", "{kept}key", "0", "100"];
    assert_eq!(run(&mut here, &words).await, refused);
    let crossed = ["MIGRATE", "127.0.0.1", &silent_port, "", "0", "0", "KEYS", "a", "b"];
    assert_eq!(run(&mut here, &crossed).await, "-CROSSSLOT Keys in request don't hash to the same slot");
    assert_eq!(run(&mut here, &["GET", "{kept}key"]).await, "value");
    assert_eq!(migrate(&mut here, &target, "{kept}key", &["AUTH2", "default", "hush"]).await, "OK");
    assert_eq!(run(&mut here, &["EXISTS", "{kept}key"]).await, "0");
}

/// Whatever is counted while the key moves is counted on one side, and on one only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_while_a_key_moves_are_not_lost() {
    let cluster = cluster::shared().await;
    let target = cluster.plain_addresses()[0].clone();
    let mut here = Connection::open(&target).await.unwrap();
    let mut there = Connection::open(&target).await.unwrap();
    run(&mut there, &["SELECT", ELSEWHERE]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let counting = {
        let (stop, address) = (stop.clone(), cluster.plain_addresses()[1].clone());
        tokio::spawn(async move {
            let mut client = Connection::open(&address).await.unwrap();
            let mut counted = 0;
            while !stop.load(Ordering::Relaxed) {
                client.write(&encode(["INCR", "{moving}counter"])).await.unwrap();
                assert!(client.read().await.unwrap().int().is_some());
                counted += 1;
                // A key that changes without a pause cannot move.
                for _ in 0..counted % 64 {
                    run(&mut client, &["PING"]).await;
                }
            }
            counted
        })
    };
    let (mut moved, mut given_up, mut total) = (0, 0, 0i64);
    while moved < 20 {
        match migrate(&mut here, &target, "{moving}counter", &["REPLACE"]).await.as_str() {
            "OK" => {
                moved += 1;
                total += run(&mut there, &["GETDEL", "{moving}counter"]).await.parse::<i64>().unwrap();
            }
            "NOKEY" => {}
            // Counted faster than it moves: it is still here, and what is there is a copy of it.
            busy => {
                assert!(busy.starts_with("-IOERR keys were changed while they were sent"), "{busy}");
                given_up += 1;
                assert!(given_up < 1000, "nothing moves");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let counted: i64 = counting.await.unwrap();
    let left = run(&mut here, &["GET", "{moving}counter"]).await;
    assert_eq!(total + left.parse::<i64>().unwrap_or(0), counted);
}
