//! Offsets of bits (Redis `getBitOffsetFromArgument`).

use datatypes::number::parse_i64;

use super::super::STRING_BYTES_MAX;
use crate::CommandError;
use crate::error::BitError;

/// An offset that a string may have: less than 2^32.
pub(super) fn offset(text: &[u8]) -> Result<u64, CommandError> {
    parse_i64(text).and_then(within).ok_or(CommandError::Bit(BitError::Offset))
}

/// An offset of a field of `bits` bits; `#n` is the one of the `n`th such field.
pub(super) fn field_offset(text: &[u8], bits: u32) -> Result<u64, CommandError> {
    let Some(number) = text.strip_prefix(b"#") else { return offset(text) };
    // Redis's product wraps around too.
    let bits_before = parse_i64(number).map(|fields| fields.wrapping_mul(i64::from(bits)));
    bits_before.and_then(within).ok_or(CommandError::Bit(BitError::Offset))
}

fn within(offset: i64) -> Option<u64> {
    u64::try_from(offset).ok().filter(|offset| offset / 8 < STRING_BYTES_MAX as u64)
}
