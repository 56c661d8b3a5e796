//! ZRANGE, ZRANGESTORE, and the older commands for what ZRANGE does.

use datatypes::{Kv, KvMut};

use super::super::Outcome;
use super::query::{By, Form, Query};
use super::{Listing, sorted_set, store};
use crate::{Args, Cx};

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub fn zrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, Form { by: None, reverse: None, stores: false })
}

/// ZREVRANGE key start stop [WITHSCORES]
pub fn zrevrange(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    named(kv, args, cx, By::Rank, true)
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub fn zrangebyscore(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    named(kv, args, cx, By::Score, false)
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
pub fn zrevrangebyscore(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    named(kv, args, cx, By::Score, true)
}

/// ZRANGEBYLEX key min max [LIMIT offset count]
pub fn zrangebylex(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    named(kv, args, cx, By::Lex, false)
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count]
pub fn zrevrangebylex(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    named(kv, args, cx, By::Lex, true)
}

/// ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
pub fn zrangestore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let query = Query::parse(args, 2, Form { by: None, reverse: None, stores: true })?;
    let set = sorted_set(kv.as_kv(), args.at(1)?, cx)?;
    let elements = query.run(kv.as_kv(), &set)?;
    store(kv, args.at(0)?, &elements, "zrangestore", cx)
}

fn named(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, by: By, reverse: bool) -> Outcome {
    answer(kv, args, cx, Form { by: Some(by), reverse: Some(reverse), stores: false })
}

fn answer(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, form: Form) -> Outcome {
    let query = Query::parse(args, 1, form)?;
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let mut listing = Listing::new(query.with_scores, cx);
    query.each(kv, &set, &mut |member, score| listing.push(member, score))?;
    Ok(listing.into_reply())
}
