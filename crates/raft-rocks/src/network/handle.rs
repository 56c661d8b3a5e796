//! A Raft as the server side sees it, whatever its state machine.

use std::sync::Arc;

use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use openraft::{
    errors::{Fatal, RaftError},
    raft::{SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse},
    storage::RaftStateMachine,
};

use super::codec::{Append, AppendResult};
use crate::types::{Raft, Snapshot, SnapshotData, TypeConfig, Vote, WatchReceiver as _};

type Answer<T, E = RaftError<TypeConfig>> = BoxFuture<'static, Result<T, E>>;

/// What peers may ask of a replica, and what keeps it alive.
pub trait RaftHandle: Send + Sync + 'static {
    fn leads(&self) -> bool;
    /// Turns openraft's own timer on or off.
    fn keep_time(&self, on: bool);
    /// Tells the followers that this replica leads, if it does.
    fn heartbeat(&self) -> BoxFuture<'_, ()>;
    /// Feeds requests in order; results come in order and end at the first that is not a success.
    fn stream_append(
        &self,
        input: BoxStream<'static, Append>,
    ) -> BoxStream<'static, Result<AppendResult, Fatal<TypeConfig>>>;
    fn vote(&self, request: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>>;
    fn pre_vote(&self, request: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>>;
    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<TypeConfig>,
    ) -> Answer<TransferLeaderResponse<TypeConfig>, Fatal<TypeConfig>>;
    fn install_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Answer<SnapshotResponse<TypeConfig>, Fatal<TypeConfig>>;
}

/// The handle of a running Raft.
pub fn raft_handle<SM>(raft: Raft<SM>) -> Arc<dyn RaftHandle>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>,
{
    Arc::new(Handle(raft))
}

struct Handle<SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>>(Raft<SM>);

impl<SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotData>> RaftHandle for Handle<SM> {
    fn leads(&self) -> bool {
        self.0.server_metrics().borrow_watched().state.is_leader()
    }

    fn keep_time(&self, on: bool) {
        self.0.runtime_config().tick(on);
    }

    fn heartbeat(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.0.trigger().heartbeat().await {
                tracing::debug!(%error, "a replica that stopped has no heartbeat");
            }
        })
    }

    fn stream_append(
        &self,
        input: BoxStream<'static, Append>,
    ) -> BoxStream<'static, Result<AppendResult, Fatal<TypeConfig>>> {
        self.0.stream_append(input).boxed()
    }

    fn vote(&self, request: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>> {
        let raft = self.0.clone();
        Box::pin(async move { raft.vote(request).await })
    }

    fn pre_vote(&self, request: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>> {
        let raft = self.0.clone();
        Box::pin(async move { raft.pre_vote(request).await })
    }

    fn transfer_leader(
        &self,
        request: TransferLeaderRequest<TypeConfig>,
    ) -> Answer<TransferLeaderResponse<TypeConfig>, Fatal<TypeConfig>> {
        let raft = self.0.clone();
        Box::pin(async move { raft.handle_transfer_leader(request).await })
    }

    fn install_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Answer<SnapshotResponse<TypeConfig>, Fatal<TypeConfig>> {
        let raft = self.0.clone();
        Box::pin(async move { raft.install_full_snapshot(vote, snapshot).await })
    }
}
