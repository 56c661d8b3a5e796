//! Up to where collections stay small.

use crate::hyperloglog::SPARSE_BYTES_MAX;
use crate::list::ListLimit;
use crate::stream::StreamLimits;

/// Limits of a collection that lives in its head record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallLimits {
    /// Elements.
    pub entries: u64,
    /// Bytes of a name or a value.
    pub value_bytes: usize,
}

impl SmallLimits {
    /// Whether a name or value of `bytes` is too long for a small collection.
    pub fn is_long(&self, bytes: usize) -> bool {
        bytes > self.value_bytes
    }
}

/// Limits of all types; the defaults are Redis 7.2's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// hash-max-listpack-entries, hash-max-listpack-value
    pub hash: SmallLimits,
    /// set-max-listpack-entries, set-max-listpack-value
    pub set: SmallLimits,
    /// set-max-intset-entries
    pub set_integers: u64,
    /// zset-max-listpack-entries, zset-max-listpack-value
    pub sorted_set: SmallLimits,
    /// list-max-listpack-size
    pub list: ListLimit,
    /// stream-node-max-entries, stream-node-max-bytes
    pub stream: StreamLimits,
    /// hll-sparse-max-bytes
    pub sparse_log_bytes: usize,
}

impl Limits {
    pub const DEFAULT: Self = Self {
        hash: SmallLimits { entries: 512, value_bytes: 64 },
        set: SmallLimits { entries: 128, value_bytes: 64 },
        set_integers: 512,
        sorted_set: SmallLimits { entries: 128, value_bytes: 64 },
        list: ListLimit::Bytes(8192),
        stream: StreamLimits::DEFAULT,
        sparse_log_bytes: SPARSE_BYTES_MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
