//! The serving side: takes frames apart, feeds replicas, gathers replies into frames.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use proto::v1::{
    RaftFrame, RaftItem, RaftKind, SnapshotChunk, SnapshotResult,
    raft_peer_server::{RaftPeer, RaftPeerServer},
};
use tokio::{sync::mpsc, time::Instant};
use tonic::{Request, Response, Status, Streaming};

use super::{
    MESSAGE_BYTES_MAX,
    append::WINDOW,
    codec::{self, Append, Malformed},
    handle::RaftHandle,
    outbox::{Frames, Outbox},
    registry::{Hosted, Registry},
    snapshot,
};

/// Requests of a stream that wait for its replica; the peer's window is smaller.
const STREAM_QUEUE: usize = 2 * WINDOW;
/// Append streams of a connection: two for each group is what a peer needs.
const STREAMS_MAX: usize = 100_000;
/// Longest time for a vote or a transfer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The gRPC service `RaftPeer`. Cheap to clone, clones serve the same replicas.
#[derive(Clone, Default)]
pub struct PeerService {
    registry: Registry,
}

impl PeerService {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_registry(registry: Registry) -> Self {
        Self { registry }
    }

    /// The tonic service for these replicas, with limits that fit what peers send.
    pub fn server(registry: Registry) -> RaftPeerServer<Self> {
        RaftPeerServer::new(Self { registry })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// See [`Registry::insert`].
    pub fn insert(
        &self,
        group: u64,
        replica: u64,
        raft: Arc<dyn RaftHandle>,
        refuse_votes_until: Option<Instant>,
    ) {
        self.registry.insert(group, replica, raft, refuse_votes_until);
    }

    /// See [`Registry::remove`].
    pub fn remove(&self, group: u64) {
        self.registry.remove(group);
    }
}

#[tonic::async_trait]
impl RaftPeer for PeerService {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<RaftFrame, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<RaftFrame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let outbox = Outbox::default();
        let connection =
            Connection { registry: self.registry.clone(), outbox: outbox.clone(), streams: HashMap::new() };
        tokio::spawn(connection.run(request.into_inner()));
        Ok(Response::new(Box::pin(Frames(outbox).map(Ok))))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SnapshotResult>, Status> {
        snapshot::receive(&self.registry, request.into_inner()).await.map(Response::new)
    }
}

/// An open append stream.
struct AppendQueue {
    group: u64,
    replica: u64,
    requests: mpsc::Sender<Append>,
}

struct Connection {
    registry: Registry,
    outbox: Outbox,
    streams: HashMap<u64, AppendQueue>,
}

impl Connection {
    async fn run(mut self, mut frames: Streaming<RaftFrame>) {
        loop {
            match frames.message().await {
                Ok(Some(frame)) => {
                    if let Err(error) = self.frame(frame) {
                        tracing::warn!(%error, "Raft connection closed");
                        break;
                    }
                }
                Ok(None) => break,
                Err(status) => {
                    tracing::debug!(%status, "Raft connection broke");
                    break;
                }
            }
        }
        self.outbox.close();
    }

    fn frame(&mut self, frame: RaftFrame) -> Result<(), Malformed> {
        frame.items.into_iter().try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: RaftItem) -> Result<(), Malformed> {
        match RaftKind::try_from(item.kind).map_err(|_| Malformed)? {
            RaftKind::Append => self.append(item),
            RaftKind::Closed => {
                self.streams.remove(&item.stream);
                Ok(())
            }
            kind @ (RaftKind::Vote | RaftKind::PreVote) => self.vote(item, kind),
            RaftKind::TransferLeader => self.transfer_leader(item),
            RaftKind::AppendReply
            | RaftKind::VoteReply
            | RaftKind::PreVoteReply
            | RaftKind::TransferLeaderReply => Err(Malformed),
        }
    }

    fn append(&mut self, item: RaftItem) -> Result<(), Malformed> {
        let request = codec::get_append(item.payload.clone())?;
        if !self.streams.contains_key(&item.stream) && !self.open(&item) {
            self.outbox.push(closed(&item));
            return Ok(());
        }
        let Some(queue) = self.streams.get(&item.stream) else { return Err(Malformed) };
        if queue.group != item.group || queue.replica != item.to_replica {
            return Err(Malformed);
        }
        match queue.requests.try_send(request) {
            Ok(()) => Ok(()),
            // The peer does not keep to its window.
            Err(mpsc::error::TrySendError::Full(_)) => Err(Malformed),
            // Ended by an error that the peer will read, or has read.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.streams.remove(&item.stream);
                self.outbox.push(closed(&item));
                Ok(())
            }
        }
    }

    /// Connects a new stream with its replica. False if it is not hosted here.
    fn open(&mut self, item: &RaftItem) -> bool {
        let Some(hosted) = self.registry.get(item.group, item.to_replica) else { return false };
        if self.streams.len() >= STREAMS_MAX {
            return false;
        }
        let (requests, queued) = mpsc::channel(STREAM_QUEUE);
        tokio::spawn(serve_append(hosted, queued, self.outbox.clone(), closed(item)));
        let queue = AppendQueue { group: item.group, replica: item.to_replica, requests };
        self.streams.insert(item.stream, queue);
        true
    }

    fn vote(&self, item: RaftItem, kind: RaftKind) -> Result<(), Malformed> {
        let request = codec::get_vote_request(item.payload.clone())?;
        let hosted = self.registry.get(item.group, item.to_replica).filter(Hosted::may_vote);
        let reply_kind = match kind {
            RaftKind::PreVote => RaftKind::PreVoteReply,
            _ => RaftKind::VoteReply,
        };
        self.answer(item, reply_kind, hosted, |hosted| async move {
            let response = match kind {
                RaftKind::PreVote => hosted.raft.pre_vote(request).await,
                _ => hosted.raft.vote(request).await,
            };
            response.ok().map(|response| codec::put_vote_response(&response))
        });
        Ok(())
    }

    fn transfer_leader(&self, item: RaftItem) -> Result<(), Malformed> {
        let request = codec::get_transfer(item.payload.clone())?;
        let hosted = self.registry.get(item.group, item.to_replica);
        self.answer(item, RaftKind::TransferLeaderReply, hosted, |hosted| async move {
            let response = hosted.raft.transfer_leader(request).await;
            response.ok().map(|response| codec::put_transfer_response(&response))
        });
        Ok(())
    }

    /// Answers a call when its replica does, with CLOSED if there is none or it cannot.
    fn answer<F>(
        &self,
        item: RaftItem,
        kind: RaftKind,
        hosted: Option<Hosted>,
        call: impl FnOnce(Hosted) -> F,
    ) where
        F: Future<Output = Option<Bytes>> + Send + 'static,
    {
        let outbox = self.outbox.clone();
        let Some(answer) = hosted.map(call) else {
            outbox.push(closed(&item));
            return;
        };
        tokio::spawn(async move {
            let payload = tokio::time::timeout(CALL_TIMEOUT, answer).await.ok().flatten();
            outbox.push(match payload {
                Some(payload) => reply(&item, kind, payload),
                None => closed(&item),
            });
        });
    }
}

fn reply(item: &RaftItem, kind: RaftKind, payload: Bytes) -> RaftItem {
    RaftItem { kind: kind.into(), payload, ..*item }
}

fn closed(item: &RaftItem) -> RaftItem {
    reply(item, RaftKind::Closed, Bytes::new())
}

/// Feeds a replica and sends its results, until one is an error or the stream is closed.
async fn serve_append(hosted: Hosted, queued: mpsc::Receiver<Append>, outbox: Outbox, closed: RaftItem) {
    let input = stream::unfold(queued, |mut queued| async move {
        let request = queued.recv().await?;
        Some((request, queued))
    });
    let mut results = hosted.raft.stream_append(input.boxed());
    let pulse = hosted.pulse;
    drop(hosted.raft);
    while let Some(Ok(result)) = results.next().await {
        if result.is_ok() {
            pulse.hear();
        }
        if !outbox.push(reply(&closed, RaftKind::AppendReply, codec::put_append_result(&result))) {
            return;
        }
    }
    // The replica stopped, or the peer has closed the stream itself and ignores this.
    outbox.push(closed);
}
