//! Changes that meta did not answer, for a client that repeats one at once: under the same operation id,
//! meta says what the first try did.
//!
//! Only then is that what the client means. After a while, or once something else was changed, the same
//! words ask for another change: an id that was remembered would have it answered by what was done
//! before, and nothing would happen. What may be done twice needs no memory at all.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use proto::v1::ApplyRequest;
use tokio::time::Instant;
use topology::{Change, Command, LibraryChange, RestorePolicy};

/// How soon a repetition counts as one: longer than one more command without an answer takes.
const REPEATED_WITHIN: Duration = Duration::from_secs(10);
/// Commands without an answer that are remembered; past that all are forgotten.
const COMMANDS_MAX: usize = 1024;
/// A longer one is not remembered: a library whose outcome is not known may then be told to exist.
const COMMAND_BYTES_MAX: usize = 256 << 10;

/// Commands without an answer, by their text.
#[derive(Debug, Default)]
pub struct Unanswered {
    operations: HashMap<Bytes, Operation>,
    /// Changes that were made and answered.
    changes: u64,
}

#[derive(Debug)]
struct Operation {
    id: String,
    ended: Instant,
}

impl Unanswered {
    /// How many changes were answered so far, for [`Self::remember`].
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// A change was made: whatever is asked from here on, is asked of another state.
    pub fn changed(&mut self) {
        self.changes += 1;
        self.operations.clear();
    }

    /// The id under which a command was asked just before.
    pub fn take(&mut self, command: &[u8], now: Instant) -> Option<String> {
        let operation = self.operations.remove(command)?;
        operation.is_recent(now).then_some(operation.id)
    }

    /// A command has ended without an answer. `changes` had been made when it was asked.
    pub fn remember(&mut self, request: ApplyRequest, changes: u64, now: Instant) {
        if changes != self.changes || request.command.len() > COMMAND_BYTES_MAX {
            return;
        }
        self.operations.retain(|_, operation| operation.is_recent(now));
        if self.operations.len() >= COMMANDS_MAX {
            self.operations.clear();
        }
        let operation = Operation { id: request.operation_id, ended: now };
        self.operations.insert(request.command, operation);
    }
}

impl Operation {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.ended) < REPEATED_WITHIN
    }
}

/// Whether a command that was executed already does no harm, and is not refused, when it is executed again.
pub fn may_be_done_twice(command: &Command) -> bool {
    match command {
        Command::Cluster { changes, .. } => changes.iter().all(topology_may_change_twice),
        Command::Libraries { libraries } => libraries_may_change_twice(libraries),
        _ => false,
    }
}

fn topology_may_change_twice(change: &Change) -> bool {
    use Change::*;
    match change {
        Meet { .. } | Forget { .. } | FlushSlots | SetSlot { .. } | Replicate { .. } => true,
        Reset { hard } => !hard,
        AddSlots { .. } | DelSlots { .. } | SetConfigEpoch { .. } | BumpEpoch | Failover { .. } => false,
    }
}

fn libraries_may_change_twice(change: &LibraryChange) -> bool {
    match change {
        LibraryChange::Load { replace, joins, .. } => *replace || *joins,
        LibraryChange::Restore { policy, .. } => *policy != RestorePolicy::Append,
        LibraryChange::Delete { joins, .. } => *joins,
        LibraryChange::Flush => true,
    }
}

#[cfg(test)]
mod tests {
    use topology::{ProxyId, SlotSet};

    use super::*;

    fn request(command: &'static str, id: &str) -> ApplyRequest {
        ApplyRequest { operation_id: id.to_owned(), command: Bytes::from(command), timeout_ms: 0 }
    }

    /// What is known after `ADD` ended without an answer.
    fn remembered(now: Instant) -> Unanswered {
        let mut unanswered = Unanswered::default();
        unanswered.remember(request("ADD", "1"), 0, now);
        unanswered
    }

    // covers: T5
    #[test]
    fn an_immediate_retry_is_the_same_operation_once() {
        let now = Instant::now();
        let mut unanswered = remembered(now);
        assert_eq!(unanswered.take(b"DEL", now), None);
        assert_eq!(unanswered.take(b"ADD", now + Duration::from_secs(6)).as_deref(), Some("1"));
        assert_eq!(unanswered.take(b"ADD", now), None, "answered now, or remembered again");
    }

    #[test]
    fn later_the_same_words_are_another_change() {
        let now = Instant::now();
        assert_eq!(remembered(now).take(b"ADD", now + REPEATED_WITHIN), None);
    }

    #[test]
    fn after_another_change_the_same_words_are_another_change() {
        let now = Instant::now();
        let mut unanswered = remembered(now);
        unanswered.changed();
        assert_eq!(unanswered.take(b"ADD", now), None);
        // It was asked before that change, and ended behind it.
        unanswered.remember(request("ADD", "1"), 0, now);
        assert_eq!(unanswered.take(b"ADD", now), None);
        unanswered.remember(request("ADD", "2"), unanswered.changes(), now);
        assert_eq!(unanswered.take(b"ADD", now).as_deref(), Some("2"));
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut unanswered = Unanswered::default();
        for number in 0..=COMMANDS_MAX {
            let command = Bytes::from(number.to_string());
            unanswered.remember(ApplyRequest { command, ..request("", "1") }, 0, now);
        }
        assert_eq!(unanswered.operations.len(), 1);
        unanswered.remember(request("ADD", "1"), 0, now + REPEATED_WITHIN);
        assert_eq!(unanswered.operations.len(), 1, "the old one is gone");
        let command = Bytes::from(vec![0; COMMAND_BYTES_MAX + 1]);
        unanswered.remember(ApplyRequest { command, ..request("", "1") }, 0, now);
        assert_eq!(unanswered.operations.len(), 1);
    }

    #[test]
    fn what_may_be_done_twice_is_asked_anew() {
        let cluster = |change| {
            let at = ProxyId::of_address("h", 1);
            may_be_done_twice(&Command::Cluster { at, changes: vec![Change::FlushSlots, change] })
        };
        assert!(cluster(Change::Replicate { master: String::new() }));
        assert!(!cluster(Change::AddSlots { slots: SlotSet::default() }));
        assert!(!cluster(Change::BumpEpoch));
        let libraries = |change| may_be_done_twice(&Command::Libraries { libraries: change });
        assert!(libraries(LibraryChange::Flush));
        assert!(libraries(LibraryChange::Delete { name: String::new(), joins: true }));
        assert!(!libraries(LibraryChange::Delete { name: String::new(), joins: false }));
    }
}
