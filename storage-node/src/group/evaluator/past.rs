//! Group time as it was a while ago.
//!
//! Group time may leap: a clock is set, or the next leader's is ahead. How long something has lasted is
//! measured by a clock of this process that only goes on, and since this replica leads.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Moments that are remembered, at most.
const MOMENTS: u32 = 16;

/// See the module's description.
pub(super) struct Past {
    length: Duration,
    moments: VecDeque<(Instant, u64)>,
}

impl Past {
    pub fn new(length: Duration) -> Self {
        Self { length, moments: VecDeque::new() }
    }

    /// Notes what time it is. Answers what time it was `length` ago or a little before; `None` if that was not
    /// noted.
    pub fn pass(&mut self, now: Instant, time_ms: u64) -> Option<u64> {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.moments.back().is_none_or(|(at, _)| since(*at) >= self.length / MOMENTS) {
            self.moments.push_back((now, time_ms));
        }
        while self.moments.get(1).is_some_and(|(at, _)| since(*at) >= self.length) {
            self.moments.pop_front();
        }
        self.moments.front().filter(|(at, _)| since(*at) >= self.length).map(|(_, time_ms)| *time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(160);

    #[test]
    fn a_leap_of_time_is_not_what_has_passed() {
        let (mut past, begin) = (Past::new(LENGTH), Instant::now());
        let leap = 1_000_000;
        for second in 0..160 {
            let time_ms = if second < 80 { second } else { second + leap };
            assert_eq!(past.pass(begin + Duration::from_secs(second), time_ms), None);
        }
        assert_eq!(past.pass(begin + LENGTH, 160 + leap), Some(0));
        assert_eq!(past.pass(begin + LENGTH + Duration::from_secs(79), 239 + leap), Some(70));
        assert_eq!(past.pass(begin + LENGTH + Duration::from_secs(80), 240 + leap), Some(80 + leap));
        assert!(past.moments.len() <= MOMENTS as usize + 2);
    }

    #[test]
    fn who_noted_nothing_for_long_knows_what_was_then() {
        let (mut past, begin) = (Past::new(LENGTH), Instant::now());
        past.pass(begin, 1);
        assert_eq!(past.pass(begin + 10 * LENGTH, 2), Some(1));
    }
}
