//! Several strings at once. The proxy splits MGET and MSET; MSETNX needs its keys in one slot.

use datatypes::{Kv, KvMut, Type};
use resp::Reply;

use super::super::{Outcome, flag, keyspace, reader};
use super::set::SET;
use crate::{Args, CommandError, Cx};

/// A key of another type reads as missing.
pub fn mget(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut reader = reader(kv, cx);
    let mut values = Vec::with_capacity(args.len());
    for key in args.all() {
        values.push(match reader.lookup(key)? {
            Some(record) if record.kind == Type::String => Reply::Bulk(record.payload),
            _ => Reply::Null,
        });
    }
    Ok(Reply::Array(values))
}

pub fn mset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_pairs(kv, pairs(args, "mset")?, cx)?;
    Ok(Reply::OK)
}

/// Sets all or, if any key exists, none.
pub fn msetnx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let pairs = pairs(args, "msetnx")?;
    for [key, _] in pairs {
        if keyspace(kv, cx).entry(key)?.live().is_some() {
            return Ok(flag(false));
        }
    }
    set_pairs(kv, pairs, cx)?;
    Ok(flag(true))
}

fn set_pairs(kv: &mut dyn KvMut, pairs: &[[&[u8]; 2]], cx: &Cx) -> Result<(), CommandError> {
    let mut keyspace = keyspace(kv, cx);
    for [key, value] in pairs {
        let entry = keyspace.entry(key)?;
        keyspace.put_string(entry, value, None);
        keyspace.announce(key, SET);
    }
    Ok(())
}

fn pairs<'a>(args: &Args<'a>, name: &'static str) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    match args.all().as_chunks() {
        (pairs, []) => Ok(pairs),
        _ => Err(CommandError::WrongArity(name)),
    }
}
