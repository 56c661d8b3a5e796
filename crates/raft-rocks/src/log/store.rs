//! The log store of a node, as its owner sees it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{
    disk::{Disk, RealDisk},
    executor::{LogDriver, LogExecutor},
    group::GroupLog,
    index::GroupState,
    queue::{GroupShared, Op, Queue},
    recovery,
    segments::Segments,
    writer::LogWriter,
};

/// What an acknowledged append survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Loss of power.
    #[default]
    Fsync,
    /// Death of the process.
    Os,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    pub durability: Durability,
    /// Size of a segment; a larger record gets a segment of its own size.
    pub segment_bytes: u64,
    /// Memory for recent entries, shared by all groups.
    pub cache_bytes: usize,
    /// Most bytes of entries that one read returns (but at least one entry).
    pub read_bytes_max: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: 128 << 20,
            cache_bytes: 16 << 20,
            read_bytes_max: 1 << 20,
        }
    }
}

/// The smallest segment: the state of a thousand groups fits.
pub(super) const SEGMENT_BYTES_MIN: u64 = 4 << 10;
pub(super) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The group that keeps the oldest segment from being freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestNeeded {
    pub group: u64,
    /// Its oldest entry that is not purged.
    pub first_index: u64,
    /// Bytes of the segments from there on: what the log takes until the group purges.
    pub held_bytes: u64,
}

/// How much disk the log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogUsage {
    pub segments: usize,
    pub bytes: u64,
    pub(super) oldest: Option<(u64, u64)>,
}

/// What store, groups and writer share.
pub(super) struct Shared {
    pub options: LogOptions,
    pub queue: Queue,
    pub groups: Mutex<BTreeMap<u64, Arc<GroupShared>>>,
    pub segments: Segments,
    pub usage: Mutex<LogUsage>,
    pub failed: AtomicBool,
}

impl Shared {
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The cache of each group.
    pub fn cache_bytes_per_group(&self, groups: usize) -> usize {
        self.options.cache_bytes / groups.max(1)
    }
}

/// Shared state and the driver of its writer; the last owner stops the writer.
pub(super) struct Handle {
    pub shared: Arc<Shared>,
    driver: Box<dyn LogDriver>,
}

impl Handle {
    pub fn push(&self, op: Op) {
        if self.shared.queue.push(op) {
            self.driver.wake();
        }
    }

    /// Queues an operation and waits until it is durable.
    pub async fn run(&self, op: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Op) -> io::Result<()> {
        let (done, outcome) = oneshot::channel();
        self.push(op(done));
        outcome.await.unwrap_or_else(|_| Err(io::Error::other("the log store is closed")))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.driver.stop();
    }
}

/// The log of all groups of a node. Cheap to clone.
#[derive(Clone)]
pub struct LogStore(Arc<Handle>);

impl LogStore {
    /// Opens the log in `dir` (created if need be) and recovers it.
    pub fn open(dir: impl AsRef<Path>, options: LogOptions, executor: impl LogExecutor) -> io::Result<Self> {
        Self::open_on(Arc::new(RealDisk::open(dir.as_ref())?), options, executor)
    }

    /// The same on any disk.
    pub fn open_on(disk: Arc<dyn Disk>, options: LogOptions, executor: impl LogExecutor) -> io::Result<Self> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "segment_bytes out of range"));
        }
        let recovered = recovery::recover(&*disk)?;
        let segments = Segments::default();
        for (number, file) in &recovered.files {
            segments.insert(*number, file.clone());
        }
        let group = |(id, state): (u64, GroupState)| (id, Arc::new(GroupShared { id, state: state.into() }));
        let shared = Arc::new(Shared {
            options,
            queue: Queue::new(),
            groups: Mutex::new(recovered.groups.into_iter().map(group).collect()),
            segments,
            usage: Mutex::default(),
            failed: AtomicBool::new(false),
        });
        let writer = LogWriter::start(shared.clone(), disk, recovered.writer)?;
        let driver = Box::new(executor).start(writer)?;
        Ok(Self(Arc::new(Handle { shared, driver })))
    }

    /// The log of one group; empty if the store does not know the group.
    pub fn group(&self, group: u64) -> GroupLog {
        let mut groups = self.0.shared.groups.lock();
        let new = || Arc::new(GroupShared { id: group, state: Mutex::default() });
        let shared = groups.entry(group).or_insert_with(new).clone();
        GroupLog::new(shared, self.0.clone())
    }

    /// Groups that have a vote, entries or a purge state.
    pub fn recovered_groups(&self) -> Vec<u64> {
        self.0.shared.groups.lock().keys().copied().collect()
    }

    /// Forgets everything about a group that does not run any more. Durable when it returns.
    pub async fn remove_group(&self, group: u64) -> io::Result<()> {
        self.0.shared.groups.lock().remove(&group);
        self.0.run(|done| Op::Remove { group, done }).await
    }

    /// After a failed write or sync: nothing is acknowledged any more, reads still work.
    pub fn is_failed(&self) -> bool {
        self.0.shared.is_failed()
    }

    /// The group whose purge would free the oldest segment; `None` while the log has only one.
    pub fn oldest_needed(&self) -> Option<OldestNeeded> {
        let usage = *self.0.shared.usage.lock();
        let (group, held_bytes) = usage.oldest?;
        let shared = self.0.shared.groups.lock().get(&group).cloned()?;
        let first_index = shared.state.lock().first_index()?;
        Some(OldestNeeded { group, first_index, held_bytes })
    }

    pub fn usage(&self) -> LogUsage {
        *self.0.shared.usage.lock()
    }

    /// Bytes of the group's entries that are not purged.
    pub fn group_bytes(&self, group: u64) -> u64 {
        self.of_group(group, GroupState::live_bytes)
    }

    /// Bytes of the group's entries that were found when the log was opened, and of all written
    /// since: only grows.
    pub fn group_written_bytes(&self, group: u64) -> u64 {
        self.of_group(group, GroupState::written_bytes)
    }

    fn of_group(&self, group: u64, read: impl FnOnce(&GroupState) -> u64) -> u64 {
        let shared = self.0.shared.groups.lock().get(&group).cloned();
        shared.map_or(0, |shared| read(&shared.state.lock()))
    }
}
