//! ZRANGE and its kin: what they ask for, and the elements that answer it.

use std::ops::Range;

use datatypes::collection::sorted::{Place, VisitAll, collect};
use datatypes::{Kv, Scored, SortedSet};

use super::SortedSetError;
use super::span::{LexRange, RankRange, ScoreRange, Span};
use crate::args::{int, is};
use crate::{Args, CommandError};

/// As many elements are passed over one by one; more are counted.
const SKIPPED_MAX: u64 = 128;

/// How `min` and `max` are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Rank,
    Score,
    Lex,
}

/// What the name of a command says; the rest is said by options.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub by: Option<By>,
    pub reverse: Option<bool>,
    /// The result is stored, so WITHSCORES is no option.
    pub stores: bool,
}

/// Which elements of a set are meant, in its order.
enum Extent {
    /// Between two places: how many are passed over, and how many are meant at most.
    Places(Range<Place>, u64, u64),
    Ranks(Range<u64>),
}

/// What is asked for.
#[derive(Debug)]
pub struct Query {
    span: Span,
    reverse: bool,
    pub with_scores: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
}

impl Query {
    /// Reads `min max [options]`, which stand at `at`.
    pub fn parse(args: &Args<'_>, at: usize, form: Form) -> Result<Self, CommandError> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut rest = args.from(at + 2);
        while let [word, others @ ..] = rest {
            rest = others;
            match others {
                _ if is(word, "WITHSCORES") && !form.stores => with_scores = true,
                [first, second, others @ ..] if is(word, "LIMIT") => {
                    (offset, limit) = (int(first)?, int(second)?);
                    rest = others;
                }
                _ if is(word, "REV") && reverse.is_none() => reverse = Some(true),
                _ if is(word, "BYLEX") && by.is_none() => by = Some(By::Lex),
                _ if is(word, "BYSCORE") && by.is_none() => by = Some(By::Score),
                _ => return Err(CommandError::Syntax),
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(SortedSetError::LimitOfRanks.into());
        }
        if with_scores && by == By::Lex {
            return Err(SortedSetError::ScoresOfLex.into());
        }
        let (first, second) = (args.at(at)?, args.at(at + 1)?);
        let (min, max) = if reverse { (second, first) } else { (first, second) };
        let span = match by {
            By::Rank => Span::Ranks(RankRange::parse(first, second)?),
            By::Score => Span::Scores(ScoreRange::parse(min, max)?),
            By::Lex => Span::Lex(LexRange::parse(min, max)?),
        };
        Ok(Self { span, reverse, with_scores, offset, limit })
    }

    /// The elements, in the order in which they are answered.
    pub fn run(&self, kv: &mut dyn Kv, set: &SortedSet) -> Result<Vec<Scored>, CommandError> {
        collect(|visit| self.each(kv, set, visit))
    }

    /// Visits them.
    pub fn each(
        &self,
        kv: &mut dyn Kv,
        set: &SortedSet,
        visit: &mut VisitAll<'_>,
    ) -> Result<(), CommandError> {
        match self.extent(kv, set)? {
            Extent::Places(places, offset, limit) => set.visit_between(kv, &places, offset, limit, visit)?,
            Extent::Ranks(ranks) if self.reverse => {
                set.slice(kv, ranks)?.iter().rev().for_each(|element| visit(&element.member, element.score));
            }
            Extent::Ranks(ranks) => set.visit_slice(kv, ranks, visit)?,
        }
        Ok(())
    }

    fn extent(&self, kv: &mut dyn Kv, set: &SortedSet) -> Result<Extent, CommandError> {
        let places = match &self.span {
            Span::Ranks(range) => {
                let len = set.len()?;
                let ranks = range.of(len);
                return Ok(Extent::Ranks(match self.reverse {
                    true => len - ranks.end..len - ranks.start,
                    false => ranks,
                }));
            }
            Span::Scores(range) => range.places(),
            Span::Lex(range) => range.places(kv, set)?,
        };
        // Passing over fewer than none never ends.
        let Ok(offset) = u64::try_from(self.offset) else { return Ok(Extent::Ranks(0..0)) };
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        if !self.reverse && offset <= SKIPPED_MAX {
            return Ok(Extent::Places(places, offset, limit));
        }
        let start = set.rank(kv, &places.start)?;
        let end = set.rank(kv, &places.end)?;
        Ok(Extent::Ranks(if self.reverse {
            let end = end.saturating_sub(offset);
            start.max(end.saturating_sub(limit))..end
        } else {
            let start = start.saturating_add(offset);
            start..end.min(start.saturating_add(limit))
        }))
    }
}
