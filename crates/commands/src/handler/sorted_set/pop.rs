//! Taking the elements with the least or greatest scores.

use datatypes::number::parse_i64;
use datatypes::{Event, KvMut, Scored};
use resp::{Protocol, Reply};

use super::super::Outcome;
use super::remove::remove_run;
use super::{SortedSetError, pair, pairs, sorted_set_to_change};
use crate::args::is;
use crate::blocking::timeout_ms;
use crate::error::Null;
use crate::{Args, CommandError, Cx};

/// From which end elements are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

/// ZPOPMIN key [count]
pub fn zpopmin(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    zpop(kv, args, cx, End::Min)
}

/// ZPOPMAX key [count]
pub fn zpopmax(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    zpop(kv, args, cx, End::Max)
}

/// BZPOPMIN key [key …] timeout
pub fn bzpopmin(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    bzpop(kv, args, cx, End::Min)
}

/// BZPOPMAX key [key …] timeout
pub fn bzpopmax(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    bzpop(kv, args, cx, End::Max)
}

/// ZMPOP numkeys key [key …] <MIN | MAX> [COUNT count]
pub fn zmpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let wanted = Wanted::parse(args.all())?;
    Ok(wanted.pop(kv, cx)?.unwrap_or(Reply::NullArray))
}

/// BZMPOP timeout numkeys key [key …] <MIN | MAX> [COUNT count]
pub fn bzmpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let wanted = Wanted::parse(args.from(1))?;
    timeout_ms(args.at(0)?, cx.now_ms)?;
    wanted.pop(kv, cx)?.ok_or(CommandError::WouldBlock(Null::Array))
}

fn zpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, end: End) -> Outcome {
    let count = match args.from(1) {
        [] => None,
        [count] => Some(parse_i64(count).and_then(|count| u64::try_from(count).ok())),
        _ => return Err(CommandError::Syntax),
    };
    let limit = count.unwrap_or(Some(1)).ok_or(CommandError::NotPositive)?;
    let popped = pop(kv, args.at(0)?, limit, end, cx)?;
    Ok(Reply::Array(match (count, cx.protocol) {
        (Some(_), Protocol::Resp3) => pairs(popped),
        _ => popped.into_iter().flat_map(pair).collect(),
    }))
}

fn bzpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, end: End) -> Outcome {
    let Some((timeout, keys)) = args.all().split_last() else { return Err(CommandError::Syntax) };
    timeout_ms(timeout, cx.now_ms)?;
    for key in keys {
        if let Some(element) = pop(kv, key, 1, end, cx)?.pop() {
            let [member, score] = pair(element);
            return Ok(Reply::Array(vec![Reply::bulk(key), member, score]));
        }
    }
    Err(CommandError::WouldBlock(Null::Array))
}

/// What ZMPOP asks for.
struct Wanted<'a> {
    keys: &'a [&'a [u8]],
    end: End,
    count: u64,
}

impl<'a> Wanted<'a> {
    /// Reads `numkeys key [key …] <MIN | MAX> [COUNT count]`.
    fn parse(words: &'a [&'a [u8]]) -> Result<Self, CommandError> {
        let (numkeys, rest) = words.split_first().ok_or(CommandError::Syntax)?;
        let numkeys = positive(numkeys).ok_or(SortedSetError::KeyCount)?;
        let numkeys = usize::try_from(numkeys).map_err(|_| CommandError::Syntax)?;
        let (keys, rest) = rest.split_at_checked(numkeys).ok_or(CommandError::Syntax)?;
        let (end, options) = match rest {
            [word, options @ ..] if is(word, "MIN") => (End::Min, options),
            [word, options @ ..] if is(word, "MAX") => (End::Max, options),
            _ => return Err(CommandError::Syntax),
        };
        let count = match options {
            [] => 1,
            [word, count, others @ ..] if is(word, "COUNT") => {
                let count = positive(count).ok_or(SortedSetError::PopCount)?;
                if others.is_empty() { count } else { return Err(CommandError::Syntax) }
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(Self { keys, end, count })
    }

    /// The first key that has elements, and those taken from it.
    fn pop(&self, kv: &mut dyn KvMut, cx: &Cx) -> Result<Option<Reply>, CommandError> {
        for key in self.keys {
            let popped = pop(kv, key, self.count, self.end, cx)?;
            if !popped.is_empty() {
                return Ok(Some(Reply::Array(vec![Reply::bulk(key), Reply::Array(pairs(popped))])));
            }
        }
        Ok(None)
    }
}

fn positive(text: &[u8]) -> Option<u64> {
    parse_i64(text).and_then(|number| u64::try_from(number).ok()).filter(|&number| number > 0)
}

/// Takes up to `limit` elements, the outermost first.
fn pop(kv: &mut dyn KvMut, key: &[u8], limit: u64, end: End, cx: &Cx) -> Result<Vec<Scored>, CommandError> {
    let set = sorted_set_to_change(kv.as_kv(), key, cx)?;
    let len = set.len()?;
    let ranks = match end {
        End::Min => 0..limit.min(len),
        End::Max => len.saturating_sub(limit)..len,
    };
    let mut popped = set.slice(kv.as_kv(), ranks)?;
    let event = Event::sorted_set(if end == End::Min { "zpopmin" } else { "zpopmax" });
    remove_run(kv, key, &popped, event, cx)?;
    if end == End::Max {
        popped.reverse();
    }
    Ok(popped)
}
