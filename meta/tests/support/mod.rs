//! Meta nodes in threads of this process, and stand-ins for storage nodes and proxies. Nodes find
//! one another by made-up names; each really listens on a free loopback port.

mod fakes;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use daemon::{
    env::{BoxFuture, BoxIo, Clock, Env, Listener, Net},
    meta_client::{MetaClient, Refused},
};
use parking_lot::Mutex;
use proto::v1::{
    AddLearnerRequest, ApplyRequest, ApplyResponse, GetStateRequest, MembersRequest, MembersResponse,
    PromoteRequest, RemoveRequest, meta_admin_client::MetaAdminClient,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use topology::{ClusterState, Command};

pub use fakes::{DISK_FREE_BYTES, DISK_TOTAL_BYTES, FakeProxy, FakeStore, ProxyView};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Admin = MetaAdminClient<tonic::transport::Channel>;

/// Names instead of ports.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<String, SocketAddr>>>);

impl Net for Names {
    fn dial<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let addr = self.0.lock().get(name).copied().ok_or(io::ErrorKind::ConnectionRefused)?;
            Env::real().net.dial(&addr.to_string()).await
        })
    }

    fn bind<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = Env::real().net.bind("127.0.0.1:0").await?;
            self.0.lock().insert(name.to_owned(), listener.local_addr()?);
            Ok(listener)
        })
    }
}

/// A wall clock that is wrong.
struct Skewed(Arc<dyn Clock>, i64);

impl Clock for Skewed {
    fn now_ms(&self) -> u64 {
        self.0.now_ms().saturating_add_signed(self.1)
    }
}

struct Node {
    thread: JoinHandle<()>,
    kill: CancellationToken,
    stop: CancellationToken,
}

/// A meta group. Nodes are numbered from 1.
pub struct Metas {
    env: Env,
    asking: MetaClient,
    size: u64,
    directory: tempfile::TempDir,
    nodes: HashMap<u64, Node>,
    tweak: fn(&mut meta::Options),
}

impl Metas {
    /// `size` nodes, started.
    pub fn start(size: u64, tweak: fn(&mut meta::Options)) -> Self {
        let env = Env { net: Arc::new(Names::default()), ..Env::real() };
        let directory = tempfile::tempdir().unwrap();
        let asking = MetaClient::new(env.clone(), (1..=size).map(name).collect());
        let mut metas = Self { env, asking, size, directory, nodes: HashMap::new(), tweak };
        for id in 1..=size {
            metas.start_node(id);
        }
        metas
    }

    /// One of the first.
    pub fn start_node(&mut self, id: u64) {
        let peers = (1..=self.size).map(|peer| format!("{peer}={}", name(peer))).collect();
        self.start_with(meta::Options { id, peers, ..meta::Options::default() });
    }

    /// One that waits to be added.
    pub fn start_joining(&mut self, id: u64) {
        self.start_with(meta::Options { id, join: true, ..meta::Options::default() });
        let names = (1..=self.size.max(id)).map(name).collect();
        self.asking = MetaClient::new(self.env.clone(), names);
    }

    /// One that forms a group of its own.
    pub fn start_alone(&mut self, id: u64) {
        self.start_with(meta::Options { id, ..meta::Options::default() });
    }

    fn start_with(&mut self, options: meta::Options) {
        let id = options.id;
        let mut options = meta::Options {
            data_dir: self.data_dir(id),
            listen: name(id),
            advertise: name(id),
            http_listen: Some(http_name(id)),
            ..options
        };
        (self.tweak)(&mut options);
        let (kill, stop) = (CancellationToken::new(), CancellationToken::new());
        let (killed, stopped, env) = (kill.clone(), stop.clone(), self.env.clone());
        let thread = std::thread::spawn(move || {
            daemon::process::block_on(async move {
                tokio::select! {
                    ended = meta::run(options, env, |_| {}, stopped) => ended.expect("a meta node failed"),
                    () = killed.cancelled() => {}
                }
            })
            .expect("a runtime");
        });
        self.nodes.insert(id, Node { thread, kill, stop });
    }

    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.directory.path().join(id.to_string())
    }

    /// Drops everything the node was doing, in the middle of it.
    pub fn kill(&mut self, id: u64) {
        let node = self.nodes.remove(&id).expect("a running node");
        node.kill.cancel();
        node.thread.join().unwrap();
    }

    pub fn stop(&mut self, id: u64) {
        let node = self.nodes.remove(&id).expect("a running node");
        node.stop.cancel();
        node.thread.join().unwrap();
    }

    /// A new one: it knows nothing yet.
    pub fn client(&self) -> MetaClient {
        MetaClient::new(self.env.clone(), (1..=self.size).map(name).collect())
    }

    /// A new one, on a machine whose clock is wrong by so much.
    pub fn skewed_client(&self, skew_ms: i64) -> MetaClient {
        let clock = Arc::new(Skewed(self.env.clock.clone(), skew_ms));
        MetaClient::new(Env { clock, ..self.env.clone() }, (1..=self.size).map(name).collect())
    }

    /// Asks the leader, whoever it is, until it answers.
    pub async fn ask<T, F>(&self, call: impl Fn(Admin) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        tokio::time::timeout(PATIENCE, self.asking.admin(call)).await.expect("no answer")
    }

    pub async fn add_learner(&self, id: u64, addr: &str) -> Result<MembersResponse, Refused> {
        let request = AddLearnerRequest { id, addr: addr.to_owned() };
        self.ask(|mut admin| {
            let request = request.clone();
            async move { admin.add_learner(request).await }
        })
        .await
    }

    pub async fn promote(&self, ids: &[u64]) -> Result<MembersResponse, Refused> {
        self.ask(|mut admin| {
            let request = PromoteRequest { ids: ids.to_vec() };
            async move { admin.promote(request).await }
        })
        .await
    }

    pub async fn remove(&self, ids: &[u64], keep_as_learners: bool) -> Result<MembersResponse, Refused> {
        self.ask(|mut admin| {
            let request = RemoveRequest { ids: ids.to_vec(), keep_as_learners };
            async move { admin.remove(request).await }
        })
        .await
    }

    /// Adds a node that waits, and gives it a vote as soon as it has caught up.
    pub async fn join(&self, id: u64) -> MembersResponse {
        self.add_learner(id, &name(id)).await.expect("a new learner");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.promote(&[id]).await {
                Ok(members) => return members,
                Err(refused) => assert!(Instant::now() < deadline, "never promoted: {refused}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What `/readyz` says.
    pub async fn is_ready(&self, id: u64) -> bool {
        let Ok(mut io) = self.env.net.dial(&http_name(id)).await else { return false };
        io.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        answer.starts_with("HTTP/1.0 200")
    }

    /// Asks one node how it sees the group.
    pub async fn members_at(&self, id: u64) -> MembersResponse {
        self.admin(id).members(MembersRequest {}).await.unwrap().into_inner()
    }

    pub async fn state(&self) -> ClusterState {
        let asked = self.asking.admin(async |mut admin| admin.get_state(GetStateRequest {}).await);
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("no answer").unwrap();
        serde_json::from_slice(&answer.state).unwrap()
    }

    /// Waits until the state is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&ClusterState) -> bool) -> ClusterState {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state().await;
            if wanted(&state) {
                return state;
            }
            assert!(
                Instant::now() < deadline,
                "never: {what}\n{}",
                serde_json::to_string_pretty(&state).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the leader, whoever it is, until it answers.
    pub async fn apply(&self, operation: &str, command: &Command) -> ApplyResponse {
        let request = request(operation, command, 0);
        let asked = self.asking.admin(|mut admin| {
            let request = request.clone();
            async move { admin.apply(request).await }
        });
        tokio::time::timeout(PATIENCE, asked).await.expect("no answer").unwrap()
    }

    /// Asks one node, once.
    pub async fn apply_at(
        &self,
        id: u64,
        operation: &str,
        command: &Command,
        timeout_ms: u32,
    ) -> Result<ApplyResponse, tonic::Status> {
        let request = request(operation, command, timeout_ms);
        self.admin(id).apply(request).await.map(tonic::Response::into_inner)
    }

    pub fn admin(&self, id: u64) -> Admin {
        MetaAdminClient::new(daemon::grpc::channel(&self.env, &name(id)).unwrap())
    }

    pub async fn leader(&self) -> u64 {
        // Only a leader answers this one.
        self.ask(async |mut admin| admin.get_state(GetStateRequest {}).await).await.unwrap();
        self.ask(async |mut admin| admin.members(MembersRequest {}).await).await.unwrap().leader
    }

    /// `count` stores and proxies, up and settled.
    pub async fn populate(&self, stores: u64, proxies: u16) -> (Vec<FakeStore>, Vec<FakeProxy>) {
        let stores: Vec<_> =
            (1..=stores).map(|n| FakeStore::start(self.client(), n, &format!("s{n}"))).collect();
        let proxies: Vec<_> = (0..proxies).map(|n| FakeProxy::start(self.client(), 7000 + n)).collect();
        let count = proxies.len();
        self.until("a settled cluster", |state| is_settled(state, count)).await;
        (stores, proxies)
    }
}

impl Drop for Metas {
    fn drop(&mut self) {
        for node in self.nodes.values() {
            node.kill.cancel();
        }
        for (_, node) in self.nodes.drain() {
            // A failed node has told so itself.
            let _ = node.thread.join();
        }
    }
}

pub fn name(id: u64) -> String {
    format!("meta-{id}:1")
}

fn http_name(id: u64) -> String {
    format!("meta-{id}:2")
}

/// Ids of the members that have a vote.
pub fn voters(members: &MembersResponse) -> Vec<u64> {
    members.members.iter().filter(|member| member.voter).map(|member| member.id).collect()
}

/// Waits until `wanted` answers something.
pub async fn eventually<T>(what: &str, wanted: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = wanted().await {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Looks again and again for so long.
pub async fn holds_for(time: Duration, what: &str, wanted: impl AsyncFn() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(wanted().await, "no longer: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn request(operation: &str, command: &Command, timeout_ms: u32) -> ApplyRequest {
    let command = serde_json::to_vec(command).unwrap().into();
    ApplyRequest { operation_id: operation.to_owned(), command, timeout_ms }
}

/// Groups exist and are formed, all slots are owned, every group is fronted by a live proxy, and
/// `proxies` of them are live.
pub fn is_settled(state: &ClusterState, proxies: usize) -> bool {
    let fronted: usize = state.live_proxies().map(|(_, p)| p.fronts.len()).sum();
    !state.groups.is_empty()
        && state.groups.values().all(|g| g.formed)
        && state.groups.values().map(|g| g.slots.len()).sum::<usize>() == 16384
        && (proxies == 0 || fronted == state.groups.len())
        && state.live_proxies().count() == proxies
}
