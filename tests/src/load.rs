//! Clients under load, through every fault, each recording what it was told.
//!
//! A client sends one command at a time. It stays with its proxy until the connection is lost, then
//! goes to the next one, as a client behind a list of addresses does. Keys change as the load goes
//! on, so that no key's history grows beyond what the checker takes lightly.

mod client;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    history::{History, Operation, Outcome},
    resp::{Connection, Value},
    wait,
};
use client::Client;

/// What load to make.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Proxies, host:port; client `i` starts at `proxies[i % n]`.
    pub proxies: Vec<String>,
    pub clients: u32,
    /// Between two operations of one client.
    pub pace: Duration,
    /// Keys in use at a time; half of them are counters.
    pub keys: u64,
    /// Operations on each key, about.
    pub operations_per_key: u64,
    /// Ends by itself after so many operations of all clients.
    pub operations_max: u64,
    /// A command without a reply for so long is given up: its outcome is unknown.
    pub patience: Duration,
    /// Distinguishes the keys of several loads on one cluster.
    pub prefix: &'static str,
}

impl Plan {
    /// Twelve clients that together send some 2,000 operations per second.
    pub fn new(proxies: Vec<String>) -> Self {
        Self {
            proxies,
            clients: 12,
            pace: Duration::from_millis(5),
            keys: 32,
            operations_per_key: 500,
            operations_max: 400_000,
            patience: Duration::from_secs(15),
            prefix: "load",
        }
    }
}

/// Shared by the clients of a load.
struct Shared {
    plan: Plan,
    started: AtomicU64,
    written: AtomicU64,
    stop: AtomicBool,
}

/// A load that runs.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<ClientReport>>,
}

/// What one client went through.
#[derive(Debug)]
pub struct ClientReport {
    pub history: History,
    /// Proxies it used, in order.
    pub proxies: Vec<String>,
    /// Error replies, and what they answered to.
    pub errors: Vec<String>,
    /// Longest time from one successful write (or the start) to the next.
    pub write_gap: Duration,
    /// Operations that ended without a reply.
    pub lost_replies: u64,
}

/// What all clients went through.
#[derive(Debug, Default)]
pub struct Report {
    pub history: History,
    pub clients: Vec<ClientReport>,
}

impl Load {
    pub fn start(plan: Plan) -> Self {
        let clients = plan.clients;
        let shared = Arc::new(Shared {
            plan,
            started: AtomicU64::new(0),
            written: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let spawn = |number| tokio::spawn(Client::new(number, Arc::clone(&shared)).run());
        Self { clients: (1..=clients).map(spawn).collect(), shared }
    }

    /// Successful writes so far.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes succeeded.
    pub async fn more_writes(&self, count: u64) {
        let goal = self.written() + count;
        let what = format!("{count} more writes");
        wait::until_true(&what, Duration::from_secs(40), || async { self.written() >= goal }).await;
    }

    /// Ends the load; each client finishes its operation first.
    pub async fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut report = Report::default();
        for client in self.clients {
            let mut client = client.await.expect("a client does not panic");
            report.history.merge(std::mem::take(&mut client.history));
            report.clients.push(client);
        }
        report
    }
}

impl Report {
    /// Error replies of all clients.
    pub fn errors(&self) -> Vec<&str> {
        self.clients.iter().flat_map(|client| &client.errors).map(String::as_str).collect()
    }

    /// Operations without a reply, of all clients.
    pub fn lost_replies(&self) -> u64 {
        self.clients.iter().map(|client| client.lost_replies).sum()
    }

    /// Longest pause of the writes of any client that never used one of `lost`.
    pub fn write_gap_away_from(&self, lost: &[String]) -> Duration {
        let stayed =
            self.clients.iter().filter(|client| !client.proxies.iter().any(|proxy| lost.contains(proxy)));
        stayed.map(|client| client.write_gap).max().unwrap_or_default()
    }

    /// Longest pause of the writes of any client.
    pub fn write_gap(&self) -> Duration {
        self.write_gap_away_from(&[])
    }

    /// Reads every key that was used and adds the answers to the history: what was acknowledged and
    /// is gone then has no place in it.
    pub async fn read_back(&mut self, proxy: &str) -> std::io::Result<()> {
        let mut connection = Connection::open(proxy).await?;
        for key in self.history.keys() {
            let called = Instant::now();
            let reply = connection.call(["GET", key.as_str()]).await?;
            let Some(outcome) = done(Operation::Get, &reply) else {
                return Err(std::io::Error::other(format!("GET {key} answered {reply}")));
            };
            self.history.record(0, &key, Operation::Get, called, outcome);
        }
        Ok(())
    }

    /// Panics unless the history is linearizable and the counters hold what was acknowledged.
    /// Call [`Report::read_back`] first.
    pub async fn assert_consistent(&self, proxy: &str) {
        let summary = self.history.check().unwrap_or_else(|violation| panic!("{violation}"));
        eprintln!(
            "linearizable: {} operations on {} keys, {} of unknown outcome",
            summary.operations, summary.keys, summary.unknown
        );
        let mut connection = Connection::open(proxy).await.expect("the proxy accepts connections");
        for (key, tally) in self.history.tallies() {
            let reply = connection.call(["GET", key.as_str()]).await.expect("a reply");
            let total: i64 = reply.text().parse().unwrap_or(0);
            let possible = tally.done..=tally.done + tally.unknown;
            assert!(possible.contains(&total), "counter {key} is {total}, not within {possible:?}");
        }
    }
}

/// The outcome that a reply proves, unless it is an error.
fn done(operation: Operation, reply: &Value) -> Option<Outcome> {
    let answer = match (operation, reply) {
        (Operation::Set(_), Value::Status(ok)) if ok == "OK" => None,
        (Operation::Incr, Value::Int(sum)) => Some(*sum),
        (Operation::Get, Value::Nil) => None,
        (Operation::Get, Value::Bulk(_)) => Some(reply.text().parse().ok()?),
        _ => return None,
    };
    Some(Outcome::Done(answer))
}
