//! The way to meta, for storage nodes, proxies and the CLI: finds the leader among the configured
//! addresses, retries with a bounded, jittered pause, and keeps one watch stream alive.
//!
//! A lease is counted from when the heartbeat it answers was *sent*, on this process's monotone
//! clock: however long an event was on its way, or this process suspended, it never lasts longer
//! than meta believes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{
    Heartbeat, LeaderHint, RegisterProxyRequest, RegisterProxyResponse, RegisterStorageRequest,
    RegisterStorageResponse, WatchEvent, meta_admin_client::MetaAdminClient, meta_client as rpc,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::{env::Env, grpc};

/// Metadata entry in which a node that does not lead names the leader.
pub const LEADER_METADATA: &str = "miraft-leader";
/// The latest heartbeat is repeated this often, whether or not it changed.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(400);

const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// Meta is never silent for so long on a stream that works.
const SILENCE_MAX: Duration = Duration::from_secs(3);
const PAUSE_MIN_MS: u64 = 20;
const PAUSE_MAX_MS: u64 = 250;
/// How often in a row a node's word for who leads is followed without a pause.
const HOPS_MAX: u32 = 2;
const EVENTS_QUEUED: usize = 16;
/// Heartbeats whose sending time is remembered; meta answers one of the latest.
const SENT_REMEMBERED: usize = 64;

/// Cheap to clone; clones share what they know about the leader.
#[derive(Clone)]
pub struct MetaClient {
    env: Env,
    shared: Arc<Shared>,
}

struct Shared {
    addrs: Vec<String>,
    /// Never held across an await.
    target: Mutex<Target>,
}

/// Whom to ask next.
#[derive(Default)]
struct Target {
    /// As it answered last, or as another node named it.
    leader: Option<String>,
    /// Into `addrs`, while no leader is known.
    next: usize,
    channels: Vec<(String, Channel)>,
}

/// What a watch yields.
#[derive(Debug, Clone)]
pub struct Update {
    /// JSON of `topology::ClusterState`; empty when the state is what it was.
    pub state: Bytes,
    /// Of the state in force at meta when the event was made.
    pub version: u64,
    /// Topology answers may be given until then. Never moves back.
    pub lease_until: Option<Instant>,
    /// Current leaders; empty when they are what they were.
    pub leaders: Vec<LeaderHint>,
}

/// Sets what the next heartbeats say. Dropping it ends the watch.
pub struct HeartbeatSender(watch::Sender<Heartbeat>);

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
        let target = Mutex::new(Target { next, ..Target::default() });
        Self { env, shared: Arc::new(Shared { addrs, target }) }
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
            let answer = call(MetaAdminClient::new(channel));
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
        let (heartbeat, heartbeats) = watch::channel(first);
        let (events, yielded) = mpsc::channel(EVENTS_QUEUED);
        let watcher = Watcher { client: self.clone(), heartbeats, events, lease_until: None };
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
                Err(status) if is_definite(status.code()) => return Err(Refused(Box::new(status))),
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
        let (addr, channel) = self.target()?;
        let answer = tokio::time::timeout(CALL_TIMEOUT, call(channel)).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from meta in time")));
        self.learn(&addr, answer.as_ref().err());
        answer
    }

    fn target(&self) -> Result<(String, Channel), Status> {
        let mut target = self.shared.target.lock();
        let addr = match &target.leader {
            Some(leader) => leader.clone(),
            None => {
                let addrs = &self.shared.addrs;
                addrs
                    .get(target.next)
                    .cloned()
                    .ok_or_else(|| Status::invalid_argument("no meta address is configured"))?
            }
        };
        if let Some((_, channel)) = target.channels.iter().find(|(known, _)| *known == addr) {
            return Ok((addr, channel.clone()));
        }
        let channel = grpc::channel(&self.env, &addr)
            .map_err(|error| Status::invalid_argument(format!("meta address {addr}: {error}")))?;
        target.channels.push((addr.clone(), channel.clone()));
        Ok((addr, channel))
    }

    /// Takes the leader from how `addr` answered; without a clue the next address is tried.
    fn learn(&self, addr: &str, error: Option<&Status>) {
        let mut target = self.shared.target.lock();
        let Some(status) = error.filter(|status| !is_definite(status.code())) else {
            target.leader = Some(addr.to_owned());
            return;
        };
        target.leader = leader_named_by(status).filter(|&leader| leader != addr).map(str::to_owned);
        if target.leader.is_none() && !self.shared.addrs.is_empty() {
            target.next = (target.next + 1) % self.shared.addrs.len();
        }
    }
}

fn is_definite(code: Code) -> bool {
    use Code::*;
    matches!(
        code,
        InvalidArgument | NotFound | AlreadyExists | PermissionDenied | Unimplemented | Unauthenticated
    )
}

fn leader_named_by(status: &Status) -> Option<&str> {
    status.metadata().get(LEADER_METADATA)?.to_str().ok()
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

/// The task behind one watch.
struct Watcher {
    client: MetaClient,
    heartbeats: watch::Receiver<Heartbeat>,
    events: mpsc::Sender<Update>,
    lease_until: Option<Instant>,
}

/// Why a stream ended.
enum Ended {
    /// Connect again.
    Broken(Status),
    /// Nobody listens any more, or meta wants the node to register: the watch is over.
    Over,
}

impl Watcher {
    async fn run(mut self) {
        let mut pause = Pause::default();
        loop {
            let opened = Instant::now();
            let Ended::Broken(status) = self.stream().await else { return };
            tracing::debug!(%status, "the watch stream of meta ended");
            if opened.elapsed() > SILENCE_MAX {
                pause = Pause::default();
            }
            tokio::select! {
                () = pause.wait(&self.client.env, &status) => {}
                () = self.events.closed() => return,
            }
        }
    }

    /// One stream, to its end.
    async fn stream(&mut self) -> Ended {
        let (addr, channel) = match self.client.target() {
            Ok(target) => target,
            Err(status) => return Ended::Broken(status),
        };
        let mut sent = Sent::default();
        let (outbound, messages) = mpsc::channel(EVENTS_QUEUED);
        // The first one must be there before the call: the server answers once it has read it.
        if outbound.send(self.heartbeat(&mut sent)).await.is_err() {
            return Ended::Over;
        }
        let mut client = rpc::MetaClient::new(channel).max_decoding_message_size(grpc::MESSAGE_BYTES_MAX);
        let opening = tokio::time::timeout(CALL_TIMEOUT, client.watch(ReceiverStream::new(messages)));
        let opened = tokio::select! {
            opened = opening => opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from meta in time"))),
            () = self.events.closed() => return Ended::Over,
        };
        let ended = match opened {
            Ok(inbound) => self.follow(&addr, inbound.into_inner(), &outbound, &mut sent).await,
            Err(status) => Ended::Broken(status),
        };
        match ended {
            Ended::Broken(status) if status.code() == Code::NotFound => Ended::Over,
            Ended::Broken(status) => {
                self.client.learn(&addr, Some(&status));
                Ended::Broken(status)
            }
            Ended::Over => Ended::Over,
        }
    }

    async fn follow(
        &mut self,
        addr: &str,
        mut inbound: Streaming<WatchEvent>,
        outbound: &mpsc::Sender<Heartbeat>,
        sent: &mut Sent,
    ) -> Ended {
        let mut repeat = Instant::now() + HEARTBEAT_INTERVAL;
        let mut silent = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                event = inbound.next() => match event {
                    Some(Ok(event)) => {
                        silent = Instant::now() + SILENCE_MAX;
                        self.client.learn(addr, None);
                        let update = self.update(event, sent);
                        if self.events.send(update).await.is_err() {
                            return Ended::Over;
                        }
                        continue;
                    }
                    Some(Err(status)) => return Ended::Broken(status),
                    None => return Ended::Broken(Status::unavailable("meta closed the stream")),
                },
                changed = self.heartbeats.changed() => if changed.is_err() {
                    return Ended::Over;
                },
                () = tokio::time::sleep_until(repeat) => {}
                () = tokio::time::sleep_until(silent) => {
                    return Ended::Broken(Status::deadline_exceeded("meta fell silent"));
                }
                () = self.events.closed() => return Ended::Over,
            }
            repeat = Instant::now() + HEARTBEAT_INTERVAL;
            let heartbeat = self.heartbeat(sent);
            // A full channel: meta does not read. The silence timer decides; what is not sent now
            // is superseded by the next one anyway.
            if let Err(mpsc::error::TrySendError::Closed(_)) = outbound.try_send(heartbeat) {
                return Ended::Broken(Status::unavailable("meta closed the stream"));
            }
        }
    }

    fn heartbeat(&mut self, sent: &mut Sent) -> Heartbeat {
        let mut heartbeat = self.heartbeats.borrow_and_update().clone();
        heartbeat.number = sent.note(Instant::now());
        heartbeat.clock_ms = self.client.env.clock.now_ms();
        heartbeat
    }

    fn update(&mut self, event: WatchEvent, sent: &Sent) -> Update {
        let counted_from = sent.at(event.answers).filter(|_| event.lease_ms > 0);
        let granted = counted_from.map(|at| at + Duration::from_millis(event.lease_ms.into()));
        self.lease_until = self.lease_until.max(granted);
        Update {
            state: event.state,
            version: event.version,
            lease_until: self.lease_until,
            leaders: event.leaders,
        }
    }
}

/// When the latest heartbeats of one stream were sent.
#[derive(Default)]
struct Sent {
    last: u64,
    at: VecDeque<Instant>,
}

impl Sent {
    fn note(&mut self, now: Instant) -> u64 {
        if self.at.len() == SENT_REMEMBERED {
            self.at.pop_front();
        }
        self.at.push_back(now);
        self.last += 1;
        self.last
    }

    fn at(&self, number: u64) -> Option<Instant> {
        let age = usize::try_from(self.last.checked_sub(number)?).ok()?;
        (number > 0).then(|| self.at.len().checked_sub(age + 1)).flatten().map(|position| self.at[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_times_are_found_while_remembered() {
        let mut sent = Sent::default();
        let start = Instant::now();
        assert_eq!(sent.at(0), None);
        assert_eq!(sent.at(1), None);
        for n in 1..=100 {
            assert_eq!(sent.note(start + Duration::from_millis(n)), n);
        }
        assert_eq!(sent.at(100), Some(start + Duration::from_millis(100)));
        assert_eq!(sent.at(37), Some(start + Duration::from_millis(37)));
        assert_eq!(sent.at(36), None);
        assert_eq!(sent.at(0), None);
        assert_eq!(sent.at(101), None);
    }
}
