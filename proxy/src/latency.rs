//! LATENCY: what took longer than `latency-monitor-threshold`, by kind of event, one sample a second.

use std::collections::{BTreeMap, VecDeque};

/// Samples of one event that are kept; as many as Redis keeps.
const SAMPLES_MAX: usize = 160;

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the Unix epoch.
    pub time_s: u64,
    pub latency_ms: u64,
}

/// Samples of one kind of event.
#[derive(Debug, Default)]
pub struct Series {
    /// Oldest first.
    samples: VecDeque<Sample>,
    /// Of all, those that are not kept included.
    pub worst_ms: u64,
}

impl Series {
    fn push(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.latency_ms);
        match self.samples.back_mut() {
            Some(last) if last.time_s == sample.time_s => {
                last.latency_ms = last.latency_ms.max(sample.latency_ms);
            }
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Oldest first; never empty.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = Sample> + ExactSizeIterator + '_ {
        self.samples.iter().copied()
    }

    pub fn latest(&self) -> Sample {
        self.samples.back().copied().unwrap_or(Sample { time_s: 0, latency_ms: 0 })
    }
}

/// The kinds of events there were, each with its samples.
#[derive(Debug, Default)]
pub struct Latency(BTreeMap<&'static str, Series>);

impl Latency {
    pub fn push(&mut self, event: &'static str, sample: Sample) {
        self.0.entry(event).or_default().push(sample);
    }

    /// Of one event, in any case.
    pub fn series(&self, event: &[u8]) -> Option<&Series> {
        self.0.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(event)).map(|(_, series)| series)
    }

    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    /// Forgets the named events, or all if none is named; how many there were.
    pub fn reset(&mut self, events: &[&[u8]]) -> usize {
        let before = self.0.len();
        let is_named = |name: &str| events.iter().any(|event| event.eq_ignore_ascii_case(name.as_bytes()));
        self.0.retain(|name, _| !events.is_empty() && !is_named(name));
        before - self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time_s: u64, latency_ms: u64) -> Sample {
        Sample { time_s, latency_ms }
    }

    #[test]
    fn the_worst_of_a_second_counts() {
        let mut latency = Latency::default();
        for (time_s, ms) in [(10, 5), (10, 9), (10, 3), (11, 4)] {
            latency.push("command", sample(time_s, ms));
        }
        let series = latency.series(b"COMMAND").unwrap();
        assert_eq!(series.samples().collect::<Vec<_>>(), [sample(10, 9), sample(11, 4)]);
        assert_eq!((series.latest(), series.worst_ms), (sample(11, 4), 9));
    }

    #[test]
    fn samples_are_bounded() {
        let mut latency = Latency::default();
        for time_s in 0..SAMPLES_MAX as u64 + 10 {
            latency.push("command", sample(time_s, 1000 - time_s));
        }
        let series = latency.series(b"command").unwrap();
        assert_eq!((series.samples().len(), series.worst_ms), (SAMPLES_MAX, 1000));
    }

    #[test]
    fn events_are_forgotten_by_name_or_all() {
        let mut latency = Latency::default();
        latency.push("command", sample(1, 1));
        latency.push("fast-command", sample(1, 1));
        assert_eq!(latency.reset(&[b"other"]), 0);
        assert_eq!(latency.reset(&[b"Command", b"other"]), 1);
        assert_eq!(latency.all().map(|(name, _)| name).collect::<Vec<_>>(), ["fast-command"]);
        assert_eq!(latency.reset(&[]), 1);
        assert_eq!(latency.reset(&[]), 0);
    }
}
