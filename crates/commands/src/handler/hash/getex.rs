//! HGETEX and HGETDEL: values of fields, and what becomes of the fields.

use datatypes::KvMut;
use resp::Reply;

use super::super::{Outcome, bulk_or_null, keyspace};
use super::named::{self, Unit};
use super::{DELETED, EXPIRE, PERSIST, edit};
use crate::args::is;
use crate::error::FieldError;
use crate::{Args, CommandError, Cx};

/// HGETDEL key FIELDS numfields field [field …]
pub fn hgetdel(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let (mut values, mut deleted) = (Vec::new(), false);
    for field in named::fields(args, 1, FieldError::NoCount)? {
        values.push(bulk_or_null(hash.get(field)?));
        deleted |= hash.remove(field)?;
    }
    hash.save();
    if deleted {
        keyspace.announce_taken(args.at(0)?, DELETED)?;
    }
    Ok(Reply::Array(values))
}

/// What becomes of the expiry of the fields.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    /// An expiry, or none.
    Set(Option<u64>),
}

/// HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS numfields field [field …]
pub fn hgetex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let (names, change) = parse(args, cx)?;
    let mut values = Vec::new();
    let mut event = None;
    for field in names {
        let found = hash.field(field)?;
        match (&found, change) {
            (Some(_), Change::Set(Some(when))) if when <= cx.now_ms => {
                hash.remove(field)?;
                event = Some(DELETED);
            }
            (Some((value, expiry_ms)), Change::Set(when)) if *expiry_ms != when => {
                hash.put_expiring(field, value, when)?;
                event = Some(if when.is_some() { EXPIRE } else { PERSIST });
            }
            _ => {}
        }
        values.push(bulk_or_null(found.map(|(value, _)| value)));
    }
    hash.save();
    if let Some(event) = event {
        keyspace.announce_taken(args.at(0)?, event)?;
    }
    Ok(Reply::Array(values))
}

fn parse<'a>(args: &Args<'a>, cx: &Cx) -> Result<(&'a [&'a [u8]], Change), CommandError> {
    let option = args.at(1)?;
    let unit = Unit::parse(option);
    let at = match unit {
        Some(_) => 3,
        None if is(option, "PERSIST") => 2,
        None => 1,
    };
    let names = match args.at(at) {
        Ok(word) if is(word, "FIELDS") && args.len() < at + 3 => {
            return Err(CommandError::WrongArity("hgetex"));
        }
        Ok(_) => named::fields(args, at, FieldError::NoCount)?,
        Err(_) => return Err(FieldError::NoFields.into()),
    };
    let change = match unit {
        Some(unit) => Change::Set(Some(unit.moment(args.at(2)?, cx, "hgetex")?)),
        None if at == 2 => Change::Set(None),
        None => Change::Nothing,
    };
    Ok((names, change))
}
