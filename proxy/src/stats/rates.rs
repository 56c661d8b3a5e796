//! What happens per second lately, from totals that are looked at now and then.

use std::{collections::VecDeque, time::Duration};

/// How often the totals are looked at.
pub const EVERY: Duration = Duration::from_millis(500);
/// Looks that are remembered: two seconds.
const LOOKS: usize = 5;

/// What is counted from the start, or from CONFIG RESETSTAT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

#[derive(Debug, Default)]
pub struct Rates(VecDeque<(u64, Totals)>);

impl Rates {
    pub fn look(&mut self, now_ms: u64, totals: Totals) {
        // They were set to zero meanwhile.
        if self.0.back().is_some_and(|(_, last)| last.commands > totals.commands) {
            self.0.clear();
        }
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        self.0.push_back((now_ms, totals));
    }

    /// Over the last two seconds, or since the start if that is shorter.
    pub fn per_second(&self, of: impl Fn(&Totals) -> u64) -> f64 {
        let (Some((from_ms, first)), Some((to_ms, last))) = (self.0.front(), self.0.back()) else {
            return 0.0;
        };
        let ms = to_ms.saturating_sub(*from_ms).max(1);
        of(last).saturating_sub(of(first)) as f64 * 1000.0 / ms as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_looks() {
        let mut rates = Rates::default();
        let totals = |commands: u64| Totals { commands, input_bytes: 10 * commands, output_bytes: 0 };
        assert_eq!(rates.per_second(|t| t.commands), 0.0);
        for look in 0..20u64 {
            rates.look(500 * look, totals(if look < 10 { 0 } else { 50 * (look - 9) }));
        }
        assert_eq!(rates.per_second(|t| t.commands), 100.0);
        assert_eq!(rates.per_second(|t| t.input_bytes), 1000.0);
        rates.look(10_500, totals(3));
        assert_eq!(rates.per_second(|t| t.commands), 0.0, "after a reset they begin anew");
        rates.look(11_000, totals(53));
        assert_eq!(rates.per_second(|t| t.commands), 100.0);
    }
}
