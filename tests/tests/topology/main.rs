//! The topology is changed by CLUSTER commands, through real proxies and with real redis-cli.
//!
//! What takes long runs a few times here, and as often as promised with `MIRAFT_SLOW_TESTS=1`.

mod barrier;
mod changes;
mod create;
mod fronting;
mod metaraft;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use local_cluster::{Bootstrap, Config};
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value},
};

/// `often` with `MIRAFT_SLOW_TESTS=1`, else `seldom`.
fn times(seldom: usize, often: usize) -> usize {
    match std::env::var_os("MIRAFT_SLOW_TESTS") {
        Some(_) => often,
        None => seldom,
    }
}

/// A cluster whose proxies begin as islands.
async fn manual(proxies: u32) -> TestCluster {
    TestCluster::start_with(|config| Config { bootstrap: Bootstrap::Manual, proxies, ..config }).await
}

/// One command at one node.
async fn ask(address: &str, command: &str) -> String {
    Connection::open(address).await.unwrap().run(command).await.unwrap().to_string()
}

async fn must(address: &str, command: &str) {
    assert_eq!(ask(address, command).await, "OK", "{command} at {address}");
}

async fn text(address: &str, command: &str) -> String {
    Connection::open(address).await.unwrap().run(command).await.unwrap().text()
}

async fn my_id(address: &str) -> String {
    text(address, "CLUSTER MYID").await
}

async fn info(address: &str, field: &str) -> String {
    let text = text(address, "CLUSTER INFO").await;
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("CLUSTER INFO has no {field}")).to_owned()
}

/// The line of each node as `address` sees it, by id.
async fn nodes(address: &str) -> std::collections::BTreeMap<String, String> {
    let text = text(address, "CLUSTER NODES").await;
    text.lines().map(|line| (line.split(' ').next().unwrap().to_owned(), line.to_owned())).collect()
}

/// Three masters with all slots, which know one another.
async fn by_hand(addresses: &[String]) {
    for (address, range) in addresses.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
        must(address, &format!("CLUSTER ADDSLOTSRANGE {range}")).await;
    }
    let (host, port) = addresses[0].rsplit_once(':').unwrap();
    for address in &addresses[1..] {
        must(address, &format!("CLUSTER MEET {host} {port}")).await;
    }
}

/// Runs redis-cli, and says yes to what it asks; answers whether it exited with 0, and its output.
async fn redis_cli(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("timeout");
    command.args(["60", "redis-cli"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        // It may end without asking anything.
        let _ = child.stdin.take().map(|mut input| input.write_all(b"yes\n"));
        child.wait_with_output()
    });
    let output = ran.await.unwrap().expect("redis-cli is installed (./run test installs it)");
    let all = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&all).into_owned())
}

async fn redis_cli_ok(arguments: &[&str]) -> String {
    let (ok, output) = redis_cli(arguments).await;
    assert!(ok, "redis-cli {arguments:?}\n{output}");
    output
}

fn strings(value: &Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}
