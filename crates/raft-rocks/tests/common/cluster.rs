//! Nodes over loopback, each with a log of its own and a state machine in memory.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use raft_rocks::*;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Handle, sync::oneshot, task::JoinHandle, time::Instant};
use tonic::transport::{Endpoint, Server, server::TcpIncoming};

use super::MemoryMachine;

pub const GROUP: u64 = 5;
pub const WAIT: Duration = Duration::from_secs(20);

pub fn timings() -> RaftTimings {
    RaftTimings {
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(300),
        election_max: Duration::from_millis(600),
        log_keep_entries: 10,
    }
}

pub fn dial() -> Dial {
    Arc::new(|addr: &str| Ok(Endpoint::from_shared(format!("http://{addr}"))?.connect_lazy()))
}

/// A node that may be down. Each has a runtime of its own, so that it dies with all its tasks.
pub struct Node {
    pub id: u64,
    pub addr: String,
    dir: TempDir,
    options: LogOptions,
    groups: u64,
    running: Option<Running>,
    next: Option<std::net::TcpListener>,
}

struct Running {
    /// One of each group, `GROUP` and those that follow it.
    replicas: Vec<Replica>,
    runtime: Handle,
    /// Dropped to end the runtime.
    _alive: oneshot::Sender<()>,
}

struct Replica {
    raft: Raft<MemoryMachine>,
    machine: MemoryMachine,
}

impl Node {
    pub fn new(id: u64, options: LogOptions, groups: u64) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let addr = listener.local_addr().expect("address").to_string();
        let dir = tempfile::tempdir().expect("temporary directory");
        Self { id, addr, dir, options, groups, running: None, next: Some(listener) }
    }

    pub async fn start(&mut self) {
        let listener = match self.next.take() {
            Some(listener) => listener,
            None => until("the old address", || std::net::TcpListener::bind(&self.addr).ok()).await,
        };
        let (alive, end) = oneshot::channel();
        let runtime = runtime_until(end);
        let open = {
            let (dir, options) = (self.dir.path().to_owned(), self.options.clone());
            move || LogStore::open(&dir, options.clone(), AdaptiveExecutor).ok()
        };
        let (id, groups, spool) = (self.id, GROUP..GROUP + self.groups, self.dir.path().to_owned());
        let started = runtime.spawn(async move {
            // Until the dead node's tasks are gone, its log is in use.
            let store = until("the old log", open).await;
            serve(id, groups, listener, store, spool).await
        });
        let replicas = started.await.expect("started");
        self.running = Some(Running { replicas, runtime, _alive: alive });
    }

    /// No goodbye to anybody; what the log acknowledged stays.
    pub fn kill(&mut self) {
        self.running.take().expect("runs");
    }

    /// Runs `work` on the node's own runtime.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.running.as_ref().expect("runs").runtime.spawn(work)
    }

    fn replicas(&self) -> &[Replica] {
        &self.running.as_ref().expect("runs").replicas
    }

    pub fn raft(&self) -> &Raft<MemoryMachine> {
        &self.replicas()[0].raft
    }

    /// Of every group.
    pub fn rafts(&self) -> impl Iterator<Item = &Raft<MemoryMachine>> {
        self.replicas().iter().map(|replica| &replica.raft)
    }

    pub fn machine(&self) -> &MemoryMachine {
        &self.replicas()[0].machine
    }

    /// Of every group.
    pub fn machines(&self) -> impl Iterator<Item = &MemoryMachine> {
        self.replicas().iter().map(|replica| &replica.machine)
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

/// A runtime on a thread of its own, as a storage node has it.
fn runtime_until(end: oneshot::Receiver<()>) -> Handle {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let handle = runtime.handle().clone();
    std::thread::spawn(move || {
        // Ends when the other side is dropped.
        let _ = runtime.block_on(end);
        runtime.shutdown_background();
    });
    handle
}

async fn serve(
    id: u64,
    groups: Range<u64>,
    listener: std::net::TcpListener,
    store: LogStore,
    spool: PathBuf,
) -> Vec<Replica> {
    let registry = Registry::spooling_in(spool);
    let peers = Peers::new(dial());
    let mut replicas = Vec::new();
    for group in groups {
        replicas.push(replica(id, group, &store, &peers, &registry).await);
    }
    tokio::spawn(keep_pulse(registry.clone(), timings().heartbeat));
    listener.set_nonblocking(true).expect("set");
    let listener = TcpListener::from_std(listener).expect("listener");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(PeerService::server(registry));
    tokio::spawn(async move { server.serve_with_incoming(incoming).await });
    replicas
}

async fn replica(id: u64, group: u64, store: &LogStore, peers: &Peers, registry: &Registry) -> Replica {
    let machine = MemoryMachine::default();
    let mut log = store.group(group).of_replica(id);
    let ran_before = has_history(&mut log).await.expect("log state");
    let quiet = if ran_before { timings().election_max } else { Duration::ZERO };
    let network = peers.network(group);
    let raft = Raft::new(id, raft_config(timings()), network, log, machine.clone()).await.expect("started");
    let refuse = ran_before.then(|| Instant::now() + quiet);
    registry.insert(group, id, raft_handle(raft.clone()), refuse);
    tokio::spawn(elect_after(raft.clone(), quiet));
    Replica { raft, machine }
}

pub struct Cluster {
    pub nodes: Vec<Node>,
}

impl Cluster {
    pub async fn start(count: u64) -> Self {
        Self::start_with(count, 1, LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() }).await
    }

    /// The first node stands for election in every group.
    pub async fn start_with(count: u64, groups: u64, options: LogOptions) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        // Another test of this process may have done it.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let mut nodes = Vec::new();
        for id in 1..=count {
            let mut node = Node::new(id, options.clone(), groups);
            node.start().await;
            nodes.push(node);
        }
        let member = |node: &Node| (node.id, Member { store: node.id, addr: node.addr.clone() });
        let members: BTreeMap<u64, Member> = nodes.iter().map(member).collect();
        for raft in nodes[0].rafts() {
            raft.initialize(members.clone()).await.expect("initialized");
        }
        Self { nodes }
    }

    pub fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_running())
    }

    pub fn node(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    /// Waits until a running node leads.
    pub async fn leader(&self) -> u64 {
        self.leader_other_than(0).await
    }

    pub async fn leader_other_than(&self, old: u64) -> u64 {
        until("a leader", || {
            let leading =
                |node: &&Node| node.id != old && metrics(node.raft()).current_leader == Some(node.id);
            self.running().find(leading).map(|node| node.id)
        })
        .await
    }

    /// Writes to whoever leads, again and again until it is accepted.
    pub async fn write(&self, value: &str) {
        let deadline = Instant::now() + WAIT;
        loop {
            let leader = self.leader().await;
            let raft = self.nodes[leader as usize - 1].raft();
            let payload = Payload(Bytes::copy_from_slice(value.as_bytes()));
            match raft.client_write(payload).await {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until every running node applied the same `count` values.
    pub async fn converge(&self, count: usize) {
        until("convergence", || self.running().all(|node| node.machine().len() == count).then_some(())).await;
        let first = self.running().next().expect("a node").machine().values();
        assert!(self.running().all(|node| node.machine().values() == first));
    }
}

/// Waits for a condition.
pub async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
