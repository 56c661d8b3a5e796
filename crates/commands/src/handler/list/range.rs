//! Elements by their indices.

use std::ops::{ControlFlow, Range};

use datatypes::list::End;
use datatypes::{Event, Kv, KvMut};
use resp::{Aggregate, Bulks, Reply};

use super::super::{Outcome, bulk_or_null, keyspace};
use super::{absolute, edit, list, position};
use crate::{Args, Cx};

pub fn llen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let len = list(kv, args, cx)?.map_or(0, |list| list.len());
    Ok(Reply::Int(len.cast_signed()))
}

/// LINDEX key index: a key that is missing is answered whatever the index is, as by Redis.
pub fn lindex(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let Some(mut list) = list(kv, args, cx)? else { return Ok(Reply::Null) };
    let Some(index) = position(args.int(1)?, list.len()) else { return Ok(Reply::Null) };
    Ok(bulk_or_null(list.get(kv, index)?))
}

/// LRANGE key start stop: both ends inclusive.
pub fn lrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (start, stop) = (args.int(1)?, args.int(2)?);
    let Some(mut list) = list(kv, args, cx)? else { return Ok(Reply::Array(Vec::new())) };
    let range = range(start, stop, list.len());
    let mut found = Bulks::default();
    if !range.is_empty() {
        list.each(kv, range.start, End::Front, &mut |index, item| {
            item.with_text(|text| found.push(text));
            if index + 1 < range.end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(Reply::Bulks(Aggregate::Array, found))
}

/// LTRIM key start stop: both ends inclusive.
pub fn ltrim(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (start, stop) = (args.int(1)?, args.int(2)?);
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    let len = list.len();
    let kept = range(start, stop, len);
    list.drop(End::Back, len - kept.end)?;
    list.drop(End::Front, kept.start)?;
    list.touch();
    list.save()?;
    if len > 0 {
        keyspace.announce_taken(args.at(0)?, Event::list("ltrim"))?;
    }
    Ok(Reply::OK)
}

/// The indices of a list of `len` elements that are meant; of no element if there are none.
fn range(start: i64, stop: i64, len: u64) -> Range<u64> {
    let start = absolute(start, len).max(0).cast_unsigned();
    let stop = absolute(stop, len).min(len.cast_signed() - 1);
    match u64::try_from(stop) {
        Ok(stop) if start <= stop => start..stop + 1,
        _ => 0..0,
    }
}
