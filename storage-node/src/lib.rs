//! The storage node: many Raft groups on one log and RocksDB, one evaluator per led group.
//!
//! A group is a small single-threaded Redis whose effects go through Raft (`group`); `engine` is
//! RocksDB; `node` hosts what meta placed here; `data_service` is the door for proxies, `events` where
//! their publishers and subscribers meet.

mod contents;
mod data_service;
mod engine;
mod events;
mod faults;
mod group;
mod metrics;
mod node;
mod options;

pub use contents::{GroupContents, contents};
pub use faults::Faults;
pub use group::Blocking;
pub use node::{Addresses, TestSwitches, run, run_with};
pub use options::{Durability, Options, Reads};
