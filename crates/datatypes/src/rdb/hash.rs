//! Hashes.
//!
//! ```text
//! 04  count:length  (field:string value:string)*      Redis's hash table
//! 09  zipmap:string                                   fields and values by turns, before Redis 2.6
//! 0D  ziplist:string                                  likewise, before Redis 7.0
//! 10  listpack:string                                 a listpack of fields and values by turns
//! 18  first:u64le  count:length  (ttl:length field:string value:string)*
//! 19  first:u64le  listpack:string                    fields, values and expiries (0: none) by turns
//! 16, 17                                              as 18, 19 but without `first`; ttl is the expiry
//! ```
//!
//! `first` is the first expiry in milliseconds, and ttl 1 more than what a field's is behind it, or 0: none.
//! Where fields may expire, the payload is of Redis 7.4, and a listpack is in the order of expiries.

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, VERSION_MAX, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack, ziplist, zipmap};
use crate::collection::{Element, Field, is_expiring};
use crate::number::parse_i64;
use crate::record::Record;

pub(super) const HASH: u8 = 4;
pub(super) const ZIPMAP: u8 = 9;
pub(super) const HASH_ZIPLIST: u8 = 13;
pub(super) const HASH_LISTPACK: u8 = 16;
pub(super) const EXPIRING_PRE_GA: u8 = 22;
pub(super) const EXPIRING_LISTPACK_PRE_GA: u8 = 23;
pub(super) const EXPIRING: u8 = 24;
pub(super) const EXPIRING_LISTPACK: u8 = 25;

/// Latest moment that Redis can keep for a field.
const EXPIRY_MS_MAX: u64 = (1 << 48) - 2;

/// The payload of a hash, given its fields in their order.
pub fn dump_hash(record: &Record, fields: &[Field]) -> Bytes {
    let mut out = BytesMut::new();
    let first_ms = fields.iter().filter_map(|field| field.expiry_ms).min();
    let version = match (record.large, first_ms) {
        (true, Some(first_ms)) => {
            put_expiring(&mut out, fields, first_ms);
            VERSION_MAX
        }
        (true, None) => {
            put_plain(&mut out, fields);
            VERSION
        }
        (false, _) if is_expiring(&record.payload) => {
            put_expiring_listpack(&mut out, fields, first_ms.unwrap_or(0));
            VERSION_MAX
        }
        (false, _) => {
            out.put_u8(HASH_LISTPACK);
            let items = fields.iter().flat_map(|field| [&field.name[..], &field.value[..]]);
            put_string(&mut out, &listpack::write(items));
            VERSION
        }
    };
    seal(&mut out, version);
    out.freeze()
}

fn put_plain(out: &mut BytesMut, fields: &[Field]) {
    out.put_u8(HASH);
    put_length(out, fields.len() as u64);
    for field in fields {
        put_string(out, &field.name);
        put_string(out, &field.value);
    }
}

fn put_expiring(out: &mut BytesMut, fields: &[Field], first_ms: u64) {
    out.put_u8(EXPIRING);
    out.put_u64_le(first_ms);
    put_length(out, fields.len() as u64);
    for field in fields {
        put_length(out, field.expiry_ms.map_or(0, |when| when - first_ms + 1));
        put_string(out, &field.name);
        put_string(out, &field.value);
    }
}

fn put_expiring_listpack(out: &mut BytesMut, fields: &[Field], first_ms: u64) {
    out.put_u8(EXPIRING_LISTPACK);
    out.put_u64_le(first_ms);
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|field| field.expiry_ms.unwrap_or(u64::MAX));
    let moments: Vec<String> = fields.iter().map(|field| field.expiry_ms.unwrap_or(0).to_string()).collect();
    let fields = fields.iter().zip(&moments);
    let items = fields.flat_map(|(field, when)| [&field.name[..], &field.value[..], when.as_bytes()]);
    put_string(out, &listpack::write(items));
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    let mut fields = Vec::new();
    for _ in 0..input.length()? {
        let name = Bytes::from(input.string()?.into_owned());
        let value = Bytes::from(input.string()?.into_owned());
        fields.push(Element { name, value });
    }
    filled(fields)
}

pub(super) fn read_listpack(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    paired(listpack::read(&input.string()?)?)
}

pub(super) fn read_ziplist(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    paired(ziplist::read(&input.string()?)?)
}

pub(super) fn read_zipmap(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    paired(zipmap::read(&input.string()?)?)
}

/// Fields and values by turns.
fn paired(items: Vec<Bytes>) -> Result<Vec<Element>, RdbError> {
    let mut items = items.into_iter();
    let mut fields = Vec::new();
    while let Some(name) = items.next() {
        fields.push(Element { name, value: items.next().ok_or(RdbError::Format)? });
    }
    filled(fields)
}

/// Fields in the form called `kind`.
pub(super) fn read_expiring(input: &mut Input<'_>, kind: u8) -> Result<Vec<Field>, RdbError> {
    let first_ms = match kind {
        EXPIRING => Some(u64::from_le_bytes(input.array()?)),
        _ => None,
    };
    let mut fields = Vec::new();
    for _ in 0..input.length()? {
        let ttl = input.length()?;
        let when = match first_ms {
            Some(first_ms) if ttl > 0 => first_ms.checked_add(ttl - 1).ok_or(RdbError::Format)?,
            _ => ttl,
        };
        let name = Bytes::from(input.string()?.into_owned());
        let value = Bytes::from(input.string()?.into_owned());
        fields.push(Field { name, value, expiry_ms: moment(when)? });
    }
    filled(fields)
}

/// Fields in the form of a listpack called `kind`.
pub(super) fn read_expiring_listpack(input: &mut Input<'_>, kind: u8) -> Result<Vec<Field>, RdbError> {
    if kind == EXPIRING_LISTPACK {
        // The first expiry: the listpack has it too.
        input.take(8)?;
    }
    let items = listpack::read(&input.string()?)?;
    let (triples, []) = items.as_chunks() else { return Err(RdbError::Format) };
    let mut fields = Vec::new();
    for [name, value, when] in triples {
        let when = parse_i64(when).and_then(|when| u64::try_from(when).ok()).ok_or(RdbError::Format)?;
        fields.push(Field { name: name.clone(), value: value.clone(), expiry_ms: moment(when)? });
    }
    filled(fields)
}

/// 0: none.
fn moment(when_ms: u64) -> Result<Option<u64>, RdbError> {
    match when_ms {
        0 => Ok(None),
        1..=EXPIRY_MS_MAX => Ok(Some(when_ms)),
        _ => Err(RdbError::Format),
    }
}

/// A hash without fields is none.
fn filled<T>(fields: Vec<T>) -> Result<Vec<T>, RdbError> {
    if fields.is_empty() { Err(RdbError::Format) } else { Ok(fields) }
}
