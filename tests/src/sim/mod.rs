//! The deterministic simulation: the real meta, storage-node and proxy code, and clients, in one
//! process and on one thread, over a simulated network, clock and disk. One seed, one history.
//!
//! ```text
//!  client-1 … client-n          nemesis: crashes, power loss, partitions, delays, clock jumps
//!      │ RESP                      │ between two steps of a millisecond
//!      ▼                           ▼
//!  proxy-1 proxy-2 ── gRPC ── store-1 store-2 store-3 ── gRPC ── meta-1 …     (turmoil hosts)
//!      │                           │                                │
//!      └─ env: clock, randomness, network                           └─ SimDisk under each log
//! ```
//!
//! A run ends with three verdicts: every key's history is linearizable; the replicas of each group
//! hold the same after the faults stopped; no process ended by itself. And two runs of a seed agree
//! on the [`trace`], or the simulation itself is broken.
//!
//! What is *not* simulated: data races (one thread), RocksDB's files (they survive a power loss as
//! they are: only memtables are lost), the loss of a packet inside a connection that lives on
//! (turmoil never retransmits: such a connection stalls until its keep-alive ends it).
//!
//! Only the `sim` binary may call [`run`]: it replaces the C library's randomness and clocks, see
//! [`determinism`], and starts itself anew without address randomisation and environment. Tests and
//! people go through [`suite`], which gives each run a process of its own.

mod client;
mod cluster;
pub mod determinism;
mod env;
mod nemesis;
mod resp;
pub mod rng;
mod run;
pub mod suite;
mod trace;

pub use nemesis::Menu;
pub use run::{Plan, Report, run};
