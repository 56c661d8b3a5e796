//! Setting and deleting fields.

use datatypes::KvMut;
use resp::Reply;

use super::super::{Outcome, count, flag, keyspace};
use super::{DELETED, SET, edit};
use crate::{Args, CommandError, Cx};

/// HSET key field value [field value …]: answers how many fields are new.
pub fn hset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    Ok(count(set_fields(kv, args, cx, "hset")?))
}

pub fn hmset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_fields(kv, args, cx, "hmset")?;
    Ok(Reply::OK)
}

fn set_fields(
    kv: &mut dyn KvMut,
    args: &Args<'_>,
    cx: &Cx,
    name: &'static str,
) -> Result<usize, CommandError> {
    let (pairs, []) = args.from(1).as_chunks() else { return Err(CommandError::WrongArity(name)) };
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    // As Redis, which takes it that all are different.
    if pairs.len() as u64 > cx.limits.hash.entries {
        hash.grow()?;
    }
    let mut created = 0;
    for [field, value] in pairs {
        created += usize::from(hash.put(field, value)?);
    }
    hash.save();
    keyspace.announce(args.at(0)?, SET);
    Ok(created)
}

/// HSETNX key field value
pub fn hsetnx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (field, value) = (args.at(1)?, args.at(2)?);
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    if hash.get(field)?.is_some() {
        return Ok(flag(false));
    }
    hash.put(field, value)?;
    hash.save();
    keyspace.announce(args.at(0)?, SET);
    Ok(flag(true))
}

/// HDEL key field [field …]: the key goes with its last field.
pub fn hdel(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let mut deleted = 0;
    for field in args.from(1) {
        deleted += usize::from(hash.remove(field)?);
    }
    hash.save();
    if deleted > 0 {
        keyspace.announce_taken(args.at(0)?, DELETED)?;
    }
    Ok(count(deleted))
}
