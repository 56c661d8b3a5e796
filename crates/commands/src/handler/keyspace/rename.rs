//! Moving and copying a key, to another name or database. Both keys are in one slot, the proxy sees to that.

use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, flag, keyspace};
use crate::args::{database, is};
use crate::{Args, CommandError, Cx};

pub fn rename(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    move_key(kv, args, cx, true)?;
    Ok(Reply::OK)
}

pub fn renamenx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    Ok(flag(move_key(kv, args, cx, false)?))
}

/// Whether the key was moved. Its expiry goes with it.
fn move_key(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, replace: bool) -> Result<bool, CommandError> {
    let (from, to) = (args.at(0)?, args.at(1)?);
    let mut keyspace = keyspace(kv, cx);
    let source = keyspace.entry(from)?;
    if source.live().is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from == to {
        return Ok(false);
    }
    let target = keyspace.entry(to)?;
    if !replace && target.live().is_some() {
        return Ok(false);
    }
    keyspace.rename(source, target)?;
    keyspace.announce(from, Event::generic("rename_from"));
    keyspace.announce(to, Event::generic("rename_to"));
    Ok(true)
}

/// COPY source destination [DB n] [REPLACE]
pub fn copy(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (from, to) = (args.at(0)?, args.at(1)?);
    let (db, replace) = copy_options(args)?;
    let db = db.unwrap_or(cx.db);
    if db == cx.db && from == to {
        return Err(CommandError::SameObject);
    }
    let mut keyspace = keyspace(kv, cx);
    let source = keyspace.read_entry(from)?;
    if source.live().is_none() {
        return Ok(flag(false));
    }
    let target = keyspace.entry_in(db, to)?;
    if !replace && target.live().is_some() {
        return Ok(flag(false));
    }
    keyspace.copy(&source, target)?;
    keyspace.announce_in(db, to, Event::generic("copy_to"));
    Ok(flag(true))
}

/// Whether COPY with these arguments names a database that a cluster does not have.
pub fn copies_elsewhere(args: &Args<'_>) -> bool {
    copy_options(args).is_ok_and(|(db, _)| db.is_some_and(|db| db != 0))
}

/// Reads `[DB n] [REPLACE]`.
fn copy_options(args: &Args<'_>) -> Result<(Option<u8>, bool), CommandError> {
    let (mut db, mut replace) = (None, false);
    let mut rest = args.from(2).iter();
    while let Some(word) = rest.next() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB") {
            db = Some(database(rest.next().ok_or(CommandError::Syntax)?)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((db, replace))
}

/// MOVE key db: not over a key that is there. Its expiry goes with it.
pub fn move_to_database(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, db) = (args.at(0)?, database(args.at(1)?)?);
    if db == cx.db {
        return Err(CommandError::SameObject);
    }
    let mut keyspace = keyspace(kv, cx);
    let (source, target) = (keyspace.entry(key)?, keyspace.entry_in(db, key)?);
    if source.live().is_none() || target.live().is_some() {
        return Ok(flag(false));
    }
    keyspace.rename(source, target)?;
    keyspace.announce(key, Event::generic("move_from"));
    keyspace.announce_in(db, key, Event::generic("move_to"));
    Ok(flag(true))
}
