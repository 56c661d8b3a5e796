//! Linearizability, key by key: a history is linearizable if and only if each of its keys is.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::Duration,
};

use porcupine_rs::{CheckResult, check_operations_info_timeout, check_operations_timeout};
use tokio::time::Instant;

use super::{Entry, Operation, Outcome, model};

/// Per key. A key of a thousand operations takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Lines of a violation that are shown.
const SHOWN_MAX: usize = 60;

type Checked = porcupine_rs::Operation<model::Key>;

/// What was found in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub keys: usize,
    pub operations: usize,
    pub unknown: usize,
}

/// A key that no single copy could have answered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub key: String,
    /// The part of its history around the operation that has no place.
    pub history: String,
    /// The checker gave up instead of proving it.
    pub gave_up: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = if self.gave_up { "could not be checked in time" } else { "is not linearizable" };
        write!(f, "key {} {found}:\n{}", self.key, self.history)
    }
}

impl std::error::Error for Violation {}

pub(super) fn check(entries: &[Entry]) -> Result<Summary, Violation> {
    let Some(start) = entries.iter().map(|entry| entry.called).min() else { return Ok(Summary::default()) };
    let mut keys = BTreeMap::<&str, Vec<&Entry>>::new();
    for entry in entries {
        keys.entry(&entry.key).or_default().push(entry);
    }
    let unknown = entries.iter().filter(|entry| entry.outcome == Outcome::Unknown).count();
    let summary = Summary { keys: keys.len(), operations: entries.len(), unknown };
    for (key, entries) in keys {
        check_key(key, &entries, start)?;
    }
    Ok(summary)
}

fn check_key(key: &str, entries: &[&Entry], start: Instant) -> Result<(), Violation> {
    let mut operations: Vec<Checked> = that_count(entries).map(|entry| checked(entry, start)).collect();
    operations.sort_by_key(|operation| operation.call_time);
    let verdict = check_operations_timeout(&operations, PATIENCE);
    if verdict == CheckResult::Ok {
        return Ok(());
    }
    let gave_up = verdict == CheckResult::Unknown;
    Err(Violation { key: key.to_owned(), history: explain(&operations), gave_up })
}

/// Leaves out what constrains nothing: refused operations, reads without an answer, and sets of
/// unknown outcome whose value nobody saw (they may have come last, or never). An increment of
/// unknown outcome stays, and so do all sets of a key that was incremented as well: the sum shows
/// them.
fn that_count<'a>(entries: &'a [&'a Entry]) -> impl Iterator<Item = &'a Entry> {
    let seen: HashSet<i64> = entries
        .iter()
        .filter_map(|entry| match entry.outcome {
            Outcome::Done(answer) => answer,
            _ => None,
        })
        .collect();
    let incremented = entries.iter().any(|entry| entry.operation == Operation::Incr);
    entries.iter().copied().filter(move |entry| match (entry.outcome, entry.operation) {
        (Outcome::Done(_), _) => true,
        (Outcome::Refused, _) | (Outcome::Unknown, Operation::Get) => false,
        (Outcome::Unknown, Operation::Incr) => true,
        (Outcome::Unknown, Operation::Set(value)) => incremented || seen.contains(&value),
    })
}

fn checked(entry: &Entry, start: Instant) -> Checked {
    let nanos = |at: Instant| i64::try_from((at - start).as_nanos()).unwrap_or(i64::MAX - 1);
    let returned = match entry.outcome {
        Outcome::Unknown => i64::MAX,
        _ => nanos(entry.returned),
    };
    Checked {
        client_id: Some(entry.client),
        call_time: nanos(entry.called),
        return_time: returned,
        op: model::Step { operation: entry.operation, outcome: entry.outcome },
        metadata: None,
    }
}

/// The operations around the first one that the longest consistent prefix leaves out.
fn explain(operations: &[Checked]) -> String {
    let (_, info) = check_operations_info_timeout(operations, PATIENCE);
    let longest = info.partial_linearizations.iter().flatten().max_by_key(|order| order.len());
    let placed: HashSet<usize> = longest.into_iter().flatten().copied().collect();
    let left_out = |&at: &usize| !placed.contains(&at) && operations[at].return_time != i64::MAX;
    let first = (0..operations.len()).filter(left_out).min_by_key(|&at| operations[at].return_time);
    let around = first.unwrap_or(0);
    let shown = around.saturating_sub(SHOWN_MAX / 2)..operations.len().min(around + SHOWN_MAX / 2);
    shown.map(|at| line(&operations[at], at == around)).collect()
}

fn line(operation: &Checked, has_no_place: bool) -> String {
    let ms = |nanos: i64| match nanos {
        i64::MAX => "?".to_owned(),
        nanos => format!("{:.3}", nanos as f64 / 1e6),
    };
    let mark = if has_no_place { ">" } else { " " };
    format!(
        "{mark} {:>12} … {:>12} ms  client {:<3} {:?} {:?}\n",
        ms(operation.call_time),
        ms(operation.return_time),
        operation.client_id.unwrap_or_default(),
        operation.op.operation,
        operation.op.outcome
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (client, operation, outcome, called ms, returned ms)
    type Row = (u32, Operation, Outcome, u64, u64);

    fn verdict(rows: &[Row]) -> Result<Summary, Violation> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let entry = |&(client, operation, outcome, called, returned): &Row| Entry {
            client,
            key: "k".to_owned(),
            operation,
            outcome,
            called: at(called),
            returned: at(returned),
        };
        check(&rows.iter().map(entry).collect::<Vec<_>>())
    }

    use Operation::{Get, Incr, Set};
    use Outcome::{Done, Refused, Unknown};

    #[test]
    fn a_stale_read_is_found() {
        let rows =
            [(1, Set(1), Done(None), 0, 1), (1, Set(2), Done(None), 2, 3), (2, Get, Done(Some(1)), 4, 5)];
        let violation = verdict(&rows).unwrap_err();
        assert!(!violation.gave_up && violation.history.contains("> "), "{violation}");
        let rows =
            [(1, Set(1), Done(None), 0, 1), (1, Set(2), Done(None), 2, 5), (2, Get, Done(Some(1)), 3, 4)];
        assert!(verdict(&rows).is_ok(), "the second write may come after the read");
    }

    #[test]
    fn a_lost_write_is_found() {
        assert!(verdict(&[(1, Set(1), Done(None), 0, 1), (1, Get, Done(None), 2, 3)]).is_err());
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_or_never() {
        let write = (1, Set(1), Unknown, 0, 1);
        assert!(verdict(&[write, (2, Get, Done(None), 2, 3), (2, Get, Done(Some(1)), 4, 5)]).is_ok());
        assert!(verdict(&[write, (2, Get, Done(None), 2, 3)]).is_ok());
        let comes_back = [write, (2, Get, Done(Some(1)), 2, 3), (2, Get, Done(None), 4, 5)];
        assert!(verdict(&comes_back).is_err());
    }

    #[test]
    fn a_refused_write_never_takes_effect() {
        assert!(verdict(&[(1, Set(1), Refused, 0, 1), (2, Get, Done(Some(1)), 2, 3)]).is_err());
    }

    #[test]
    fn an_increment_counts_once() {
        let first = (1, Incr, Done(Some(1)), 0, 1);
        assert!(verdict(&[first, (1, Incr, Done(Some(3)), 2, 3)]).is_err());
        assert!(verdict(&[first, (2, Incr, Unknown, 0, 1), (1, Incr, Done(Some(3)), 2, 3)]).is_ok());
        assert!(verdict(&[first, (2, Incr, Refused, 0, 1), (1, Get, Done(Some(2)), 2, 3)]).is_err());
    }
}
