//! Raft for data groups and for meta: `openraft` behind one type configuration, one write-ahead log
//! for all groups of a node, and two streams per peer for all groups.
//!
//! Owner: whoever runs replicas (storage node, meta). Invariants are stated in [`log`] and in
//! [`network`]. This crate knows nothing of what entries mean, and opens no sockets itself.

pub mod config;
mod hand_over;
pub mod log;
pub mod network;
pub mod types;

pub use config::{RaftTimings, elect_after, raft_config};
pub use hand_over::hand_over;
pub use log::{
    AdaptiveExecutor, Durability, GroupLog, InlineExecutor, LogExecutor, LogOptions, LogStore, LogUsage,
    OldestNeeded, SimDisk, has_history,
};
pub use network::{
    Dial, ENTRY_BYTES_MAX, GroupNetwork, PeerNetwork, PeerService, Peers, RaftHandle, Registry, keep_pulse,
    raft_handle,
};
pub use openraft::{
    ChangeMembers, LinearizerOption, RaftSnapshotBuilder, ReadPolicy, errors, raft::ClientWriteResponse,
    storage::RaftStateMachine,
};
pub use types::*;
