//! Meta's state machine: `ClusterState`, the libraries of functions and remembered answers, in memory.
//!
//! Invariants:
//! - an entry's effect is published before its answer is released;
//! - the log is purged only up to a checkpoint that is durable; after a restart the log replays what
//!   came after it;
//! - an entry that cannot be decoded stops the node: skipping it would let replicas diverge.

mod checkpoint;
mod document;
mod roster;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use raft_rocks::{
    ApplyItem, EntryPayload, LogId, Payload, RaftSnapshotBuilder, RaftStateMachine, Response, Snapshot,
    SnapshotData, SnapshotMeta, StoredMembership, TypeConfig,
};
use tokio::sync::watch;
use topology::{ClusterState, Libraries};

use crate::proposal::Proposal;
use document::Document;
pub(crate) use roster::{Roster, Rosters};

/// Larger snapshots are refused: the state of the largest cluster is a few MiB.
const SNAPSHOT_BYTES_MAX: usize = 256 << 20;

/// A `ClusterState` that was in force, shared by all who pass it on.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub state: ClusterState,
    json: OnceLock<Bytes>,
}

impl Published {
    fn new(state: ClusterState) -> Arc<Self> {
        Arc::new(Self { state, json: OnceLock::new() })
    }

    /// Made when first asked for: most versions of a burst are never sent.
    pub fn json(&self) -> Bytes {
        let make =
            || serde_json::to_vec(&self.state).expect("a ClusterState has only string-like keys").into();
        self.json.get_or_init(make).clone()
    }
}

/// The newest state on this node; may be behind the leader's.
pub(crate) type States = watch::Receiver<Arc<Published>>;

/// The newest libraries of functions on this node. No older than the newest state: what a state follows
/// in the log is published before it.
pub(crate) type LibraryWatch = watch::Receiver<Arc<Libraries>>;

/// What a machine publishes.
pub(crate) struct Watches {
    pub states: States,
    pub rosters: Rosters,
    pub libraries: LibraryWatch,
}

pub struct MetaMachine {
    document: Document,
    published: watch::Sender<Arc<Published>>,
    roster: watch::Sender<Arc<Roster>>,
    libraries: watch::Sender<Arc<Libraries>>,
    checkpoints: Checkpoints,
}

impl MetaMachine {
    /// Starts from the checkpoint at `path`, if there is one.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Self, Watches)> {
        let checkpoints = Checkpoints { path, latest: Arc::default() };
        let document = match checkpoint::load(&checkpoints.path)? {
            Some(json) => {
                let document = decode(&json)?;
                checkpoints.hold(&document, json);
                document
            }
            None => Document::default(),
        };
        let (published, states) = watch::channel(Published::new(document.state.clone()));
        let (roster, rosters) = watch::channel(Arc::new(Roster::of(&document)));
        let (libraries, library_watch) = watch::channel(Arc::new(document.libraries.clone()));
        let watches = Watches { states, rosters, libraries: library_watch };
        Ok((Self { document, published, roster, libraries, checkpoints }, watches))
    }

    fn apply_normal(&mut self, payload: &Payload) -> io::Result<Bytes> {
        let proposal: Proposal = serde_json::from_slice(&payload.0).map_err(invalid)?;
        let answer = self.document.answer(&proposal);
        self.publish();
        Ok(serde_json::to_vec(&answer)?.into())
    }

    fn publish(&self) {
        let current = &self.document.libraries;
        self.libraries.send_if_modified(|published| {
            let newer = published.version != current.version;
            if newer {
                *published = Arc::new(current.clone());
            }
            newer
        });
        let current = &self.document.state;
        self.published.send_if_modified(|published| {
            let newer = published.state.version != current.version;
            if newer {
                *published = Published::new(current.clone());
            }
            newer
        });
    }

    fn publish_roster(&self) {
        let current = Roster::of(&self.document);
        self.roster.send_if_modified(|roster| {
            let differs = **roster != current;
            if differs {
                *roster = Arc::new(current);
            }
            differs
        });
    }
}

impl RaftStateMachine<TypeConfig> for MetaMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.document.applied, self.document.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<ApplyItem>> + Unpin + Send,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let answer = match &entry.payload {
                EntryPayload::Blank => Bytes::new(),
                EntryPayload::Normal(payload) => self.apply_normal(payload)?,
                EntryPayload::Membership(membership) => {
                    let stored = StoredMembership::new(Some(entry.log_id), membership.clone());
                    self.document.take_membership(stored);
                    self.publish_roster();
                    Bytes::new()
                }
            };
            self.document.applied = Some(entry.log_id);
            if let Some(responder) = responder {
                responder.send(Response(answer));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { document: self.document.clone(), checkpoints: self.checkpoints.clone() }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<()> {
        let json = collect(snapshot).await?;
        let document = decode(&json)?;
        self.checkpoints.store(&document, json)?;
        self.document = document;
        self.publish();
        self.publish_roster();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.checkpoints.latest())
    }
}

/// A copy of the state machine, to be made a checkpoint.
pub struct Builder {
    document: Document,
    checkpoints: Checkpoints,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let json = Bytes::from(serde_json::to_vec(&self.document)?);
        self.checkpoints.store(&self.document, json)
    }
}

/// The last checkpoint, on disk and in memory. The lock is held for moments, never across an await.
#[derive(Clone)]
struct Checkpoints {
    path: PathBuf,
    latest: Arc<Mutex<Option<(SnapshotMeta, Bytes)>>>,
}

impl Checkpoints {
    fn store(&self, document: &Document, json: Bytes) -> io::Result<Snapshot> {
        checkpoint::store(&self.path, &json)?;
        Ok(self.hold(document, json))
    }

    fn hold(&self, document: &Document, json: Bytes) -> Snapshot {
        let meta = meta_of(document);
        *self.latest.lock() = Some((meta.clone(), json.clone()));
        snapshot(meta, json)
    }

    fn latest(&self) -> Option<Snapshot> {
        self.latest.lock().clone().map(|(meta, json)| snapshot(meta, json))
    }
}

fn meta_of(document: &Document) -> SnapshotMeta {
    SnapshotMeta { last_log_id: document.applied, last_membership: document.membership.clone() }
}

fn snapshot(meta: SnapshotMeta, json: Bytes) -> Snapshot {
    Snapshot { meta, snapshot: futures::stream::iter([Ok(json)]).boxed() }
}

async fn collect(mut chunks: SnapshotData) -> io::Result<Bytes> {
    let mut json = Vec::new();
    while let Some(chunk) = chunks.next().await {
        json.extend_from_slice(&chunk?);
        if json.len() > SNAPSHOT_BYTES_MAX {
            return Err(invalid("a snapshot of meta larger than any can be"));
        }
    }
    Ok(json.into())
}

fn decode(json: &[u8]) -> io::Result<Document> {
    serde_json::from_slice(json).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
