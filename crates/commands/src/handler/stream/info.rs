//! XINFO. The first argument is the subcommand, then comes the key.

use datatypes::Kv;
use datatypes::stream::{Group, State, Stream, StreamId};
use resp::Reply;

use super::super::Outcome;
use super::{StreamError, info_full, open, show_entry, show_id};
use crate::args::is;
use crate::{Args, CommandError, Cx};

const FULL_COUNT_DEFAULT: i64 = 10;

/// XINFO STREAM key [FULL [COUNT n]]
pub fn stream(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let stream = open(kv, args.at(1)?, cx)?.ok_or(CommandError::NoSuchKey)?;
    let count = match args.from(2) {
        [] => return Ok(Reply::Map(summary(kv, &stream)?)),
        [full] if is(full, "FULL") => FULL_COUNT_DEFAULT,
        [full, word, _] if is(full, "FULL") && is(word, "COUNT") => args.int(4)?,
        _ => return Err(wrong_form(args)),
    };
    let count = if count < 0 { FULL_COUNT_DEFAULT } else { count };
    let mut fields = state_fields(stream.state());
    fields.extend(info_full::fields(kv, &stream, super::unlimited(count))?);
    Ok(Reply::Map(fields))
}

fn wrong_form(args: &Args<'_>) -> CommandError {
    let name = args.at(0).unwrap_or_default().to_vec();
    CommandError::Stream(StreamError::Subcommand { container: "XINFO", name })
}

pub(super) type Field = (Reply, Reply);

pub(super) fn field(name: &str, value: Reply) -> Field {
    (Reply::bulk(name), value)
}

pub(super) fn number(number: u64) -> Reply {
    Reply::Int(number.cast_signed())
}

fn state_fields(state: &State) -> Vec<Field> {
    vec![
        field("length", number(state.len)),
        field("radix-tree-keys", number(state.leaves())),
        // There is no tree; as many nodes as one of a single level would have.
        field("radix-tree-nodes", number(state.leaves() + 1)),
        field("last-generated-id", show_id(state.last)),
        field("max-deleted-entry-id", show_id(state.max_deleted)),
        field("entries-added", number(state.added)),
        field("recorded-first-entry-id", show_id(state.first)),
    ]
}

fn summary(kv: &mut dyn Kv, stream: &Stream) -> Result<Vec<Field>, CommandError> {
    let (from, to) = (StreamId::MIN, StreamId::MAX);
    let mut ends = [stream.range(kv, from, to, 1)?, stream.range_back(kv, from, to, 1)?]
        .map(|found| found.into_iter().next().map_or(Reply::Null, show_entry));
    let mut fields = state_fields(stream.state());
    fields.push(field("groups", number(stream.state().groups)));
    for (name, entry) in ["first-entry", "last-entry"].into_iter().zip(&mut ends) {
        fields.push(field(name, std::mem::replace(entry, Reply::Null)));
    }
    Ok(fields)
}

/// XINFO GROUPS key
pub fn groups(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let stream = open(kv, args.at(1)?, cx)?.ok_or(CommandError::NoSuchKey)?;
    let groups = stream.groups(kv)?.into_iter().map(|(name, group)| {
        let mut fields = vec![
            field("name", Reply::Bulk(name)),
            field("consumers", number(group.consumers)),
            field("pending", number(group.pending)),
        ];
        fields.extend(progress(stream.state(), &group));
        Reply::Map(fields)
    });
    Ok(Reply::Array(groups.collect()))
}

/// How far a group has read.
pub(super) fn progress(state: &State, group: &Group) -> [Field; 3] {
    [
        field("last-delivered-id", show_id(group.last)),
        field("entries-read", group.entries_read.map_or(Reply::Null, number)),
        field("lag", group.lag(state).map_or(Reply::Null, Reply::Int)),
    ]
}

/// XINFO CONSUMERS key group
pub fn consumers(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, name) = (args.at(1)?, args.at(2)?);
    let stream = open(kv, key, cx)?.ok_or(CommandError::NoSuchKey)?;
    let Some(group) = stream.group(kv, name)? else {
        return Err(CommandError::Stream(StreamError::no_group(key, name)));
    };
    let since = |ms: i64| cx.now_ms.cast_signed().saturating_sub(ms);
    let consumers = stream.consumers(kv, &group)?.into_iter().map(|(name, consumer)| {
        Reply::Map(vec![
            field("name", Reply::Bulk(name)),
            field("pending", number(consumer.pending)),
            field("idle", Reply::Int(since(consumer.seen_ms).max(0))),
            field("inactive", Reply::Int(consumer.active_ms.map_or(-1, since))),
        ])
    });
    Ok(Reply::Array(consumers.collect()))
}
