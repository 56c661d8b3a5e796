//! Union, intersection and difference. All keys are in one slot, the proxy sees to that.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::{Kv, KvMut, Scored};

use super::super::{Outcome, count};
use super::operands::{Known, Operands, zero_for_nan};
use super::{listed, store};
use crate::{Args, CommandError, Cx};

/// What becomes of the sets that are named.
type Combine = fn(&mut dyn Kv, Operands) -> Result<Vec<Scored>, CommandError>;

/// ZUNION numkeys key [key …] [WEIGHTS weight [weight …]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
pub fn zunion(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, "zunion", union)
}

/// ZINTER numkeys key [key …] [WEIGHTS weight [weight …]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
pub fn zinter(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, "zinter", intersection)
}

/// ZDIFF numkeys key [key …] [WITHSCORES]
pub fn zdiff(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, "zdiff", difference)
}

/// ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight [weight …]] [AGGREGATE <SUM | MIN | MAX>]
pub fn zunionstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    combine_into(kv, args, cx, "zunionstore", union)
}

/// ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight [weight …]] [AGGREGATE <SUM | MIN | MAX>]
pub fn zinterstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    combine_into(kv, args, cx, "zinterstore", intersection)
}

/// ZDIFFSTORE destination numkeys key [key …]
pub fn zdiffstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    combine_into(kv, args, cx, "zdiffstore", difference)
}

/// ZINTERCARD numkeys key [key …] [LIMIT limit]
pub fn zintercard(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let known = Known { weights: false, with_scores: false, limit: true };
    let operands = Operands::parse(kv, args.all(), "zintercard", known, cx)?;
    Ok(count(intersection(kv, operands)?.len()))
}

fn answer(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, name: &'static str, combine: Combine) -> Outcome {
    let known = Known { weights: name != "zdiff", with_scores: true, limit: false };
    let operands = Operands::parse(kv, args.all(), name, known, cx)?;
    let with_scores = operands.with_scores;
    Ok(listed(in_order(combine(kv, operands)?), with_scores, cx))
}

fn combine_into(
    kv: &mut dyn KvMut,
    args: &Args<'_>,
    cx: &Cx,
    name: &'static str,
    combine: Combine,
) -> Outcome {
    let known = Known { weights: name != "zdiffstore", with_scores: false, limit: false };
    let operands = Operands::parse(kv.as_kv(), args.from(1), name, known, cx)?;
    let elements = in_order(combine(kv.as_kv(), operands)?);
    store(kv, args.at(0)?, &elements, name, cx)
}

fn in_order(mut elements: Vec<Scored>) -> Vec<Scored> {
    elements.sort_unstable_by(Scored::compare);
    elements
}

/// The smallest set first: so scores are added in the same order as in Redis.
fn by_size(operands: &mut Operands) -> Result<(), CommandError> {
    let mut sized = Vec::with_capacity(operands.sets.len());
    for set in operands.sets.drain(..) {
        sized.push((set.len()?, set));
    }
    sized.sort_by_key(|(len, _)| *len);
    operands.sets = sized.into_iter().map(|(_, set)| set).collect();
    Ok(())
}

fn union(kv: &mut dyn Kv, mut operands: Operands) -> Result<Vec<Scored>, CommandError> {
    by_size(&mut operands)?;
    let mut scores = BTreeMap::<Bytes, f64>::new();
    for set in &operands.sets {
        set.each(kv, &mut |member, score| {
            let score = zero_for_nan(set.weight * score);
            match scores.get_mut(member) {
                Some(sum) => *sum = operands.aggregate.of(*sum, score),
                None => drop(scores.insert(Bytes::copy_from_slice(member), score)),
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(scores.into_iter().map(|(member, score)| Scored { member, score }).collect())
}

/// Goes through the smallest set and asks the others, up to the limit.
fn intersection(kv: &mut dyn Kv, mut operands: Operands) -> Result<Vec<Scored>, CommandError> {
    by_size(&mut operands)?;
    let Some((smallest, others)) = operands.sets.split_first() else { return Ok(Vec::new()) };
    let mut common = Vec::new();
    'members: for (member, score) in smallest.all(kv)? {
        let mut sum = zero_for_nan(smallest.weight * score);
        for set in others {
            let Some(score) = set.score(kv, &member)? else { continue 'members };
            sum = operands.aggregate.of(sum, score * set.weight);
        }
        common.push(Scored { member, score: sum });
        if common.len() as u64 == operands.limit {
            break;
        }
    }
    Ok(common)
}

/// Members of the first set that no other has.
fn difference(kv: &mut dyn Kv, operands: Operands) -> Result<Vec<Scored>, CommandError> {
    let Some((first, others)) = operands.sets.split_first() else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    'members: for (member, score) in first.all(kv)? {
        for set in others {
            if set.score(kv, &member)?.is_some() {
                continue 'members;
            }
        }
        left.push(Scored { member, score });
    }
    Ok(left)
}
