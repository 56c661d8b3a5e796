//! What goes through meta's Raft log, and what applying it answers. Both are JSON.

use serde::{Deserialize, Serialize};
use topology::{Command, Outcome, Refused, Version};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Chosen by whoever asks: a proposal under an id that was answered before gets that answer and
    /// changes nothing. Empty: not remembered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
    pub command: Command,
}

/// What an entry did, remembered by operation id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the state after it.
    pub version: Version,
    #[serde(default)]
    pub changed: bool,
    /// Redis-style text; empty on success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Answer {
    pub(crate) fn new(result: Result<Outcome, Refused>, version: Version) -> Self {
        match result {
            Ok(outcome) => Self { version: outcome.version, changed: outcome.changed, error: String::new() },
            Err(refused) => Self { version, changed: false, error: refused.to_string() },
        }
    }
}
