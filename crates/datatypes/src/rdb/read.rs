//! Reading: lengths and strings.

use std::borrow::Cow;

use super::{RdbError, lzf};

/// Longest string; Redis's limit for values.
pub(super) const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What is left of a payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

/// What stands before a string: how long it is, or how it is encoded.
enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> Result<u8, RdbError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A string in any encoding; borrowed if it is there as it is.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, RdbError> {
        let decimal = |number: i32| Ok(Cow::Owned(number.to_string().into_bytes()));
        match self.any_length()? {
            Length::Plain(len) => Ok(Cow::Borrowed(self.take(len)?)),
            Length::Encoded(0) => decimal(i8::from_le_bytes(self.array()?).into()),
            Length::Encoded(1) => decimal(i16::from_le_bytes(self.array()?).into()),
            Length::Encoded(2) => decimal(i32::from_le_bytes(self.array()?)),
            Length::Encoded(3) => self.compressed().map(Cow::Owned),
            Length::Encoded(_) => Err(RdbError::Format),
        }
    }

    /// A number that counts something.
    pub fn length(&mut self) -> Result<u64, RdbError> {
        match self.any_length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(_) => Err(RdbError::Format),
        }
    }

    /// Everything must have been read.
    pub fn end(self) -> Result<(), RdbError> {
        if self.0.is_empty() { Ok(()) } else { Err(RdbError::Format) }
    }

    fn compressed(&mut self) -> Result<Vec<u8>, RdbError> {
        let (compressed, len) = (self.length()?, self.length()?);
        let input = self.take(compressed)?;
        let len = usize::try_from(len).ok().filter(|&len| len <= STRING_BYTES_MAX);
        lzf::decompress(input, len.ok_or(RdbError::Format)?)
    }

    fn any_length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        let low = first & 0x3F;
        Ok(match (first >> 6, low) {
            (0, _) => Length::Plain(low.into()),
            (1, _) => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            (2, 0) => Length::Plain(u32::from_be_bytes(self.array()?).into()),
            (2, 1) => Length::Plain(u64::from_be_bytes(self.array()?)),
            (3, _) => Length::Encoded(low),
            _ => return Err(RdbError::Format),
        })
    }

    pub fn take(&mut self, len: u64) -> Result<&'a [u8], RdbError> {
        let len = usize::try_from(len).map_err(|_| RdbError::Format)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(RdbError::Format)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(RdbError::Format)?;
        self.0 = rest;
        Ok(*taken)
    }
}
