//! `redis-cli`, the client that operators use.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use miraft_tests::{cluster, resp::encode};

/// Runs `redis-cli` against `address` with `input`; answers its output.
async fn redis_cli(address: &str, arguments: &[&str], input: &[u8]) -> String {
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut command = Command::new("redis-cli");
    command.args(["-h", host, "-p", port]).args(arguments);
    run(command, input.to_vec()).await
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
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "check", &address]);
        let output = run(command, Vec::new()).await;
        assert!(output.contains("[OK] All nodes agree about slots configuration."), "{output}");
        assert!(output.contains("[OK] All 16384 slots covered."), "{output}");
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "info", &address]);
        assert!(run(command, Vec::new()).await.contains("keys in 3 masters"), "cluster info");
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
