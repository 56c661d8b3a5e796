//! The elements of a small collection, one behind the other.

use crate::kv::StoreError;
use crate::number::parse_i64;
use crate::record::corrupt;

const FORM_PLAIN: u8 = 0;
/// All names are integers, in ascending order, without values.
const FORM_INTEGERS: u8 = 1;

/// An element, and where it lies among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub start: usize,
    pub end: usize,
}

/// Walks over a payload.
#[derive(Debug, Clone, Copy)]
pub struct Walk<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub fn over(payload: &'a [u8]) -> Result<Self, StoreError> {
        match payload.first() {
            Some(&(FORM_PLAIN | FORM_INTEGERS)) => Ok(Self { payload, at: 1 }),
            _ => Err(corrupt()),
        }
    }

    pub fn next(&mut self) -> Result<Option<Found<'a>>, StoreError> {
        let start = self.at;
        if start == self.payload.len() {
            return Ok(None);
        }
        let (name, value) = (self.bytes()?, self.bytes()?);
        Ok(Some(Found { name, value, start, end: self.at }))
    }

    pub fn find(mut self, name: &[u8]) -> Result<Option<Found<'a>>, StoreError> {
        while let Some(found) = self.next()? {
            if found.name == name {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    pub fn count(mut self) -> Result<u64, StoreError> {
        let mut count = 0;
        while self.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let len = self.length()?;
        let end = self.at.checked_add(len).ok_or_else(corrupt)?;
        let bytes = self.payload.get(self.at..end).ok_or_else(corrupt)?;
        self.at = end;
        Ok(bytes)
    }

    fn length(&mut self) -> Result<usize, StoreError> {
        let mut length = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.payload.get(self.at).ok_or_else(corrupt)?;
            self.at += 1;
            let low = u32::from(byte & 0x7F);
            if shift == 28 && low > 0x0F {
                return Err(corrupt());
            }
            length |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(length as usize);
            }
        }
        Err(corrupt())
    }
}

/// A payload that is being changed.
#[derive(Debug, Clone)]
pub struct Small {
    payload: Vec<u8>,
    len: u64,
}

impl Small {
    pub fn new() -> Self {
        Self { payload: vec![FORM_PLAIN], len: 0 }
    }

    /// Of integers until another name comes.
    pub fn of_integers() -> Self {
        Self { payload: vec![FORM_INTEGERS], len: 0 }
    }

    pub fn is_of_integers(&self) -> bool {
        is_of_integers(&self.payload)
    }

    pub fn forget_integers(&mut self) {
        self.payload[0] = FORM_PLAIN;
    }

    pub fn decode(payload: &[u8]) -> Result<Self, StoreError> {
        Ok(Self { len: Walk::over(payload)?.count()?, payload: payload.to_vec() })
    }

    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn walk(&self) -> Walk<'_> {
        Walk { payload: &self.payload, at: 1 }
    }

    /// Replaces the element in its place, or appends it. Whether it is new.
    pub fn put(&mut self, name: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let mut element = Vec::with_capacity(name.len() + value.len() + 4);
        put_bytes(&mut element, name);
        put_bytes(&mut element, value);
        let found = self.walk().find(name)?.map(|found| found.start..found.end);
        let end = self.payload.len();
        let is_new = found.is_none();
        self.payload.splice(found.unwrap_or(end..end), element);
        self.len += u64::from(is_new);
        Ok(is_new)
    }

    /// Adds a number, written as `name`, to one of integers. Whether it is new.
    pub fn put_integer(&mut self, number: i64, name: &[u8]) -> Result<bool, StoreError> {
        if self.walk().find(name)?.is_some() {
            return Ok(false);
        }
        self.insert(name, b"", |other| Ok(parse_i64(other.name).ok_or_else(corrupt)? < number))?;
        Ok(true)
    }

    /// Puts a new element behind those that lie before it.
    pub fn insert(
        &mut self,
        name: &[u8],
        value: &[u8],
        is_before: impl Fn(&Found<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let (mut at, mut walk) = (self.payload.len(), self.walk());
        while let Some(found) = walk.next()? {
            if !is_before(&found)? {
                at = found.start;
                break;
            }
        }
        let mut element = Vec::with_capacity(name.len() + value.len() + 4);
        put_bytes(&mut element, name);
        put_bytes(&mut element, value);
        self.payload.splice(at..at, element);
        self.len += 1;
        Ok(())
    }

    /// Whether the element was there.
    pub fn remove(&mut self, name: &[u8]) -> Result<bool, StoreError> {
        let Some(range) = self.walk().find(name)?.map(|found| found.start..found.end) else {
            return Ok(false);
        };
        self.payload.drain(range);
        self.len -= 1;
        Ok(true)
    }
}

/// Whether the payload of a small collection is of integers.
pub fn is_of_integers(payload: &[u8]) -> bool {
    payload.first() == Some(&FORM_INTEGERS)
}

/// Names and values are arguments of a command, which is shorter than 4 GiB.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len() as u32;
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}
