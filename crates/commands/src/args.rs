//! The arguments of a command, its name excluded.

use datatypes::number::parse_i64;

use crate::{CommandError, DATABASES};

/// Arguments without the command's name. A subcommand's name counts as the first argument.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    items: &'a [&'a [u8]],
}

impl<'a> Args<'a> {
    pub fn new(items: &'a [&'a [u8]]) -> Self {
        Self { items }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The argument at `index`; a syntax error if there are fewer. (The arity check comes first, so
    /// that happens for options only.)
    pub fn at(&self, index: usize) -> Result<&'a [u8], CommandError> {
        self.items.get(index).copied().ok_or(CommandError::Syntax)
    }

    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        int(self.at(index)?)
    }

    pub fn all(&self) -> &'a [&'a [u8]] {
        self.items
    }

    /// The arguments from `index` on; none if there are fewer.
    pub fn from(&self, index: usize) -> &'a [&'a [u8]] {
        self.items.get(index..).unwrap_or_default()
    }
}

/// Reads an integer argument.
pub fn int(text: &[u8]) -> Result<i64, CommandError> {
    parse_i64(text).ok_or(CommandError::NotInteger)
}

/// Reads an integer of 32 bits.
pub fn int32(text: &[u8]) -> Result<i32, CommandError> {
    i32::try_from(int(text)?).map_err(|_| CommandError::NotBetween(i32::MIN.into(), i32::MAX.into()))
}

/// Reads the number of a database.
pub fn database(text: &[u8]) -> Result<u8, CommandError> {
    let db = u8::try_from(int32(text)?).ok().filter(|&db| db < DATABASES);
    db.ok_or(CommandError::DatabaseOutOfRange)
}

/// Reads a cursor as C's `strtoul` does: nothing is 0, and less than nothing counts from the end.
pub fn cursor(text: &[u8]) -> Result<u64, CommandError> {
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let plain = digits.first().is_some_and(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|text| text.parse::<u64>().ok());
    let number = number.ok_or(CommandError::InvalidCursor)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// Whether an argument is `word`, in any case.
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}
