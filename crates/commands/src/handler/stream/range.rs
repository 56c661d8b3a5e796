//! XLEN, XRANGE and XREVRANGE.

use datatypes::Kv;
use resp::Reply;

use super::super::Outcome;
use super::{open, parse_end, parse_start, show_entries, unlimited};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

pub fn xlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let len = open(kv, args.at(0)?, cx)?.map_or(0, |stream| stream.state().len);
    Ok(Reply::Int(len.cast_signed()))
}

/// XRANGE key start end [COUNT n]
pub fn xrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    range(kv, args, cx, false)
}

/// XREVRANGE key end start [COUNT n]
pub fn xrevrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    range(kv, args, cx, true)
}

fn range(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, back: bool) -> Outcome {
    let (start, end) = if back { (args.at(2)?, args.at(1)?) } else { (args.at(1)?, args.at(2)?) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let count = parse_count(args.from(3))?;
    let Some(stream) = open(kv, args.at(0)?, cx)? else { return Ok(Reply::Array(Vec::new())) };
    let most = match count {
        None => usize::MAX,
        Some(count) if count <= 0 => return Ok(Reply::NullArray),
        Some(count) => unlimited(count),
    };
    let found =
        if back { stream.range_back(kv, start, end, most)? } else { stream.range(kv, start, end, most)? };
    Ok(show_entries(found))
}

/// The last COUNT counts.
fn parse_count(words: &[&[u8]]) -> Result<Option<i64>, CommandError> {
    let mut count = None;
    let (pairs, rest) = words.as_chunks();
    for [word, number] in pairs {
        if !is(word, "COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(int(number)?);
    }
    if rest.is_empty() { Ok(count) } else { Err(CommandError::Syntax) }
}
