//! What openraft sees of the network: a factory per group, a client per target and purpose.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures::Stream;
use openraft::{
    base::{BoxFuture, BoxStream},
    errors::{RPCError, ReplicationClosed, StreamingError, Timeout},
    network::{RPCOption, RaftNetworkFactory, RaftNetworkV2},
    raft::{
        AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest,
        VoteResponse,
    },
};
use proto::v1::RaftKind;

use super::{
    append::{AppendStream, OpenStream, Target, unreachable},
    codec::{self, Append, AppendResult, Malformed},
    mux::{Disconnected, Lane, Peers, Reply},
    snapshot,
};
use crate::types::{Member, NodeId, Snapshot, SnapshotData, TypeConfig, Vote};

type RpcError = RPCError<TypeConfig>;

/// The network of one group.
pub struct GroupNetwork {
    peers: Peers,
    group: u64,
}

impl GroupNetwork {
    pub(super) fn new(peers: Peers, group: u64) -> Self {
        Self { peers, group }
    }

    fn client(&self, replica: NodeId, node: &Member, appends: Lane) -> PeerNetwork {
        let target = |lane| Target { mux: self.peers.mux(&node.addr, lane), group: self.group, replica };
        PeerNetwork { appends: target(appends), calls: target(Lane::Control), stream: None }
    }
}

impl RaftNetworkFactory<TypeConfig> for GroupNetwork {
    type Network = PeerNetwork;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> PeerNetwork {
        self.client(target, node, Lane::Bulk)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &Member) -> PeerNetwork {
        self.client(target, node, Lane::Control)
    }
}

/// The way to one replica. Replication, heartbeats and votes each have their own.
pub struct PeerNetwork {
    appends: Target,
    calls: Target,
    stream: Option<OpenStream>,
}

/// Gives the call up when the caller does.
struct PendingCall<'a>(&'a Target, u64);

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.0.mux.close(self.1, None);
    }
}

impl PeerNetwork {
    async fn call(&self, kind: RaftKind, payload: Bytes, option: &RPCOption) -> Result<Reply, RpcError> {
        let item = self.calls.item(0, kind, payload);
        let (stream, reply) = self.calls.mux.call(item).map_err(unreachable)?;
        let _pending = PendingCall(&self.calls, stream);
        match tokio::time::timeout(option.hard_ttl(), reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(unreachable(Disconnected)),
            Err(_) => Err(RPCError::Timeout(self.timeout(kind, option.hard_ttl()))),
        }
    }

    fn timeout(&self, kind: RaftKind, timeout: Duration) -> Timeout<TypeConfig> {
        let action = match kind {
            RaftKind::TransferLeader => openraft::RPCTypes::TransferLeader,
            _ => openraft::RPCTypes::Vote,
        };
        // The caller's own id is not known here and only shown in messages.
        Timeout { action, id: 0, target: self.calls.replica, timeout }
    }
}

/// The payload of a reply of the right kind.
fn decoded<T>(
    (kind, payload): Reply,
    wanted: RaftKind,
    decode: impl FnOnce(Bytes) -> Result<T, Malformed>,
) -> Result<T, RpcError> {
    match kind {
        kind if kind == wanted => decode(payload).map_err(unreachable),
        RaftKind::Closed => Err(unreachable("the peer does not host the replica, or refuses for now")),
        _ => Err(unreachable("unexpected reply")),
    }
}

impl RaftNetworkV2<TypeConfig> for PeerNetwork {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: Append,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        use futures::StreamExt;
        let input = futures::stream::iter([request]);
        let mut results = AppendStream::new(self.appends.clone(), &mut self.stream, input);
        match results.next().await {
            Some(result) => result.map(AppendEntriesResponse::from),
            None => Err(unreachable(Disconnected)),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, RpcError>>, RpcError>>
    where
        S: Stream<Item = Append> + Send + Unpin + 'static,
    {
        let results = AppendStream::new(self.appends.clone(), &mut self.stream, input);
        Box::pin(std::future::ready(Ok(Box::pin(results) as BoxStream<'s, _>)))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let reply = self.call(RaftKind::Vote, codec::put_vote_request(&request), &option).await?;
        decoded(reply, RaftKind::VoteReply, codec::get_vote_response)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let reply = self.call(RaftKind::PreVote, codec::put_vote_request(&request), &option).await?;
        decoded(reply, RaftKind::PreVoteReply, codec::get_vote_response)
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let reply = self.call(RaftKind::TransferLeader, codec::put_transfer(&request), &option).await?;
        decoded(reply, RaftKind::TransferLeaderReply, codec::get_transfer_response)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(&self.appends, &vote, snapshot) => sent.map_err(snapshot::SendError::into_streaming),
        }
    }
}
