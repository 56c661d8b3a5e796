//! `miraft dev`, run as an operator and the tools run it.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use local_cluster::{Listener, Manifest, Role};
use miraft_tests::{resp::Connection, wait};

const PATIENCE: Duration = Duration::from_secs(60);

fn miraft() -> Command {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("miraft");
    assert!(binary.is_file(), "build it first: cargo build --release --workspace --bins");
    Command::new(binary)
}

/// A running `miraft dev`; killed when dropped.
struct Dev {
    child: Child,
    out: BufReader<ChildStdout>,
    dir: PathBuf,
}

impl Dev {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        let mut command = miraft();
        command.args(["dev", "--port", "0", "--plain-port", "0", "--dir"]).arg(dir).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, dir: dir.to_owned() }
    }

    /// The one line it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn manifest(&self) -> Manifest {
        Manifest::read(&self.dir).unwrap()
    }

    fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Its status, and what it printed since the line.
    fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended: nothing is left to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
}

fn addresses(manifest: &Manifest, listener: Listener) -> Vec<String> {
    manifest.nodes.iter().filter_map(|node| node.addresses.get(&listener).cloned()).collect()
}

async fn ask(address: &str, command: &str) -> String {
    Connection::open(address).await.unwrap().run(command).await.unwrap().text()
}

// Two dev clusters at once would starve each other on a small machine, so this is one test.
#[tokio::test]
async fn one_process_from_start_to_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(dir.path(), &[]);
    let line = dev.line();
    assert!(line.starts_with("ready: redis-cli -c "), "{line}");

    let manifest = dev.manifest();
    let count = |role| manifest.nodes.iter().filter(|node| node.role == role).count();
    assert_eq!([count(Role::Meta), count(Role::Storage), count(Role::Proxy)], [3, 3, 3]);
    assert!(manifest.nodes.iter().all(|node| node.pid == dev.child.id()));
    let ids: BTreeSet<&str> = manifest.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids.len(), 9, "{ids:?}");
    assert!(!ids.contains(""));
    assert!(!manifest.cluster_id.is_empty());

    let (cluster, plain) = (addresses(&manifest, Listener::Cluster), addresses(&manifest, Listener::Plain));
    for address in &cluster {
        let info = ask(address, "CLUSTER INFO").await;
        assert!(info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384"), "{info}");
    }
    assert_eq!(ask(&plain[0], "SET kept yes").await, "OK");
    for address in cluster.iter().chain(&plain) {
        assert_eq!(ask(address, "GET kept").await, "yes");
    }

    let second = miraft().arg("dev").arg("--dir").arg(dir.path()).output().unwrap();
    assert!(!second.status.success());
    let complaint = String::from_utf8(second.stderr).unwrap();
    assert!(complaint.contains("another cluster already runs in"), "{complaint}");

    let status = miraft().args(["status", "--json", "--dir"]).arg(dir.path()).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["meta"].as_array().unwrap().len(), 3);
    assert_eq!(status["state"]["stores"].as_object().unwrap().len(), 3);

    dev.signal("TERM");
    let (status, rest) = dev.wait();
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""), "one line, then a clean end");
    assert!(Manifest::read(dir.path()).is_err(), "cluster.json is gone with the cluster");

    let mut dev = Dev::start(dir.path(), &[]);
    assert!(dev.line().starts_with("ready:"));
    let again = dev.manifest();
    let kept = |manifest: &Manifest| {
        manifest
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.id.clone(), node.addresses.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&again), kept(&manifest), "ids and addresses stay");
    assert_eq!(again.cluster_id, manifest.cluster_id);
    assert_eq!(ask(&plain[1], "GET kept").await, "yes");
    dev.signal("INT");
    assert_eq!(dev.wait().0.code(), Some(0));

    child_processes_die_with_their_parent(dir.path()).await;
}

/// The same directory again, now in child processes.
async fn child_processes_die_with_their_parent(dir: &Path) {
    let mut dev = Dev::start(dir, &["--processes"]);
    assert!(dev.line().starts_with("ready:"));
    let manifest = dev.manifest();
    let pids: BTreeSet<u32> = manifest.nodes.iter().map(|node| node.pid).collect();
    assert_eq!(pids.len(), 9);
    assert!(!pids.contains(&dev.child.id()));
    assert_eq!(ask(&addresses(&manifest, Listener::Plain)[2], "GET kept").await, "yes");

    dev.signal("KILL");
    assert_eq!(dev.wait().0.code(), None);
    let gone = |pid: &u32| !Path::new(&format!("/proc/{pid}/exe")).exists();
    wait::until_true("all children are gone", PATIENCE, async || pids.iter().all(gone)).await;
}

#[test]
fn impossible_wishes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (flags, complaint) in [
        (["--meta", "2"], "must be odd"),
        (["--nodes", "0"], "at least one of each"),
        (["--port", "65535"], "--port 65535 is too high"),
    ] {
        let output = miraft().arg("dev").arg("--dir").arg(dir.path()).args(flags).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(complaint), "{flags:?}: {text}");
    }
}
