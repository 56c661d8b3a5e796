//! The meta server: a Raft group of 1, 3 or 5 nodes that holds the [`ClusterState`], hands it to
//! every process, and moves the cluster towards what is wanted.
//!
//! ```text
//!  register, heartbeats          ┌ tracker: leases, acks, leaders (soft) ┐
//!  ───────────────► service ─────┤                                       ├── reign: reconcile,
//!  ◄─────────────── (session)    └ machine: ClusterState (replicated) ───┘   confirm, propose
//!    state, leases                          ▲                                     │
//!                                           └──────── consensus (Raft) ◄──────────┘
//! ```
//!
//! Invariants:
//! - the replicated state changes only by a committed [`Command`](topology::Command);
//! - only a reign (confirmed leadership) grants leases, answers registrations or reports a change as
//!   done; see [`tracker`] for why no proxy answers from an older topology after that.
//!
//! [`ClusterState`]: topology::ClusterState

mod consensus;
mod core;
mod formation;
mod machine;
mod membership;
mod metrics;
mod options;
mod peers;
mod proposal;
mod reign;
mod server;
mod service;
mod standing;
mod tracker;

pub use options::{Bootstrap, Options};
pub use server::{Addresses, LogDisk, run, run_with};
