//! Why SORT was refused.

use super::CommandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortError {
    /// The pattern may lead to another slot.
    By,
    /// Likewise.
    Get,
    NotNumbers,
}

impl From<SortError> for CommandError {
    fn from(error: SortError) -> Self {
        Self::Sort(error)
    }
}

impl SortError {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::By => "ERR BY option of SORT denied in cluster mode.",
            Self::Get => "ERR GET option of SORT denied in cluster mode.",
            Self::NotNumbers => "ERR One or more scores can't be converted into double",
        }
    }
}
