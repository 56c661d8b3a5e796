//! HTTL and its kin, and HPERSIST: asking for expiries, and removing them.

use datatypes::{Kv, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::named::{self, Unit};
use super::{PERSIST, edit, fields};
use crate::error::FieldError;
use crate::{Args, Cx};

const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const REMOVED: i64 = 1;

pub fn httl(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    tell_expiry(kv, args, cx, Unit::SECONDS)
}

pub fn hpttl(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    tell_expiry(kv, args, cx, Unit::MILLISECONDS)
}

pub fn hexpiretime(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    tell_expiry(kv, args, cx, Unit::UNIX_SECONDS)
}

pub fn hpexpiretime(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    tell_expiry(kv, args, cx, Unit::UNIX_MILLISECONDS)
}

/// key FIELDS numfields field [field …]
fn tell_expiry(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, unit: Unit) -> Outcome {
    let hash = fields(kv, args, cx)?;
    let mut results = Vec::new();
    for field in named::fields(args, 1, FieldError::NoCount)? {
        results.push(Reply::Int(match hash.field(kv, field)? {
            None => NO_FIELD,
            Some((_, None)) => NO_EXPIRY,
            Some((_, Some(when))) => unit.tell(when, cx),
        }));
    }
    Ok(Reply::Array(results))
}

/// HPERSIST key FIELDS numfields field [field …]
pub fn hpersist(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let mut results = Vec::new();
    for field in named::fields(args, 1, FieldError::NoCount)? {
        results.push(match hash.field(field)? {
            None => NO_FIELD,
            Some((_, None)) => NO_EXPIRY,
            Some((value, Some(_))) => {
                hash.put(field, &value)?;
                REMOVED
            }
        });
    }
    hash.save();
    if results.contains(&REMOVED) {
        keyspace.announce(args.at(0)?, PERSIST);
    }
    Ok(Reply::Array(results.into_iter().map(Reply::Int).collect()))
}
