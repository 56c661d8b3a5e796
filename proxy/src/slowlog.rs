//! SLOWLOG and LATENCY: commands that took long, from the moment they were read to the moment their
//! reply was there (network and waiting inside the cluster included).

use std::collections::VecDeque;

use bytes::Bytes;

/// One slow command.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: u64,
    /// Seconds since the Unix epoch.
    pub time_s: u64,
    pub duration_us: u64,
    /// Full name of the command. Its arguments are not kept: they were in the read buffer.
    pub command: &'static str,
    pub client: String,
    pub client_name: Bytes,
}

/// The newest slow commands.
#[derive(Debug, Default)]
pub struct Slowlog {
    next_id: u64,
    /// Newest first.
    entries: VecDeque<Entry>,
}

impl Slowlog {
    /// Enters a command; `entry.id` is chosen here.
    pub fn push(&mut self, mut entry: Entry, len_max: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(len_max);
    }

    /// Newest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// Samples of the one event that the proxy watches: `command`.
#[derive(Debug, Default)]
pub struct Latency {
    /// (seconds since the epoch, ms), oldest first.
    samples: VecDeque<(u64, u64)>,
    max_ms: u64,
}

/// As many as Redis keeps.
const SAMPLES_MAX: usize = 160;

impl Latency {
    /// Name of the event.
    pub const EVENT: &str = "command";

    pub fn push(&mut self, time_s: u64, duration_ms: u64) {
        self.max_ms = self.max_ms.max(duration_ms);
        match self.samples.back_mut() {
            Some((time, worst)) if *time == time_s => *worst = duration_ms.max(*worst),
            _ => self.samples.push_back((time_s, duration_ms)),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    pub fn samples(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.samples.iter().copied()
    }

    /// Newest sample and the worst of all.
    pub fn latest(&self) -> Option<(u64, u64, u64)> {
        self.samples.back().map(|&(time, ms)| (time, ms, self.max_ms))
    }

    /// Whether there was something to forget.
    pub fn clear(&mut self) -> bool {
        let any = !self.samples.is_empty();
        *self = Self::default();
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_entries_are_kept() {
        let mut log = Slowlog::default();
        for duration_us in 0..5 {
            let entry = Entry {
                id: 0,
                time_s: 1,
                duration_us,
                command: "get",
                client: String::new(),
                client_name: Bytes::new(),
            };
            log.push(entry, 3);
        }
        let kept: Vec<_> = log.entries().map(|e| (e.id, e.duration_us)).collect();
        assert_eq!(kept, [(4, 4), (3, 3), (2, 2)]);
    }

    #[test]
    fn the_worst_of_a_second_counts() {
        let mut latency = Latency::default();
        for (time, ms) in [(10, 5), (10, 9), (10, 3), (11, 4)] {
            latency.push(time, ms);
        }
        assert_eq!(latency.samples().collect::<Vec<_>>(), [(10, 9), (11, 4)]);
        assert_eq!(latency.latest(), Some((11, 4, 9)));
        assert!(latency.clear() && !latency.clear());
    }
}
