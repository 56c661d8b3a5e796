//! The operator's command line against real clusters: tables, setup, the doctor, meta's members.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use local_cluster::{Bootstrap, Config, MemberId};
use miraft_tests::{cluster::TestCluster, joiner::Joiner, resp::Connection, wait};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(binary.is_file(), "build it first: cargo build --release --workspace --bins");
    binary
}

fn miraft(dir: &Path, words: &str) -> Output {
    Command::new(binary("miraft")).args(words.split(' ')).arg("--dir").arg(dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What it prints as JSON, and its exit status.
fn json(dir: &Path, words: &str) -> (Value, Option<i32>) {
    let output = miraft(dir, &format!("{words} --json"));
    let value = serde_json::from_slice(&output.stdout);
    let value = value.unwrap_or_else(|error| panic!("{words}: {error}: {}", text(&output.stderr)));
    (value, output.status.code())
}

/// The exit status must be 0.
fn fine(dir: &Path, words: &str) -> Value {
    let (value, code) = json(dir, words);
    assert_eq!(code, Some(0), "{words}: {value:#}");
    value
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// What the doctor has to complain about, as `check: what`, the worst first.
fn complaints(dir: &Path) -> Vec<String> {
    let (report, code) = json(dir, "cluster doctor --timeout-s 3");
    let bad = |finding: &&Value| ["warning", "error"].contains(&finding["severity"].as_str().unwrap());
    let findings = array(&report["findings"]).iter().filter(bad);
    let complaints: Vec<String> = findings
        .map(|finding| {
            format!("{}: {}", finding["check"].as_str().unwrap(), finding["what"].as_str().unwrap())
        })
        .collect();
    assert_eq!(code, Some(i32::from(!complaints.is_empty())), "{complaints:?}");
    assert_eq!(report["healthy"], complaints.is_empty());
    complaints
}

/// Until one of the complaints of `check` names all of `names`.
async fn complains(dir: &Path, check: &str, names: &[&str]) {
    let fits =
        |complaint: &String| complaint.starts_with(check) && names.iter().all(|n| complaint.contains(n));
    wait::until(&format!("the doctor names {names:?}"), PATIENCE, || async {
        let complaints = complaints(dir);
        if complaints.iter().any(fits) { Ok(()) } else { Err(format!("{complaints:?}")) }
    })
    .await;
}

async fn is_healthy(dir: &Path) {
    wait::until("the doctor finds nothing", PATIENCE, || async {
        let complaints = complaints(dir);
        if complaints.is_empty() { Ok(()) } else { Err(format!("{complaints:?}")) }
    })
    .await;
}

// covers: O4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_shown_and_its_faults_are_found() {
    let mut cluster = TestCluster::start().await;
    cluster.write_manifest().await.unwrap();
    let dir = cluster.dir().to_owned();
    is_healthy(&dir).await;
    tables_tell(&dir, &cluster);
    exit_statuses_tell(&dir);
    assert_eq!(fine(&dir, "cluster setup")["changed"], false, "meta has set it up by itself");

    let proxy = cluster.cluster_addresses().swap_remove(1);
    cluster.kill(MemberId::proxy(2)).unwrap();
    complains(&dir, "proxies-live", &[&proxy]).await;
    cluster.kill(MemberId::storage(3)).unwrap();
    complains(&dir, "storage-heard", &["storage-3"]).await;
    let metas = cluster.meta_addresses();
    cluster.kill(MemberId::meta(1)).unwrap();
    complains(&dir, "meta-members", &["meta node 1", &metas[0]]).await;
    cluster.kill(MemberId::meta(3)).unwrap();
    complains(&dir, "meta-quorum", &["1 of 3 voters", "meta node 1", "meta node 3"]).await;
    let first = complaints(&dir).swap_remove(0);
    assert!(first.starts_with("meta-quorum"), "the most important one comes first: {first}");
    let members = fine(&dir, "cluster metaraft members");
    let silent = array(&members["members"]).iter().filter(|member| member["reachable"] == false);
    assert_eq!(silent.count(), 2);
    let status = miraft(&dir, "cluster status --timeout-s 1");
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stderr).contains("no answer from meta"), "{}", text(&status.stderr));
}

fn tables_tell(dir: &Path, cluster: &TestCluster) {
    let status = fine(dir, "cluster status");
    let summary = &status["summary"];
    assert_eq!(summary["cluster_state"], "ok");
    assert_eq!((&summary["slots"]["served"], &summary["proxies"]["live"]), (&16384.into(), &3.into()));
    assert_eq!((&summary["meta"]["reachable"], &summary["storage"]["connected"]), (&3.into(), &3.into()));
    assert_eq!(status["state"]["stores"].as_object().unwrap().len(), 3);
    assert_eq!(fine(dir, "status")["summary"]["slots"], summary["slots"], "one is short for the other");

    let nodes = fine(dir, "cluster nodes");
    let announced: Vec<&str> =
        array(&nodes["proxies"]).iter().map(|row| row["addr"].as_str().unwrap()).collect();
    assert!(cluster.cluster_addresses().iter().all(|address| announced.contains(&address.as_str())));
    assert!(
        array(&nodes["storage"]).iter().all(|row| row["connected"] == true && row["heard_ms_ago"].is_u64())
    );
    assert_eq!(array(&nodes["meta"]).iter().filter(|row| row["leader"] == true).count(), 1);

    let groups = fine(dir, "cluster groups");
    let groups = array(&groups["groups"]);
    assert_eq!(groups.iter().map(|row| row["slots"].as_u64().unwrap()).sum::<u64>(), 16384);
    assert!(groups.iter().all(|row| row["leader"].is_string() && array(&row["replicas"]).len() == 3));

    let slots = fine(dir, "cluster slots");
    assert_eq!((&slots["assigned"], &slots["unassigned"]), (&16384.into(), &0.into()));
    assert!(array(&slots["ranges"]).iter().all(|row| row["state"] == "served" && row["proxy"].is_string()));

    for words in ["cluster nodes", "cluster groups", "cluster slots", "cluster metaraft status", "doctor"] {
        let output = miraft(dir, words);
        let shown = text(&output.stdout);
        assert!(output.status.success() && !shown.contains('\x1b'), "no colours into a pipe: {shown}");
    }
    let by_address = Command::new(binary("miraft"))
        .args(["cluster", "slots", "--meta", &cluster.meta_addresses().join(",")])
        .output()
        .unwrap();
    assert!(text(&by_address.stdout).contains("0-"), "{}", text(&by_address.stderr));
}

fn exit_statuses_tell(dir: &Path) {
    let refused = miraft(dir, "cluster metaraft promote 77");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("meta refused"), "{}", text(&refused.stderr));
    for usage in
        ["cluster metaraft promote x", "cluster frob", "cluster setup --masters 0", "cluster nodes --meta x"]
    {
        assert_eq!(miraft(dir, usage).status.code(), Some(2), "{usage}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let lost = miraft(nowhere.path(), "cluster status");
    assert_eq!(lost.status.code(), Some(1));
    assert!(text(&lost.stderr).contains("--meta"), "{}", text(&lost.stderr));
}

// covers: O4, T12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn islands_are_set_up_once() {
    let change = |config| Config { bootstrap: Bootstrap::Manual, proxies: 4, ..config };
    let cluster = TestCluster::start_with(change).await;
    cluster.write_manifest().await.unwrap();
    let dir = cluster.dir();
    assert_eq!(fine(dir, "cluster status")["summary"]["cluster_state"], "fail");
    let found = complaints(dir);
    assert!(found.iter().any(|what| what.starts_with("slots-assigned: 16384 slots")), "{found:?}");
    assert!(found.iter().any(|what| what.starts_with("proxies-acquainted")), "{found:?}");
    let impossible = miraft(dir, "cluster setup --masters 3 --replicas 1 --wait-s 5");
    assert_eq!(impossible.status.code(), Some(1));
    assert!(
        text(&impossible.stderr).contains("need 6 proxies, and 4 are live"),
        "{}",
        text(&impossible.stderr)
    );

    let done = fine(dir, "cluster setup --masters 2 --replicas 1");
    assert_eq!(done["changed"], true);
    assert_eq!(array(&done["steps"]).len(), 1 + 2 + 2, "{done:#}");
    assert_eq!(
        (&done["summary"]["proxies"]["masters"], &done["summary"]["slots"]["served"]),
        (&2.into(), &16384.into())
    );
    for address in cluster.cluster_addresses() {
        let mut connection = Connection::open(&address).await.unwrap();
        let nodes = connection.run("CLUSTER NODES").await.unwrap().text();
        assert_eq!(nodes.lines().filter(|line| line.contains("slave")).count(), 2, "{nodes}");
        assert_eq!(connection.run("SET key value").await.unwrap().text(), "OK");
    }
    is_healthy(dir).await;

    let before = cluster.state().await.unwrap();
    let again = fine(dir, "cluster setup --masters 2 --replicas 1");
    assert_eq!((&again["changed"], array(&again["steps"]).len()), (&false.into(), 0));
    assert_eq!(cluster.state().await.unwrap(), before, "nothing is changed the second time");
    let more = miraft(dir, "cluster setup --masters 3");
    assert!(
        !more.status.success() && text(&more.stderr).contains("never moves a slot"),
        "{}",
        text(&more.stderr)
    );
    a_meta_node_joins_and_leaves(dir).await;
}

async fn a_meta_node_joins_and_leaves(dir: &Path) {
    let joiner = Joiner::start(4);
    let voters = |report: &Value| array(&report["members"]).iter().filter(|m| m["voter"] == true).count();
    let done = |words: String| async move {
        let (output, asked) = (miraft(dir, &words), &words);
        if output.status.success() { Ok(()) } else { Err(format!("{asked}: {}", text(&output.stderr))) }
    };
    let add = format!("cluster metaraft add-learner 4 {}", joiner.address);
    wait::until("it is added", PATIENCE, || done(add.clone())).await;
    assert_eq!(voters(&fine(dir, "cluster metaraft members")), 3);
    let promote = format!("cluster metaraft promote {:040x}", 4);
    wait::until("it has caught up", PATIENCE, || done(promote.clone())).await;
    assert_eq!(voters(&fine(dir, "cluster metaraft status")), 4);
    assert!(complaints(dir).iter().any(|what| what.starts_with("meta-voters: meta has 4 voters")));
    wait::until("it is removed", PATIENCE, || done("cluster metaraft remove 4".to_owned())).await;
    assert_eq!(array(&fine(dir, "cluster metaraft members")["members"]).len(), 3);
}
