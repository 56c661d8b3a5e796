//! Fields as counters.

use bytes::Bytes;
use datatypes::KvMut;
use datatypes::number::{LongDouble, parse_i64};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::edit;
use crate::{Args, CommandError, Cx};

/// HINCRBY key field increment: a missing field counts as 0.
pub fn hincrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (field, amount) = (args.at(1)?, args.int(2)?);
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let value = match hash.get(field)? {
        Some(stored) => parse_i64(&stored).ok_or(CommandError::HashValueNotInteger)?,
        None => 0,
    };
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementOverflow)?;
    hash.put(field, itoa::Buffer::new().format(sum).as_bytes())?;
    hash.save();
    Ok(Reply::Int(sum))
}

/// HINCRBYFLOAT key field increment: a missing field counts as 0.
pub fn hincrbyfloat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (field, amount) = (args.at(1)?, LongDouble::parse(args.at(2)?).ok_or(CommandError::NotFloat)?);
    if !amount.is_finite() {
        return Err(CommandError::InfiniteIncrement);
    }
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let stored = hash.get(field)?.unwrap_or_else(|| Bytes::from_static(b"0"));
    let value = LongDouble::parse(&stored).ok_or(CommandError::HashValueNotFloat)?;
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementNotFinite)?;
    let text = Bytes::from(sum.to_text());
    hash.put(field, &text)?;
    hash.save();
    Ok(Reply::Bulk(text))
}
