//! Why SINTERCARD was refused.

use super::CommandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntersectionError {
    NoKeys,
    MoreKeysThanArguments,
    NegativeLimit,
}

impl From<IntersectionError> for CommandError {
    fn from(error: IntersectionError) -> Self {
        Self::Intersection(error)
    }
}

impl IntersectionError {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NoKeys => "ERR numkeys should be greater than 0",
            Self::MoreKeysThanArguments => "ERR Number of keys can't be greater than number of args",
            Self::NegativeLimit => "ERR LIMIT can't be negative",
        }
    }
}
