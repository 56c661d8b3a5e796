//! Which elements a range names: by rank, by score, or by the bytes of members.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use datatypes::number::parse_f64_like_c;
use datatypes::{Kv, Place, SortedSet};

use super::SortedSetError;
use crate::CommandError;
use crate::args::int;

/// The elements that `min` and `max` name.
#[derive(Debug)]
pub enum Span {
    Ranks(RankRange),
    Scores(ScoreRange),
    Lex(LexRange),
}

/// Ranks from the first on, from 0, or from the last on, from -1.
#[derive(Debug, Clone, Copy)]
pub struct RankRange {
    start: i64,
    stop: i64,
}

impl RankRange {
    pub fn parse(start: &[u8], stop: &[u8]) -> Result<Self, CommandError> {
        Ok(Self { start: int(start)?, stop: int(stop)? })
    }

    /// The ranks among `len` elements.
    pub fn of(self, len: u64) -> Range<u64> {
        let absolute = |rank: i64| match u64::try_from(rank) {
            Ok(rank) => Some(rank),
            Err(_) => len.checked_sub(rank.unsigned_abs()),
        };
        let start = absolute(self.start).unwrap_or(0);
        let end = absolute(self.stop).map_or(0, |stop| stop.saturating_add(1)).min(len);
        start.min(end)..end
    }
}

/// Scores between two, which belong to it unless they are left out.
#[derive(Debug, Clone, Copy)]
pub struct ScoreRange {
    min: (f64, bool),
    max: (f64, bool),
}

impl ScoreRange {
    pub fn parse(min: &[u8], max: &[u8]) -> Result<Self, SortedSetError> {
        Ok(Self { min: score_bound(min)?, max: score_bound(max)? })
    }

    /// Those with `min <= score < max`.
    pub fn half_open(min: f64, max: f64) -> Self {
        Self { min: (min, false), max: (max, true) }
    }

    pub fn places(&self) -> Range<Place> {
        let place =
            |score, behind| if behind { Place::behind_score(score) } else { Place::before_score(score) };
        let ((min, without_min), (max, without_max)) = (self.min, self.max);
        place(min, without_min)..place(max, !without_max)
    }
}

/// A score, and whether it is left out: written with a `(`.
fn score_bound(text: &[u8]) -> Result<(f64, bool), SortedSetError> {
    let (text, left_out) = match text {
        [b'(', text @ ..] => (text, true),
        text => (text, false),
    };
    let score = parse_f64_like_c(text).ok_or(SortedSetError::ScoreRange)?;
    Ok((score, left_out))
}

/// Members between two, in the order of their bytes. It is meant for elements of one score.
#[derive(Debug)]
pub struct LexRange {
    min: LexBound,
    max: LexBound,
}

#[derive(Debug, PartialEq, Eq)]
enum LexBound {
    /// Before all members.
    Least,
    /// Behind all members.
    Greatest,
    /// A member, and whether it is left out.
    Member(Bytes, bool),
}

impl LexRange {
    pub fn parse(min: &[u8], max: &[u8]) -> Result<Self, SortedSetError> {
        Ok(Self { min: LexBound::parse(min)?, max: LexBound::parse(max)? })
    }

    /// Where the elements are. They follow one another: from the first that is not too little, up to
    /// the next that is too great.
    pub fn places(&self, kv: &mut dyn Kv, set: &SortedSet) -> Result<Range<Place>, CommandError> {
        let nothing = Place::start()..Place::start();
        if self.min == LexBound::Greatest || self.max == LexBound::Least {
            return Ok(nothing);
        }
        let last = set.len()?.saturating_sub(1);
        let ends = (set.slice(kv, 0..1)?.pop(), set.slice(kv, last..last.saturating_add(1))?.pop());
        let (Some(first), Some(last)) = ends else { return Ok(nothing) };
        if first.score == last.score {
            return Ok(self.min.place(first.score, true)..self.max.place(first.score, false));
        }
        self.walk(kv, set)
    }

    /// Elements of different scores: one after the other.
    fn walk(&self, kv: &mut dyn Kv, set: &SortedSet) -> Result<Range<Place>, CommandError> {
        let (mut start, mut end) = (None, None);
        set.scan(kv, &Place::start(), &mut |member, score| {
            if start.is_none() && !self.min.is_behind(member, true) {
                start = Some(Place::before(score, member));
            }
            if start.is_some() && !self.max.is_behind(member, false) {
                end = Some(Place::before(score, member));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        let start = start.unwrap_or_else(Place::end);
        Ok(start..end.unwrap_or_else(Place::end))
    }
}

impl LexBound {
    fn parse(text: &[u8]) -> Result<Self, SortedSetError> {
        match text {
            // Redis looks no further than the next zero byte.
            [b'-'] | [b'-', 0, ..] => Ok(Self::Least),
            [b'+'] | [b'+', 0, ..] => Ok(Self::Greatest),
            [b'(', member @ ..] => Ok(Self::Member(Bytes::copy_from_slice(member), true)),
            [b'[', member @ ..] => Ok(Self::Member(Bytes::copy_from_slice(member), false)),
            _ => Err(SortedSetError::LexRange),
        }
    }

    /// The place of this bound among elements of one score, as the lower or the upper one.
    fn place(&self, score: f64, lower: bool) -> Place {
        match self {
            Self::Least => Place::start(),
            Self::Greatest => Place::end(),
            Self::Member(member, left_out) if *left_out == lower => Place::behind(score, member),
            Self::Member(member, _) => Place::before(score, member),
        }
    }

    /// Whether the bound lies behind a member.
    fn is_behind(&self, member: &[u8], lower: bool) -> bool {
        match self {
            Self::Least => false,
            Self::Greatest => true,
            // The lower bound lies behind what it leaves out, the upper one behind what it does not.
            Self::Member(bound, left_out) if *left_out == lower => member <= &bound[..],
            Self::Member(bound, _) => member < &bound[..],
        }
    }
}
