//! How much a connection's task does before the others of its worker get their turns.

/// Commands taken in a turn at most.
const COMMANDS_MAX: u32 = 1024;
/// A turn lasts about so long.
const DURATION_US: u64 = 1000;
/// The clock is looked at after each so many commands.
const COMMANDS_PER_LOOK: u32 = 16;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Turn {
    commands: u32,
    /// When the first of them was taken.
    began_us: u64,
    is_over: bool,
}

impl Turn {
    /// A command is taken; `now_us` is asked now and then.
    pub fn took_one(&mut self, now_us: impl Fn() -> u64) {
        if self.commands == 0 {
            self.began_us = now_us();
        }
        self.commands += 1;
        let looks = self.commands.is_multiple_of(COMMANDS_PER_LOOK);
        let is_late = || now_us().saturating_sub(self.began_us) > DURATION_US;
        self.is_over |= self.commands >= COMMANDS_MAX || looks && is_late();
    }

    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_count_or_by_time() {
        let commands = |us_each: u64| {
            let (mut turn, mut count) = (Turn::default(), 0);
            while !turn.is_over() {
                turn.took_one(|| count * us_each);
                count += 1;
            }
            count
        };
        assert_eq!(commands(0), u64::from(COMMANDS_MAX));
        assert_eq!(commands(10), 112);
        assert_eq!(commands(5000), u64::from(COMMANDS_PER_LOOK));
    }
}
