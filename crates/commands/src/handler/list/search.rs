//! LPOS.

use std::ops::ControlFlow;

use datatypes::list::{End, Needle};
use datatypes::{Kv, List};
use resp::Reply;

use super::super::Outcome;
use super::list;
use super::pop::at_least;
use crate::args::{int, is};
use crate::error::ListError;
use crate::{Args, CommandError, Cx};

/// LPOS key element [RANK rank] [COUNT count] [MAXLEN len]: with a count, an array.
pub fn lpos(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let search = Search::parse(args.from(2))?;
    let found = match list(kv, args, cx)? {
        Some(mut list) => search.indices(kv, &mut list, &Needle::new(args.at(1)?))?,
        None => Vec::new(),
    };
    let mut found = found.into_iter().map(|index| Reply::Int(index.cast_signed()));
    match search.count {
        None => Ok(found.next().unwrap_or(Reply::Null)),
        Some(_) => Ok(Reply::Array(found.collect())),
    }
}

struct Search {
    direction: End,
    /// Matches that are passed over.
    skipped: u64,
    /// 0: all.
    count: Option<u64>,
    /// Elements that are looked at; 0: all.
    compared_max: u64,
}

impl Search {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut search = Self { direction: End::Front, skipped: 0, count: None, compared_max: 0 };
        let (pairs, odd) = words.as_chunks();
        for [word, value] in pairs {
            if is(word, "RANK") {
                search.rank(int(value)?)?;
            } else if is(word, "COUNT") {
                search.count = Some(at_least(value, 0, ListError::NegativeCount.into())?);
            } else if is(word, "MAXLEN") {
                search.compared_max = at_least(value, 0, ListError::NegativeLength.into())?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if odd.is_empty() { Ok(search) } else { Err(CommandError::Syntax) }
    }

    /// 1 is the first match, -1 the last one.
    fn rank(&mut self, rank: i64) -> Result<(), CommandError> {
        match rank {
            0 => return Err(ListError::ZeroRank.into()),
            i64::MIN => return Err(CommandError::NotBetween(-i64::MAX, i64::MAX)),
            1.. => self.direction = End::Front,
            _ => self.direction = End::Back,
        }
        self.skipped = rank.unsigned_abs() - 1;
        Ok(())
    }

    fn indices(
        &self,
        kv: &mut dyn Kv,
        list: &mut List,
        needle: &Needle<'_>,
    ) -> Result<Vec<u64>, CommandError> {
        let limit = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let compared_max = if self.compared_max == 0 { u64::MAX } else { self.compared_max };
        let from = if self.direction == End::Front { 0 } else { list.len().saturating_sub(1) };
        let (mut found, mut matches, mut compared) = (Vec::new(), 0, 0);
        list.each(kv, from, self.direction, &mut |index, item| {
            if needle.is(item) {
                matches += 1;
                if matches > self.skipped {
                    found.push(index);
                }
            }
            compared += 1;
            let done = found.len() >= limit || compared >= compared_max;
            if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }
}
