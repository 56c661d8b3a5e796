//! Ziplists, in which Redis before 7.0 held and dumped small collections. Only read.
//!
//! ```text
//! ziplist := bytes:u32le  tail:u32le  count:u16le (FFFF: unknown)  entry*  FF
//! entry   := before item                           before: size of the entry before, n:u8 | FE n:u32le
//! item    := 00nnnnnn bytes | 01nnnnnn n:u8 bytes | 80 n:u32be bytes
//!          | C0 i16le | D0 i32le | E0 i64le | F0 i24le | FE i8
//!          | 1111nnnn                              0 … 12 as 1 … 13
//! ```

use bytes::Bytes;

use super::RdbError;
use super::read::Input;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xFF;
/// Before the size of a long entry.
const LONG: u8 = 0xFE;

/// The items of a ziplist, numbers as their texts.
pub(super) fn read(ziplist: &[u8]) -> Result<Vec<Bytes>, RdbError> {
    let (header, rest) = ziplist.split_first_chunk::<HEADER_BYTES>().ok_or(RdbError::Format)?;
    let (body, end) = rest.split_last_chunk().ok_or(RdbError::Format)?;
    let [b0, b1, b2, b3, t0, t1, t2, t3, c0, c1] = *header;
    if u32::from_le_bytes([b0, b1, b2, b3]) as usize != ziplist.len() || *end != [END] {
        return Err(RdbError::Format);
    }
    let (mut input, mut items, mut last, mut before) = (Input::new(body), Vec::new(), HEADER_BYTES, 0);
    while !input.is_empty() {
        let left = input.len();
        last = HEADER_BYTES + body.len() - left;
        if size_before(&mut input)? != before {
            return Err(RdbError::Format);
        }
        items.push(item(&mut input)?);
        before = left - input.len();
    }
    let count = u16::from_le_bytes([c0, c1]);
    let counted = count == u16::MAX || usize::from(count) == items.len();
    if counted && u32::from_le_bytes([t0, t1, t2, t3]) as usize == last {
        Ok(items)
    } else {
        Err(RdbError::Format)
    }
}

fn size_before(input: &mut Input<'_>) -> Result<usize, RdbError> {
    match input.byte()? {
        LONG => Ok(u32::from_le_bytes(input.array()?) as usize),
        END => Err(RdbError::Format),
        size => Ok(size.into()),
    }
}

fn item(input: &mut Input<'_>) -> Result<Bytes, RdbError> {
    let first = input.byte()?;
    let number = match first {
        0x00..=0x3F => return text(input, first.into()),
        0x40..=0x7F => {
            let len = u64::from(first & 0x3F) << 8 | u64::from(input.byte()?);
            return text(input, len);
        }
        0x80 => {
            let len = u32::from_be_bytes(input.array()?);
            return text(input, len.into());
        }
        0xC0 => i16::from_le_bytes(input.array()?).into(),
        0xD0 => i32::from_le_bytes(input.array()?).into(),
        0xE0 => i64::from_le_bytes(input.array()?),
        0xF0 => {
            let [a, b, c] = input.array()?;
            i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
        }
        0xF1..=0xFD => i64::from(first & 0x0F) - 1,
        0xFE => i8::from_le_bytes(input.array()?).into(),
        _ => return Err(RdbError::Format),
    };
    Ok(Bytes::from(number.to_string()))
}

fn text(input: &mut Input<'_>, len: u64) -> Result<Bytes, RdbError> {
    Ok(Bytes::copy_from_slice(input.take(len)?))
}
