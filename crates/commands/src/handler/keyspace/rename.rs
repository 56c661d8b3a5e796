//! Moving and copying a key, to another name or database. Both keys are in one slot, the proxy sees to that.

use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, flag, keyspace};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx, DATABASES};

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
    let (mut db, mut replace) = (cx.db, false);
    let mut rest = args.from(2).iter();
    while let Some(word) = rest.next() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB") {
            db = database(rest.next().ok_or(CommandError::Syntax)?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
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

fn database(text: &[u8]) -> Result<u8, CommandError> {
    let number = int(text)?;
    if i32::try_from(number).is_err() {
        return Err(CommandError::NotBetween(i32::MIN.into(), i32::MAX.into()));
    }
    u8::try_from(number).ok().filter(|&db| db < DATABASES).ok_or(CommandError::DatabaseOutOfRange)
}
