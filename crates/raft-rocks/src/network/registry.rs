//! The replicas of this node that peers may talk to.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use parking_lot::RwLock;
use tokio::time::Instant;

use super::{handle::RaftHandle, pulse::Pulse};

/// A replica of this node.
#[derive(Clone)]
pub(super) struct Hosted {
    pub replica: u64,
    pub raft: Arc<dyn RaftHandle>,
    pub pulse: Arc<Pulse>,
    refuse_votes_until: Option<Instant>,
}

impl Hosted {
    /// False while a lease that this replica granted before it restarted may still run.
    pub fn may_vote(&self) -> bool {
        self.refuse_votes_until.is_none_or(|until| Instant::now() >= until)
    }
}

struct Inner {
    /// In order: a simulation runs the same way twice.
    groups: RwLock<BTreeMap<u64, Hosted>>,
    spool: PathBuf,
}

/// Group → replica. Cheap to clone, clones are the same registry.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

impl Default for Registry {
    fn default() -> Self {
        Self::spooling_in(std::env::temp_dir())
    }
}

impl Registry {
    /// Snapshots too large for memory are kept in (deleted) files of `directory` until they have
    /// arrived whole.
    pub fn spooling_in(directory: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { groups: RwLock::default(), spool: directory.into() }))
    }

    /// Lets peers talk to a replica. A voter that ran before refuses votes until `election_max`
    /// after its start: it forgot the leases it granted.
    pub fn insert(
        &self,
        group: u64,
        replica: u64,
        raft: Arc<dyn RaftHandle>,
        refuse_votes_until: Option<Instant>,
    ) {
        let hosted = Hosted { replica, raft, pulse: Arc::default(), refuse_votes_until };
        self.0.groups.write().insert(group, hosted);
    }

    pub fn remove(&self, group: u64) {
        self.0.groups.write().remove(&group);
    }

    pub(super) fn get(&self, group: u64, replica: u64) -> Option<Hosted> {
        self.0.groups.read().get(&group).filter(|hosted| hosted.replica == replica).cloned()
    }

    /// By group.
    pub(super) fn all(&self) -> Vec<Hosted> {
        self.0.groups.read().values().cloned().collect()
    }

    pub(super) fn spool_directory(&self) -> &PathBuf {
        &self.0.spool
    }
}
