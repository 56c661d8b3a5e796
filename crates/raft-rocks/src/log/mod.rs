//! The log of a node: one write-ahead log for all of its Raft groups, one writer, one fsync for
//! everything the groups appended meanwhile.
//!
//! ```text
//!  GroupLog (one a group)          LogWriter (one)              Disk
//!  append, save_vote, …  ──queue──► encode · write · sync ────► 0000000000000001.log
//!        │                              │                       0000000000000002.log
//!        ▼                              ▼                       …
//!  index in memory ◄──locations── IOFlushed callbacks, in order
//! ```
//!
//! Invariants:
//! - A callback reports success only after everything queued before it is durable (durability
//!   `fsync`) or handed to the operating system (`os`).
//! - What a node proposed itself may be synced later than its followers do ([`SyncWhen`]); its callbacks
//!   wait.
//! - Callbacks fire in the order of the queue, so in the order of each group's calls.
//! - After a failed write or sync the store is failed for good: nothing is ever acknowledged again,
//!   and the sync is not retried as if it could still cover what it lost.
//! - Each segment begins with the vote, commit and purge state of all groups; segments are freed
//!   oldest first. So what remains always suffices to recover.
//! - `committed` is a hint: it rides along with the next write and is never waited for.

pub mod disk;
pub mod executor;
mod group;
mod index;
mod later;
mod queue;
mod record;
mod recovery;
mod scan;
mod segments;
pub mod sim;
mod store;
mod writer;

pub use disk::{Disk, DiskFile, RealDisk};
pub use executor::{AdaptiveExecutor, InlineExecutor, LogDriver, LogExecutor};
pub use group::{GroupLog, has_history};
pub use later::SyncWhen;
pub use sim::SimDisk;
pub use store::{Durability, LogOptions, LogStore, LogUsage, OldestNeeded};
pub use writer::LogWriter;
