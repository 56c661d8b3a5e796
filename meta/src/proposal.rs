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
    /// Of `Command::Cluster`: what each change says, or Redis-style text of why it was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<Result<String, String>>,
}

impl Answer {
    pub(crate) fn new(result: Result<Outcome, Refused>, version: Version) -> Self {
        match result {
            Ok(Outcome { version, changed, replies }) => {
                let replies = replies.into_iter().map(|reply| reply.map_err(|refused| refused.to_string()));
                Self { version, changed, error: String::new(), replies: replies.collect() }
            }
            Err(refused) => Self { version, changed: false, error: refused.to_string(), replies: Vec::new() },
        }
    }
}
