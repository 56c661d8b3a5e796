//! The head record: what is stored under a key.
//!
//! ```text
//! record  := tag  [expiry_ms:u64be if tag & 80]  payload
//! tag     := bits 0–3 type, bits 4–5 form of a string, bit 6 large, bit 7 has expiry
//! payload := a string's bytes, a document's text, or a small collection whole
//!          | if tag & 40: id:u64be  and what else its type keeps about a large collection
//! ```
//!
//! The id names the parts of a large collection; what small and large ones look like is in
//! [`crate::collection`].

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::collection::field_due;
use crate::kv::StoreError;

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    String = 1,
    List = 2,
    Set = 3,
    SortedSet = 4,
    Hash = 5,
    Stream = 6,
    Json = 7,
}

impl Type {
    pub const ALL: [Self; 7] =
        [Self::String, Self::List, Self::Set, Self::SortedSet, Self::Hash, Self::Stream, Self::Json];

    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Json => "ReJSON-RL",
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&t| t as u8 == tag & 0x0F)
    }
}

/// How Redis would hold a string, as far as its bytes do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum StringForm {
    /// An integer if it looks like one, else embedded or raw by its length.
    #[default]
    Natural = 0,
    /// Never an integer: result of a float computation.
    Text = 1,
    /// Was edited in place: raw whatever its length.
    Raw = 2,
}

const FORM_SHIFT: u8 = 4;
const LARGE: u8 = 0x40;
const EXPIRES: u8 = 0x80;

/// A decoded head record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: Type,
    /// Meaningful for strings only.
    pub form: StringForm,
    /// Group time from which on the key is gone.
    pub expiry_ms: Option<u64>,
    /// A collection whose elements are stored as parts, not in the payload.
    pub large: bool,
    pub payload: Bytes,
}

impl Record {
    pub fn string(payload: Bytes) -> Self {
        Self { kind: Type::String, form: StringForm::Natural, expiry_ms: None, large: false, payload }
    }

    pub fn is_live(&self, now_ms: u64) -> bool {
        self.expiry_ms.is_none_or(|when| now_ms < when)
    }

    /// When the key or a field of it may expire: under this moment it is in the expiry index.
    pub fn due(&self) -> Option<u64> {
        [self.expiry_ms, field_due(self)].into_iter().flatten().min()
    }

    /// What names the parts of a large collection; `None` for everything else.
    pub fn collection_id(&self) -> Option<u64> {
        self.payload.first_chunk().filter(|_| self.large).map(|id| u64::from_be_bytes(*id))
    }

    pub fn encode(&self) -> Bytes {
        encode(self, &self.payload)
    }

    /// Decodes a stored record; the payload shares its memory.
    pub fn decode(stored: Bytes) -> Result<Self, StoreError> {
        let mut rest = stored;
        let tag = take::<1>(&mut rest)?[0];
        let kind = Type::from_tag(tag).ok_or_else(corrupt)?;
        let expiry_ms = match tag & EXPIRES {
            0 => None,
            _ => Some(u64::from_be_bytes(take(&mut rest)?)),
        };
        let form = match tag >> FORM_SHIFT & 3 {
            0 => StringForm::Natural,
            1 => StringForm::Text,
            2 => StringForm::Raw,
            _ => return Err(corrupt()),
        };
        let large = tag & LARGE != 0;
        if large && (matches!(kind, Type::String | Type::Json) || rest.len() < size_of::<u64>()) {
            return Err(corrupt());
        }
        Ok(Self { kind, form, expiry_ms, large, payload: rest })
    }
}

/// Type and expiry of a stored record, without touching its payload.
pub fn peek(stored: &[u8]) -> Result<(Type, Option<u64>), StoreError> {
    let (&tag, rest) = stored.split_first().ok_or_else(corrupt)?;
    let kind = Type::from_tag(tag).ok_or_else(corrupt)?;
    let expiry_ms = match tag & EXPIRES {
        0 => None,
        _ => Some(u64::from_be_bytes(*rest.first_chunk().ok_or_else(corrupt)?)),
    };
    Ok((kind, expiry_ms))
}

/// The record of a string as it is stored, straight from borrowed bytes.
pub fn encode_string(value: &[u8], expiry_ms: Option<u64>) -> Bytes {
    let head = Record { expiry_ms, ..Record::string(Bytes::new()) };
    encode(&head, value)
}

/// The record of a string of `len` bytes that was edited in place: `fill` writes over zeros.
pub fn encode_edited(expiry_ms: Option<u64>, len: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
    let head = encode(&Record { form: StringForm::Raw, expiry_ms, ..Record::string(Bytes::new()) }, &[]);
    // Asked for as zeros, memory costs nothing until it is written to.
    let mut out = BytesMut::zeroed(head.len() + len);
    let (start, payload) = out.split_at_mut(head.len());
    start.copy_from_slice(&head);
    fill(payload);
    out.freeze()
}

fn encode(head: &Record, payload: &[u8]) -> Bytes {
    let expiry_len = if head.expiry_ms.is_some() { 8 } else { 0 };
    let mut out = BytesMut::with_capacity(1 + expiry_len + payload.len());
    let expires = if head.expiry_ms.is_some() { EXPIRES } else { 0 };
    let large = if head.large { LARGE } else { 0 };
    out.put_u8(head.kind as u8 | (head.form as u8) << FORM_SHIFT | large | expires);
    if let Some(when) = head.expiry_ms {
        out.put_u64(when);
    }
    out.put_slice(payload);
    out.freeze()
}

fn take<const N: usize>(rest: &mut Bytes) -> Result<[u8; N], StoreError> {
    let head = *rest.first_chunk::<N>().ok_or_else(corrupt)?;
    rest.advance(N);
    Ok(head)
}

pub(crate) fn corrupt() -> StoreError {
    StoreError("corrupt head record".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let form = prop_oneof![Just(StringForm::Natural), Just(StringForm::Text), Just(StringForm::Raw)];
        (0..Type::ALL.len(), form, any::<Option<u64>>(), any::<bool>(), any::<Vec<u8>>()).prop_map(
            |(kind, form, expiry_ms, large, payload)| {
                let kind = Type::ALL[kind];
                let large = large && !matches!(kind, Type::String | Type::Json) && payload.len() >= 8;
                Record { kind, form, expiry_ms, large, payload: payload.into() }
            },
        )
    }

    proptest! {
        #[test]
        fn records_survive_the_round_trip(record in any_record()) {
            let stored = record.encode();
            prop_assert_eq!(peek(&stored).unwrap(), (record.kind, record.expiry_ms));
            prop_assert_eq!(Record::decode(stored).unwrap(), record);
        }

        #[test]
        fn corrupt_records_never_panic(stored in any::<Vec<u8>>()) {
            let _ = (peek(&stored), Record::decode(stored.into()));
        }
    }

    #[test]
    fn a_string_costs_one_byte_more_than_its_value() {
        assert_eq!(encode_string(b"value", None).len(), 6);
        assert_eq!(encode_string(b"value", Some(7)).len(), 14);
    }
}
