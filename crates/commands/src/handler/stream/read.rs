//! XREAD, and the arguments that XREADGROUP shares with it.

use datatypes::Kv;
use datatypes::stream::StreamId;
use resp::{Protocol, Reply};

use super::super::Outcome;
use super::{StreamError, open, parse_id, show_entries, unlimited};
use crate::args::is;
use crate::blocking::block_ms;
use crate::error::Null;
use crate::{Args, CommandError, Cx};

/// XREAD [COUNT n] [BLOCK ms] STREAMS key … id …
pub fn xread(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, "xread", cx.now_ms)?;
    let mut wanted = Vec::new();
    for (key, id) in options.streams() {
        let stream = open(kv, key, cx)?;
        let after = match id {
            b"$" => stream.map_or(StreamId::MIN, |stream| stream.state().last),
            b">" => return Err(CommandError::Stream(StreamError::NewOfXread)),
            id => parse_id(id)?,
        };
        wanted.extend(stream.map(|stream| (key, stream, after)));
    }
    let mut found = Vec::new();
    for (key, stream, after) in wanted {
        let Some(start) = after.next() else { continue };
        let entries = stream.range(kv, start, StreamId::MAX, options.most)?;
        if !entries.is_empty() {
            found.push((Reply::bulk(key), show_entries(entries)));
        }
    }
    options.answer(found, cx)
}

/// The arguments of an XREAD that is going to wait, with the last id of its stream for each `$`: what is
/// added from now on counts. `None` if there is no `$`.
pub fn resolve_last_ids(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    cx: &Cx,
) -> Result<Option<Vec<Vec<u8>>>, CommandError> {
    let options = Options::parse(args, "xread", cx.now_ms)?;
    if !options.ids.contains(&&b"$"[..]) {
        return Ok(None);
    }
    let mut resolved: Vec<Vec<u8>> = args.all().iter().map(|arg| arg.to_vec()).collect();
    let first_id = args.len() - options.ids.len();
    for (at, (key, id)) in options.streams().enumerate() {
        if id == b"$" {
            let last = open(kv, key, cx)?.map_or(StreamId::MIN, |stream| stream.state().last);
            resolved[first_id + at] = last.to_string().into_bytes();
        }
    }
    Ok(Some(resolved))
}

/// Arguments of XREAD and XREADGROUP.
pub(super) struct Options<'a> {
    /// Entries of each stream.
    pub most: usize,
    waits: bool,
    pub noack: bool,
    /// Group and consumer, of XREADGROUP.
    pub group: Option<(&'a [u8], &'a [u8])>,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
}

impl<'a> Options<'a> {
    pub fn parse(args: &Args<'a>, command: &'static str, now_ms: u64) -> Result<Self, CommandError> {
        let refused = |error| Err(CommandError::Stream(error));
        let of_group = command == "xreadgroup";
        let mut options =
            Self { most: usize::MAX, waits: false, noack: false, group: None, keys: &[], ids: &[] };
        let mut at = 0;
        while at < args.len() {
            let (word, more) = (args.at(at)?, args.len() - at - 1);
            if is(word, "BLOCK") && more > 0 {
                at += 1;
                block_ms(args.at(at)?, now_ms)?;
                options.waits = true;
            } else if is(word, "COUNT") && more > 0 {
                at += 1;
                options.most = unlimited(args.int(at)?);
            } else if is(word, "STREAMS") && more > 0 {
                let streams = args.from(at + 1);
                if !streams.len().is_multiple_of(2) {
                    let symbol = if of_group { '>' } else { '$' };
                    return refused(StreamError::Unbalanced { command, symbol });
                }
                (options.keys, options.ids) = streams.split_at(streams.len() / 2);
                break;
            } else if is(word, "GROUP") && more > 1 {
                if !of_group {
                    return refused(StreamError::GroupOfXread);
                }
                options.group = Some((args.at(at + 1)?, args.at(at + 2)?));
                at += 2;
            } else if is(word, "NOACK") {
                if !of_group {
                    return refused(StreamError::NoackOfXread);
                }
                options.noack = true;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        if options.keys.is_empty() { Err(CommandError::Syntax) } else { Ok(options) }
    }

    /// Keys, and the ids after which they are read.
    pub fn streams(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.keys.iter().copied().zip(self.ids.iter().copied())
    }

    /// What was found, by key.
    pub fn answer(&self, found: Vec<(Reply, Reply)>, cx: &Cx) -> Outcome {
        let pair = |(key, entries)| Reply::Array(vec![key, entries]);
        match cx.protocol {
            _ if found.is_empty() && self.waits => Err(CommandError::WouldBlock(Null::Array)),
            _ if found.is_empty() => Ok(Reply::NullArray),
            Protocol::Resp2 => Ok(Reply::Array(found.into_iter().map(pair).collect())),
            Protocol::Resp3 => Ok(Reply::Map(found)),
        }
    }
}
