//! Weights as they are stored: LEB128.

use bytes::{Buf, BufMut, BytesMut};

use crate::kv::StoreError;
use crate::record::corrupt;

pub fn number(mut value: &[u8]) -> Result<u64, StoreError> {
    take_number(&mut value).filter(|_| value.is_empty()).ok_or_else(corrupt)
}

pub fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        let low = u64::from(byte & 0x7F);
        if low << shift >> shift != low {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

pub fn put_number(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}
