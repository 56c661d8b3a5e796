//! Writing: lengths and strings, in the shortest form but never compressed.

use bytes::{BufMut, BytesMut};

use crate::number::parse_i64;

/// Longest text that may be a number of 32 bits.
const NUMBER_BYTES_MAX: usize = 11;

pub(super) fn put_string(out: &mut BytesMut, text: &[u8]) {
    if let Some(number) = small_number(text) {
        return put_number(out, number);
    }
    put_length(out, text.len() as u64);
    out.put_slice(text);
}

/// The number that `text` is the one way to write of.
fn small_number(text: &[u8]) -> Option<i32> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    parse_i64(text).and_then(|number| i32::try_from(number).ok())
}

fn put_number(out: &mut BytesMut, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.put_u8(0xC0);
        out.put_i8(number);
    } else if let Ok(number) = i16::try_from(number) {
        out.put_u8(0xC1);
        out.put_i16_le(number);
    } else {
        out.put_u8(0xC2);
        out.put_i32_le(number);
    }
}

pub(super) fn put_length(out: &mut BytesMut, len: u64) {
    match len {
        0..0x40 => out.put_u8(len as u8),
        0x40..0x4000 => out.put_u16(0x4000 | len as u16),
        _ => match u32::try_from(len) {
            Ok(len) => {
                out.put_u8(0x80);
                out.put_u32(len);
            }
            Err(_) => {
                out.put_u8(0x81);
                out.put_u64(len);
            }
        },
    }
}
