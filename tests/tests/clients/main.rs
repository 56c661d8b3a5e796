//! Client libraries of several languages, each given one proxy as its seed, through the death of
//! that proxy. What they do is told in `tests/clients/README.md`.

mod program;
mod redis_rs;

use std::{fmt, time::Duration};

use local_cluster::{Listener, MemberId};
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value},
    wait,
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

/// The key that ends the workload.
const STOP: &str = "clients:stop";
/// A program must have written by then; interpreters start slowly on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// It must have ended so long after it may.
const END_WITHIN: Duration = Duration::from_secs(20);
/// Longest time without a success: the dead proxy is noticed, then the client asks for the topology.
const GAP_MAX: Duration = Duration::from_secs(10);
const KEYS_AT_ONCE: u64 = 1000;

/// What a client went through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    /// Keys 0 to this were written.
    acknowledged: u64,
    errors: u64,
    gap: Duration,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, errors, gap } = self;
        write!(f, "{acknowledged} writes, {errors} errors, {} ms without a success", gap.as_millis())
    }
}

/// A client at work.
struct Client {
    name: &'static str,
    ready: oneshot::Receiver<()>,
    ended: JoinHandle<Result<Verdict, String>>,
}

impl Client {
    /// Whether it writes; if it ended instead, its verdict tells why.
    async fn wait_ready(&mut self) -> Result<(), String> {
        match timeout(READY_WITHIN, &mut self.ready).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err((&mut self.ended).await.unwrap().unwrap_err()),
            Err(_) => Err(format!("no {READY_WITHIN:?} were enough to start")),
        }
    }

    async fn verdict(self) -> Result<Verdict, String> {
        let ended = timeout(END_WITHIN, self.ended).await;
        let verdict = ended.map_err(|_| format!("does not end within {END_WITHIN:?}"))?.unwrap()?;
        if verdict.gap > GAP_MAX {
            return Err(format!("{verdict}: too long"));
        }
        Ok(verdict)
    }
}

// covers: T16, T17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_discover_the_cluster_and_outlive_their_seed() {
    let mut cluster = TestCluster::start().await;
    let seed = cluster.proxy_address(1, Listener::Cluster);
    let mut clients: Vec<Client> = program::all(&seed).collect();
    clients.push(redis_rs::start(&seed));

    let (mut running, mut failures) = (Vec::new(), Vec::new());
    for mut client in clients {
        match client.wait_ready().await {
            Ok(()) => running.push(client),
            Err(complaint) => failures.push(format!("{}: {complaint}", client.name)),
        }
    }
    cluster.kill(MemberId::proxy(1)).unwrap();
    wait_for_others(&cluster, &seed).await;

    let mut survivor = Connection::open(&cluster.proxy_address(2, Listener::Plain)).await.unwrap();
    survivor.run(&format!("SET {STOP} now")).await.unwrap();
    for client in running {
        let name = client.name;
        let judged = match client.verdict().await {
            Ok(verdict) => read_back(&mut survivor, name, verdict).await.map(|()| verdict),
            Err(complaint) => Err(complaint),
        };
        match judged {
            Ok(verdict) => eprintln!("{name}: {verdict}"),
            Err(complaint) => failures.push(format!("{name}: {complaint}")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Waits until the dead proxy is not announced any more.
async fn wait_for_others(cluster: &TestCluster, dead: &str) {
    let witness = cluster.proxy_address(2, Listener::Cluster);
    wait::until("the dead proxy leaves CLUSTER NODES", Duration::from_secs(10), || async {
        let nodes = Connection::open(&witness).await?.run("CLUSTER NODES").await?.text();
        anyhow::ensure!(!nodes.contains(&format!(" {dead}@")), "{nodes}");
        anyhow::Ok(())
    })
    .await;
}

/// Every acknowledged write is there, seen by somebody else.
async fn read_back(survivor: &mut Connection, name: &str, verdict: Verdict) -> Result<(), String> {
    for first in (0..verdict.acknowledged).step_by(KEYS_AT_ONCE as usize) {
        let numbers = first..verdict.acknowledged.min(first + KEYS_AT_ONCE);
        let keys = numbers.clone().map(|number| format!("{name}:{number}"));
        let request: Vec<String> = ["MGET".to_owned()].into_iter().chain(keys).collect();
        let reply = survivor.call(request).await.map_err(|error| error.to_string())?;
        let Value::Array(values) = reply else { return Err(format!("MGET answered {reply}")) };
        for (number, value) in numbers.zip(values) {
            if value.text() != number.to_string() {
                return Err(format!("{name}:{number} holds {value}"));
            }
        }
    }
    Ok(())
}
