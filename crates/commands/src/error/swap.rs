//! Why SWAPDB was refused.

use super::CommandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapError {
    First,
    Second,
    /// The databases hold more than one entry of the log should.
    TooLarge,
}

impl From<SwapError> for CommandError {
    fn from(error: SwapError) -> Self {
        Self::Swap(error)
    }
}

impl SwapError {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::First => "ERR invalid first DB index",
            Self::Second => "ERR invalid second DB index",
            Self::TooLarge => "ERR the databases hold too much to be swapped",
        }
    }
}
