//! Numbers, ids and texts in what is stored: LEB128, so that small ones are short.

use crate::kv::StoreError;
use crate::record::corrupt;

use super::id::StreamId;

pub(super) fn put_u64(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Zigzag: near to 0, short, whatever the sign.
pub(super) fn put_i64(out: &mut Vec<u8>, number: i64) {
    put_u64(out, (number << 1 ^ number >> 63).cast_unsigned());
}

pub(super) fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_u64(out, id.ms);
    put_u64(out, id.seq);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what was put, in its order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn u64(&mut self) -> Result<u64, StoreError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(corrupt)?;
            self.at += 1;
            let low = u64::from(byte & 0x7F);
            if shift == 63 && low > 1 {
                return Err(corrupt());
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(corrupt())
    }

    pub fn i64(&mut self) -> Result<i64, StoreError> {
        let number = self.u64()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub fn id(&mut self) -> Result<StreamId, StoreError> {
        Ok(StreamId { ms: self.u64()?, seq: self.u64()? })
    }

    /// Where the next text lies.
    pub fn span(&mut self) -> Result<std::ops::Range<usize>, StoreError> {
        let len = usize::try_from(self.u64()?).map_err(|_| corrupt())?;
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len()).ok_or_else(corrupt)?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let span = self.span()?;
        Ok(&self.bytes[span])
    }

    /// Everything must have been read.
    pub fn end(self) -> Result<(), StoreError> {
        if self.is_empty() { Ok(()) } else { Err(corrupt()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(unsigned in any::<u64>(), signed in any::<i64>(), seq in any::<u64>(), text in any::<Vec<u8>>()) {
            let id = StreamId { ms: unsigned, seq };
            let mut out = Vec::new();
            put_u64(&mut out, unsigned);
            put_i64(&mut out, signed);
            put_id(&mut out, id);
            put_bytes(&mut out, &text);
            let mut source = Source::new(&out);
            prop_assert_eq!(source.u64().unwrap(), unsigned);
            prop_assert_eq!(source.i64().unwrap(), signed);
            prop_assert_eq!(source.id().unwrap(), id);
            prop_assert_eq!(source.bytes().unwrap(), &text);
            prop_assert!(source.end().is_ok());
        }

        #[test]
        fn corrupt_bytes_never_panic(noise in any::<Vec<u8>>()) {
            let mut source = Source::new(&noise);
            while source.id().is_ok() && source.bytes().is_ok() && source.i64().is_ok() {}
        }
    }
}
