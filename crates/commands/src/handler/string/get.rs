//! Reading strings, and the reads that also change the key.

use datatypes::{Kv, KvMut, event};
use resp::Reply;

use super::super::{Outcome, bulk_or_null, count, expect_string, keyspace, reader, string_bytes};
use super::set::{Expiry, expiry_option};
use crate::args::is;
use crate::{Args, CommandError, Cx};

pub fn get(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    Ok(bulk_or_null(string_bytes(reader(kv, cx).lookup(args.at(0)?)?)?))
}

pub fn strlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let value = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)?;
    Ok(count(value.map_or(0, |bytes| bytes.len())))
}

pub fn getdel(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.read_entry(args.at(0)?)?;
    let Some(record) = expect_string(entry.live())? else { return Ok(Reply::Null) };
    let value = record.payload.clone();
    keyspace.remove(entry);
    keyspace.announce(args.at(0)?, event::DEL);
    Ok(Reply::Bulk(value))
}

/// GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]
pub fn getex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let change = Change::parse(args)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.read_entry(args.at(0)?)?;
    let Some(record) = expect_string(entry.live())? else { return Ok(Reply::Null) };
    let (value, old) = (record.payload.clone(), record.expiry_ms);
    match change {
        Change::None => {}
        Change::Persist if old.is_none() => {}
        Change::Persist => {
            keyspace.set_expiry(entry, None);
            keyspace.announce(args.at(0)?, event::PERSIST);
        }
        Change::Expire(expiry) => {
            let when = expiry.deadline("getex", cx.now_ms)?;
            keyspace.set_expiry(entry, Some(when));
            let event = if when <= cx.now_ms { event::DEL } else { event::EXPIRE };
            keyspace.announce(args.at(0)?, event);
        }
    }
    Ok(Reply::Bulk(value))
}

/// What GETEX does to the expiry.
enum Change<'a> {
    None,
    Persist,
    Expire(Expiry<'a>),
}

impl<'a> Change<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut change = Self::None;
        let mut at = 1;
        while at < args.len() {
            let option = args.at(at)?;
            change = match (expiry_option(option), change) {
                (Some(unit), Self::None) => {
                    at += 1;
                    Self::Expire(Expiry { unit, amount: args.at(at)? })
                }
                (Some(unit), Self::Expire(old)) if old.unit == unit => {
                    at += 1;
                    Self::Expire(Expiry { unit, amount: args.at(at)? })
                }
                (None, Self::None | Self::Persist) if is(option, "PERSIST") => Self::Persist,
                _ => return Err(CommandError::Syntax),
            };
            at += 1;
        }
        Ok(change)
    }
}

/// GETRANGE key start end: both ends inclusive, negative ones count from the end.
pub fn getrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (start, end) = (args.int(1)?, args.int(2)?);
    let value = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)?.unwrap_or_default();
    let len = value.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Bulk(bytes::Bytes::new()));
    }
    let absolute = |index: i64| if index < 0 { (len + index).max(0) } else { index };
    let (start, end) = (absolute(start), absolute(end).min(len - 1));
    if start > end {
        return Ok(Reply::Bulk(bytes::Bytes::new()));
    }
    Ok(Reply::Bulk(value.slice(start as usize..=end as usize)))
}
