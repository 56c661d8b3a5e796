//! Values: which types there are, and how records become payloads and payloads values.
//!
//! A further type of value is a further variant of [`Value`], an arm in [`parse`] and, of a collection, a
//! module that reads and writes it.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::RdbError;
use super::payload::{FOOTER_BYTES, VERSION, seal, unseal};
use super::read::Input;
use super::set::{self, Members};
use super::write::put_string;
use super::{hash, json, list, sorted, stream};
use crate::collection::sorted::Scored;
use crate::collection::{Element, Field};
use crate::json::Json;
use crate::record::{Record, Type};
use crate::stream::StreamValue;

/// The byte before a value.
const STRING: u8 = 0;
/// Longest length before a string.
const LENGTH_BYTES_MAX: usize = 9;

/// A value out of a payload.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    String(Cow<'a, [u8]>),
    /// At least one field, in their order; fields may repeat.
    Hash(Vec<Element>),
    Json(Json),
    /// Likewise; they may expire.
    ExpiringHash(Vec<Field>),
    Set(Members),
    /// At least one element.
    List(Vec<Bytes>),
    /// At least one member; members may repeat.
    SortedSet(Vec<Scored>),
    Stream(StreamValue),
}

/// The payload of a record. (That of a collection needs its elements: [`super::dump_hash`] and its kin.)
pub fn dump(record: &Record) -> Result<Bytes, RdbError> {
    let mut out = BytesMut::with_capacity(1 + LENGTH_BYTES_MAX + record.payload.len() + FOOTER_BYTES);
    body(record, &mut out)?;
    seal(&mut out, VERSION);
    Ok(out.freeze())
}

fn body(record: &Record, out: &mut BytesMut) -> Result<(), RdbError> {
    match record.kind {
        Type::String => {
            out.put_u8(STRING);
            put_string(out, &record.payload);
            Ok(())
        }
        Type::Json => {
            json::write(out, &record.payload);
            Ok(())
        }
        other => Err(RdbError::Unsupported(other.name())),
    }
}

/// The value of a payload.
pub fn restore(payload: &[u8]) -> Result<Value<'_>, RdbError> {
    let mut input = Input::new(unseal(payload)?);
    let value = parse(&mut input)?;
    input.end()?;
    Ok(value)
}

fn parse<'a>(input: &mut Input<'a>) -> Result<Value<'a>, RdbError> {
    let kind = input.byte()?;
    let name = match kind {
        STRING => return input.string().map(Value::String),
        hash::HASH => return hash::read(input).map(Value::Hash),
        hash::ZIPMAP => return hash::read_zipmap(input).map(Value::Hash),
        hash::HASH_ZIPLIST => return hash::read_ziplist(input).map(Value::Hash),
        hash::HASH_LISTPACK => return hash::read_listpack(input).map(Value::Hash),
        json::MODULE => return json::read(input).map(Value::Json),
        hash::EXPIRING | hash::EXPIRING_PRE_GA => {
            return hash::read_expiring(input, kind).map(Value::ExpiringHash);
        }
        hash::EXPIRING_LISTPACK | hash::EXPIRING_LISTPACK_PRE_GA => {
            return hash::read_expiring_listpack(input, kind).map(Value::ExpiringHash);
        }
        set::SET => return set::read(input).map(Value::Set),
        set::SET_INTSET => return set::read_intset(input).map(Value::Set),
        set::SET_LISTPACK => return set::read_listpack(input).map(Value::Set),
        list::LIST => return list::read(input).map(Value::List),
        list::QUICKLIST => return list::read_quicklist(input).map(Value::List),
        list::ZIPLIST => return list::read_ziplist(input).map(Value::List),
        list::QUICKLIST_OF_ZIPLISTS => return list::read_ziplists(input).map(Value::List),
        sorted::TEXTS => return sorted::read(input, sorted::text).map(Value::SortedSet),
        sorted::DOUBLES => return sorted::read(input, sorted::double).map(Value::SortedSet),
        sorted::ZIPLIST => return sorted::read_ziplist(input).map(Value::SortedSet),
        sorted::LISTPACK => return sorted::read_listpack(input).map(Value::SortedSet),
        form if stream::STREAMS.contains(&form) => return stream::read(input, form).map(Value::Stream),
        6 => "module",
        _ => return Err(RdbError::Format),
    };
    Err(RdbError::Unsupported(name))
}
