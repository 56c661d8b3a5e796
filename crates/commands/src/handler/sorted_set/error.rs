//! Why a command on sorted sets was refused.

use std::borrow::Cow;

/// What only commands on sorted sets are refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortedSetError {
    XxWithNx,
    GtLtNx,
    IncrTakesOne,
    /// The sum of infinite scores of different signs.
    NotANumber,
    ScoreRange,
    LexRange,
    LimitOfRanks,
    ScoresOfLex,
    /// Full name of the command.
    NoInputKey(&'static str),
    Weight,
    NegativeLimit,
    KeyCount,
    PopCount,
}

impl SortedSetError {
    pub(crate) fn text(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            Self::XxWithNx => b"ERR XX and NX options at the same time are not compatible",
            Self::GtLtNx => b"ERR GT, LT, and/or NX options at the same time are not compatible",
            Self::IncrTakesOne => b"ERR INCR option supports a single increment-element pair",
            Self::NotANumber => b"ERR resulting score is not a number (NaN)",
            Self::ScoreRange => b"ERR min or max is not a float",
            Self::LexRange => b"ERR min or max not valid string range item",
            Self::LimitOfRanks => {
                b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
            }
            Self::ScoresOfLex => b"ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            Self::NoInputKey(name) => {
                return Cow::Owned(format!("ERR at least 1 input key is needed for '{name}' command").into());
            }
            Self::Weight => b"ERR weight value is not a float",
            Self::NegativeLimit => b"ERR LIMIT can't be negative",
            Self::KeyCount => b"ERR numkeys should be greater than 0",
            Self::PopCount => b"ERR count should be greater than 0",
        })
    }
}
