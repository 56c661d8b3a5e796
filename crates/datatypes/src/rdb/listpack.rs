//! Listpacks, in which Redis holds and dumps small collections (Redis's `listpack.c`).
//!
//! ```text
//! listpack := bytes:u32le  count:u16le (FFFF: unknown)  entry*  FF
//! entry    := item  backlen                        backlen: size of the item, 7 bits a byte
//! item     := 0nnnnnnn                             0 … 127
//!           | 10nnnnnn bytes | 1110nnnn n:u8 bytes | F0 n:u32le bytes
//!           | 110nnnnn n:u8                        13 bits, signed
//!           | F1 i16le | F2 i24le | F3 i32le | F4 i64le
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::RdbError;
use super::read::Input;
use crate::number::parse_i64;

pub(crate) const HEADER_BYTES: usize = 6;
pub(crate) const END: u8 = 0xFF;
const BACKLEN_BYTES_MAX: usize = 5;

/// An item as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Text(&'a [u8]),
    /// Stands for its text.
    Number(i64),
}

impl Item<'_> {
    fn to_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::copy_from_slice(text),
            Self::Number(number) => Bytes::from(number.to_string()),
        }
    }
}

/// The items of a listpack, numbers as their texts.
pub(super) fn read(listpack: &[u8]) -> Result<Vec<Bytes>, RdbError> {
    let (header, rest) = listpack.split_first_chunk::<HEADER_BYTES>().ok_or(RdbError::Format)?;
    let (body, end) = rest.split_last_chunk().ok_or(RdbError::Format)?;
    let [b0, b1, b2, b3, c0, c1] = *header;
    if u32::from_le_bytes([b0, b1, b2, b3]) as usize != listpack.len() || *end != [END] {
        return Err(RdbError::Format);
    }
    let mut rest = body;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, size) = entry(rest)?;
        items.push(item.to_bytes());
        rest = &rest[size..];
    }
    let count = u16::from_le_bytes([c0, c1]);
    if count != u16::MAX && usize::from(count) != items.len() {
        return Err(RdbError::Format);
    }
    Ok(items)
}

/// The first entry: its item, and how many bytes it takes.
pub(crate) fn entry(entries: &[u8]) -> Result<(Item<'_>, usize), RdbError> {
    let mut input = Input::new(entries);
    let item = item(&mut input)?;
    let mut expected = [0; BACKLEN_BYTES_MAX];
    let backlen = backlen(entries.len() - input.len(), &mut expected);
    if input.take(backlen.len() as u64)? != backlen {
        return Err(RdbError::Format);
    }
    Ok((item, entries.len() - input.len()))
}

/// How many bytes the last entry takes, by what stands behind its item.
pub(crate) fn last_entry_bytes(entries: &[u8]) -> Result<usize, RdbError> {
    let mut item_bytes = 0;
    for (at, &byte) in entries.iter().rev().take(BACKLEN_BYTES_MAX).enumerate() {
        item_bytes |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let bytes = item_bytes + at + 1;
            return if bytes <= entries.len() { Ok(bytes) } else { Err(RdbError::Format) };
        }
    }
    Err(RdbError::Format)
}

fn item<'a>(input: &mut Input<'a>) -> Result<Item<'a>, RdbError> {
    let first = input.byte()?;
    let number = match first {
        0x00..=0x7F => i64::from(first),
        0x80..=0xBF => return text(input, u64::from(first & 0x3F)),
        0xC0..=0xDF => {
            let bits = u16::from(first & 0x1F) << 8 | u16::from(input.byte()?);
            // Of 13 bits, the highest is the sign.
            i64::from((bits << 3).cast_signed() >> 3)
        }
        0xE0..=0xEF => {
            let len = u64::from(first & 0x0F) << 8 | u64::from(input.byte()?);
            return text(input, len);
        }
        0xF0 => {
            let len = u32::from_le_bytes(input.array()?);
            return text(input, len.into());
        }
        0xF1 => i16::from_le_bytes(input.array()?).into(),
        0xF2 => {
            let [a, b, c] = input.array()?;
            i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
        }
        0xF3 => i32::from_le_bytes(input.array()?).into(),
        0xF4 => i64::from_le_bytes(input.array()?),
        _ => return Err(RdbError::Format),
    };
    Ok(Item::Number(number))
}

fn text<'a>(input: &mut Input<'a>, len: u64) -> Result<Item<'a>, RdbError> {
    Ok(Item::Text(input.take(len)?))
}

/// The listpack of some items, each in its shortest form as Redis writes it.
pub(crate) fn write<'a>(items: impl Iterator<Item = &'a [u8]>) -> BytesMut {
    let mut out = BytesMut::zeroed(HEADER_BYTES);
    let mut count = 0u64;
    for item in items {
        put_entry(&mut out, item);
        count += 1;
    }
    finish(&mut out, count);
    out
}

/// Appends an item in its shortest form.
pub(crate) fn put_entry(out: &mut BytesMut, item: &[u8]) {
    let start = out.len();
    match parse_i64(item) {
        Some(number) => put_number(out, number),
        None => put_text(out, item),
    }
    let len = out.len() - start;
    out.put_slice(backlen(len, &mut [0; BACKLEN_BYTES_MAX]));
}

/// Ends a listpack of `count` entries and fills in its header.
pub(crate) fn finish(out: &mut BytesMut, count: u64) {
    out.put_u8(END);
    // A collection with a listpack of 4 GiB would not be small.
    let bytes = (out.len() as u32).to_le_bytes();
    out[..4].copy_from_slice(&bytes);
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    out[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

fn put_number(out: &mut BytesMut, number: i64) {
    match number {
        0..=127 => out.put_u8(number as u8),
        -4096..=4095 => out.put_u16(0xC000 | (number as u16 & 0x1FFF)),
        -0x8000..=0x7FFF => {
            out.put_u8(0xF1);
            out.put_i16_le(number as i16);
        }
        -0x80_0000..=0x7F_FFFF => {
            out.put_u8(0xF2);
            out.put_int_le(number, 3);
        }
        -0x8000_0000..=0x7FFF_FFFF => {
            out.put_u8(0xF3);
            out.put_i32_le(number as i32);
        }
        _ => {
            out.put_u8(0xF4);
            out.put_i64_le(number);
        }
    }
}

fn put_text(out: &mut BytesMut, text: &[u8]) {
    match text.len() {
        0..0x40 => out.put_u8(0x80 | text.len() as u8),
        0x40..0x1000 => out.put_u16(0xE000 | text.len() as u16),
        len => {
            out.put_u8(0xF0);
            out.put_u32_le(len as u32);
        }
    }
    out.put_slice(text);
}

/// The size of an item as it stands behind it, highest bits first; all bytes but the first are marked.
fn backlen(len: usize, out: &mut [u8; BACKLEN_BYTES_MAX]) -> &[u8] {
    let bytes = match len {
        0..=127 => 1,
        128..16383 => 2,
        16383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    for (at, byte) in out[..bytes].iter_mut().enumerate() {
        let low = (len >> (7 * (bytes - 1 - at))) as u8 & 0x7F;
        *byte = if at == 0 { low } else { low | 0x80 };
    }
    &out[..bytes]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_item() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(any::<u8>(), 4000..4200),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            (0..63u32, -2..3i64).prop_map(|(bits, by)| ((1i64 << bits) + by).to_string().into_bytes()),
            (0..63u32, -2..3i64).prop_map(|(bits, by)| (by - (1i64 << bits)).to_string().into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn items_survive_the_round_trip(items in prop::collection::vec(any_item(), 0..20)) {
            let listpack = write(items.iter().map(Vec::as_slice));
            prop_assert_eq!(read(&listpack).unwrap(), items);
        }

        #[test]
        fn random_bytes_never_panic(noise in any::<Vec<u8>>(), count in any::<u16>()) {
            let _ = read(&noise);
            let len = (noise.len() + HEADER_BYTES + 1) as u32;
            let _ = read(&[&len.to_le_bytes()[..], &count.to_le_bytes(), &noise, &[END]].concat());
        }
    }

    #[test]
    fn sizes_of_long_items_are_read_back() {
        for len in [16_380, 16_384, 2_097_140, 2_097_200] {
            let item = vec![b'x'; len];
            assert_eq!(read(&write([&item[..]].into_iter())).unwrap(), [item]);
        }
    }
}
