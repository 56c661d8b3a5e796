//! The `openraft` configuration: what every group shares, whatever it stores.

use std::{sync::Arc, time::Duration};

use openraft::{Config, SnapshotPolicy, storage::RaftStateMachine};

use crate::types::{Raft, TypeConfig};

/// The longest wait of replication between two attempts at an unreachable peer.
const BACKOFF: &str = "20ms 50ms 100ms 200ms ...500ms";
const PAYLOAD_ENTRIES_MAX: u64 = 1024;
const PURGE_BATCH_MAX: u64 = 1024;
/// Lag alone never makes openraft send a snapshot: only a purged log does.
const REPLICATION_LAG_MAX: u64 = 1 << 40;
const SNAPSHOT_TIMEOUT_MS: u64 = 60_000;

/// Timing of a group, and how much log it keeps for followers that lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftTimings {
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
    /// Entries kept behind a snapshot.
    pub log_keep_entries: u64,
}

impl Default for RaftTimings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
            log_keep_entries: 20_000,
        }
    }
}

/// The configuration of a group.
///
/// Elections start **disabled**: the owner calls `raft.runtime_config().elect(true)` at once for a
/// replica without history, and for a restarted one only when `election_max` has passed (before
/// that it may have forgotten a lease it granted). [`elect_after`](crate::elect_after) does so.
/// Snapshots are never taken by policy: the owner's checkpointer triggers them.
///
/// # Panics
/// If the timings contradict each other: `election_max > election_min > heartbeat > 0` must hold.
pub fn raft_config(timings: RaftTimings) -> Arc<Config> {
    let heartbeat = timings.heartbeat.as_millis() as u64;
    let election_min = timings.election_min.as_millis() as u64;
    let election_max = timings.election_max.as_millis() as u64;
    // A follower that replication just reached needs no heartbeat as well, if the timeouts allow.
    let heartbeat_min = if election_min > 4 * heartbeat { heartbeat } else { 0 };
    let config = Config {
        cluster_name: "miraft".to_owned(),
        heartbeat_interval: heartbeat,
        election_timeout_min: election_min,
        election_timeout_max: election_max,
        heartbeat_min_interval: Some(heartbeat_min),
        install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
        max_payload_entries: PAYLOAD_ENTRIES_MAX,
        replication_lag_threshold: REPLICATION_LAG_MAX,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: timings.log_keep_entries,
        purge_batch_size: timings.log_keep_entries.clamp(1, PURGE_BATCH_MAX),
        enable_elect: false,
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        quorum_loss_probe_interval: Some(2 * election_max),
        backoff: BACKOFF.to_owned(),
        ..Config::default()
    };
    match config.validate() {
        Ok(config) => Arc::new(config),
        Err(error) => panic!("contradictory Raft timings: {error}"),
    }
}

/// Enables elections after `quiet`: zero for a replica without history, `election_max` for one
/// that ran before.
pub async fn elect_after<SM: RaftStateMachine<TypeConfig>>(raft: Raft<SM>, quiet: Duration) {
    tokio::time::sleep(quiet).await;
    raft.runtime_config().elect(true);
}
