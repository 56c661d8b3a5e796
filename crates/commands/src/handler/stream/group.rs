//! XGROUP. The first argument is the subcommand, then come the key and the group.

use datatypes::stream::{StreamEdit, StreamId};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, flag, keyspace};
use super::{CONSUMER_CREATED, StreamError, edit, entry, in_group, open, parse_id};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

/// XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD n]
pub fn create(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, true)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = entry(&mut keyspace, args.at(1)?)?;
    let is_new = entry.live().is_none();
    if is_new && !options.mkstream {
        return Err(CommandError::Stream(StreamError::NoKey));
    }
    if args.len() > 7 {
        return Err(wrong_form(args));
    }
    let mut edit: StreamEdit<'_, '_> = match is_new {
        true => keyspace.create_stream(entry, None)?,
        false => keyspace.stream(entry)?.ok_or(CommandError::WrongType)?,
    };
    let (stream, kv) = edit.split();
    let last = match args.at(3)? {
        b"$" => stream.state().last,
        id => parse_id(id)?,
    };
    if !stream.create_group(kv, args.at(2)?, last, options.entries_read)? {
        return Err(CommandError::Stream(StreamError::BusyGroup));
    }
    edit.save();
    keyspace.announce(args.at(1)?, Event::stream("xgroup-create"));
    Ok(Reply::OK)
}

/// XGROUP SETID key group <id | $> [ENTRIESREAD n]
pub fn set_id(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, false)?;
    change(kv, args, cx, |kv, key, name| {
        in_group(kv, key, name, cx, |stream, group, kv| {
            if !matches!(args.len(), 4 | 6) {
                return Err(wrong_form(args));
            }
            let last = match args.at(3)? {
                b"$" => stream.state().last,
                id => StreamId::parse_bound(id, 0).ok_or(CommandError::Stream(StreamError::InvalidId))?,
            };
            group.set_last(last, options.entries_read);
            kv.announce(cx.db, key, Event::stream("xgroup-setid"));
            Ok(Reply::OK)
        })
    })
}

/// XGROUP DESTROY key group: whether there was one.
pub fn destroy(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let edit = edit(&mut keyspace, args.at(1)?)?;
    let mut edit = edit.ok_or(CommandError::Stream(StreamError::NoKey))?;
    let (stream, kv) = edit.split();
    let destroyed = stream.destroy_group(kv, args.at(2)?)?;
    edit.save();
    if destroyed {
        keyspace.announce(args.at(1)?, Event::stream("xgroup-destroy"));
    }
    Ok(flag(destroyed))
}

/// XGROUP CREATECONSUMER key group consumer: whether it is new.
pub fn create_consumer(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let consumer = args.at(3)?;
    change(kv, args, cx, |kv, key, name| {
        in_group(kv, key, name, cx, |_, group, kv| {
            let is_new = group.create_consumer(kv, consumer, cx.now_ms)?;
            if is_new {
                kv.announce(cx.db, key, CONSUMER_CREATED);
            }
            Ok(flag(is_new))
        })
    })
}

/// XGROUP DELCONSUMER key group consumer: how much was pending for it.
pub fn delete_consumer(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let consumer = args.at(3)?;
    change(kv, args, cx, |kv, key, name| {
        in_group(kv, key, name, cx, |_, group, kv| {
            if group.consumer(kv, consumer)?.is_none() {
                return Ok(Reply::Int(0));
            }
            let pending = group.delete_consumer(kv, consumer)?;
            kv.announce(cx.db, key, Event::stream("xgroup-delconsumer"));
            Ok(Reply::Int(pending.cast_signed()))
        })
    })
}

/// Works on a group that must be there, as must its key.
fn change(
    kv: &mut dyn KvMut,
    args: &Args<'_>,
    cx: &Cx,
    work: impl FnOnce(&mut dyn KvMut, &[u8], &[u8]) -> Result<Option<Reply>, CommandError>,
) -> Outcome {
    let (key, name) = (args.at(1)?, args.at(2)?);
    if open(kv.as_kv(), key, cx)?.is_none() {
        return Err(CommandError::Stream(StreamError::NoKey));
    }
    work(kv, key, name)?.ok_or_else(|| CommandError::Stream(StreamError::no_group(key, name)))
}

#[derive(Default)]
struct Options {
    mkstream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &Args<'_>, of_create: bool) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut words = args.from(4).iter();
        while let Some(word) = words.next() {
            if of_create && is(word, "MKSTREAM") {
                options.mkstream = true;
            } else if is(word, "ENTRIESREAD") {
                let number = int(words.next().ok_or_else(|| wrong_form(args))?)?;
                if number < -1 {
                    return Err(CommandError::Stream(StreamError::NegativeEntriesRead));
                }
                options.entries_read = u64::try_from(number).ok();
            } else {
                return Err(wrong_form(args));
            }
        }
        Ok(options)
    }
}

fn wrong_form(args: &Args<'_>) -> CommandError {
    let name = args.at(0).unwrap_or_default().to_vec();
    CommandError::Stream(StreamError::Subcommand { container: "XGROUP", name })
}
