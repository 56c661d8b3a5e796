//! The elements of a small collection, one behind the other.

use bytes::Bytes;

use super::due::NEVER;
use crate::kv::StoreError;
use crate::number::parse_i64;
use crate::record::corrupt;

const FORM_PLAIN: u8 = 0;
/// All names are integers, in ascending order, without values.
const FORM_INTEGERS: u8 = 1;
/// Fields may expire: see [`super::due`].
const FORM_EXPIRING: u8 = 2;
/// Form, and when the next field may expire.
const EXPIRING_HEADER: usize = 1 + 8;

/// For what is added to a payload: a short element, or the lengths and the expiry of any.
const ROOM: usize = 32;

/// An element, and where it lies among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub expiry_ms: Option<u64>,
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
            Some(&FORM_EXPIRING) if payload.len() >= EXPIRING_HEADER => {
                Ok(Self { payload, at: EXPIRING_HEADER })
            }
            _ => Err(corrupt()),
        }
    }

    pub fn next(&mut self) -> Result<Option<Found<'a>>, StoreError> {
        let start = self.at;
        if start == self.payload.len() {
            return Ok(None);
        }
        let (name, value) = (self.bytes()?, self.bytes()?);
        let expiry_ms =
            if is_expiring(self.payload) { Some(self.number()?).filter(|&ms| ms > 0) } else { None };
        Ok(Some(Found { name, value, expiry_ms, start, end: self.at }))
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
        u32::try_from(self.number()?).map(|length| length as usize).map_err(|_| corrupt())
    }

    /// LEB128.
    fn number(&mut self) -> Result<u64, StoreError> {
        let mut number = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.payload.get(self.at).ok_or_else(corrupt)?;
            self.at += 1;
            let low = u64::from(byte & 0x7F);
            if low << shift >> shift != low {
                return Err(corrupt());
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
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

    /// When the next field may expire.
    pub fn due(&self) -> Option<u64> {
        due(&self.payload)
    }

    pub fn is_of_integers(&self) -> bool {
        is_of_integers(&self.payload)
    }

    pub fn forget_integers(&mut self) {
        self.payload[0] = FORM_PLAIN;
    }

    pub fn decode(payload: &[u8]) -> Result<Self, StoreError> {
        let len = Walk::over(payload)?.count()?;
        let mut copy = Vec::with_capacity(payload.len() + ROOM);
        copy.extend_from_slice(payload);
        Ok(Self { payload: copy, len })
    }

    pub fn into_payload(self) -> Bytes {
        self.payload.into()
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn walk(&self) -> Walk<'_> {
        let at = if is_expiring(&self.payload) { EXPIRING_HEADER } else { 1 };
        Walk { payload: &self.payload, at }
    }

    /// Replaces the element, which may expire, in its place, or appends it. Whether it is new.
    pub fn put(&mut self, name: &[u8], value: &[u8], expiry_ms: Option<u64>) -> Result<bool, StoreError> {
        if let Some(when) = expiry_ms {
            self.make_expiring()?;
            self.set_due(due(&self.payload).map_or(when, |due| due.min(when)));
        }
        let expiry_ms = is_expiring(&self.payload).then(|| expiry_ms.unwrap_or(0));
        match self.walk().find(name)?.map(|found| found.start..found.end) {
            Some(range) => {
                let mut element = Vec::with_capacity(name.len() + value.len() + ROOM);
                put_element(&mut element, name, value, expiry_ms);
                self.payload.splice(range, element);
                Ok(false)
            }
            None => {
                put_element(&mut self.payload, name, value, expiry_ms);
                self.len += 1;
                Ok(true)
            }
        }
    }

    /// Removes the fields that have expired; how many they were.
    pub fn purge(&mut self, now_ms: u64) -> Result<usize, StoreError> {
        let (mut kept, mut next, mut removed) = (Vec::new(), NEVER, 0);
        let mut walk = self.walk();
        while let Some(found) = walk.next()? {
            if found.expiry_ms.is_some_and(|when| when <= now_ms) {
                removed += 1;
                continue;
            }
            next = next.min(found.expiry_ms.unwrap_or(NEVER));
            kept.extend_from_slice(&self.payload[found.start..found.end]);
        }
        if is_expiring(&self.payload) {
            self.payload.truncate(EXPIRING_HEADER);
            self.payload.extend(kept);
            self.set_due(next);
        }
        self.len -= removed;
        Ok(removed as usize)
    }

    /// Gives each element room for an expiry.
    fn make_expiring(&mut self) -> Result<(), StoreError> {
        if is_expiring(&self.payload) {
            return Ok(());
        }
        let mut payload = vec![FORM_EXPIRING];
        payload.extend(NEVER.to_be_bytes());
        let mut walk = self.walk();
        while let Some(found) = walk.next()? {
            payload.extend_from_slice(&self.payload[found.start..found.end]);
            put_number(&mut payload, 0);
        }
        self.payload = payload;
        Ok(())
    }

    fn set_due(&mut self, due: u64) {
        self.payload[1..EXPIRING_HEADER].copy_from_slice(&due.to_be_bytes());
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
        let end = self.payload.len();
        let (mut at, mut walk) = (end, self.walk());
        while let Some(found) = walk.next()? {
            if !is_before(&found)? {
                at = found.start;
                break;
            }
        }
        put_element(&mut self.payload, name, value, None);
        let added = self.payload.len() - end;
        self.payload[at..].rotate_right(added);
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

/// Whether fields in the payload of a small hash may expire.
pub fn is_expiring(payload: &[u8]) -> bool {
    payload.first() == Some(&FORM_EXPIRING)
}

/// When the next field in the payload of a small hash may expire.
pub fn due(payload: &[u8]) -> Option<u64> {
    let due = payload.get(1..).and_then(<[u8]>::first_chunk).filter(|_| is_expiring(payload))?;
    Some(u64::from_be_bytes(*due))
}

/// `expiry_ms` where fields may expire.
fn put_element(out: &mut Vec<u8>, name: &[u8], value: &[u8], expiry_ms: Option<u64>) {
    put_bytes(out, name);
    put_bytes(out, value);
    if let Some(expiry_ms) = expiry_ms {
        put_number(out, expiry_ms);
    }
}

/// Names and values are arguments of a command, which is shorter than 4 GiB.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// LEB128.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
