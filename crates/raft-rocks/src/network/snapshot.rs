//! One snapshot, from one node to another, on a connection of its own.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::{
    errors::{NetworkError, StreamingError, Unreachable},
    raft::SnapshotResponse,
};
use parking_lot::Mutex;
use proto::v1::{SnapshotChunk, SnapshotResult, raft_peer_client::RaftPeerClient};
use tokio::{sync::Notify, time::Instant};
use tonic::{Status, Streaming};

use super::{MESSAGE_BYTES_MAX, append::Target, codec, registry::Registry, spool::Spool};
use crate::types::{Snapshot, SnapshotData, TypeConfig, Vote};

/// Longest time without a piece, on either side.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that the receiver may take to install what it received.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    #[error("the transfer broke off: {0}")]
    Broken(String),
}

impl SendError {
    pub fn into_streaming(self) -> StreamingError<TypeConfig> {
        match self {
            SendError::Unreachable(_) => StreamingError::Unreachable(Unreachable::new(&self)),
            SendError::Broken(_) => StreamingError::Network(NetworkError::new(&self)),
        }
    }
}

/// How far a transfer is.
struct Progress {
    moved: Notify,
    state: Mutex<Moving>,
}

struct Moving {
    last: Instant,
    all_sent: bool,
    /// The sender's own snapshot could not be read.
    failed: Option<String>,
}

impl Progress {
    fn step(&self, change: impl FnOnce(&mut Moving)) {
        let mut state = self.state.lock();
        state.last = Instant::now();
        change(&mut state);
        self.moved.notify_one();
    }

    /// Resolves when nothing moved for too long.
    async fn stalled(&self) {
        loop {
            let deadline = {
                let state = self.state.lock();
                state.last + if state.all_sent { INSTALL_TIMEOUT } else { IDLE_TIMEOUT }
            };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                () = self.moved.notified() => {}
            }
        }
    }
}

/// The chunks of a snapshot, made as the transport asks for them.
struct Chunks {
    group: u64,
    to_replica: u64,
    header: Option<Bytes>,
    pieces: Option<SnapshotData>,
    progress: Arc<Progress>,
}

impl Chunks {
    fn chunk(&self) -> SnapshotChunk {
        SnapshotChunk { group: self.group, to_replica: self.to_replica, ..SnapshotChunk::default() }
    }
}

impl Stream for Chunks {
    type Item = SnapshotChunk;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SnapshotChunk>> {
        if let Some(header) = self.header.take() {
            return Poll::Ready(Some(SnapshotChunk { header, ..self.chunk() }));
        }
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let Poll::Ready(piece) = pieces.poll_next_unpin(cx) else { return Poll::Pending };
        Poll::Ready(match piece {
            Some(Ok(data)) => {
                self.progress.step(|_| {});
                Some(SnapshotChunk { data, ..self.chunk() })
            }
            None => {
                self.pieces = None;
                self.progress.step(|state| state.all_sent = true);
                Some(SnapshotChunk { last: true, ..self.chunk() })
            }
            // The end without a last chunk tells the receiver.
            Some(Err(error)) => {
                self.pieces = None;
                self.progress.step(|state| state.failed = Some(error.to_string()));
                None
            }
        })
    }
}

/// Sends a snapshot and waits until it is installed.
pub(super) async fn send(
    target: &Target,
    vote: &Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<TypeConfig>, SendError> {
    let header = codec::put_snapshot_header(vote, &snapshot.meta);
    let header = header.map_err(|error| SendError::Broken(error.to_string()))?;
    let channel =
        (target.mux.dial)(&target.mux.addr).map_err(|error| SendError::Unreachable(error.to_string()))?;
    let mut client = RaftPeerClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let moving = Moving { last: Instant::now(), all_sent: false, failed: None };
    let progress = Arc::new(Progress { moved: Notify::new(), state: Mutex::new(moving) });
    let chunks = Chunks {
        group: target.group,
        to_replica: target.replica,
        header: Some(header),
        pieces: Some(snapshot.snapshot),
        progress: progress.clone(),
    };
    let result = tokio::select! {
        result = client.snapshot(chunks) => result,
        () = progress.stalled() => return Err(SendError::Unreachable("nothing moves".to_owned())),
    };
    if let Some(reason) = progress.state.lock().failed.take() {
        return Err(SendError::Broken(reason));
    }
    let result = result.map_err(|status| SendError::Unreachable(status.to_string()))?.into_inner();
    if !result.error.is_empty() {
        return Err(SendError::Unreachable(result.error));
    }
    let vote = codec::get_snapshot_vote(result.vote).map_err(|error| SendError::Broken(error.to_string()))?;
    Ok(SnapshotResponse::new(vote))
}

/// Receives a snapshot whole, then has it installed.
pub(super) async fn receive(
    registry: &Registry,
    mut chunks: Streaming<SnapshotChunk>,
) -> Result<SnapshotResult, Status> {
    let first = next_chunk(&mut chunks).await?;
    let (vote, meta) = codec::get_snapshot_header(first.header)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let (group, replica) = (first.group, first.to_replica);
    let hosted = registry.get(group, replica);
    let hosted = hosted.ok_or_else(|| Status::not_found("the replica is not hosted here"))?;
    let mut spool = Spool::new();
    loop {
        let chunk = next_chunk(&mut chunks).await?;
        if chunk.group != group || chunk.to_replica != replica || !chunk.header.is_empty() {
            return Err(Status::invalid_argument("chunk of another snapshot"));
        }
        if chunk.last {
            break;
        }
        spool.push(chunk.data, registry.spool_directory()).map_err(spool_failed)?;
    }
    let snapshot = Snapshot { meta, snapshot: spool.into_data() };
    Ok(match hosted.raft.install_snapshot(vote, snapshot).await {
        Ok(response) => {
            SnapshotResult { vote: codec::put_snapshot_vote(&response.vote), ..SnapshotResult::default() }
        }
        Err(error) => SnapshotResult { error: error.to_string(), ..SnapshotResult::default() },
    })
}

fn spool_failed(error: io::Error) -> Status {
    tracing::warn!(%error, "cannot keep an incoming snapshot");
    Status::resource_exhausted("no room for the snapshot")
}

async fn next_chunk(chunks: &mut Streaming<SnapshotChunk>) -> Result<SnapshotChunk, Status> {
    match tokio::time::timeout(IDLE_TIMEOUT, chunks.message()).await {
        Ok(chunk) => chunk?.ok_or_else(|| Status::aborted("the snapshot broke off")),
        Err(_) => Err(Status::deadline_exceeded("no chunk for too long")),
    }
}
