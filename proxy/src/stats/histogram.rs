//! How long things took: counts by duration, a bounded relative error, one writer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Each power of two is divided into so many buckets (as a power of two): 3 % of error at most.
const PARTS_BITS: u32 = 5;
const PARTS: usize = 1 << PARTS_BITS;
/// Longer durations count as this one: 36 minutes.
const USEC_MAX: u64 = (1 << 31) - 1;
const BUCKETS: usize = bucket(USEC_MAX) + 1;

/// Durations below `PARTS` µs have a bucket each; every power of two from there on has `PARTS`.
const fn bucket(usec: u64) -> usize {
    if usec < PARTS as u64 {
        return usec as usize;
    }
    let shift = usec.ilog2() - PARTS_BITS;
    ((shift as usize + 1) << PARTS_BITS) + (usec >> shift) as usize - PARTS
}

/// The longest duration of a bucket.
const fn longest(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let shift = bucket / PARTS - 1;
    ((PARTS + bucket % PARTS + 1) as u64 * (1 << shift)) - 1
}

/// Durations of one command on one worker.
#[derive(Debug)]
pub struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    /// By the one worker that writes it.
    pub fn record(&self, usec: u64) {
        let count = &self.0[bucket(usec.min(USEC_MAX))];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    pub fn reset(&self) {
        self.0.iter().for_each(|count| count.store(0, Relaxed));
    }
}

/// The sum of the histograms of all workers at one moment.
#[derive(Debug)]
pub struct Durations {
    counts: Vec<u64>,
    pub total: u64,
}

impl Durations {
    /// `None`: nothing was recorded.
    pub fn sum<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Option<Self> {
        let mut counts = vec![0; BUCKETS];
        for histogram in histograms {
            for (sum, count) in counts.iter_mut().zip(&histogram.0) {
                *sum += count.load(Relaxed);
            }
        }
        let total = counts.iter().sum();
        (total > 0).then_some(Self { counts, total })
    }

    /// No more than this took `percent` of all, in µs.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.total as f64).round() as u64).clamp(1, self.total);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        longest(found.unwrap_or(BUCKETS - 1))
    }

    /// How many took at most 1, 3, 7, 15, … µs, where that changes.
    pub fn doubling(&self) -> Vec<(u64, u64)> {
        let mut steps: Vec<(u64, u64)> = Vec::new();
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += count;
            // No bucket crosses a power of two.
            let most = longest(bucket).max(1).ilog2() + 1;
            let most = (1 << most) - 1;
            match steps.last_mut() {
                Some((limit, total)) if *limit == most => *total = seen,
                _ => steps.push((most, seen)),
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gaps() {
        for at in 0..BUCKETS {
            assert_eq!(bucket(longest(at)), at);
            assert_eq!(bucket(longest(at) + 1), at + 1);
        }
        assert_eq!(longest(BUCKETS - 1), USEC_MAX);
    }

    #[test]
    fn a_bucket_is_not_wider_than_the_error_allows() {
        for at in 1..BUCKETS {
            let (shortest, longest) = (longest(at - 1) + 1, longest(at));
            assert!((longest - shortest) as f64 <= shortest as f64 / PARTS as f64);
        }
    }

    fn durations(usec: &[u64]) -> Durations {
        let histogram = Histogram::default();
        usec.iter().for_each(|&usec| histogram.record(usec));
        Durations::sum([&histogram, &Histogram::default()].into_iter()).unwrap()
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let all: Vec<u64> = (1..=1000).collect();
        let durations = durations(&all);
        assert_eq!(durations.percentile(0.0), 1);
        for (percent, expected) in [(50.0, 500u64), (99.0, 990), (99.9, 999), (100.0, 1000)] {
            let found = durations.percentile(percent);
            assert!(found >= expected && found <= expected + expected / 32, "{percent}: {found}");
        }
    }

    #[test]
    fn doubling_counts_what_is_not_longer() {
        assert_eq!(durations(&[0, 1, 2, 3, 8, 100, 100]).doubling(), [(1, 2), (3, 4), (15, 5), (127, 7)]);
        let endless = durations(&[u64::MAX]);
        assert_eq!(endless.doubling(), [(USEC_MAX, 1)]);
    }

    #[test]
    fn nothing_is_left_after_a_reset() {
        let histogram = Histogram::default();
        histogram.record(5);
        histogram.reset();
        assert!(Durations::sum(std::iter::once(&histogram)).is_none());
    }
}
