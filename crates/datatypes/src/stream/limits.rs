//! How many entries a leaf takes.

/// Limits of a leaf, Redis's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// stream-node-max-entries; 0: any number.
    pub node_entries: u64,
    /// stream-node-max-bytes; 0: any size.
    pub node_bytes: u64,
}

impl StreamLimits {
    /// Redis's.
    pub const DEFAULT: Self = Self { node_entries: 100, node_bytes: 4096 };
}
