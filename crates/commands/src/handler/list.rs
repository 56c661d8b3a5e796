//! Lists, as [`datatypes::list`] holds them.
//!
//! A small list is in the record of its key; of a large one the record has the elements at both ends,
//! so that pushing and popping costs one read and one write, either way.

mod blocking;
mod insert;
mod pop;
mod push;
mod range;
mod search;
mod transfer;

pub use blocking::{blmove, blmpop, blpop, brpop, brpoplpush};
pub use insert::{linsert, lrem, lset};
pub use pop::{lmpop, lpop, rpop};
pub use push::{lpush, lpushx, rpush, rpushx};
pub use range::{lindex, llen, lrange, ltrim};
pub use search::lpos;
pub use transfer::{lmove, rpoplpush};

use datatypes::list::End;
use datatypes::{Entry, Event, Keyspace, Kv, List, ListEdit, Type};

use crate::args::is;
use crate::{Args, CommandError, Cx};

/// The list that the first argument names; none if the key is missing.
fn list(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Result<Option<List>, CommandError> {
    let key = args.at(0)?;
    match super::reader(kv, cx).lookup(key)? {
        None => Ok(None),
        Some(record) if record.kind != Type::List => Err(CommandError::WrongType),
        Some(record) => Ok(Some(List::of(&record, cx.db, key)?)),
    }
}

/// What is under `key`, which must be a list if there is anything.
fn entry(keyspace: &mut Keyspace<'_>, key: &[u8]) -> Result<Entry, CommandError> {
    let entry = keyspace.entry(key)?;
    match entry.live() {
        Some(record) if record.kind != Type::List => Err(CommandError::WrongType),
        _ => Ok(entry),
    }
}

/// The list under `key`, to change it; a new one if the key is missing.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    key: &[u8],
    cx: &Cx,
) -> Result<ListEdit<'a, 'kv>, CommandError> {
    let entry = entry(keyspace, key)?;
    Ok(keyspace.edit_list(entry, cx.limits.list)?)
}

/// The event of an element that was added there.
fn pushed(end: End) -> Event {
    Event::list(if end == End::Front { "lpush" } else { "rpush" })
}

/// The event of an element that was taken from there.
fn popped(end: End) -> Event {
    Event::list(if end == End::Front { "lpop" } else { "rpop" })
}

/// LEFT or RIGHT.
fn end(word: &[u8]) -> Result<End, CommandError> {
    match word {
        _ if is(word, "LEFT") => Ok(End::Front),
        _ if is(word, "RIGHT") => Ok(End::Back),
        _ => Err(CommandError::Syntax),
    }
}

/// What an index means in a list of `len` elements: negative ones count from the back.
fn absolute(index: i64, len: u64) -> i64 {
    if index < 0 { len.cast_signed().saturating_add(index) } else { index }
}

/// The index that is meant; `None` if it is before the first element.
fn position(index: i64, len: u64) -> Option<u64> {
    u64::try_from(absolute(index, len)).ok()
}
