//! The state machine as openraft drives it: apply, checkpoint, snapshot.

use std::{io, sync::Arc};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use raft_rocks::{
    ApplyItem, EntryPayload, LogId, RaftSnapshotBuilder, RaftStateMachine, Response, Snapshot, SnapshotData,
    SnapshotMeta, StoredMembership, TypeConfig,
};

use super::{
    Shared,
    state::{Applied, GroupState},
};
use crate::engine::Engine;

/// Where work that may block on the disk runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocking {
    /// On the runtime's blocking threads.
    Threads,
    /// On the spot: the simulation is one thread.
    Inline,
}

impl Blocking {
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        match self {
            Blocking::Inline => Ok(work()),
            Blocking::Threads => tokio::task::spawn_blocking(work).await.map_err(io::Error::other),
        }
    }
}

/// See the module's description. Cheap to clone; clones are the same machine.
#[derive(Clone)]
pub struct StateMachine {
    shared: Arc<Shared>,
    engine: Engine,
    blocking: Blocking,
    /// One flush, checkpoint or snapshot at a time.
    flushing: Arc<tokio::sync::Mutex<()>>,
    /// What survives a crash without the log: the log may be purged up to here.
    durable: Arc<Mutex<Applied>>,
}

impl StateMachine {
    pub(super) fn new(shared: Arc<Shared>, engine: Engine, blocking: Blocking) -> Self {
        let durable = shared.state.lock().applied.clone();
        Self { shared, engine, blocking, flushing: Arc::default(), durable: Arc::new(Mutex::new(durable)) }
    }

    /// Makes the present state durable.
    pub async fn checkpoint(&self) -> io::Result<()> {
        let _one = self.flushing.lock().await;
        let applied = self.flush().await?;
        let db = self.shared.state.lock().db().clone();
        self.blocking.run(move || db.flush()).await?.map_err(io::Error::other)?;
        *self.durable.lock() = applied;
        Ok(())
    }

    /// Hands the delta to RocksDB. The caller holds `flushing`.
    async fn flush(&self) -> io::Result<Applied> {
        let (job, applied) = {
            let mut state = self.shared.state.lock();
            (state.start_flush(), state.applied.clone())
        };
        if let Some(job) = job {
            self.blocking.run(move || job.run()).await?.map_err(io::Error::other)?;
            self.shared.state.lock().finish_flush();
        }
        Ok(applied)
    }

    /// Starts a flush when one is due; waits for it only when too much has gathered.
    async fn flush_if_due(&self) -> io::Result<()> {
        let (due, backlogged) = {
            let share = self.shared.delta_share.bytes();
            let state = self.shared.state.lock();
            (state.wants_flush(share), state.is_backlogged(share))
        };
        if backlogged || (due && self.blocking == Blocking::Inline) {
            let _one = self.flushing.lock().await;
            return self.flush().await.map(drop);
        }
        if due && let Ok(one) = self.flushing.clone().try_lock_owned() {
            let machine = self.clone();
            tokio::spawn(async move {
                let _one = one;
                if let Err(error) = machine.flush().await {
                    tracing::error!(group = machine.shared.group, %error, "flush failed");
                }
            });
        }
        Ok(())
    }

    fn apply_one(&self, entry: raft_rocks::Entry) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        match entry.payload {
            EntryPayload::Blank => state.apply_blank(entry.log_id, None),
            EntryPayload::Normal(payload) => {
                state.apply(entry.log_id, &payload.0).map_err(io::Error::other)?;
            }
            EntryPayload::Membership(membership) => {
                let stored = StoredMembership::new(Some(entry.log_id), membership);
                state.apply_blank(entry.log_id, Some(stored));
            }
        }
        Ok(())
    }

    async fn snapshot_now(&self) -> io::Result<Option<Snapshot>> {
        let _one = self.flushing.lock().await;
        self.flush().await?;
        let db = self.shared.state.lock().db().clone();
        let name = format!("{:016x}", self.shared.entropy.next_u64());
        let pages = self.blocking.run(move || db.pages(&name)).await??;
        let Some(applied) = GroupState::applied_in(&pages)? else { return Ok(None) };
        let blocking = self.blocking;
        let stream = futures::stream::try_unfold(pages, move |mut pages| async move {
            let (pages, page) = blocking
                .run(move || {
                    let page = pages.next_page();
                    (pages, page)
                })
                .await?;
            Ok(page?.map(|page| (page, pages)))
        });
        Ok(Some(Snapshot { meta: meta_of(&applied), snapshot: stream.boxed() }))
    }
}

fn meta_of(applied: &Applied) -> SnapshotMeta {
    SnapshotMeta { last_log_id: applied.log_id, last_membership: applied.membership.clone() }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let state = self.shared.state.lock();
        Ok((state.applied.log_id, state.applied.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<ApplyItem>> + Unpin + Send,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            self.apply_one(entry)?;
            if let Some(responder) = responder {
                responder.send(Response::default());
            }
        }
        self.shared.applied.notify_one();
        self.flush_if_due().await
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, mut snapshot: SnapshotData) -> io::Result<()> {
        let _one = self.flushing.lock().await;
        let old = self.shared.state.lock().db().clone();
        let mut builder = old.next_generation(&self.engine)?;
        while let Some(page) = snapshot.next().await {
            let page = page?;
            let mut filled = builder;
            builder = self.blocking.run(move || filled.add_page(page).map(|()| filled)).await??;
        }
        let db = self.blocking.run(move || builder.finish()).await??;
        let state = GroupState::open(db).map_err(io::Error::other)?;
        if state.applied.log_id != meta.last_log_id {
            return Err(io::Error::other("snapshot holds another state than announced"));
        }
        *self.durable.lock() = state.applied.clone();
        *self.shared.state.lock() = state;
        self.shared.applied.notify_one();
        if let Err(error) = old.discard() {
            tracing::warn!(group = self.shared.group, %error, "old generation not removed");
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.snapshot_now().await
    }
}

/// Answers what is durable already: the checkpoint was made before the snapshot was asked for. The
/// data itself is taken when a follower needs it.
impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let meta = meta_of(&self.durable.lock());
        Ok(Snapshot { meta, snapshot: futures::stream::empty().boxed() })
    }
}
