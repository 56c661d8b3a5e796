//! Sorted sets: members in the order of their scores, as [`datatypes::collection::sorted`] holds them.
//!
//! A small sorted set is in the record of its key; a large one has a part for each member and an index
//! in the order of scores that counts, so that ranks and ranges cost logarithmic time from either end.

mod add;
mod algebra;
mod error;
mod operands;
mod pop;
mod query;
mod random;
mod range;
mod read;
mod remove;
mod scan;
mod span;

pub use add::{zadd, zincrby};
pub use algebra::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
pub use error::SortedSetError;
pub use pop::{bzmpop, bzpopmax, bzpopmin, zmpop, zpopmax, zpopmin};
pub use random::zrandmember;
pub use range::{
    zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex, zrevrangebyscore,
};
pub use read::{zcard, zcount, zlexcount, zmscore, zrank, zrevrank, zscore};
pub use remove::{zrem, zremrangebylex, zremrangebyrank, zremrangebyscore};
pub use scan::zscan;

pub(super) use add::{Rules, add};
pub(super) use span::ScoreRange;

use datatypes::number::parse_f64;
use datatypes::{Event, Keyspace, Kv, KvMut, Record, Scored, SortedEdit, SortedSet, Type};
use resp::{Aggregate, Bulks, Protocol, Reply};

use super::{Outcome, count, keyspace, reader, remove};
use crate::{CommandError, Cx};

/// The sorted set under `key`; an empty one if the key is missing.
pub(super) fn sorted_set(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<SortedSet, CommandError> {
    sorted_set_of(reader(kv, cx).lookup(key)?, key, cx)
}

/// Likewise, to find what is to be changed.
fn sorted_set_to_change(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<SortedSet, CommandError> {
    sorted_set_of(reader(kv, cx).peek(key)?, key, cx)
}

fn sorted_set_of(record: Option<Record>, key: &[u8], cx: &Cx) -> Result<SortedSet, CommandError> {
    match record {
        None => Ok(SortedSet::default()),
        Some(record) if record.kind != Type::SortedSet => Err(CommandError::WrongType),
        Some(record) => Ok(SortedSet::of(&record, cx.db, key)?),
    }
}

/// The sorted set under `key`, to change it; a new one if the key is missing.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    key: &[u8],
    cx: &Cx,
) -> Result<SortedEdit<'a, 'kv>, CommandError> {
    let entry = keyspace.entry(key)?;
    if entry.live().is_some_and(|record| record.kind != Type::SortedSet) {
        return Err(CommandError::WrongType);
    }
    Ok(keyspace.edit_sorted(entry, cx.limits.sorted_set)?)
}

/// Replaces whatever is under `key` by a sorted set of different members, and answers how many they are;
/// an empty set is no key. `name` is that of the event.
pub(super) fn store(
    kv: &mut dyn KvMut,
    key: &[u8],
    elements: &[Scored],
    name: &'static str,
    cx: &Cx,
) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(key)?;
    if elements.is_empty() {
        remove(&mut keyspace, key, entry);
        return Ok(count(0));
    }
    let limits = cx.limits.sorted_set;
    let mut set = keyspace.create_sorted(entry, limits, None);
    let is_large = elements.len() as u64 > limits.entries;
    if is_large || elements.iter().any(|element| limits.is_long(element.member.len())) {
        set.grow()?;
    }
    for element in elements {
        set.replace(&element.member, None, element.score)?;
    }
    set.save();
    keyspace.announce(key, Event::sorted_set(name));
    Ok(count(elements.len()))
}

fn score_arg(text: &[u8]) -> Result<f64, CommandError> {
    parse_f64(text).ok_or(CommandError::NotFloat)
}

/// Elements as an array: members alone, or with their scores, one behind the other in RESP2 and in pairs
/// in RESP3.
fn listed(elements: Vec<Scored>, with_scores: bool, cx: &Cx) -> Reply {
    let mut listing = Listing::new(with_scores, cx);
    elements.iter().for_each(|element| listing.push(&element.member, element.score));
    listing.into_reply()
}

/// What [`listed`] answers, in the making.
enum Listing {
    Members(Bulks),
    WithScores(Bulks),
    Pairs(Vec<Reply>),
}

impl Listing {
    fn new(with_scores: bool, cx: &Cx) -> Self {
        match (with_scores, cx.protocol) {
            (false, _) => Self::Members(Bulks::default()),
            (true, Protocol::Resp2) => Self::WithScores(Bulks::default()),
            (true, Protocol::Resp3) => Self::Pairs(Vec::new()),
        }
    }

    fn push(&mut self, member: &[u8], score: f64) {
        match self {
            Self::Members(bulks) => bulks.push(member),
            Self::WithScores(bulks) => {
                bulks.push(member);
                bulks.push_double(score);
            }
            Self::Pairs(pairs) => {
                pairs.push(Reply::Array(vec![Reply::bulk(member), Reply::Double(score)]));
            }
        }
    }

    fn into_reply(self) -> Reply {
        match self {
            Self::Members(bulks) | Self::WithScores(bulks) => Reply::Bulks(Aggregate::Array, bulks),
            Self::Pairs(pairs) => Reply::Array(pairs),
        }
    }
}

fn pairs(elements: Vec<Scored>) -> Vec<Reply> {
    elements.into_iter().map(|element| Reply::Array(pair(element).into())).collect()
}

fn pair(element: Scored) -> [Reply; 2] {
    [Reply::Bulk(element.member), Reply::Double(element.score)]
}
