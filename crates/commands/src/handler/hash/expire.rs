//! HEXPIRE and its kin: when fields expire.

use datatypes::{Edit, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::named::{self, Unit};
use super::{EXPIRE, edit};
use crate::args::is;
use crate::error::FieldError;
use crate::{Args, CommandError, Cx};

const NO_FIELD: i64 = -2;
const NOT_MET: i64 = 0;
const SET: i64 = 1;
const DELETED: i64 = 2;

pub fn hexpire(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, Unit::SECONDS, "hexpire")
}

pub fn hpexpire(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, Unit::MILLISECONDS, "hpexpire")
}

pub fn hexpireat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, Unit::UNIX_SECONDS, "hexpireat")
}

pub fn hpexpireat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, Unit::UNIX_MILLISECONDS, "hpexpireat")
}

/// When a new expiry is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    None,
    Nx,
    Xx,
    Gt,
    Lt,
}

impl Condition {
    fn parse(word: &[u8]) -> Self {
        let known = [("NX", Self::Nx), ("XX", Self::Xx), ("GT", Self::Gt), ("LT", Self::Lt)];
        known.into_iter().find(|(name, _)| is(word, name)).map_or(Self::None, |(_, condition)| condition)
    }

    /// `current` is the expiry now; none counts as infinite.
    fn allows(self, current: Option<u64>, when: u64) -> bool {
        match self {
            Self::None => true,
            Self::Nx => current.is_none(),
            Self::Xx => current.is_some(),
            Self::Gt => current.is_some_and(|current| when > current),
            Self::Lt => current.is_none_or(|current| when < current),
        }
    }
}

/// key amount [NX | XX | GT | LT] FIELDS numfields field [field …]
fn set_expiry(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, unit: Unit, name: &'static str) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let when = unit.moment(args.at(1)?, cx, name)?;
    let condition = Condition::parse(args.at(2)?);
    let at = if condition == Condition::None { 2 } else { 3 };
    let mut results = Vec::new();
    for field in named::fields(args, at, FieldError::NoNumFields)? {
        results.push(set_one(&mut hash, field, condition, when, cx)?);
    }
    hash.save();
    if results.contains(&DELETED) {
        keyspace.announce_taken(args.at(0)?, super::DELETED)?;
    } else if results.contains(&SET) {
        keyspace.announce(args.at(0)?, EXPIRE);
    }
    Ok(Reply::Array(results.into_iter().map(Reply::Int).collect()))
}

fn set_one(
    hash: &mut Edit<'_, '_>,
    field: &[u8],
    condition: Condition,
    when: u64,
    cx: &Cx,
) -> Result<i64, CommandError> {
    let Some((value, current)) = hash.field(field)? else { return Ok(NO_FIELD) };
    if !condition.allows(current, when) {
        return Ok(NOT_MET);
    }
    if when <= cx.now_ms {
        hash.remove(field)?;
        return Ok(DELETED);
    }
    hash.put_expiring(field, &value, Some(when))?;
    Ok(SET)
}
