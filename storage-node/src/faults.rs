//! Planted bugs, to prove that the simulation would catch real ones. Nothing in a configuration can
//! switch them on; only a test that starts a node by hand can.

/// Each field breaks one promise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Reads are answered without proof of leadership.
    pub stale_read: bool,
    /// A repeated batch is executed again.
    pub lost_session: bool,
    /// Replies leave before their entry is committed.
    pub early_reply: bool,
    /// The log claims to be durable without syncing.
    pub fsync_lie: bool,
}
