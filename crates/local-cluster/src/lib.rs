//! A whole cluster on one machine, for `miraft dev` and for the tests: meta nodes, storage nodes
//! and proxies under one directory, each as a thread of this process or as a child process.
//!
//! Invariants:
//! - One directory belongs to one running cluster at a time (`lock`).
//! - A member keeps its number, ports and data directory for the life of the directory
//!   (`layout.json`).
//! - Both modes give a member the same command line, so they cannot drift apart.
//! - Child processes die with this process, however it dies.

mod arguments;
mod cluster;
mod config;
mod layout;
mod manifest;
mod os;
mod ports;
mod probe;
mod process;
mod readiness;
mod thread;

pub use cluster::LocalCluster;
pub use config::{Bootstrap, Config, Mode};
pub use layout::{Listener, Member, MemberId, Role};
pub use manifest::{Manifest, ManifestNode};
pub use readiness::Progress;
