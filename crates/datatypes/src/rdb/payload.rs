//! The frame of a payload: its footer.

use bytes::{BufMut, BytesMut};

use super::RdbError;
use super::crc64::crc64;

/// What Redis 7.2 writes.
pub const VERSION: u16 = 11;
/// What Redis 7.4 writes: the newest that is read, and what is written where 7.2 has no form for it.
pub const VERSION_MAX: u16 = 12;

pub(super) const FOOTER_BYTES: usize = 2 + CRC_BYTES;
const CRC_BYTES: usize = 8;

/// Appends the footer, for readers that know `version`.
pub fn seal(payload: &mut BytesMut, version: u16) {
    payload.put_u16_le(version);
    let crc = crc64(payload);
    payload.put_u64_le(crc);
}

/// What is before the footer, if that is right.
pub fn unseal(payload: &[u8]) -> Result<&[u8], RdbError> {
    let (summed, crc) = payload.split_last_chunk::<CRC_BYTES>().ok_or(RdbError::Footer)?;
    let (body, version) = summed.split_last_chunk().ok_or(RdbError::Footer)?;
    if u16::from_le_bytes(*version) > VERSION_MAX || u64::from_le_bytes(*crc) != crc64(summed) {
        return Err(RdbError::Footer);
    }
    Ok(body)
}
