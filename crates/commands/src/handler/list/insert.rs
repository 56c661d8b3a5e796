//! Changing elements in the middle.

use std::ops::ControlFlow;

use datatypes::list::{End, Needle};
use datatypes::{Event, KvMut, ListEdit};
use resp::Reply;

use super::super::{Outcome, count, keyspace};
use super::{edit, position};
use crate::args::is;
use crate::error::ListError;
use crate::{Args, CommandError, Cx};

/// LINSERT key BEFORE|AFTER pivot element: answers the length, -1 without a pivot.
pub fn linsert(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let behind = match args.at(1)? {
        word if is(word, "AFTER") => 1,
        word if is(word, "BEFORE") => 0,
        _ => return Err(CommandError::Syntax),
    };
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    if list.is_empty() {
        return Ok(Reply::Int(0));
    }
    let found = indices(&mut list, args.at(2)?, End::Front, 1)?;
    let Some(pivot) = found.first() else { return Ok(Reply::Int(-1)) };
    list.insert(pivot + behind, args.at(3)?)?;
    let len = list.len();
    list.save()?;
    keyspace.announce(args.at(0)?, Event::list("linsert"));
    Ok(Reply::Int(len.cast_signed()))
}

/// LSET key index element
pub fn lset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    if list.is_empty() {
        return Err(CommandError::NoSuchKey);
    }
    let index = position(args.int(1)?, list.len()).ok_or(ListError::Index)?;
    if !list.set(index, args.at(2)?)? {
        return Err(ListError::Index.into());
    }
    list.save()?;
    keyspace.announce(args.at(0)?, Event::list("lset"));
    Ok(Reply::OK)
}

/// LREM key count element: the first ones, with a negative count the last ones, with 0 all. Answers
/// how many were removed.
pub fn lrem(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let number = args.int(1)?;
    let direction = if number < 0 { End::Back } else { End::Front };
    let limit = if number == 0 { u64::MAX } else { number.unsigned_abs() };
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    let mut found = indices(&mut list, args.at(2)?, direction, limit)?;
    found.sort_unstable();
    list.remove(&found)?;
    list.save()?;
    if !found.is_empty() {
        keyspace.announce_taken(args.at(0)?, Event::list("lrem"))?;
    }
    Ok(count(found.len()))
}

/// Where up to `limit` elements are that equal `element`, in the order in which they are met.
fn indices(
    list: &mut ListEdit<'_, '_>,
    element: &[u8],
    direction: End,
    limit: u64,
) -> Result<Vec<u64>, CommandError> {
    let (mut found, needle) = (Vec::new(), Needle::new(element));
    let from = if direction == End::Front { 0 } else { list.len().saturating_sub(1) };
    list.each(from, direction, &mut |index, item| {
        if needle.is(item) {
            found.push(index);
        }
        if (found.len() as u64) < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}
