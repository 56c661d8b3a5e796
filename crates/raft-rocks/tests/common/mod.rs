//! A state machine in memory and helpers for logs.
#![allow(dead_code)]

pub mod cluster;

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::{storage::RaftLogStorage, type_config::TypeConfigExt};
use parking_lot::Mutex;
use raft_rocks::*;

#[derive(Default)]
struct Inner {
    applied: Option<LogId>,
    membership: StoredMembership,
    values: Vec<Bytes>,
    snapshot: Option<(SnapshotMeta, Vec<Bytes>)>,
    installed: u64,
    forgets: bool,
}

/// Keeps the payloads of all entries it applied. Clones are the same machine.
#[derive(Clone, Default)]
pub struct MemoryMachine(Arc<Mutex<Inner>>);

impl MemoryMachine {
    pub fn values(&self) -> Vec<Bytes> {
        self.0.lock().values.clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().values.len()
    }

    /// From now on payloads are not kept.
    pub fn forget(&self) {
        self.0.lock().forgets = true;
    }

    pub fn installed(&self) -> u64 {
        self.0.lock().installed
    }
}

fn to_snapshot((meta, pieces): (SnapshotMeta, Vec<Bytes>)) -> Snapshot {
    Snapshot { meta, snapshot: stream::iter(pieces.into_iter().map(Ok)).boxed() }
}

impl RaftSnapshotBuilder<TypeConfig> for MemoryMachine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let mut inner = self.0.lock();
        let meta = SnapshotMeta { last_log_id: inner.applied, last_membership: inner.membership.clone() };
        let snapshot = (meta, inner.values.clone());
        inner.snapshot = Some(snapshot.clone());
        Ok(to_snapshot(snapshot))
    }
}

impl RaftStateMachine<TypeConfig> for MemoryMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let inner = self.0.lock();
        Ok((inner.applied, inner.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<ApplyItem>> + Unpin + Send,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            {
                let mut inner = self.0.lock();
                inner.applied = Some(entry.log_id);
                match entry.payload {
                    EntryPayload::Blank => {}
                    EntryPayload::Normal(_) if inner.forgets => {}
                    EntryPayload::Normal(payload) => inner.values.push(payload.0),
                    EntryPayload::Membership(membership) => {
                        inner.membership = StoredMembership::new(Some(entry.log_id), membership);
                    }
                }
            }
            if let Some(responder) = responder {
                responder.send(Response::default());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> io::Result<()> {
        let pieces: Vec<Bytes> = data.try_collect().await?;
        let mut inner = self.0.lock();
        inner.applied = meta.last_log_id;
        inner.membership = meta.last_membership.clone();
        inner.values = pieces.clone();
        inner.snapshot = Some((meta.clone(), pieces));
        inner.installed += 1;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.0.lock().snapshot.clone().map(to_snapshot))
    }
}

pub fn id(term: u64, index: u64) -> LogId {
    LogId::new(committed_leader_id(term, 1), index)
}

pub fn entry(term: u64, index: u64, payload: &[u8]) -> Entry {
    let payload = EntryPayload::Normal(Payload(Bytes::copy_from_slice(payload)));
    Entry { log_id: id(term, index), payload }
}

/// Appends and waits for the callback.
pub async fn append(log: &mut GroupLog, entries: Vec<Entry>) -> io::Result<()> {
    let (tx, rx) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(tx)).await?;
    rx.await.map_err(io::Error::other)?
}
