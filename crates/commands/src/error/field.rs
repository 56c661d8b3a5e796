//! Why a command on fields that expire was refused.

use std::borrow::Cow;

use super::{CommandError, one_line, shown};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldError {
    NoFields,
    /// What stands behind FIELDS is not a positive number, as most commands say it.
    NoCount,
    /// Likewise, as HEXPIRE and its kin say it.
    NoNumFields,
    /// Likewise, as HSETEX says it.
    InvalidCount,
    /// Not as many fields as it was said.
    Count,
    NegativeExpire,
    NoExpiry,
    TwoExpiries,
    TwoConditions,
    UnknownArgument(Vec<u8>),
}

impl From<FieldError> for CommandError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl FieldError {
    pub(super) fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static str = match self {
            Self::UnknownArgument(word) => {
                return one_line([b"ERR unknown argument: ", shown(word, usize::MAX), b""]);
            }
            Self::NoFields => "ERR Mandatory argument FIELDS is missing or not at the right position",
            Self::NoCount => "ERR Number of fields must be a positive integer",
            Self::NoNumFields => "ERR Parameter `numFields` should be greater than 0",
            Self::InvalidCount => "ERR invalid number of fields",
            Self::Count => "ERR The `numfields` parameter must match the number of arguments",
            Self::NegativeExpire => "ERR invalid expire time, must be >= 0",
            Self::NoExpiry => "ERR missing expire time",
            Self::TwoExpiries => "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            Self::TwoConditions => "ERR Only one of FXX or FNX arguments can be specified",
        };
        Cow::Borrowed(text.as_bytes())
    }
}
