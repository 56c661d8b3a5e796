//! The arguments of a command, its name excluded.

use datatypes::number::parse_i64;

use crate::CommandError;

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

/// Whether an argument is `word`, in any case.
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}
