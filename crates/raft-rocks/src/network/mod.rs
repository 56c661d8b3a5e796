//! Raft between nodes: per peer one bidirectional stream for all groups, snapshots on connections
//! of their own.
//!
//! ```text
//!  openraft ─► PeerNetwork ─► Mux (one a peer) ══ RaftFrame[items of all groups] ══► PeerService
//!  (a group,      append streams,    outbox ─► whatever queued goes                   per stream an ordered
//!   a target)     votes, …           into the next frame                              channel ─► raft.stream_append
//! ```
//!
//! Invariants:
//! - Items of one stream id arrive in order; replies of an append stream come in order.
//! - Nothing waits for ever: calls have deadlines, streams an idle timeout while something is owed.
//! - `stream_append` never fails before it polled its input: openraft's backoff lives in there.
//! - A frame that makes no sense closes the connection it came on, nothing else.
//! - A replica that hears no leader has openraft's timer on: see [`keep_pulse`].
//! - A broken or late exchange is an unknown outcome; what was sent may have arrived.

mod append;
mod codec;
mod handle;
mod mux;
mod outbox;
mod peer;
mod pulse;
mod registry;
mod server;
mod snapshot;
mod spool;

pub use handle::{RaftHandle, raft_handle};
pub use mux::{Dial, Peers};
pub use peer::{GroupNetwork, PeerNetwork};
pub use pulse::keep_pulse;
pub use registry::Registry;
pub use server::PeerService;

/// Largest payload of an entry. A follower that could not be sent one would keep its group from all that comes
/// behind it.
pub const ENTRY_BYTES_MAX: usize = (1 << 30) + (32 << 20);
/// Largest message: one entry or snapshot piece and what surrounds it.
pub(crate) const MESSAGE_BYTES_MAX: usize = ENTRY_BYTES_MAX + (32 << 20);
