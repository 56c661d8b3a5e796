//! Streams: entries, and groups of consumers that read them, as [`datatypes::stream`] holds them.
//!
//! Commands of a group write what they change of it, of the consumer and of what is pending; only
//! what changes entries, ids or the number of groups writes the stream's head record.

mod ack;
mod add;
mod autoclaim;
mod claim;
mod delete;
mod error;
mod group;
mod info;
mod info_full;
mod pending;
mod range;
mod read;
mod read_group;
mod setid;
mod trim;

pub use ack::xack;
pub use add::xadd;
pub use autoclaim::xautoclaim;
pub use claim::xclaim;
pub use delete::xdel;
pub use error::StreamError;
pub use group::{create, create_consumer, delete_consumer, destroy, set_id};
pub use info::{consumers, groups, stream};
pub use pending::xpending;
pub use range::{xlen, xrange, xrevrange};
pub use read::{resolve_last_ids, xread};
pub use read_group::xreadgroup;
pub use setid::xsetid;
pub use trim::xtrim;

use bytes::Bytes;
use datatypes::stream::{GroupEdit, Stream, StreamEdit, StreamEntry, StreamId};
use datatypes::{Entry, Event, Keyspace, Kv, KvMut, Type};
use resp::Reply;

use super::reader;
use crate::{CommandError, Cx};

/// The stream under `key`, if there is a key.
fn open(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Option<Stream>, CommandError> {
    match reader(kv, cx).lookup(key)? {
        None => Ok(None),
        Some(record) if record.kind != Type::Stream => Err(CommandError::WrongType),
        Some(record) => Ok(Stream::of(&record, cx.db, key)?),
    }
}

/// The key looked up to change it, which must be a stream if it is there.
fn entry(keyspace: &mut Keyspace<'_>, key: &[u8]) -> Result<Entry, CommandError> {
    let entry = keyspace.entry(key)?;
    match entry.live() {
        Some(record) if record.kind != Type::Stream => Err(CommandError::WrongType),
        _ => Ok(entry),
    }
}

/// The stream under `key` to change it, if there is a key.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    key: &[u8],
) -> Result<Option<StreamEdit<'a, 'kv>>, CommandError> {
    let entry = entry(keyspace, key)?;
    Ok(keyspace.stream(entry)?)
}

/// Changes a group of the stream under `key`; `None` if there is no such key or group. Who watches the
/// key learns of it.
fn in_group<T>(
    kv: &mut dyn KvMut,
    key: &[u8],
    name: &[u8],
    cx: &Cx,
    work: impl FnOnce(&Stream, &mut GroupEdit, &mut dyn KvMut) -> Result<T, CommandError>,
) -> Result<Option<T>, CommandError> {
    let Some((answer, changed)) = read_in_group(kv, key, name, cx, work)? else { return Ok(None) };
    if changed {
        kv.modified(&datatypes::key::head_buf(cx.db, key));
    }
    Ok(Some(answer))
}

/// [`in_group`] of who reads, which nobody has to learn of: those who wait for the key have tried
/// before, or will. Also whether the group changed.
fn read_in_group<T>(
    kv: &mut dyn KvMut,
    key: &[u8],
    name: &[u8],
    cx: &Cx,
    work: impl FnOnce(&Stream, &mut GroupEdit, &mut dyn KvMut) -> Result<T, CommandError>,
) -> Result<Option<(T, bool)>, CommandError> {
    let Some(stream) = open(kv.as_kv(), key, cx)? else { return Ok(None) };
    let Some(mut group) = GroupEdit::open(&stream, kv, name)? else { return Ok(None) };
    let answer = work(&stream, &mut group, kv)?;
    let changed = group.save(kv);
    Ok(Some((answer, changed)))
}

/// The event of a consumer that is new.
const CONSUMER_CREATED: Event = Event::stream("xgroup-createconsumer");

/// Notes that a consumer, which may be new, asks for something.
fn see_consumer(
    kv: &mut dyn KvMut,
    key: &[u8],
    group: &mut GroupEdit,
    consumer: &[u8],
    cx: &Cx,
) -> Result<(), CommandError> {
    if group.see_consumer(kv, consumer, cx.now_ms)? {
        kv.announce(cx.db, key, CONSUMER_CREATED);
    }
    Ok(())
}

/// Reads an id that is written in full, or without its second half, which is 0 then.
fn parse_id(text: &[u8]) -> Result<StreamId, CommandError> {
    StreamId::parse(text, 0).ok_or(CommandError::Stream(StreamError::InvalidId))
}

fn parse_ids(texts: &[&[u8]]) -> Result<Vec<StreamId>, CommandError> {
    texts.iter().map(|text| parse_id(text)).collect()
}

/// Reads the start of an interval; `(` excludes the id itself.
fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    let (id, excluded) = parse_interval(text, 0)?;
    let start = if excluded { id.next() } else { Some(id) };
    start.ok_or(CommandError::Stream(StreamError::InvalidStart))
}

/// Likewise its end.
fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    let (id, excluded) = parse_interval(text, u64::MAX)?;
    let end = if excluded { id.previous() } else { Some(id) };
    end.ok_or(CommandError::Stream(StreamError::InvalidEnd))
}

fn parse_interval(text: &[u8], missing_seq: u64) -> Result<(StreamId, bool), CommandError> {
    let parsed = match text {
        [b'(', id @ ..] if !id.is_empty() => StreamId::parse(id, missing_seq).map(|id| (id, true)),
        id => StreamId::parse_bound(id, missing_seq).map(|id| (id, false)),
    };
    parsed.ok_or(CommandError::Stream(StreamError::InvalidId))
}

/// How many: a count below 1 stands for all.
fn unlimited(count: i64) -> usize {
    usize::try_from(count).ok().filter(|&count| count > 0).unwrap_or(usize::MAX)
}

fn show_id(id: StreamId) -> Reply {
    Reply::Bulk(Bytes::from(id.to_string()))
}

fn show_entry(entry: StreamEntry) -> Reply {
    let fields = entry.fields.into_iter().map(Reply::Bulk).collect();
    Reply::Array(vec![show_id(entry.id), Reply::Array(fields)])
}

fn show_entries(entries: Vec<StreamEntry>) -> Reply {
    Reply::Array(entries.into_iter().map(show_entry).collect())
}
