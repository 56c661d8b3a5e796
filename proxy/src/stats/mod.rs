//! What is known of the commands that clients sent: how many, how long they took, how many failed.
//!
//! Each worker writes figures of its own, without any others looking on (relaxed loads and stores);
//! whoever reads adds them up. A command takes from the moment it was read to the moment its reply was
//! there, waiting inside the cluster included.

mod errors;
mod histogram;
mod percentiles;
pub mod rates;

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use commands::{Id, Spec};
use resp::Reply;

use self::errors::Errors;
pub use self::{
    errors::Counts as ErrorCounts,
    histogram::{Durations, Histogram},
    percentiles::{Percentiles, shown as percent_shown},
};

/// The text of an error, if the reply is one.
pub fn error_of(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::Error(text) => Some(text),
        Reply::Raw(bytes) => error_in(bytes),
        _ => None,
    }
}

/// Likewise of a reply in RESP; it may end with a line end.
pub fn error_in(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(b"-")
}

/// One command on one worker.
#[derive(Debug, Default)]
struct Figure {
    calls: AtomicU64,
    usec: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
}

/// The figures of one worker.
#[derive(Debug)]
pub struct Stats {
    /// By id of the command.
    figures: Box<[Figure]>,
    /// Likewise, for those that were executed.
    histograms: Box<[OnceLock<Box<Histogram>>]>,
    errors: Errors,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            figures: std::iter::repeat_with(Figure::default).take(Id::COUNT).collect(),
            histograms: std::iter::repeat_with(OnceLock::new).take(Id::COUNT).collect(),
            errors: Errors::default(),
        }
    }
}

impl Stats {
    /// A command was executed.
    pub fn executed(&self, spec: &Spec, usec: u64, failed: bool, is_tracked: bool) {
        let figure = &self.figures[spec.id as usize];
        add(&figure.calls, 1);
        add(&figure.usec, usec);
        if failed {
            add(&figure.failed, 1);
        }
        if is_tracked {
            self.histograms[spec.id as usize].get_or_init(Box::default).record(usec);
        }
    }

    /// A command was refused before it was executed.
    pub fn rejected(&self, spec: &Spec) {
        add(&self.figures[spec.id as usize].rejected, 1);
    }

    /// Scripts called a command.
    pub fn called(&self, spec: &Spec, calls: u64, rejected: u64, failed: u64) {
        let figure = &self.figures[spec.id as usize];
        add(&figure.calls, calls);
        add(&figure.rejected, rejected);
        add(&figure.failed, failed);
    }

    /// Scripts were answered so many errors of a code.
    pub fn script_errors(&self, code: &[u8], count: u64) {
        self.errors.add(code, count);
    }

    /// A client was answered an error; its text is without the leading `-`.
    pub fn error(&self, text: &[u8]) {
        self.errors.count(text);
    }

    pub fn reset(&self) {
        for figure in &self.figures {
            for count in [&figure.calls, &figure.usec, &figure.rejected, &figure.failed] {
                count.store(0, Relaxed);
            }
        }
        self.histograms.iter().filter_map(OnceLock::get).for_each(|histogram| histogram.reset());
        self.errors.reset();
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

/// One command on all workers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    pub calls: u64,
    pub usec: u64,
    pub rejected: u64,
    pub failed: u64,
}

/// The sum over `workers`.
pub fn total(workers: &[Stats], spec: &Spec) -> Total {
    let mut total = Total::default();
    for figure in workers.iter().map(|stats| &stats.figures[spec.id as usize]) {
        total.calls += figure.calls.load(Relaxed);
        total.usec += figure.usec.load(Relaxed);
        total.rejected += figure.rejected.load(Relaxed);
        total.failed += figure.failed.load(Relaxed);
    }
    total
}

/// Durations on all `workers`; `None`: there are none.
pub fn durations(workers: &[Stats], spec: &Spec) -> Option<Durations> {
    let mut known = workers.iter().filter_map(|stats| stats.histograms[spec.id as usize].get()).peekable();
    known.peek()?;
    Durations::sum(known.map(|histogram| &**histogram))
}

/// Error replies of all `workers`.
pub fn errors(workers: &[Stats]) -> ErrorCounts {
    let mut counts = ErrorCounts::default();
    workers.iter().for_each(|stats| stats.errors.add_to(&mut counts));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_all_workers_are_added() {
        let workers = [Stats::default(), Stats::default()];
        let get = commands::lookup(b"get").unwrap();
        let set = commands::lookup(b"set").unwrap();
        workers[0].executed(get, 10, false, true);
        workers[1].executed(get, 30, true, false);
        workers[1].rejected(get);
        workers[1].error(b"ERR x");
        let expected = Total { calls: 2, usec: 40, rejected: 1, failed: 1 };
        assert_eq!(total(&workers, get), expected);
        assert_eq!(total(&workers, set), Total::default());
        assert_eq!(durations(&workers, get).map(|d| d.total), Some(1));
        assert!(durations(&workers, set).is_none());
        assert_eq!(errors(&workers).total, 1);
        workers.iter().for_each(Stats::reset);
        assert_eq!(total(&workers, get), Total::default());
        assert!(durations(&workers, get).is_none());
        assert_eq!(errors(&workers), ErrorCounts::default());
    }
}
