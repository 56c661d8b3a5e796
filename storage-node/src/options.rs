//! Settings of a storage node.

use std::{path::PathBuf, time::Duration};

use raft_rocks::RaftTimings;
use serde::{Deserialize, Serialize};

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After fdatasync: survives a power cut.
    Fsync,
    /// After the write call: survives the death of the process, not of the machine.
    Os,
}

/// How a leader proves that it still leads before it answers a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// A lease that followers grant with every acknowledgement; assumes that clocks run at the same
    /// rate within a third.
    Lease,
    /// A round of heartbeats per read batch; assumes nothing about clocks.
    Quorum,
}

daemon::options! {
    /// Configuration of `miraft-storage`.
    pub struct Options("miraft-storage", "storage", check = check) {
        /// Directory for the log and the state of all groups. Created when missing.
        pub data_dir: PathBuf = PathBuf::from("miraft-storage"),
        /// host:port of the gRPC listener; port 0 picks a free one.
        pub listen: String = "127.0.0.1:7400".to_owned(),
        /// host:port that other processes dial; empty: the bound address.
        pub advertise: String = String::new(),
        /// Stable name of the node; empty: the advertised address. The same name with an empty data
        /// directory means that the disk was lost.
        pub name: String = String::new(),
        /// Meta nodes, host:port each.
        pub meta: Vec<String> = vec!["127.0.0.1:7300".to_owned()],
        /// host:port for health and metrics; off when absent.
        pub http_listen: Option<String> = None,
        /// `fsync` or `os`.
        pub durability: Durability = Durability::Fsync,
        /// `lease` or `quorum`.
        pub reads: Reads = Reads::Lease,
        /// Raft heartbeat interval, ms.
        pub heartbeat_ms: u64 = 200,
        /// Shortest election timeout, ms.
        pub election_min_ms: u64 = 400,
        /// Longest election timeout, ms; also how long a restarted replica refuses to vote.
        pub election_max_ms: u64 = 700,
        /// RocksDB block cache shared by all groups, bytes.
        pub block_cache_bytes: usize = 256 << 20,
        /// Changes that all groups together keep in memory before they hand them to RocksDB, bytes; those
        /// handed over last stay there to be read.
        pub delta_bytes: usize = 128 << 20,
        /// RocksDB memtable size per group, bytes.
        pub memtable_bytes: usize = 32 << 20,
        /// Log bytes of one group after which its state is flushed, so that the log can be purged.
        pub checkpoint_log_bytes: u64 = 256 << 20,
        /// Size of a preallocated log segment, bytes.
        pub log_segment_bytes: u64 = 64 << 20,
        /// Entries kept in the log behind a checkpoint, so that a follower that was away shortly needs
        /// no snapshot.
        pub log_keep_entries: u64 = 20_000,
        /// How long a session is silent before it is dropped, seconds; who begins to lead counts anew.
        pub session_idle_s: u64 = 3600,
        /// How long a script or function may run, ms; past that it is stopped and leaves nothing.
        pub script_limit_ms: u64 = 60_000,
        /// Free disk space below which writes are refused, bytes; beside what is in memory and has to go
        /// to disk.
        pub disk_reserve_bytes: u64 = 256 << 20,
        /// Compression of values on disk: `none`, `lz4` or `zstd`.
        pub compression: String = "lz4".to_owned(),
    }
}

impl Options {
    pub(crate) fn timings(&self) -> RaftTimings {
        RaftTimings {
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            election_min: Duration::from_millis(self.election_min_ms),
            election_max: Duration::from_millis(self.election_max_ms),
            log_keep_entries: self.log_keep_entries,
        }
    }
}

fn check(options: &Options) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if options.meta.is_empty() {
        problems.push(("meta", "name at least one meta node".to_owned()));
    }
    if options.heartbeat_ms == 0 {
        problems.push(("heartbeat_ms", "must be at least 1".to_owned()));
    }
    if options.election_min_ms < 2 * options.heartbeat_ms {
        problems.push(("election_min_ms", "must be at least twice heartbeat_ms".to_owned()));
    }
    if options.election_max_ms <= options.election_min_ms {
        problems.push(("election_max_ms", "must be greater than election_min_ms".to_owned()));
    }
    if !["none", "lz4", "zstd"].contains(&options.compression.as_str()) {
        problems.push(("compression", "must be none, lz4 or zstd".to_owned()));
    }
    problems
}
