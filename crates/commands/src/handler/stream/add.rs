//! XADD.

use datatypes::stream::{NewId, StreamId};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::trim::{Options, TRIMMED};
use super::{StreamError, entry, show_id};
use crate::{Args, CommandError, Cx};

/// Bytes of an entry's texts: what fits into a listpack of Redis.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// XADD key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value …
pub fn xadd(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let refused = |error| Err(CommandError::Stream(error));
    let (options, fields_at) = Options::parse(args, true)?;
    let trim = options.trim(cx.limits.stream)?;
    let fields = args.from(fields_at);
    let Some(id) = options.id.filter(|_| !fields.is_empty() && fields.len().is_multiple_of(2)) else {
        return Err(CommandError::WrongArity("xadd"));
    };
    if id == NewId::Given(StreamId::MIN) {
        return refused(StreamError::ZeroId);
    }
    let mut keyspace = keyspace(kv, cx);
    let entry = entry(&mut keyspace, args.at(0)?)?;
    let mut edit = match entry.live() {
        Some(_) => keyspace.stream(entry)?.ok_or(CommandError::WrongType)?,
        None if options.no_mkstream => return Ok(Reply::Null),
        None => keyspace.create_stream(entry, None)?,
    };
    let (stream, kv) = edit.split();
    let last = stream.state().last;
    if last == StreamId::MAX {
        return refused(StreamError::Exhausted);
    }
    let Some(id) = id.after(last, cx.now_ms) else { return refused(StreamError::SmallId) };
    if fields.iter().map(|text| text.len()).sum::<usize>() > ENTRY_BYTES_MAX {
        return refused(StreamError::TooLarge);
    }
    stream.append(kv, id, fields, cx.limits.stream);
    let trimmed = match trim {
        Some(trim) => stream.trim(kv, trim)?,
        None => 0,
    };
    edit.save();
    keyspace.announce(args.at(0)?, Event::stream("xadd"));
    if trimmed > 0 {
        keyspace.announce(args.at(0)?, TRIMMED);
    }
    Ok(show_id(id))
}
