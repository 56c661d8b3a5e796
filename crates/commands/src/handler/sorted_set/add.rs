//! ZADD and ZINCRBY.

use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, count, keyspace};
use super::{SortedSetError, edit, score_arg};
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// Which members get their scores, and what is answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// New members only.
    pub nx: bool,
    /// Members that are there only.
    pub xx: bool,
    /// Only to a greater score.
    pub gt: bool,
    /// Only to a lesser score.
    pub lt: bool,
    /// Counts members that have changed too.
    pub ch: bool,
    /// Adds to the score, and answers the sum.
    pub incr: bool,
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]
pub fn zadd(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    add_with(kv, args, Rules::default(), cx)
}

/// ZINCRBY key increment member: a missing member counts as 0.
pub fn zincrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    add_with(kv, args, Rules { incr: true, ..Rules::default() }, cx)
}

fn add_with(kv: &mut dyn KvMut, args: &Args<'_>, mut rules: Rules, cx: &Cx) -> Outcome {
    let options = args.from(1).iter().take_while(|word| rules.take(word)).count();
    let (pairs, []) = args.from(1 + options).as_chunks() else { return Err(CommandError::Syntax) };
    if pairs.is_empty() {
        return Err(CommandError::Syntax);
    }
    rules.check(pairs.len())?;
    let mut elements = Vec::with_capacity(pairs.len());
    for [score, member] in pairs {
        elements.push((score_arg(score)?, *member));
    }
    add(kv, args.at(0)?, rules, &elements, cx)
}

/// Adds members with their scores, or changes those that are there.
pub fn add(kv: &mut dyn KvMut, key: &[u8], rules: Rules, elements: &[(f64, &[u8])], cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut set = edit(&mut keyspace, key, cx)?;
    // As Redis, which takes it that all are different.
    if elements.len() as u64 > cx.limits.sorted_set.entries {
        set.grow()?;
    }
    let (mut added, mut changed, mut sum) = (0, 0, None);
    for &(score, member) in elements {
        let old = set.score(member)?;
        let Some(new) = rules.decide(old, score)? else { continue };
        sum = Some(new);
        if old != Some(new) {
            set.replace(member, old, new)?;
            *if old.is_none() { &mut added } else { &mut changed } += 1;
        }
    }
    set.save();
    if added + changed > 0 {
        keyspace.announce(key, Event::sorted_set(if rules.incr { "zincr" } else { "zadd" }));
    }
    Ok(match sum {
        _ if !rules.incr => count(if rules.ch { added + changed } else { added }),
        Some(sum) => Reply::Double(sum),
        None => Reply::Null,
    })
}

impl Rules {
    /// Whether the word is an option.
    fn take(&mut self, word: &[u8]) -> bool {
        let known = [
            ("NX", &mut self.nx),
            ("XX", &mut self.xx),
            ("GT", &mut self.gt),
            ("LT", &mut self.lt),
            ("CH", &mut self.ch),
            ("INCR", &mut self.incr),
        ];
        let option = known.into_iter().find(|(name, _)| is(word, name));
        option.map(|(_, option)| *option = true).is_some()
    }

    fn check(&self, elements: usize) -> Result<(), SortedSetError> {
        if self.nx && self.xx {
            return Err(SortedSetError::XxWithNx);
        }
        if [self.gt, self.lt, self.nx].into_iter().filter(|&is_given| is_given).count() > 1 {
            return Err(SortedSetError::GtLtNx);
        }
        if self.incr && elements > 1 {
            return Err(SortedSetError::IncrTakesOne);
        }
        Ok(())
    }

    /// The score that a member gets; `None`: it is left alone.
    fn decide(&self, old: Option<f64>, score: f64) -> Result<Option<f64>, SortedSetError> {
        let Some(old) = old else { return Ok(Some(score).filter(|_| !self.xx)) };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + score } else { score };
        if new.is_nan() {
            return Err(SortedSetError::NotANumber);
        }
        let refused = (self.lt && new >= old) || (self.gt && new <= old);
        Ok(Some(new).filter(|_| !refused))
    }
}
