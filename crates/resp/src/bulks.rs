//! Bulk strings in a row.

use crate::encode::{put_bulk, put_double_bulk};
use crate::number::parse_i64;

/// Bulk strings, encoded one behind the other, which is the same in both versions of the protocol. What
/// answers many elements needs no value for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bulks {
    count: usize,
    encoded: Vec<u8>,
}

/// What the bulk strings are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Array,
    Set,
    /// Keys and values in turns.
    Map,
}

impl Bulks {
    pub fn push(&mut self, bytes: &[u8]) {
        put_bulk(&mut self.encoded, bytes);
        self.count += 1;
    }

    /// A number, as RESP2 has it.
    pub fn push_double(&mut self, number: f64) {
        put_double_bulk(&mut self.encoded, number);
        self.count += 1;
    }

    pub fn append(&mut self, others: &Self) {
        self.encoded.extend_from_slice(&others.encoded);
        self.count += others.count;
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.encoded[..];
        std::iter::from_fn(move || {
            let (bulk, others) = split(rest)?;
            rest = others;
            Some(bulk)
        })
    }
}

/// The bulk string at the front, and what is behind it.
fn split(encoded: &[u8]) -> Option<(&[u8], &[u8])> {
    let line_end = encoded.iter().position(|&byte| byte == b'\r')?;
    let length = usize::try_from(parse_i64(encoded.get(1..line_end)?)?).ok()?;
    let (bulk, others) = encoded.get(line_end + 2..)?.split_at_checked(length)?;
    Some((bulk, others.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_again() {
        let texts: [&[u8]; 4] = [b"a", b"", b"$1\r\n", &[7; 3000]];
        let mut bulks = Bulks::default();
        texts.iter().for_each(|text| bulks.push(text));
        assert_eq!((bulks.len(), bulks.iter().collect::<Vec<_>>()), (4, texts.to_vec()));
        bulks.append(&bulks.clone());
        assert_eq!((bulks.len(), bulks.iter().count()), (8, 8));
    }
}
