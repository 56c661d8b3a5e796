//! Everything meta's state machine holds, as one JSON document: the content of a checkpoint and of a
//! snapshot.

use std::collections::{BTreeSet, HashMap, VecDeque};

use raft_rocks::{LogId, StoredMembership};
use serde::{Deserialize, Serialize};
use topology::{ClusterState, Command, Libraries, Outcome, Refused};

use crate::proposal::{Answer, Proposal};

/// Answers remembered for retries; the oldest is forgotten first.
const OPERATIONS_MAX: usize = 4096;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Last entry applied.
    pub applied: Option<LogId>,
    pub membership: StoredMembership,
    /// Every member that ever had a vote.
    #[serde(default)]
    pub voted: BTreeSet<u64>,
    pub state: ClusterState,
    /// The libraries of functions.
    #[serde(default)]
    pub libraries: Libraries,
    #[serde(default)]
    operations: Operations,
}

impl Document {
    pub fn take_membership(&mut self, membership: StoredMembership) {
        // Also of the old one: a checkpoint of an earlier build does not name them.
        self.voted.extend(self.membership.membership().voter_ids());
        self.voted.extend(membership.membership().voter_ids());
        self.membership = membership;
    }

    /// Applies one proposal, once per operation id.
    pub fn answer(&mut self, proposal: &Proposal) -> Answer {
        if let Some(answer) = self.operations.get(&proposal.operation) {
            return answer.clone();
        }
        let result = self.apply(&proposal.command);
        let answer = Answer::new(result, self.state.version);
        self.operations.remember(&proposal.operation, &answer);
        answer
    }

    fn apply(&mut self, command: &Command) -> Result<Outcome, Refused> {
        match command {
            Command::Libraries { libraries } => {
                let changed = self.libraries.apply(libraries)?;
                Ok(Outcome { version: self.state.version, changed, replies: Vec::new() })
            }
            command => self.state.apply(command),
        }
    }
}

/// The latest answers by operation id. Bounded; the same on every replica.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "VecDeque<(String, Answer)>", into = "VecDeque<(String, Answer)>")]
struct Operations {
    oldest_first: VecDeque<String>,
    answers: HashMap<String, Answer>,
}

impl Operations {
    fn get(&self, operation: &str) -> Option<&Answer> {
        self.answers.get(operation)
    }

    fn remember(&mut self, operation: &str, answer: &Answer) {
        if operation.is_empty() {
            return;
        }
        if self.oldest_first.len() == OPERATIONS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.oldest_first.push_back(operation.to_owned());
        self.answers.insert(operation.to_owned(), answer.clone());
    }
}

impl From<VecDeque<(String, Answer)>> for Operations {
    fn from(list: VecDeque<(String, Answer)>) -> Self {
        let mut operations = Self::default();
        for (operation, answer) in &list {
            operations.remember(operation, answer);
        }
        operations
    }
}

impl From<Operations> for VecDeque<(String, Answer)> {
    fn from(mut operations: Operations) -> Self {
        let take =
            |operation: String| operations.answers.remove(&operation).map(|answer| (operation, answer));
        operations.oldest_first.into_iter().filter_map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use topology::Command;

    use super::*;

    fn init(operation: &str, cluster_id: &str) -> Proposal {
        let command = Command::Init { cluster_id: cluster_id.into(), replication: 3 };
        Proposal { operation: operation.into(), command }
    }

    #[test]
    fn a_retry_gets_the_first_answer_also_after_a_restart() {
        let mut document = Document::default();
        let refused = Proposal { operation: "a".into(), command: Command::Bootstrap { groups: 1 } };
        let first = document.answer(&refused);
        assert_eq!(first.error, "ERR The cluster is not initialised");
        assert!(document.answer(&init("b", "c")).changed);
        let json = serde_json::to_vec(&document).unwrap();
        let mut restarted: Document = serde_json::from_slice(&json).unwrap();
        assert_eq!(restarted.answer(&refused), first);
        assert!(restarted.answer(&init("b", "c")).changed, "what was answered, not what would be now");
        assert!(!restarted.answer(&init("", "c")).changed);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut document = Document::default();
        for n in 0..OPERATIONS_MAX + 10 {
            document.answer(&init(&n.to_string(), "c"));
        }
        assert_eq!(document.operations.answers.len(), OPERATIONS_MAX);
        assert!(document.operations.get("9").is_none() && document.operations.get("10").is_some());
    }
}
