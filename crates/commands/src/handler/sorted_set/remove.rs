//! Removing members, by name or in ranges.

use datatypes::{Event, KvMut, Scored};

use super::super::{Outcome, count, keyspace};
use super::span::{LexRange, RankRange, ScoreRange};
use super::{edit, sorted_set_to_change};
use crate::{Args, CommandError, Cx};

/// ZREM key member [member …]: the key goes with its last member.
pub fn zrem(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut set = edit(&mut keyspace, args.at(0)?, cx)?;
    let mut removed = 0;
    for member in args.from(1) {
        removed += usize::from(set.remove(member)?);
    }
    set.save();
    if removed > 0 {
        keyspace.announce_taken(args.at(0)?, Event::sorted_set("zrem"))?;
    }
    Ok(count(removed))
}

/// ZREMRANGEBYRANK key start stop
pub fn zremrangebyrank(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let range = RankRange::parse(args.at(1)?, args.at(2)?)?;
    let set = sorted_set_to_change(kv.as_kv(), args.at(0)?, cx)?;
    let run = set.slice(kv.as_kv(), range.of(set.len()?))?;
    remove(kv, args.at(0)?, &run, "zremrangebyrank", cx)
}

/// ZREMRANGEBYSCORE key min max
pub fn zremrangebyscore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let range = ScoreRange::parse(args.at(1)?, args.at(2)?)?;
    let set = sorted_set_to_change(kv.as_kv(), args.at(0)?, cx)?;
    let run = set.between(kv.as_kv(), &range.places())?;
    remove(kv, args.at(0)?, &run, "zremrangebyscore", cx)
}

/// ZREMRANGEBYLEX key min max
pub fn zremrangebylex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let range = LexRange::parse(args.at(1)?, args.at(2)?)?;
    let set = sorted_set_to_change(kv.as_kv(), args.at(0)?, cx)?;
    let places = range.places(kv.as_kv(), &set)?;
    let run = set.between(kv.as_kv(), &places)?;
    remove(kv, args.at(0)?, &run, "zremrangebylex", cx)
}

fn remove(kv: &mut dyn KvMut, key: &[u8], run: &[Scored], name: &'static str, cx: &Cx) -> Outcome {
    remove_run(kv, key, run, Event::sorted_set(name), cx)?;
    Ok(count(run.len()))
}

/// Removes elements that are there and follow one another.
pub(super) fn remove_run(
    kv: &mut dyn KvMut,
    key: &[u8],
    run: &[Scored],
    event: Event,
    cx: &Cx,
) -> Result<(), CommandError> {
    if run.is_empty() {
        return Ok(());
    }
    let mut keyspace = keyspace(kv, cx);
    let mut set = edit(&mut keyspace, key, cx)?;
    set.remove_run(run)?;
    set.save();
    Ok(keyspace.announce_taken(key, event)?)
}
