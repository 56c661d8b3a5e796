//! What operators look at, on a real cluster: INFO, SLOWLOG, LATENCY, MONITOR, CLIENT PAUSE.

use std::{ops::DerefMut, time::Duration};

use local_cluster::Config;
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, encode},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> TestCluster {
    TestCluster::start_with(|config| Config { proxies: 1, ..config }).await
}

async fn run(client: &mut Connection, command: &str) -> String {
    client.run(command).await.unwrap().to_string()
}

/// The value of a field of INFO; empty if it is not there.
async fn field(client: &mut Connection, section: &str, name: &str) -> String {
    let text = run(client, &format!("INFO {section}")).await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// The figures of a command: how often it was called, rejected, and failed.
async fn calls(client: &mut Connection, command: &str) -> (u64, u64, u64) {
    let line = field(client, "commandstats", &format!("cmdstat_{command}")).await;
    let number = |name: &str| {
        let found = line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.map_or(0, |text| text.parse().unwrap())
    };
    (number("calls"), number("rejected_calls"), number("failed_calls"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn info_counts_what_commands_did() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    run(client, "CONFIG RESETSTAT").await;
    for command in
        ["SET a 1", "GET a", "GET a", "LPUSH a x", "GET", "NOSUCH", "CLIENT ID", "MSET x 1 y 2 z 3"]
    {
        run(client, command).await;
    }
    assert_eq!(calls(client, "get").await, (2, 1, 0));
    assert_eq!(calls(client, "lpush").await, (1, 0, 1));
    assert_eq!(calls(client, "mset").await, (1, 0, 0));
    assert_eq!(calls(client, "client|id").await, (1, 0, 0));
    assert_eq!(calls(client, "config|resetstat").await, (1, 0, 0));
    assert_eq!(field(client, "errorstats", "errorstat_ERR").await, "count=2");
    assert_eq!(field(client, "errorstats", "errorstat_WRONGTYPE").await, "count=1");
    assert_eq!(field(client, "stats", "total_error_replies").await, "3");
    let asked = tokio::sync::Mutex::new(client);
    wait::until_true("commands per second are told", PATIENCE, || async {
        let client = &mut *asked.lock().await;
        let rate = |text: String| text.parse::<f64>().unwrap();
        let commands = rate(field(client, "stats", "instantaneous_ops_per_sec").await);
        let input = rate(field(client, "stats", "instantaneous_input_kbps").await);
        commands > 0.0 && input > 0.0 && rate(field(client, "stats", "instantaneous_output_kbps").await) > 0.0
    })
    .await;
    let client = asked.into_inner();
    let percentiles = field(client, "latencystats", "latency_percentiles_usec_set").await;
    assert!(percentiles.starts_with("p50=") && percentiles.contains(",p99.9="), "{percentiles}");

    for command in
        ["MULTI", "SET a{1} 1", "LPUSH a{1} x", "INFO commandstats", "SCAN 0", "CONFIG GET timeout"]
    {
        run(client, command).await;
    }
    let replies = run(client, "EXEC").await;
    assert!(replies.contains("WRONGTYPE") && replies.contains("cmdstat_set:calls=1"), "{replies}");
    assert_eq!((calls(client, "exec").await, calls(client, "set").await), ((1, 0, 0), (2, 0, 0)));
    assert_eq!(calls(client, "lpush").await, (2, 0, 2));

    assert!(field(client, "all", "cmdstat_get").await.starts_with("calls=2"));
    assert_eq!(field(client, "default", "cmdstat_get").await, "");
    assert_eq!(
        run(client, "CONFIG SET latency-tracking-info-percentiles 101").await.split(' ').next(),
        Some("-ERR")
    );
    run(client, "CONFIG SET latency-tracking no").await;
    assert_eq!(field(client, "latencystats", "latency_percentiles_usec_set").await, "");
    run(client, "CONFIG RESETSTAT").await;
    assert_eq!(calls(client, "set").await, (0, 0, 0));
    assert_eq!(field(client, "stats", "total_error_replies").await, "0");
}

/// Words of the entries in the slow log, newest first.
async fn slow(client: &mut Connection) -> Vec<String> {
    let entries = client.run("SLOWLOG GET -1").await.unwrap();
    entries.items().iter().map(|entry| entry.items()[3].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_log_tells_words_clients_and_no_secrets() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    let other = &mut cluster.connect().await;
    run(other, "CLIENT SETNAME somebody").await;
    run(client, "CONFIG SET slowlog-log-slower-than 0").await;
    run(client, "SLOWLOG RESET").await;
    for command in ["SET a 1", "AUTH default hush", "MGET a b c d", "CONFIG SET requirepass hush timeout 0"] {
        run(other, command).await;
    }
    run(other, "CONFIG SET requirepass hush2").await;
    let long = "A".repeat(129);
    other.call(["INCRBY", &long, "1"]).await.unwrap();
    other.call(["EXISTS"; 33]).await.unwrap();
    for command in ["MULTI", "GET a", "ECHO x", "EXEC", "BLPOP nothing 0.01"] {
        run(other, command).await;
    }
    run(client, "CONFIG SET slowlog-log-slower-than -1").await;
    let words = slow(client).await;
    let clipped = format!("[INCRBY {}... (1 more bytes) 1]", "A".repeat(128));
    let many = format!("[{}... (2 more arguments)]", "EXISTS ".repeat(31));
    let expected = [
        "[BLPOP nothing 0.01]",
        "[ECHO x]",
        "[GET a]",
        "[MULTI]",
        &many,
        &clipped,
        "[CONFIG SET requirepass (redacted)]",
        "[CONFIG SET requirepass (redacted) timeout 0]",
        "[MGET a b c d]",
        "[AUTH (redacted) (redacted)]",
        "[SET a 1]",
        "[SLOWLOG RESET]",
    ];
    assert_eq!(words, expected);
    let entries = client.run("SLOWLOG GET 1").await.unwrap();
    let entry = entries.items()[0].items().to_vec();
    assert_eq!(entry[5].text(), "somebody");
    let address = run(other, "CLIENT INFO").await;
    assert!(address.contains(&format!(" addr={} ", entry[4].text())), "{address}");
    assert!(entry[2].int().unwrap() >= 10_000, "it waited for 10 ms: {:?}", entry[2]);
    run(client, "CONFIG SET slowlog-max-len 2").await;
    run(client, "CONFIG SET slowlog-log-slower-than 0").await;
    run(client, "PING").await;
    assert_eq!(run(client, "SLOWLOG LEN").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_is_remembered_and_told() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    assert!(run(client, "LATENCY DOCTOR").await.contains("latency-monitor-threshold"));
    run(client, "CONFIG RESETSTAT").await;
    run(client, "CONFIG SET latency-monitor-threshold 30").await;
    run(client, "BLPOP nothing 0.05").await;
    let latest = client.run("LATENCY LATEST").await.unwrap();
    let row = latest.items().iter().find(|row| row.items()[0].text() == "command").unwrap().items().to_vec();
    assert!(row[2].int().unwrap() >= 50 && row[3].int() >= row[2].int(), "{latest}");
    assert!(!client.run("LATENCY HISTORY command").await.unwrap().items().is_empty());
    let graph = run(client, "LATENCY GRAPH command").await;
    assert!(graph.starts_with("command - high ") && graph.contains('#'), "{graph}");
    assert!(run(client, "LATENCY DOCTOR").await.contains("command: "));
    assert_eq!(run(client, "LATENCY RESET nothing").await, "0");
    assert_eq!(run(client, "LATENCY RESET command").await, "1");
    assert_eq!(run(client, "LATENCY HISTORY command").await, "[]");

    run(client, "CONFIG RESETSTAT").await;
    for command in ["SET a 1", "SET a 2", "GET a", "CLIENT ID"] {
        run(client, command).await;
    }
    let histogram = client.run("LATENCY HISTOGRAM set client|id hset nothing").await.unwrap();
    let [name, of_id, other, of_set] = histogram.items() else { panic!("{histogram}") };
    let mut found = [(name, of_id), (other, of_set)];
    found.sort_by_key(|(name, _)| name.text());
    assert_eq!(found[0].0.text(), "client|id");
    assert_eq!((found[1].0.text(), found[1].1.items()[1].int()), ("set".to_owned(), Some(2)));
    // Cumulative: the last step holds all.
    assert_eq!(found[1].1.items()[3].items().last().and_then(|count| count.int()), Some(2));
    assert_eq!(client.run("LATENCY HISTOGRAM client").await.unwrap().items().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_see_transactions_as_they_are_executed() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    let mut monitor = cluster.connect().await;
    assert_eq!(run(&mut monitor, "MONITOR").await, "OK");
    for command in ["MULTI", "SET a 1", "ECHO x", "EXEC", "AUTH nobody hush", "CONFIG GET timeout", "GET a"] {
        run(client, command).await;
    }
    for expected in [
        "\"MULTI\"",
        "\"set\" \"a\" \"1\"",
        "\"echo\" \"x\"",
        "\"exec\"",
        "\"AUTH\" \"(redacted)\" \"(redacted)\"",
        "\"GET\" \"a\"",
    ] {
        let line = monitor.read().await.unwrap().text();
        assert!(line.ends_with(expected), "{line} is not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_see_what_scripts_call() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    let mut monitor = cluster.connect().await;
    assert_eq!(run(&mut monitor, "MONITOR").await, "OK");
    let script = "redis.call('SET', KEYS[1], 1); redis.pcall('LPUSH', KEYS[1], 2); redis.call('NOSUCH')";
    let failed = client.call(["EVAL", script, "1", "a"]).await.unwrap().to_string();
    assert!(failed.starts_with("-ERR Unknown Redis command"), "{failed}");
    for command in ["MULTI", "EVAL return(redis.call('GET',KEYS[1])) 1 a", "EXEC"] {
        run(client, command).await;
    }
    for (caller, expected) in [
        ("127.0.0.1:", "\"1\" \"a\""),
        ("lua]", "\"SET\" \"a\" \"1\""),
        ("lua]", "\"LPUSH\" \"a\" \"2\""),
        ("127.0.0.1:", "\"MULTI\""),
        ("127.0.0.1:", "\"1\" \"a\""),
        ("127.0.0.1:", "\"exec\""),
        ("lua]", "\"GET\" \"a\""),
    ] {
        let line = monitor.read().await.unwrap().text();
        assert!(
            line.contains(&format!("[0 {caller}")) && line.ends_with(expected),
            "{line} is not {expected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_are_counted_where_they_happen() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    for command in ["SET a 1", "GET a", "GET b", "EXISTS a b c", "GETDEL a", "GETDEL a", "DEL b", "TYPE c"] {
        run(client, command).await;
    }
    assert_eq!(field(client, "stats", "keyspace_hits").await, "3");
    assert_eq!(field(client, "stats", "keyspace_misses").await, "5");
}

/// A key that is read again and again ages all the same if its reader asked for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_touch_lets_keys_age() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    run(client, "SET a 1").await;
    assert_eq!(run(client, "CLIENT NO-TOUCH ON").await, "OK");
    let client = tokio::sync::Mutex::new(client);
    wait::until_true("the key is idle", PATIENCE, || async {
        let client = &mut *client.lock().await;
        for command in ["GET a", "SET a 2", "EVAL return(redis.call('TOUCH',KEYS[1])) 1 a"] {
            run(client, command).await;
        }
        run(client, "OBJECT IDLETIME a").await != "0"
    })
    .await;
    let client = client.into_inner();
    run(client, "TOUCH a").await;
    assert_eq!(run(client, "OBJECT IDLETIME a").await, "0");
}

/// Waits until so many clients are held back.
async fn held(client: &mut Connection, count: usize) {
    let client = tokio::sync::Mutex::new(client);
    wait::until_true("clients are held back", PATIENCE, || async {
        field(client.lock().await.deref_mut(), "clients", "blocked_clients").await == count.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_back_what_it_says() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    run(client, "SET a before").await;
    run(client, "CLIENT PAUSE 100000 WRITE").await;
    // It does not become shorter.
    run(client, "CLIENT PAUSE 1 WRITE").await;
    let mut held_back = Vec::new();
    for command in ["SET a after", "PUBLISH channel message", "EVAL return(1) 0", "PFCOUNT nothing"] {
        let mut other = cluster.connect().await;
        other.write(&encode(command.split(' '))).await.unwrap();
        held_back.push(other);
    }
    held(client, 4).await;
    assert_eq!(run(client, "GET a").await, "before");
    for (command, reply) in [("MULTI", "OK"), ("GET a", "QUEUED"), ("EXEC", "[before]")] {
        assert_eq!(run(client, command).await, reply);
    }
    assert!(run(client, "SET a").await.starts_with("-ERR wrong number"));
    let script = "#!lua flags=no-writes\nreturn 7";
    assert_eq!(client.call(["EVAL", script, "0"]).await.unwrap().int(), Some(7));
    run(client, "CLIENT UNPAUSE").await;
    let mut replies = Vec::new();
    for other in &mut held_back {
        replies.push(other.read().await.unwrap().to_string());
    }
    assert_eq!(replies, ["OK", "0", "1", "0"]);
    assert_eq!(run(client, "GET a").await, "after");
    held(client, 0).await;

    // What was queued before is held back at EXEC.
    let mut other = cluster.connect().await;
    run(&mut other, "MULTI").await;
    run(&mut other, "SET a last").await;
    run(client, "CLIENT PAUSE 100000 WRITE").await;
    other.write(&encode(["EXEC"])).await.unwrap();
    held(client, 1).await;
    assert_eq!(run(client, "GET a").await, "after");
    run(client, "CLIENT UNPAUSE").await;
    assert_eq!(other.read().await.unwrap().to_string(), "[OK]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_writes_lets_pass_what_promises_not_to_write() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    let functions = "#!lua name=lib\n\
        redis.register_function{function_name='looks', callback=function() return 8 end, flags={'no-writes'}}\n\
        redis.register_function('may_write', function() return 9 end)";
    assert_eq!(client.call(["FUNCTION", "LOAD", functions]).await.unwrap().text(), "lib");
    run(client, "CLIENT PAUSE 100000 WRITE").await;
    let mut digests = Vec::new();
    for script in ["#!lua flags=no-writes\nreturn 7", "return 6"] {
        digests.push(client.call(["SCRIPT", "LOAD", script]).await.unwrap().text());
    }
    let (looks, may_write) = (format!("EVALSHA {} 0", digests[0]), format!("EVALSHA {} 0", digests[1]));
    for (command, reply) in [(&looks[..], "7"), ("FCALL looks 0", "8"), ("FCALL_RO LOOKS 0", "8")] {
        assert_eq!(run(client, command).await, reply);
    }
    let mut held_back = Vec::new();
    for command in [&may_write[..], "FCALL may_write 0", "FCALL unknown 0"] {
        let mut other = cluster.connect().await;
        other.write(&encode(command.split(' '))).await.unwrap();
        other.write(&encode(looks.split(' '))).await.unwrap();
        held_back.push(other);
    }
    held(client, 3).await;
    // Of several in one pipeline each is asked about.
    let pipeline: Vec<u8> =
        [&looks[..], "SET a during", "GET a"].iter().flat_map(|c| encode(c.split(' '))).collect();
    let mut other = cluster.connect().await;
    other.write(&pipeline).await.unwrap();
    assert_eq!(other.read().await.unwrap().int(), Some(7));
    held_back.push(other);
    held(client, 4).await;
    assert_eq!(run(client, "EXISTS a").await, "0");
    run(client, "CLIENT UNPAUSE").await;
    let mut replies = Vec::new();
    for other in &mut held_back {
        replies.push(other.read().await.unwrap().to_string());
        replies.push(other.read().await.unwrap().to_string());
    }
    assert_eq!(replies, ["6", "7", "9", "7", "-ERR Function not found", "7", "OK", "during"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_tells_who_reads_for_a_group() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    run(client, "XGROUP CREATE s g $ MKSTREAM").await;
    let mut reader = cluster.connect().await;
    reader.write(&encode("XREADGROUP GROUP g me BLOCK 0 STREAMS s >".split(' '))).await.unwrap();
    held(client, 1).await;
    assert_eq!(field(client, "clients", "total_blocking_keys").await, "1");
    assert_eq!(field(client, "clients", "total_blocking_keys_on_nokey").await, "1");
    run(client, "FLUSHALL").await;
    let reply = reader.read().await.unwrap().to_string();
    assert!(reply.starts_with("-NOGROUP No such key 's'"), "{reply}");
    held(client, 0).await;
    assert_eq!(field(client, "clients", "total_blocking_keys").await, "0");
    // Also if somebody waits before it for a list.
    let mut popper = cluster.connect().await;
    popper.write(&encode("BLPOP s 0".split(' '))).await.unwrap();
    held(client, 1).await;
    run(client, "XGROUP CREATE s g $ MKSTREAM").await;
    reader.write(&encode("XREADGROUP GROUP g me BLOCK 0 STREAMS s >".split(' '))).await.unwrap();
    held(client, 2).await;
    run(client, "DEL s").await;
    assert!(reader.read().await.unwrap().to_string().starts_with("-NOGROUP"));
    drop(popper);
    held(client, 0).await;
    // SMOVE of what is there already does not touch the target.
    for command in ["SADD {m}a x", "SADD {m}b x", "WATCH {m}b", "SMOVE {m}a {m}b x", "MULTI", "PING"] {
        run(client, command).await;
    }
    assert_eq!(run(client, "EXEC").await, "[PONG]");
    // A flush of nothing changes no key that is watched.
    for command in ["SET w 1", "WATCH w", "DEL w", "UNWATCH", "WATCH w", "FLUSHALL", "MULTI", "PING"] {
        run(client, command).await;
    }
    assert_eq!(run(client, "EXEC").await, "[PONG]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_set_together_or_not_at_all() {
    let cluster = start().await;
    let client = &mut cluster.connect().await;
    let before = run(client, "CONFIG GET timeout slowlog-max-len").await;
    for (parameters, complaint) in [
        (
            "timeout 77 slowlog-max-len none",
            "'slowlog-max-len') - argument couldn't be parsed into an integer",
        ),
        ("timeout 77 nothing 1", "Unknown option or number of arguments for CONFIG SET - 'nothing'"),
        ("timeout 77 timeout 78", "'timeout') - duplicate parameter"),
        ("timeout 77 daemonize yes", "'daemonize') - can't set immutable config"),
        ("timeout 77 slowlog-max-len", "ERR syntax error"),
    ] {
        let refusal = run(client, &format!("CONFIG SET {parameters}")).await;
        assert!(refusal.contains(complaint), "{refusal}");
        assert_eq!(run(client, "CONFIG GET timeout slowlog-max-len").await, before);
    }
    assert_eq!(run(client, "CONFIG SET timeout 77 slowlog-max-len 5").await, "OK");
    assert_eq!(run(client, "CONFIG GET time*t slowlog-max-len").await, "[timeout 77 slowlog-max-len 5]");

    run(client, "PFADD sparse a").await;
    run(client, "CONFIG SET hll-sparse-max-bytes 0").await;
    run(client, "PFADD dense a").await;
    assert!(run(client, "STRLEN sparse").await.parse::<u32>().unwrap() < 100);
    assert_eq!(run(client, "STRLEN dense").await, "12304");

    // What may not be asked of others does not stop the transaction.
    for command in ["MULTI", "AUTH x", "HELLO 2", "CONFIG REWRITE", "CLUSTER INFO", "SET k v", "SCAN 0"] {
        run(client, command).await;
    }
    let replies = client.run("EXEC").await.unwrap();
    let [auth, _, rewrite, info, set, scan] = replies.items() else { panic!("{replies}") };
    assert!(auth.error().is_some_and(|text| text.starts_with("ERR AUTH")), "{auth}");
    assert_eq!(rewrite.to_string(), "OK");
    assert!(info.error().is_some_and(|text| text.contains("cluster support disabled")), "{info}");
    assert_eq!((set.to_string(), scan.items().len()), ("OK".to_owned(), 2));
}
