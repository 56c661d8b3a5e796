//! What ZUNION, ZINTER and ZDIFF are given: sets and sorted sets, weights, and options.

use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::collection::sorted::{VisitScored, decode_score};
use datatypes::number::{parse_f64, parse_i64};
use datatypes::{Elements, Kv, StoreError, Type};

use super::super::reader;
use super::SortedSetError;
use crate::args::{int, is};
use crate::{CommandError, Cx};

/// How the scores of one member in several sets become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    pub fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => zero_for_nan(one + other),
            Self::Min if other < one => other,
            Self::Max if other > one => other,
            Self::Min | Self::Max => one,
        }
    }
}

pub fn zero_for_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Which options a command knows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// WEIGHTS and AGGREGATE.
    pub weights: bool,
    pub with_scores: bool,
    pub limit: bool,
}

/// The sets that are named, and the options.
#[derive(Debug)]
pub struct Operands {
    pub sets: Vec<Operand>,
    pub aggregate: Aggregate,
    pub with_scores: bool,
    /// 0: none.
    pub limit: u64,
}

/// A set, or a sorted set.
#[derive(Debug)]
pub struct Operand {
    elements: Elements,
    kind: Type,
    pub weight: f64,
}

impl Operands {
    /// Reads `numkeys key [key …] [options]` of the command called `name`.
    pub fn parse(
        kv: &mut dyn Kv,
        words: &[&[u8]],
        name: &'static str,
        known: Known,
        cx: &Cx,
    ) -> Result<Self, CommandError> {
        let (numkeys, rest) = words.split_first().ok_or(CommandError::Syntax)?;
        let numkeys = int(numkeys)?;
        if numkeys < 1 {
            return Err(SortedSetError::NoInputKey(name).into());
        }
        let numkeys = usize::try_from(numkeys).map_err(|_| CommandError::Syntax)?;
        let (keys, options) = rest.split_at_checked(numkeys).ok_or(CommandError::Syntax)?;
        let sets = keys.iter().map(|key| Operand::open(kv, key, cx)).collect::<Result<_, _>>()?;
        let mut operands = Self { sets, aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        operands.read_options(options, known)?;
        Ok(operands)
    }

    fn read_options(&mut self, mut rest: &[&[u8]], known: Known) -> Result<(), CommandError> {
        while let [word, others @ ..] = rest {
            rest = others;
            match others {
                _ if is(word, "WEIGHTS") && known.weights && others.len() >= self.sets.len() => {
                    let (weights, others) = others.split_at(self.sets.len());
                    for (set, weight) in self.sets.iter_mut().zip(weights) {
                        set.weight = parse_f64(weight).ok_or(SortedSetError::Weight)?;
                    }
                    rest = others;
                }
                [way, others @ ..] if is(word, "AGGREGATE") && known.weights => {
                    let ways = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)];
                    let found = ways.into_iter().find(|(name, _)| is(way, name));
                    (_, self.aggregate) = found.ok_or(CommandError::Syntax)?;
                    rest = others;
                }
                _ if is(word, "WITHSCORES") && known.with_scores => self.with_scores = true,
                [limit, others @ ..] if is(word, "LIMIT") && known.limit => {
                    let limit = parse_i64(limit).and_then(|limit| u64::try_from(limit).ok());
                    self.limit = limit.ok_or(SortedSetError::NegativeLimit)?;
                    rest = others;
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(())
    }
}

impl Operand {
    fn open(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Self, CommandError> {
        let (elements, kind) = match reader(kv, cx).lookup(key)? {
            None => (Elements::None, Type::SortedSet),
            Some(record) if matches!(record.kind, Type::Set | Type::SortedSet) => {
                (Elements::of(&record, cx.db, key)?, record.kind)
            }
            Some(_) => return Err(CommandError::WrongType),
        };
        Ok(Self { elements, kind, weight: 1.0 })
    }

    pub fn len(&self) -> Result<u64, StoreError> {
        self.elements.len()
    }

    /// The score of a member, not weighed; the members of a set have 1.
    pub fn score(&self, kv: &mut dyn Kv, member: &[u8]) -> Result<Option<f64>, StoreError> {
        self.elements.get(kv, member)?.map(|value| self.score_of(&value)).transpose()
    }

    /// Visits all members with their scores, in no particular order.
    pub fn each(&self, kv: &mut dyn Kv, visit: &mut VisitScored<'_>) -> Result<(), StoreError> {
        let mut failed = None;
        self.elements.each(kv, &mut |member, value| match self.score_of(value) {
            Ok(score) => visit(member, score),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// All members with their scores.
    pub fn all(&self, kv: &mut dyn Kv) -> Result<Vec<(Bytes, f64)>, StoreError> {
        let mut all = Vec::new();
        self.each(kv, &mut |member, score| {
            all.push((Bytes::copy_from_slice(member), score));
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    fn score_of(&self, value: &[u8]) -> Result<f64, StoreError> {
        if self.kind == Type::Set { Ok(1.0) } else { decode_score(value) }
    }
}
