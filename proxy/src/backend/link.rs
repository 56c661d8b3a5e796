//! The link to meta: registers this proxy, keeps the watch stream, and publishes each topology.
//! One per process.
//!
//! Invariant: a lease is counted from when the heartbeat that it answers was made, so it ends here
//! no later than at meta, however long the answer took.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use daemon::{env::Env, grpc};
use proto::v1::{Heartbeat, RegisterProxyRequest, WatchEvent, heartbeat, meta_client::MetaClient};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use topology::{ClusterState, ProxyId, Version};

use super::{
    routes::Routes,
    topologies::{Topologies, Topology},
};

const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Without an event for so long the stream counts as dead (leases are shorter than this).
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Before meta said how long leases are.
const FIRST_HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(20);
const HEARTBEATS_QUEUED_MAX: usize = 4;
/// Heartbeats remembered for the lease; older ones bring none.
const HEARTBEATS_REMEMBERED_MAX: usize = 64;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_LAST: Duration = Duration::from_secs(1);
const LEADER_METADATA: &str = "miraft-leader";

/// Who this proxy is, and where meta is.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// host:port of each meta node.
    pub meta: Vec<String>,
    pub announce_host: String,
    pub announce_port: u16,
    /// May be empty.
    pub announce_hostname: String,
}

impl LinkOptions {
    /// The id of the proxy that announces this address.
    pub fn proxy_id(&self) -> ProxyId {
        ProxyId::of_address(&self.announce_host, self.announce_port)
    }
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("bad address: {0}")]
    Address(#[source] tonic::transport::Error),
    #[error("{0}")]
    Status(#[source] Box<Status>),
    #[error("no answer in time")]
    Silence,
    #[error("the stream ended")]
    Ended,
    #[error("the topology received is malformed: {0}")]
    Malformed(#[source] serde_json::Error),
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The link's task (to be spawned once, dropped to stop), and what it publishes.
pub fn link(env: Env, options: LinkOptions) -> (impl Future<Output = ()> + Send, Topologies) {
    let (publish, receiver) = watch::channel(Topology::unknown());
    let link = Link { incarnation: env.entropy.next_u64(), env, options, publish, leader: None };
    (link.run(), Topologies::new(receiver))
}

struct Link {
    env: Env,
    options: LinkOptions,
    publish: watch::Sender<Topology>,
    incarnation: u64,
    /// Address that some meta node named as the leader's.
    leader: Option<String>,
}

impl Link {
    async fn run(mut self) {
        let mut backoff = BACKOFF_FIRST;
        let mut next = 0;
        loop {
            let address = self.leader.take().or_else(|| {
                next += 1;
                self.options.meta.get((next - 1) % self.options.meta.len().max(1)).cloned()
            });
            let Some(address) = address else {
                tracing::error!("no meta address is configured");
                return;
            };
            let started = Instant::now();
            let Err(error) = self.follow(&address).await;
            self.leader = leader_named_by(&error);
            tracing::debug!(%address, %error, "the link to meta ended");
            if started.elapsed() > SILENCE_MAX {
                backoff = BACKOFF_FIRST;
            }
            let jitter = self.env.entropy.next_u64() % (backoff.as_millis() as u64).max(1);
            sleep(backoff / 2 + Duration::from_millis(jitter / 2)).await;
            backoff = (backoff * 2).min(BACKOFF_LAST);
        }
    }

    /// Stays with one meta node for as long as it answers.
    async fn follow(&mut self, address: &str) -> Result<std::convert::Infallible, LinkError> {
        let channel = grpc::channel(&self.env, address).map_err(LinkError::Address)?;
        let mut client = MetaClient::new(channel).max_decoding_message_size(grpc::MESSAGE_BYTES_MAX);
        in_time(client.register_proxy(self.registration())).await?;
        let (heartbeats, queue) = mpsc::channel(HEARTBEATS_QUEUED_MAX);
        let mut beats = Beats::default();
        self.beat(&mut beats, &heartbeats);
        let events = open(&mut client, queue).await?;
        tracing::info!(%address, "following meta");
        self.watch(events, beats, heartbeats).await
    }

    async fn watch(
        &mut self,
        mut events: Streaming<WatchEvent>,
        mut beats: Beats,
        heartbeats: mpsc::Sender<Heartbeat>,
    ) -> Result<std::convert::Infallible, LinkError> {
        let mut interval = FIRST_HEARTBEAT_INTERVAL;
        let mut next_beat = Instant::now() + interval;
        let mut silent_at = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                event = events.message() => {
                    let event = event?.ok_or(LinkError::Ended)?;
                    silent_at = Instant::now() + SILENCE_MAX;
                    if event.lease_ms > 0 {
                        interval = Duration::from_millis(u64::from(event.lease_ms) / 3).max(HEARTBEAT_INTERVAL_MIN);
                        next_beat = next_beat.min(Instant::now() + interval);
                    }
                    if self.take_event(event, &mut beats)? {
                        // The acknowledgement of the version.
                        self.beat(&mut beats, &heartbeats);
                        next_beat = Instant::now() + interval;
                    }
                }
                () = sleep_until(next_beat) => {
                    self.beat(&mut beats, &heartbeats);
                    next_beat = Instant::now() + interval;
                }
                () = sleep_until(silent_at) => return Err(LinkError::Silence),
            }
        }
    }

    /// Puts in force what an event brings. True if that is a new version.
    fn take_event(&self, event: WatchEvent, beats: &mut Beats) -> Result<bool, LinkError> {
        let lease_until = beats
            .made_at(event.answers)
            .map(|made| made + Duration::from_millis(u64::from(event.lease_ms)))
            .filter(|_| event.lease_ms > 0);
        let mut routes = None;
        if !event.state.is_empty() {
            let state: ClusterState = serde_json::from_slice(&event.state).map_err(LinkError::Malformed)?;
            routes = Some(state).filter(|s| s.version > self.version()).map(|s| Arc::new(Routes::of(s)));
        }
        let is_new = routes.is_some();
        self.publish.send_modify(|topology| {
            if let Some(routes) = routes {
                tracing::info!(version = %routes.version, "topology in force");
                topology.routes = routes;
                topology.lease_until = None;
            }
            if !event.leaders.is_empty() {
                topology.leaders = Arc::from(event.leaders);
            }
            // A lease is for one version: that of another says nothing about ours.
            if Version(event.version) == topology.routes.version {
                topology.lease_until = topology.lease_until.max(lease_until);
            }
        });
        Ok(is_new)
    }

    fn version(&self) -> Version {
        self.publish.borrow().routes.version
    }

    fn beat(&self, beats: &mut Beats, queue: &mpsc::Sender<Heartbeat>) {
        let heartbeat = Heartbeat {
            node: Some(heartbeat::Node::ProxyId(self.options.proxy_id().to_string())),
            acked_version: self.version().0,
            incarnation: self.incarnation,
            clock_ms: self.env.clock.now_ms(),
            number: beats.made(),
            ..Heartbeat::default()
        };
        if queue.try_send(heartbeat).is_err() {
            tracing::debug!("heartbeats to meta are stuck");
        }
    }

    fn registration(&self) -> RegisterProxyRequest {
        RegisterProxyRequest {
            proxy_id: self.options.proxy_id().to_string(),
            announce_host: self.options.announce_host.clone(),
            announce_port: u32::from(self.options.announce_port),
            announce_hostname: self.options.announce_hostname.clone(),
            rpc_addr: String::new(),
            cluster_id: self.publish.borrow().routes.state.cluster_id.clone(),
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.incarnation,
        }
    }
}

async fn open(
    client: &mut MetaClient<Channel>,
    queue: mpsc::Receiver<Heartbeat>,
) -> Result<Streaming<WatchEvent>, LinkError> {
    in_time(client.watch(ReceiverStream::new(queue))).await
}

async fn in_time<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, LinkError> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(LinkError::Silence),
    }
}

fn leader_named_by(error: &LinkError) -> Option<String> {
    let LinkError::Status(status) = error else { return None };
    if status.code() != Code::FailedPrecondition {
        return None;
    }
    let leader = status.metadata().get(LEADER_METADATA)?.to_str().ok()?;
    (!leader.is_empty()).then(|| leader.to_owned())
}

/// When each heartbeat of a stream was made.
#[derive(Debug, Default)]
struct Beats {
    last: u64,
    made: VecDeque<(u64, Instant)>,
}

impl Beats {
    /// Numbers a heartbeat that is made now.
    fn made(&mut self) -> u64 {
        self.last += 1;
        self.made.push_back((self.last, Instant::now()));
        if self.made.len() > HEARTBEATS_REMEMBERED_MAX {
            self.made.pop_front();
        }
        self.last
    }

    /// When heartbeat `number` was made; those before it are forgotten.
    fn made_at(&mut self, number: u64) -> Option<Instant> {
        while self.made.front().is_some_and(|&(n, _)| n < number) {
            self.made.pop_front();
        }
        self.made.front().filter(|&&(n, _)| n == number).map(|&(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_the_heartbeat_it_answers() {
        let mut beats = Beats::default();
        let before = Instant::now();
        let (first, second) = (beats.made(), beats.made());
        let after = Instant::now();
        assert!(beats.made_at(first).is_some_and(|at| (before..=after).contains(&at)));
        assert!(beats.made_at(second).is_some_and(|at| (before..=after).contains(&at)));
        assert_eq!(beats.made_at(first), None, "an older answer brings nothing");
        assert_eq!(beats.made_at(0), None);
        assert_eq!(beats.made_at(9), None);
    }

    #[test]
    fn only_a_refusal_for_leadership_names_a_leader() {
        let mut status = Status::failed_precondition("not the leader");
        status.metadata_mut().insert(LEADER_METADATA, "m2:7000".parse().expect("ascii"));
        assert_eq!(leader_named_by(&status.into()), Some("m2:7000".to_owned()));
        assert_eq!(leader_named_by(&Status::unavailable("down").into()), None);
        assert_eq!(leader_named_by(&LinkError::Silence), None);
    }
}
