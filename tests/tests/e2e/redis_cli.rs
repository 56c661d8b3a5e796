//! `redis-cli`, the client that operators use.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use miraft_tests::{
    cluster,
    real_redis::RealRedis,
    resp::{Connection, encode},
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Runs `redis-cli` against `address` with `input`; answers its output.
async fn redis_cli(address: &str, arguments: &[&str], input: &[u8]) -> String {
    run(client("redis-cli", address, arguments), input.to_vec()).await
}

fn client(program: &str, address: &str, arguments: &[&str]) -> Command {
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut command = Command::new(program);
    command.args(["-h", host, "-p", port]).args(arguments);
    command
}

/// Runs `redis-cli --cluster …`; answers its output.
async fn manage(arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.arg("--cluster").args(arguments);
    run(command, Vec::new()).await
}

/// Off the runtime's threads: the program may take its time.
async fn run(mut command: Command, input: Vec<u8>) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("redis-cli is installed (./run test installs it)");
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let output = child.wait_with_output().unwrap();
        let all = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&all).into_owned())
    });
    let (ok, output) = ran.await.unwrap();
    assert!(ok, "{output}");
    output
}

// covers: T16
#[tokio::test]
async fn sessions() {
    let cluster = cluster::shared().await;
    for address in cluster.cluster_addresses() {
        let commands = b"SET cli:a 1\nSET cli:b 2\nGET cli:a\nGET cli:b\nMGET cli:a cli:b\nDEL cli:a cli:b\n";
        let output = redis_cli(&address, &["-c"], commands).await;
        let expected = ["OK", "OK", "1", "2", "1", "2", "2"];
        let answers: Vec<&str> =
            output.lines().filter(|line| !line.is_empty() && !line.starts_with("->")).collect();
        assert_eq!(answers, expected, "{output}");
    }
    for address in cluster.plain_addresses() {
        for protocol in ["-2", "-3"] {
            let output =
                redis_cli(&address, &[protocol], b"SET cli:p v\nGET cli:p\nSELECT 3\nGET cli:p\n").await;
            assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["OK", "v", "OK"]);
        }
    }
}

#[tokio::test]
async fn cluster_check() {
    let cluster = cluster::shared().await;
    for address in cluster.cluster_addresses() {
        let output = manage(&["check", &address]).await;
        assert!(output.contains("[OK] All nodes agree about slots configuration."), "{output}");
        assert!(output.contains("[OK] All 16384 slots covered."), "{output}");
        assert!(manage(&["info", &address]).await.contains("keys in 3 masters"), "cluster info");
    }
}

#[tokio::test]
async fn pipe_and_scan() {
    const KEYS: usize = 2000;
    let cluster = cluster::shared().await;
    let sets: Vec<u8> =
        (0..KEYS).flat_map(|number| encode(["SET", &format!("cli-scan:{number}"), "v"])).collect();
    let output = redis_cli(&cluster.plain(), &["--pipe"], &sets).await;
    assert!(output.contains(&format!("errors: 0, replies: {KEYS}")), "{output}");
    let output = redis_cli(&cluster.plain_addresses()[1], &["--scan", "--pattern", "cli-scan:*"], b"").await;
    assert_eq!(output.lines().count(), KEYS);
    let output = redis_cli(&cluster.plain(), &["--bigkeys"], b"").await;
    assert!(output.contains("strings with"), "{output}");

    let mut seen = BTreeSet::new();
    for address in cluster.cluster_addresses() {
        let output = redis_cli(&address, &["-c", "--scan", "--pattern", "cli-scan:*"], b"").await;
        let all_new = output.lines().all(|key| seen.insert(key.to_owned()));
        assert!(all_new, "{address} lists keys that another node listed");
    }
    assert_eq!(seen.len(), KEYS, "each node lists its own, all of them together");
}

/// It goes on until it is killed.
#[tokio::test]
async fn stat() {
    let cluster = cluster::shared().await;
    for address in [cluster.plain(), cluster.cluster_addresses().remove(0)] {
        let mut command: tokio::process::Command =
            client("redis-cli", &address, &["--stat", "-i", "0.01"]).into();
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut requests = Vec::new();
        while requests.len() < 3 {
            let line = lines.next_line().await.unwrap().expect("redis-cli goes on");
            // keys, memory, clients, blocked, requests, …
            requests.extend(line.split_whitespace().nth(4).and_then(|number| number.parse::<u64>().ok()));
        }
        assert!(requests.is_sorted() && requests[0] < requests[2], "{requests:?}");
    }
}

#[tokio::test]
async fn latency() {
    let cluster = cluster::shared().await;
    for address in [cluster.plain(), cluster.cluster_addresses().remove(0)] {
        let output = redis_cli(&address, &["--latency", "-i", "0.2", "--raw"], b"").await;
        // Least, most, average in milliseconds, and how many.
        let numbers: Vec<f64> = output.split_whitespace().map(|number| number.parse().unwrap()).collect();
        assert!(matches!(numbers[..], [least, most, _, count] if least <= most && count >= 1.0), "{output}");
    }
}

// covers: T16
#[tokio::test]
async fn benchmark() {
    let cluster = cluster::shared().await;
    let arguments = ["--cluster", "-n", "600", "-c", "6", "-P", "4", "-t", "set,get,mset", "-q"];
    for address in cluster.cluster_addresses() {
        let output = run(client("redis-benchmark", &address, &arguments), Vec::new()).await;
        assert!(output.contains("Cluster has 3 master nodes"), "{output}");
        for test in ["SET", "GET", "MSET (10 keys)"] {
            let done =
                |line: &str| line.starts_with(&format!("{test}: ")) && line.contains("requests per second");
            assert!(output.split(['\r', '\n']).any(done), "{test}: {output}");
        }
    }
}

/// What a real server holds moves into the cluster, by MIGRATE on its side.
// covers: T15, D2
#[tokio::test]
async fn cluster_import() {
    const KEYS: usize = 300;
    let cluster = cluster::shared().await;
    let source = RealRedis::start(&[]).await;
    let mut original = Connection::open(&source.address).await.unwrap();
    let value = |number: usize| match number % 3 {
        0 => number.to_string(),
        1 => format!("value {number}"),
        _ => format!("{number} ").repeat(100),
    };
    for number in 0..KEYS {
        let expiry = if number % 5 == 0 { &["EX", "5000"][..] } else { &[] };
        let (key, value) = (format!("cli-import:{number}"), value(number));
        let set = ["SET", key.as_str(), value.as_str()].into_iter().chain(expiry.iter().copied());
        assert_eq!(original.call(set).await.unwrap().to_string(), "OK");
    }
    let target = cluster.cluster_addresses().remove(0);
    let from = ["import", &target, "--cluster-from", &source.address];
    manage(&[&from[..], &["--cluster-copy"]].concat()).await;
    manage(&[&from[..], &["--cluster-replace"]].concat()).await;
    assert_eq!(original.run("DBSIZE").await.unwrap().int(), Some(0), "without a copy left behind");

    let mut connection = cluster.connect().await;
    for number in 0..KEYS {
        let key = format!("cli-import:{number}");
        let found = connection.call(["GET", &key]).await.unwrap();
        assert_eq!(found.text(), value(number), "{key}");
        let ttl = connection.call(["TTL", &key]).await.unwrap().int().unwrap();
        assert!(if number % 5 == 0 { (4000..=5000).contains(&ttl) } else { ttl == -1 }, "{key}: {ttl}");
    }
}

#[tokio::test]
async fn cluster_set_timeout() {
    let cluster = cluster::shared().await;
    let addresses = cluster.cluster_addresses();
    let output = manage(&["set-timeout", &addresses[0], "4000"]).await;
    assert!(output.contains("New node timeout set. 3 OK, 0 ERR."), "{output}");
    for address in addresses {
        let mut connection = Connection::open(&address).await.unwrap();
        let shown = connection.run("CONFIG GET cluster-node-timeout").await.unwrap();
        assert_eq!(shown.items()[1].text(), "4000");
    }
}

#[tokio::test]
async fn info_for_stat() {
    let cluster = cluster::shared().await;
    redis_cli(&cluster.plain(), &["SET", "cli:stat", "v"], b"").await;
    let info = redis_cli(&cluster.plain(), &["INFO"], b"").await;
    let at = |name: &str| info.find(&format!("\n{name}:")).unwrap_or_else(|| panic!("INFO has no {name}"));
    assert!(at("used_memory") < at("used_memory_human"));
    for name in
        ["connected_clients", "blocked_clients", "total_commands_processed", "total_connections_received"]
    {
        at(name);
    }
    assert!(info.contains("\ndb0:keys="));
}
