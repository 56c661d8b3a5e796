//! Fields as counters. They expire when they did before.

use bytes::Bytes;
use datatypes::number::{LongDouble, parse_i64};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::edit;
use crate::{Args, CommandError, Cx};

/// HINCRBY key field increment: a missing field counts as 0.
pub fn hincrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (field, amount) = (args.at(1)?, args.int(2)?);
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    let (value, expiry_ms) = match hash.field(field)? {
        Some((stored, expiry_ms)) => {
            (parse_i64(&stored).ok_or(CommandError::HashValueNotInteger)?, expiry_ms)
        }
        None => (0, None),
    };
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementOverflow)?;
    hash.put_expiring(field, itoa::Buffer::new().format(sum).as_bytes(), expiry_ms)?;
    hash.save();
    keyspace.announce(args.at(0)?, Event::hash("hincrby"));
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
    let (stored, expiry_ms) = hash.field(field)?.unwrap_or((Bytes::from_static(b"0"), None));
    let value = LongDouble::parse(&stored).ok_or(CommandError::HashValueNotFloat)?;
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementNotFinite)?;
    let text = Bytes::from(sum.to_text());
    hash.put_expiring(field, &text, expiry_ms)?;
    hash.save();
    keyspace.announce(args.at(0)?, Event::hash("hincrbyfloat"));
    Ok(Reply::Bulk(text))
}
