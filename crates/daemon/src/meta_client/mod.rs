//! The way to meta, for storage nodes, proxies and the CLI: finds the leader among the addresses it
//! knows, retries with a bounded, jittered pause, and keeps one watch stream alive.
//!
//! It knows the configured addresses, for good, and those that meta named last: nodes that joined
//! later. So all of the configured ones may be replaced while a process runs.
//!
//! A lease is counted from when the heartbeat it answers was *sent*, on this process's monotone
//! clock: however long an event was on its way, or this process suspended, it never lasts longer
//! than meta believes.

mod target;
mod watch;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{
    Heartbeat, LeaderHint, Libraries, RegisterProxyRequest, RegisterProxyResponse, RegisterStorageRequest,
    RegisterStorageResponse, meta_admin_client::MetaAdminClient, meta_client as rpc,
};
use tokio::{
    sync::{mpsc, watch as latest},
    time::Instant,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Status, transport::Channel};

use crate::{env::Env, grpc};
use target::{Target, is_definite, leader_named_by};
use watch::Watcher;

/// Metadata entry in which a node that does not lead names the leader.
pub const LEADER_METADATA: &str = "miraft-leader";
/// The latest heartbeat is repeated this often, whether or not it changed; more often where leases
/// are short.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(400);

const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE_MIN_MS: u64 = 20;
const PAUSE_MAX_MS: u64 = 250;
/// How often in a row a node's word for who leads is followed without a pause.
const HOPS_MAX: u32 = 2;
const EVENTS_QUEUED: usize = 16;

/// Cheap to clone; clones share what they know about the leader.
#[derive(Clone)]
pub struct MetaClient {
    env: Env,
    /// Never held across an await.
    target: Arc<Mutex<Target>>,
}

/// What a watch yields.
#[derive(Debug, Clone)]
pub struct Update {
    /// JSON of `topology::ClusterState`; empty when the state is what it was.
    pub state: Bytes,
    /// Of the state in force at meta when the event was made.
    pub version: u64,
    /// Topology answers *from this version* may be given until then; from another, this update
    /// allows none. Never moves back for one version.
    pub lease_until: Option<Instant>,
    /// Current leaders; empty when they are what they were.
    pub leaders: Vec<LeaderHint>,
    /// The libraries of functions; none when they are what they were, and for proxies.
    pub libraries: Option<Libraries>,
}

/// Sets what the next heartbeats say. Dropping it ends the watch.
pub struct HeartbeatSender(latest::Sender<Heartbeat>);

impl HeartbeatSender {
    /// Sends `heartbeat` at once if the stream is up, and from then on instead of the last one.
    /// `number` and `clock_ms` are filled in.
    pub fn send(&self, heartbeat: Heartbeat) {
        self.0.send_replace(heartbeat);
    }

    /// Changes the heartbeat in place and sends it: `sender.update(|h| h.acked_version = 7)`.
    pub fn update(&self, change: impl FnOnce(&mut Heartbeat)) {
        self.0.send_modify(change);
    }
}

/// Meta refused for good: asking again would not help.
#[derive(Debug, thiserror::Error)]
#[error("meta refused: {0}")]
pub struct Refused(#[from] Box<Status>);

impl MetaClient {
    /// `addrs` are host:port of meta nodes, any of them, in any order.
    pub fn new(env: Env, addrs: Vec<String>) -> Self {
        let next = if addrs.is_empty() { 0 } else { env.entropy.next_u64() as usize % addrs.len() };
        Self { env, target: Arc::new(Mutex::new(Target::new(addrs, next))) }
    }

    /// Tries until it succeeds or is refused for good. Drop the future to give up.
    pub async fn register_storage(
        &self,
        request: RegisterStorageRequest,
    ) -> Result<RegisterStorageResponse, Refused> {
        self.until_answered(|channel| {
            let request = request.clone();
            async move {
                rpc::MetaClient::new(channel).register_storage(request).await.map(tonic::Response::into_inner)
            }
        })
        .await
    }

    /// Tries until it succeeds or is refused for good. Drop the future to give up.
    pub async fn register_proxy(
        &self,
        request: RegisterProxyRequest,
    ) -> Result<RegisterProxyResponse, Refused> {
        self.until_answered(|channel| {
            let request = request.clone();
            async move {
                rpc::MetaClient::new(channel).register_proxy(request).await.map(tonic::Response::into_inner)
            }
        })
        .await
    }

    /// Calls the leader, whoever it is: `client.admin(async |mut admin| admin.members(…).await)`.
    /// Tries until it succeeds or is refused for good; only for what may be asked twice.
    pub async fn admin<T, F>(&self, call: impl Fn(MetaAdminClient<Channel>) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.until_answered(|channel| {
            let admin = MetaAdminClient::new(channel).max_decoding_message_size(grpc::MESSAGE_BYTES_MAX);
            let answer = call(admin);
            async move { answer.await.map(tonic::Response::into_inner) }
        })
        .await
    }

    /// Keeps one watch stream to the leader: connects again by itself, repeats the heartbeat, and
    /// yields what meta sends. It ends when meta does not know the node (any more): register again,
    /// then watch again. Dropping either half ends it too.
    pub fn watch(
        &self,
        first: Heartbeat,
    ) -> (HeartbeatSender, impl Stream<Item = Update> + Send + Unpin + use<>) {
        let (heartbeat, heartbeats) = latest::channel(first);
        let (events, yielded) = mpsc::channel(EVENTS_QUEUED);
        let watcher = Watcher::new(self.clone(), heartbeats, events);
        tokio::spawn(watcher.run());
        (HeartbeatSender(heartbeat), ReceiverStream::new(yielded))
    }

    async fn until_answered<T, F>(&self, call: impl Fn(Channel) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut pause = Pause::default();
        loop {
            match self.once(&call).await {
                Ok(answer) => return Ok(answer),
                Err(status) if is_definite(&status) => return Err(Refused(Box::new(status))),
                Err(status) => {
                    tracing::debug!(%status, "meta did not answer");
                    pause.wait(&self.env, &status).await;
                }
            }
        }
    }

    async fn once<T, F>(&self, call: impl Fn(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (addr, channel) = self.channel()?;
        let answer = tokio::time::timeout(CALL_TIMEOUT, call(channel)).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from meta in time")));
        self.learn(&addr, answer.as_ref().err());
        answer
    }

    fn channel(&self) -> Result<(String, Channel), Status> {
        self.target.lock().channel(&self.env)
    }

    fn learn(&self, addr: &str, error: Option<&Status>) {
        self.target.lock().learn(addr, error);
    }
}

/// Exponential, bounded, jittered.
#[derive(Default)]
struct Pause {
    failures: u32,
    hops: u32,
}

impl Pause {
    /// Returns at once if `status` tells whom to ask instead.
    async fn wait(&mut self, env: &Env, status: &Status) {
        if leader_named_by(status).is_some() && self.hops < HOPS_MAX {
            self.hops += 1;
            return;
        }
        self.hops = 0;
        let longest = (PAUSE_MIN_MS << self.failures.min(10)).min(PAUSE_MAX_MS);
        self.failures += 1;
        let pause_ms = longest / 2 + env.entropy.next_u64() % (longest / 2 + 1);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}
