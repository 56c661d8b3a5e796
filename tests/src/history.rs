//! What clients asked and were told, and whether one copy of the data could have answered so.
//!
//! Every key is an integer that is set, read and incremented. What is set is unique over the
//! history, so a read tells which write it saw.
//!
//! The outcome of an operation is one of three, and confusing them hides bugs:
//! - *done*: the reply arrived;
//! - *refused*: the server said that nothing was or will be done;
//! - *unknown*: neither. It may take effect at any later time, or never.

mod check;
mod model;

use std::{collections::BTreeMap, ops::Range};

use tokio::time::Instant;

pub use check::{Summary, Violation};

/// What a client asks of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Set(i64),
    Get,
    Incr,
}

/// What a client knows afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With the value: what was read, or the sum; nothing for a set.
    Done(Option<i64>),
    Refused,
    Unknown,
}

#[derive(Debug, Clone)]
struct Entry {
    client: u32,
    key: String,
    operation: Operation,
    outcome: Outcome,
    called: Instant,
    returned: Instant,
}

/// A history, in any order.
#[derive(Debug, Clone, Default)]
pub struct History {
    entries: Vec<Entry>,
}

/// What must be true of a counter that was only incremented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Increments that were acknowledged.
    pub done: i64,
    /// Increments that may have been executed.
    pub unknown: i64,
}

impl History {
    /// Adds an operation that was called at `called` and whose outcome is known now.
    pub fn record(
        &mut self,
        client: u32,
        key: &str,
        operation: Operation,
        called: Instant,
        outcome: Outcome,
    ) {
        self.record_at(client, key, operation, outcome, called..Instant::now());
    }

    /// As [`History::record`], where the caller keeps the time.
    pub fn record_at(
        &mut self,
        client: u32,
        key: &str,
        operation: Operation,
        outcome: Outcome,
        Range { start: called, end: returned }: Range<Instant>,
    ) {
        self.entries.push(Entry { client, key: key.to_owned(), operation, outcome, called, returned });
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, mut other: History) {
        self.entries.append(&mut other.entries);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Operations whose outcome nobody knows.
    pub fn unknown(&self) -> usize {
        self.entries.iter().filter(|entry| entry.outcome == Outcome::Unknown).count()
    }

    /// All keys, each once.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.entries.iter().map(|entry| entry.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The increments of each key that was incremented.
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let mut tallies = BTreeMap::<String, Tally>::new();
        for entry in self.entries.iter().filter(|entry| entry.operation == Operation::Incr) {
            let tally = tallies.entry(entry.key.clone()).or_default();
            match entry.outcome {
                Outcome::Done(_) => tally.done += 1,
                Outcome::Unknown => tally.unknown += 1,
                Outcome::Refused => {}
            }
        }
        tallies
    }

    /// Whether each key behaved as one copy would.
    pub fn check(&self) -> Result<Summary, Violation> {
        check::check(&self.entries)
    }
}
