//! What a stopped node holds, so that tests can compare the replicas of a group.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use anyhow::Context;

use crate::{
    engine::Engine,
    group::{applied_record, is_applied_record},
};

/// One group's replica. Replicas that applied the same entries are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupContents {
    pub group: u64,
    pub applied_index: u64,
    /// Key-value pairs, sessions included.
    pub pairs: u64,
    /// Over all of them in order, and what else was applied: not over the position in the log.
    pub digest: u64,
}

impl GroupContents {
    /// Whether both replicas hold the same. One may have applied an entry without effects more: a leader
    /// that stops hands over, and the next one begins with such an entry.
    pub fn holds_what(&self, other: &Self) -> bool {
        (self.group, self.pairs, self.digest) == (other.group, other.pairs, other.digest)
    }
}

/// The groups below `data_dir`, of which no node is running, by group. Reads only what the node
/// made durable when it stopped.
pub fn contents(data_dir: &Path) -> anyhow::Result<Vec<GroupContents>> {
    const CACHE_BYTES: usize = 1 << 20;
    const MEMTABLE_BYTES: usize = 1 << 20;
    let engine = Engine::new(data_dir.join("groups"), CACHE_BYTES, MEMTABLE_BYTES, "none")?;
    let groups = engine.groups()?;
    groups
        .into_iter()
        .map(|group| of_group(&engine, group).with_context(|| format!("group {group}")))
        .collect()
}

fn of_group(engine: &Engine, group: u64) -> anyhow::Result<GroupContents> {
    let db = engine.open(group)?;
    let (applied_index, applied) = applied_record(&db)?;
    let (mut pairs, mut digest) = (0, DefaultHasher::new());
    applied.hash(&mut digest);
    let mut stored = db.range(&[], &[0xFF; 16]);
    while let Some(pair) = stored.item() {
        if !is_applied_record(pair.0) {
            pair.hash(&mut digest);
            pairs += 1;
        }
        stored.next();
    }
    stored.status()?;
    Ok(GroupContents { group, applied_index, pairs, digest: digest.finish() })
}
