//! What the rows execute, by family. Pure functions over a view of one group's data.

pub mod bitmap;
mod elements;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod json;
pub mod keyspace;
pub mod list;
pub mod set;
pub mod sort;
pub mod sorted_set;
pub mod stream;
pub mod string;

use bytes::Bytes;
use datatypes::{
    Edit, Elements, Entry, Keyspace, Kv, KvMut, Reader, Record, Type, collection::SmallLimits, event,
};
use resp::Reply;

use crate::{CommandError, Cx};

/// Longest string value: the default of Redis's proto-max-bulk-len.
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;

type Outcome = Result<Reply, CommandError>;

fn reader<'a>(kv: &'a mut dyn Kv, cx: &Cx) -> Reader<'a> {
    Reader::new(kv, cx.db, cx.now_ms)
}

fn keyspace<'a>(kv: &'a mut dyn KvMut, cx: &Cx) -> Keyspace<'a> {
    Keyspace::new(kv, cx.db, cx.now_ms, cx.seed)
}

/// Removes what is under `key`, which `entry` was looked up for.
fn remove(keyspace: &mut Keyspace<'_>, key: &[u8], entry: Entry) {
    let existed = entry.live().is_some();
    keyspace.remove(entry);
    if existed {
        keyspace.announce(key, event::DEL);
    }
}

/// The elements of the collection under `key`, which must be of type `kind`; none if it is missing.
fn elements(kv: &mut dyn Kv, key: &[u8], kind: Type, cx: &Cx) -> Result<Elements, CommandError> {
    let record = reader(kv, cx).lookup(key)?;
    elements_of(kv, record, key, kind, cx)
}

/// Those of a record that was looked up under `key`.
fn elements_of(
    kv: &mut dyn Kv,
    record: Option<Record>,
    key: &[u8],
    kind: Type,
    cx: &Cx,
) -> Result<Elements, CommandError> {
    match record {
        None => Ok(Elements::None),
        Some(record) if record.kind != kind => Err(CommandError::WrongType),
        Some(record) => Ok(Elements::of(&record, cx.db, key)?.at(kv, cx.now_ms)?),
    }
}

/// The collection under `key` to change it, which must be of type `kind`; a new one if it is missing.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    key: &[u8],
    kind: Type,
    limits: SmallLimits,
) -> Result<Edit<'a, 'kv>, CommandError> {
    let entry = keyspace.entry(key)?;
    if entry.live().is_some_and(|record| record.kind != kind) {
        return Err(CommandError::WrongType);
    }
    Ok(keyspace.edit(entry, kind, limits)?)
}

/// The record, which must be a string if there is one.
fn expect_string(record: Option<&Record>) -> Result<Option<&Record>, CommandError> {
    match record {
        Some(record) if record.kind != Type::String => Err(CommandError::WrongType),
        record => Ok(record),
    }
}

/// The bytes of a string, which must be one if there is a record.
fn string_bytes(record: Option<Record>) -> Result<Option<Bytes>, CommandError> {
    expect_string(record.as_ref())?;
    Ok(record.map(|record| record.payload))
}

fn bulk_or_null(bytes: Option<Bytes>) -> Reply {
    bytes.map_or(Reply::Null, Reply::Bulk)
}

/// The text of a score.
fn print_score(score: f64) -> Vec<u8> {
    let mut text = Vec::new();
    resp::number::put_double(&mut text, score);
    text
}

fn flag(yes: bool) -> Reply {
    Reply::Int(i64::from(yes))
}

fn count(number: usize) -> Reply {
    Reply::Int(number as i64)
}
