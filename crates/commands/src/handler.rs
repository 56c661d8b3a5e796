//! What the rows execute, by family. Pure functions over a view of one group's data.

pub mod keyspace;
pub mod string;

use bytes::Bytes;
use datatypes::{Keyspace, Kv, KvMut, Reader, Record, Type};
use resp::Reply;

use crate::{CommandError, Cx};

/// Longest string value: the default of Redis's proto-max-bulk-len.
pub const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;

type Outcome = Result<Reply, CommandError>;

fn reader<'a>(kv: &'a mut dyn Kv, cx: &Cx) -> Reader<'a> {
    Reader::new(kv, cx.db, cx.now_ms)
}

fn keyspace<'a>(kv: &'a mut dyn KvMut, cx: &Cx) -> Keyspace<'a> {
    Keyspace::new(kv, cx.db, cx.now_ms)
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

fn flag(yes: bool) -> Reply {
    Reply::Int(i64::from(yes))
}

fn count(number: usize) -> Reply {
    Reply::Int(number as i64)
}
