//! Adding, removing and moving members.

use datatypes::number::parse_i64;
use datatypes::{Event, KvMut};

use super::super::{Outcome, count, flag, keyspace};
use super::edit;
use crate::{Args, Cx};

const ADDED: Event = Event::set("sadd");
const REMOVED: Event = Event::set("srem");

/// SADD key member [member …]: answers how many are new.
pub fn sadd(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut set = edit(&mut keyspace, args.at(0)?, cx)?;
    // As Redis, which takes it that all are different.
    let integers = if set.is_empty() { parse_i64(args.at(1)?).is_some() } else { set.is_of_integers() };
    let limit = if integers { cx.limits.set_integers } else { cx.limits.set.entries };
    if args.from(1).len() as u64 > limit {
        set.grow()?;
    }
    let mut added = 0;
    for member in args.from(1) {
        added += usize::from(set.add(member, cx.limits.set_integers)?);
    }
    set.save();
    if added > 0 {
        keyspace.announce(args.at(0)?, ADDED);
    }
    Ok(count(added))
}

/// SREM key member [member …]: the key goes with its last member.
pub fn srem(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut set = edit(&mut keyspace, args.at(0)?, cx)?;
    let mut removed = 0;
    for member in args.from(1) {
        removed += usize::from(set.remove(member)?);
    }
    set.save();
    if removed > 0 {
        keyspace.announce_taken(args.at(0)?, REMOVED)?;
    }
    Ok(count(removed))
}

/// SMOVE source destination member
pub fn smove(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (from, to, member) = (args.at(0)?, args.at(1)?, args.at(2)?);
    let mut keyspace = keyspace(kv, cx);
    if keyspace.entry(from)?.live().is_none() {
        return Ok(flag(false));
    }
    // Both must be sets, also if nothing is moved.
    let is_there = edit(&mut keyspace, from, cx)?.get(member)?.is_some();
    let _ = edit(&mut keyspace, to, cx)?.len();
    if !is_there || from == to {
        return Ok(flag(is_there));
    }
    let mut source = edit(&mut keyspace, from, cx)?;
    source.remove(member)?;
    source.save();
    keyspace.announce_taken(from, REMOVED)?;
    let mut target = edit(&mut keyspace, to, cx)?;
    let added = target.add(member, cx.limits.set_integers)?;
    target.save();
    if added {
        keyspace.announce(to, ADDED);
    }
    Ok(flag(true))
}
