//! Client-side caching through real processes: who has read a key is told when it changes, through whichever
//! proxy it is changed, and nobody goes on believing in what a dead leader knew.

use std::time::Duration;

use local_cluster::Listener;
use miraft_tests::{
    cluster::{self, TestCluster, info_field},
    resp::Connection,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn open(address: &str) -> Connection {
    Connection::open(address).await.unwrap()
}

/// A client that speaks RESP3 and tracks.
async fn tracking(address: &str, options: &str) -> Connection {
    let mut connection = open(address).await;
    connection.run("HELLO 3").await.unwrap();
    run(&mut connection, format!("CLIENT TRACKING ON {options}").trim()).await;
    connection
}

async fn run(connection: &mut Connection, command: &str) -> String {
    connection.run(command).await.unwrap().to_string()
}

async fn heard(connection: &mut Connection) -> String {
    tokio::time::timeout(PATIENCE, connection.read()).await.expect("something is told").unwrap().to_string()
}

/// Nothing is told before the answer to a PING.
async fn hears_nothing(connection: &mut Connection) {
    assert_eq!(run(connection, "PING").await, "PONG");
}

async fn two_proxies() -> (std::sync::Arc<TestCluster>, String, Connection) {
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let writer = open(&plain[1]).await;
    (cluster, plain[0].clone(), writer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_through_any_proxy_is_told_once() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut reader = tracking(&here, "").await;
    assert_eq!(run(&mut reader, "GET t:a").await, "nil");
    run(&mut reader, "MGET {t}:b {t}:c").await;
    run(&mut writer, "SET t:a 1").await;
    assert_eq!(heard(&mut reader).await, "[invalidate [t:a]]");
    run(&mut writer, "SET t:a 2").await;
    run(&mut writer, "HSET {t}:c f v").await;
    assert_eq!(heard(&mut reader).await, "[invalidate [{t}:c]]");
    assert_eq!(run(&mut reader, "GET t:a").await, "2");
    // Its own changes are told behind the reply.
    assert_eq!(run(&mut reader, "INCR t:a").await, "3");
    assert_eq!(heard(&mut reader).await, "[invalidate [t:a]]");
    run(&mut reader, "CLIENT TRACKING OFF").await;
    run(&mut writer, "SET {t}:b 1").await;
    hears_nothing(&mut reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_or_is_flushed_is_told() {
    let cluster = TestCluster::start().await;
    let plain = cluster.plain_addresses();
    let mut reader = tracking(&plain[0], "").await;
    let mut writer = open(&plain[1]).await;
    run(&mut writer, "SET e:a 1 PX 300").await;
    assert_eq!(run(&mut reader, "GET e:a").await, "1");
    assert_eq!(heard(&mut reader).await, "[invalidate [e:a]]");
    run(&mut reader, "GET e:a").await;
    assert_eq!(info_field(&mut reader, "INFO", "tracking_total_keys").await.unwrap(), "1");
    run(&mut writer, "FLUSHALL").await;
    assert_eq!(heard(&mut reader).await, "[invalidate nil]");
    assert_eq!(info_field(&mut reader, "INFO", "tracking_total_keys").await.unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_choose_what_is_remembered() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut opt_in = tracking(&here, "OPTIN").await;
    run(&mut opt_in, "GET {o}:a").await;
    run(&mut opt_in, "CLIENT CACHING YES").await;
    run(&mut opt_in, "GET {o}:b").await;
    run(&mut opt_in, "GET {o}:c").await;
    run(&mut opt_in, "CLIENT CACHING YES").await;
    for command in ["MULTI", "GET {o}:d", "GET {o}:e", "EXEC"] {
        run(&mut opt_in, command).await;
    }
    let mut opt_out = tracking(&here, "OPTOUT").await;
    run(&mut opt_out, "CLIENT CACHING NO").await;
    run(&mut opt_out, "GET {o}:a").await;
    run(&mut opt_out, "GET {o}:c").await;
    let mut no_loop = tracking(&here, "NOLOOP").await;
    run(&mut no_loop, "MGET {o}:a {o}:b").await;
    run(&mut no_loop, "SET {o}:a 1").await;
    for key in ["a", "b", "c", "d", "e"] {
        run(&mut writer, &format!("SET {{o}}:{key} 1")).await;
    }
    for key in ["b", "d", "e"] {
        assert_eq!(heard(&mut opt_in).await, format!("[invalidate [{{o}}:{key}]]"));
    }
    assert_eq!(heard(&mut opt_out).await, "[invalidate [{o}:c]]");
    assert_eq!(heard(&mut no_loop).await, "[invalidate [{o}:b]]");
    for client in [&mut opt_in, &mut opt_out, &mut no_loop] {
        hears_nothing(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_says_what_is_cached_of_it() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut opt_in = tracking(&here, "OPTIN").await;
    for command in ["MULTI", "CLIENT CACHING YES", "GET {m}:a", "EXEC"] {
        run(&mut opt_in, command).await;
    }
    // It was said of that transaction alone.
    for command in ["MULTI", "GET {m}:b", "CLIENT CACHING NO", "EXEC"] {
        let refused = "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
        let expected = if command == "EXEC" { format!("[nil {refused}]") } else { String::new() };
        let reply = run(&mut opt_in, command).await;
        assert!(expected.is_empty() || reply == expected, "{reply}");
    }
    // What was read before is remembered.
    let mut opt_out = tracking(&here, "OPTOUT").await;
    for command in ["MULTI", "CLIENT CACHING NO", "GET {m}:a", "EXEC"] {
        run(&mut opt_out, command).await;
    }
    for command in ["MULTI", "GET {m}:c", "CLIENT CACHING NO", "EXEC"] {
        run(&mut opt_out, command).await;
    }
    for key in ["a", "b", "c"] {
        run(&mut writer, &format!("SET {{m}}:{key} 1")).await;
    }
    assert_eq!(heard(&mut opt_in).await, "[invalidate [{m}:a]]");
    assert_eq!(heard(&mut opt_out).await, "[invalidate [{m}:c]]");
    for client in [&mut opt_in, &mut opt_out] {
        hears_nothing(client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_are_told_of_whatever_was_read() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut reader = tracking(&here, "BCAST PREFIX p:{x} PREFIX q:").await;
    let mut quiet = tracking(&here, "BCAST NOLOOP PREFIX p:").await;
    run(&mut writer, "MSET p:{x}1 1 p:{x}2 2 other{x} 3").await;
    assert_eq!(heard(&mut reader).await, "[invalidate [p:{x}1 p:{x}2]]");
    assert_eq!(heard(&mut quiet).await, "[invalidate [p:{x}1 p:{x}2]]");
    run(&mut quiet, "DEL p:{x}1").await;
    assert_eq!(heard(&mut reader).await, "[invalidate [p:{x}1]]");
    run(&mut writer, "SET p:{x}2 3").await;
    assert_eq!(heard(&mut reader).await, "[invalidate [p:{x}2]]");
    assert_eq!(heard(&mut quiet).await, "[invalidate [p:{x}2]]");
    run(&mut reader, "RESET").await;
    run(&mut writer, "SET q:1 1").await;
    run(&mut writer, "SET p:{x}2 4").await;
    assert_eq!(heard(&mut quiet).await, "[invalidate [p:{x}2]]");
    assert_eq!(reader.run("PING").await.unwrap().to_string(), "PONG");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_and_transactions_read_for_their_client() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut reader = tracking(&here, "").await;
    let script = ["EVAL", "return redis.call('get', KEYS[1])", "2", "{s}:read", "{s}:named"];
    reader.call(script).await.unwrap();
    let call = ["EVAL", "return redis.call('set', KEYS[1], 1)", "1", "{s}:written"];
    reader.call(call).await.unwrap();
    for command in ["MULTI", "GET {s}:first", "SET {s}:second 1", "EXEC"] {
        run(&mut reader, command).await;
    }
    for key in ["named", "written", "second", "read", "first"] {
        run(&mut writer, &format!("SET {{s}}:{key} 2")).await;
    }
    assert_eq!(heard(&mut reader).await, "[invalidate [{s}:read]]");
    assert_eq!(heard(&mut reader).await, "[invalidate [{s}:first]]");
    hears_nothing(&mut reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_may_be_told() {
    let (_cluster, here, mut writer) = two_proxies().await;
    let mut listener = open(&here).await;
    let id = run(&mut listener, "CLIENT ID").await;
    run(&mut listener, "SUBSCRIBE __redis__:invalidate").await;
    let mut reader = tracking(&here, &format!("REDIRECT {id}")).await;
    assert_eq!(run(&mut reader, "CLIENT GETREDIR").await, id);
    let shown = run(&mut reader, "CLIENT INFO").await;
    assert!(shown.contains(" flags=t ") && shown.contains(&format!(" redir={id} ")), "{shown}");
    run(&mut reader, "GET r:a").await;
    run(&mut writer, "SET r:a 1").await;
    assert_eq!(heard(&mut listener).await, "[message __redis__:invalidate [r:a]]");
    run(&mut reader, "GET r:a").await;
    run(&mut listener, "QUIT").await;
    listener.closed().await.unwrap();
    run(&mut writer, "SET r:a 2").await;
    assert_eq!(heard(&mut reader).await, format!("[tracking-redir-broken {id}]"));
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_leader_knew_is_not_believed_any_more() {
    const KEY: &str = "d:a";
    let mut cluster = TestCluster::start().await;
    let mut reader = tracking(&cluster.proxy_address(1, Listener::Plain), "").await;
    let mut prefixes = tracking(&cluster.proxy_address(1, Listener::Plain), "BCAST PREFIX d:").await;
    let mut writer = open(&cluster.proxy_address(2, Listener::Plain)).await;
    run(&mut writer, &format!("SET {KEY} 1")).await;
    assert_eq!(heard(&mut prefixes).await, format!("[invalidate [{KEY}]]"));
    assert_eq!(run(&mut reader, &format!("GET {KEY}")).await, "1");
    let leader = cluster.leader_of(KEY).await;
    cluster.kill(leader).unwrap();
    assert_eq!(heard(&mut reader).await, "[invalidate nil]");
    run(&mut writer, &format!("SET {KEY} 2")).await;
    // Told either by name or, where the next leader learned of the prefix behind the change, as everything.
    heard(&mut prefixes).await;
    let mut read = run(&mut reader, &format!("GET {KEY}")).await;
    while read != "2" {
        // More streams may have ended: it is told before the reply.
        assert_eq!(read, "[invalidate nil]");
        read = heard(&mut reader).await;
    }
    run(&mut writer, &format!("SET {KEY} 3")).await;
    heard(&mut reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_do_not_go_together_are_refused() {
    let (_cluster, here, _) = two_proxies().await;
    let mut client = open(&here).await;
    let overlap = |one, which, other| {
        format!(
            "-ERR Prefix '{one}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not \
             overlap."
        )
    };
    for (command, answer) in [
        ("CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled".to_owned()),
        ("CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST".to_owned()),
        (
            "CLIENT TRACKING ON OPTIN OPTOUT",
            "-ERR You can't specify both OPTIN mode and OPTOUT mode".to_owned(),
        ),
        (
            "CLIENT TRACKING ON REDIRECT 9999",
            "-ERR The client ID you want redirect to does not exist".to_owned(),
        ),
        ("CLIENT TRACKING ON BCAST PREFIX ab PREFIX a", overlap("ab", "another provided", "a")),
        ("CLIENT TRACKING MAYBE", "-ERR syntax error".to_owned()),
        ("CLIENT TRACKINGINFO", "[flags [off] redirect -1 prefixes []]".to_owned()),
        ("CLIENT TRACKING ON BCAST PREFIX ab", "OK".to_owned()),
        ("CLIENT TRACKING ON BCAST PREFIX a", overlap("a", "an existing", "ab")),
        ("CLIENT TRACKINGINFO", "[flags [on bcast] redirect 0 prefixes [ab]]".to_owned()),
        ("CLIENT TRACKING OFF", "OK".to_owned()),
    ] {
        assert_eq!(run(&mut client, command).await, answer, "{command}");
    }
}
