//! Asking for members, scores, ranks and counts.

use datatypes::{Kv, Place};
use resp::Reply;

use super::super::Outcome;
use super::sorted_set;
use super::span::{LexRange, ScoreRange};
use crate::args::is;
use crate::{Args, CommandError, Cx};

pub fn zcard(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let len = sorted_set(kv, args.at(0)?, cx)?.len()?;
    Ok(Reply::Int(len.cast_signed()))
}

pub fn zscore(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let score = sorted_set(kv, args.at(0)?, cx)?.score(kv, args.at(1)?)?;
    Ok(double_or_null(score))
}

pub fn zmscore(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let mut scores = Vec::with_capacity(args.len());
    for member in args.from(1) {
        scores.push(double_or_null(set.score(kv, member)?));
    }
    Ok(Reply::Array(scores))
}

/// ZCOUNT key min max
pub fn zcount(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let range = ScoreRange::parse(args.at(1)?, args.at(2)?)?;
    let set = sorted_set(kv, args.at(0)?, cx)?;
    count_between(kv, &set, &range.places())
}

/// ZLEXCOUNT key min max
pub fn zlexcount(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let range = LexRange::parse(args.at(1)?, args.at(2)?)?;
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let places = range.places(kv, &set)?;
    count_between(kv, &set, &places)
}

fn count_between(kv: &mut dyn Kv, set: &datatypes::SortedSet, places: &std::ops::Range<Place>) -> Outcome {
    let (start, end) = (set.rank(kv, &places.start)?, set.rank(kv, &places.end)?);
    Ok(Reply::Int(end.saturating_sub(start).cast_signed()))
}

/// ZRANK key member [WITHSCORE]
pub fn zrank(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    rank(kv, args, cx, "zrank", |rank, _| rank)
}

/// ZREVRANK key member [WITHSCORE]
pub fn zrevrank(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    rank(kv, args, cx, "zrevrank", |rank, len| len.saturating_sub(rank + 1))
}

fn rank(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    cx: &Cx,
    name: &'static str,
    count: impl Fn(u64, u64) -> u64,
) -> Outcome {
    let with_score = match args.from(2) {
        [] => false,
        [word] if is(word, "WITHSCORE") => true,
        [_] => return Err(CommandError::Syntax),
        _ => return Err(CommandError::WrongArity(name)),
    };
    let (set, member) = (sorted_set(kv, args.at(0)?, cx)?, args.at(1)?);
    let Some(score) = set.score(kv, member)? else {
        return Ok(if with_score { Reply::NullArray } else { Reply::Null });
    };
    let rank = set.rank(kv, &Place::before(score, member))?;
    let rank = Reply::Int(count(rank, set.len()?).cast_signed());
    Ok(if with_score { Reply::Array(vec![rank, Reply::Double(score)]) } else { rank })
}

fn double_or_null(score: Option<f64>) -> Reply {
    score.map_or(Reply::Null, Reply::Double)
}
