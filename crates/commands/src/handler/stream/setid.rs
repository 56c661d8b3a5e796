//! XSETID.

use datatypes::stream::StreamId;
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::{StreamError, edit, parse_id};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

/// XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]
pub fn xsetid(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let refused = |error| Err(CommandError::Stream(error));
    let last = parse_id(args.at(1)?)?;
    let (added, max_deleted) = parse_options(args.from(2), last)?;
    let mut keyspace = keyspace(kv, cx);
    let mut edit = edit(&mut keyspace, args.at(0)?)?.ok_or(CommandError::NoSuchKey)?;
    let (stream, kv) = edit.split();
    if last < stream.state().max_deleted {
        return refused(StreamError::LastBelowDeleted);
    }
    if stream.last_entry_id(kv.as_kv())?.is_some_and(|top| last < top) {
        return refused(StreamError::LastBelowTop);
    }
    if added.is_some_and(|added| added < stream.state().len) {
        return refused(StreamError::AddedBelowLength);
    }
    stream.set_ids(last, added, max_deleted);
    edit.save();
    keyspace.announce(args.at(0)?, Event::stream("xsetid"));
    Ok(Reply::OK)
}

fn parse_options(words: &[&[u8]], last: StreamId) -> Result<(Option<u64>, Option<StreamId>), CommandError> {
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    let (pairs, rest) = words.as_chunks();
    for [word, value] in pairs {
        if is(word, "ENTRIESADDED") {
            let number = u64::try_from(int(value)?).map_err(|_| StreamError::NegativeEntriesAdded);
            added = Some(number.map_err(CommandError::Stream)?);
        } else if is(word, "MAXDELETEDID") {
            max_deleted = parse_id(value)?;
            if last < max_deleted {
                return Err(CommandError::Stream(StreamError::LastBelowGivenDeleted));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let max_deleted = Some(max_deleted).filter(|&id| id != StreamId::MIN);
    if rest.is_empty() { Ok((added, max_deleted)) } else { Err(CommandError::Syntax) }
}
