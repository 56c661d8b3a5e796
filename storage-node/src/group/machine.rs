//! The state machine as openraft drives it: apply, checkpoint, snapshot.

use std::{io, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use raft_rocks::{
    ApplyItem, EntryPayload, LogId, RaftSnapshotBuilder, RaftStateMachine, Response, Snapshot, SnapshotData,
    SnapshotMeta, StoredMembership, TypeConfig,
};

use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    state::{Applied, GroupState},
};
use crate::engine::Engine;

/// A flush that RocksDB refused (the disk may be full) is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
    stop: CancellationToken,
}

impl StateMachine {
    pub(super) fn new(
        shared: Arc<Shared>,
        engine: Engine,
        blocking: Blocking,
        stop: CancellationToken,
    ) -> Self {
        let durable = Arc::new(Mutex::new(shared.state.lock().applied.clone()));
        Self { shared, engine, blocking, flushing: Arc::default(), durable, stop }
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

    /// Hands everything applied by now to RocksDB; where the state stood then. The caller holds `flushing`.
    async fn flush(&self) -> io::Result<Applied> {
        let failed_before = self.shared.state.lock().is_flushing();
        if failed_before {
            self.flush_layer().await?;
        }
        self.flush_layer().await
    }

    async fn flush_layer(&self) -> io::Result<Applied> {
        let job = self.shared.state.lock().start_flush();
        let running = job.clone();
        self.blocking.run(move || running.run()).await?.map_err(io::Error::other)?;
        self.shared.state.lock().finish_flush();
        Ok(job.applied.clone())
    }

    /// Starts a flush when one is due. Waits, as long as the disk does not take it, only when too much has
    /// gathered.
    async fn flush_if_due(&self) -> io::Result<()> {
        loop {
            let (due, backlogged) = {
                let share = self.shared.delta_share.bytes();
                let state = self.shared.state.lock();
                (state.wants_flush(share), state.is_backlogged(share))
            };
            if due && self.blocking == Blocking::Threads {
                if let Ok(one) = self.flushing.clone().try_lock_owned() {
                    let machine = self.clone();
                    tokio::spawn(async move {
                        let _one = one;
                        machine.report(machine.flush().await);
                    });
                }
                return Ok(());
            }
            if !due && !backlogged {
                return Ok(());
            }
            let one = self.flushing.lock().await;
            if self.report(self.flush().await) {
                return Ok(());
            }
            drop(one);
            tokio::select! {
                () = self.stop.cancelled() => return Err(io::Error::other("the replica stops")),
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Whether a flush succeeded.
    fn report(&self, flushed: io::Result<Applied>) -> bool {
        if let Err(error) = &flushed {
            tracing::error!(group = self.shared.group, %error, "flush failed");
        }
        flushed.is_ok()
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
