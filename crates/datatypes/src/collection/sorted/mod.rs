//! Sorted sets: members in the order of their scores; those of equal score in the order of their bytes.
//!
//! ```text
//! small   payload of the head record: elements in order, each with its score as value
//! large   payload of the head record := id:u64be  len:u64be  state of the index
//!         element        … position member            →  score         as any collection has them
//!         index entry    … order(score):u64be member  →  nothing, or 80 if the score is -0
//! score  := f64be
//! order  := its bits, all of them turned over if negative, else the highest: bytes in the order of scores
//! ```
//!
//! What asks for members by name (ZSCORE, ZSCAN, ZRANDMEMBER) needs the elements alone, what asks for an
//! order (ZRANGE, ZRANK, ZCOUNT) the index alone: [`super::ranked`], in which each entry weighs 1. Of a
//! large sorted set, a new member costs two pairs, one weight on each level of the index, and the head
//! record. Invariant: elements and index entries are the same.
//!
//! A range is two [`Place`]s; where it begins and ends among all members is asked of the index only when
//! somebody wants to know, or wants it from its end.

mod edit;
mod place;
mod read;
mod score;
#[cfg(test)]
mod tests;

pub use edit::SortedEdit;
pub use place::Place;
pub use read::{SortedSet, VisitAll, VisitScored, collect};
pub use score::decode as decode_score;

use bytes::Bytes;

/// A member and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub member: Bytes,
    pub score: f64,
}

impl Scored {
    /// In the order of sorted sets.
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        score::order(self.score).cmp(&score::order(other.score)).then_with(|| self.member.cmp(&other.member))
    }
}

/// Every entry of the index is one member.
fn weigh(_: &[u8]) -> Option<u64> {
    Some(1)
}

/// The value of an index entry.
fn mark(score: f64) -> &'static [u8] {
    if score == 0.0 && score.is_sign_negative() { &[0x80] } else { &[] }
}
