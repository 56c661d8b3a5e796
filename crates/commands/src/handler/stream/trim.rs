//! XTRIM, and the options that XADD shares with it.

use datatypes::stream::{Bound, NewId, StreamLimits, Trim};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::{StreamError, edit, parse_id};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

/// Leaves that `~` trims at once, unless LIMIT says otherwise.
const LEAVES_MAX: u64 = 100;
const LIMIT_DEFAULT: u64 = 10_000;
const LIMIT_MAX: u64 = 1_000_000;

pub(super) const TRIMMED: Event = Event::stream("xtrim");

/// XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]
pub fn xtrim(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (options, _) = Options::parse(args, false)?;
    let no_strategy = || CommandError::Stream(StreamError::NoStrategy);
    if options.asks_for_nothing() {
        return Err(no_strategy());
    }
    let trim = options.trim(cx.limits.stream)?.ok_or_else(no_strategy)?;
    let mut keyspace = keyspace(kv, cx);
    let Some(mut edit) = edit(&mut keyspace, args.at(0)?)? else { return Ok(Reply::Int(0)) };
    let (stream, kv) = edit.split();
    let deleted = stream.trim(kv, trim)?;
    edit.save();
    if deleted > 0 {
        keyspace.announce(args.at(0)?, TRIMMED);
    }
    Ok(Reply::Int(deleted.cast_signed()))
}

/// What stands between the key and, of XADD, the fields.
#[derive(Default)]
pub(super) struct Options {
    bound: Option<Bound>,
    approximate: bool,
    limit: Option<u64>,
    pub no_mkstream: bool,
    /// Of XADD, which takes the first word that is no option for it.
    pub id: Option<NewId>,
}

impl Options {
    /// The options, and where what follows them begins.
    pub fn parse(args: &Args<'_>, of_xadd: bool) -> Result<(Self, usize), CommandError> {
        let mut options = Self::default();
        let mut at = 1;
        while at < args.len() {
            let (word, more) = (args.at(at)?, args.len() - at - 1);
            if of_xadd && word == b"*" {
                options.id = Some(NewId::Auto);
                return Ok((options, at + 1));
            } else if (is(word, "MAXLEN") || is(word, "MINID")) && more > 0 {
                at = options.strategy(args, at)?;
            } else if is(word, "LIMIT") && more > 0 {
                at += 1;
                let limit = u64::try_from(args.int(at)?).map_err(|_| StreamError::NegativeLimit);
                options.limit = Some(limit.map_err(CommandError::Stream)?);
            } else if of_xadd && is(word, "NOMKSTREAM") {
                options.no_mkstream = true;
            } else if of_xadd {
                let id = NewId::parse(word).ok_or(CommandError::Stream(StreamError::InvalidId))?;
                options.id = Some(id);
                return Ok((options, at + 1));
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok((options, at))
    }

    /// Reads the strategy at `at`; where its threshold stands.
    fn strategy(&mut self, args: &Args<'_>, at: usize) -> Result<usize, CommandError> {
        if self.bound.is_some() {
            return Err(CommandError::Stream(StreamError::TwoStrategies));
        }
        let more = args.len() - at - 1;
        let sign = args.at(at + 1)?;
        self.approximate = more > 1 && sign == b"~";
        let threshold = at + 1 + usize::from(self.approximate || more > 1 && sign == b"=");
        let text = args.at(threshold)?;
        self.bound = Some(if is(args.at(at)?, "MAXLEN") {
            let len = u64::try_from(int(text)?).map_err(|_| StreamError::NegativeMaxlen);
            Bound::Len(len.map_err(CommandError::Stream)?)
        } else {
            Bound::Id(parse_id(text)?)
        });
        Ok(threshold)
    }

    fn asks_for_nothing(&self) -> bool {
        self.bound.is_none() && self.limit.unwrap_or(0) == 0
    }

    /// What is to be trimmed, if anything.
    pub fn trim(&self, limits: StreamLimits) -> Result<Option<Trim>, CommandError> {
        let refused = |error| Err(CommandError::Stream(error));
        match (self.bound, self.limit) {
            (None, Some(1..)) => refused(StreamError::LimitWithoutStrategy),
            (None, Some(0)) => refused(StreamError::LimitWithoutTilde),
            (None, None) => Ok(None),
            (Some(_), Some(_)) if !self.approximate => refused(StreamError::LimitWithoutTilde),
            (Some(bound), limit) => {
                let limit = limit.unwrap_or(if self.approximate { default_limit(limits) } else { 0 });
                Ok(Some(Trim { bound, approximate: self.approximate, limit }))
            }
        }
    }
}

fn default_limit(limits: StreamLimits) -> u64 {
    match limits.node_entries.saturating_mul(LEAVES_MAX) {
        0 => LIMIT_DEFAULT,
        entries => entries.min(LIMIT_MAX),
    }
}
