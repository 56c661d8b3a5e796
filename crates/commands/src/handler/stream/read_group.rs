//! XREADGROUP.

use bytes::Bytes;
use datatypes::KvMut;
use datatypes::stream::{GroupEdit, Pending, Stream, StreamId};
use resp::Reply;

use super::super::Outcome;
use super::read::Options;
use super::{StreamError, open, parse_id, read_in_group, see_consumer, show_entries, show_entry, show_id};
use crate::{Args, CommandError, Cx};

/// XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key … id …
///
/// `>` delivers new entries; an id answers again what is pending for the consumer after it.
pub fn xreadgroup(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, "xreadgroup", cx.now_ms)?;
    let (name, consumer) = options.group.ok_or(CommandError::Stream(StreamError::MissingGroup))?;
    let mut wanted = Vec::new();
    for (key, id) in options.streams() {
        let group = match open(kv.as_kv(), key, cx)? {
            Some(stream) => stream.group(kv.as_kv(), name)?,
            None => None,
        };
        if group.is_none() {
            let (key, group) = (key.to_vec(), name.to_vec());
            return Err(CommandError::Stream(StreamError::NothingToRead { key, group }));
        }
        wanted.push((key, parse_after(id)?));
    }
    let consumer = Bytes::copy_from_slice(consumer);
    let mut found = Vec::new();
    for (key, after) in wanted {
        let entries = read_in_group(kv, key, name, cx, |stream, group, kv| {
            see_consumer(kv, key, group, &consumer, cx)?;
            match after {
                Some(id) => deliver_again(stream, group, kv, &consumer, id, &options, cx).map(Some),
                None => deliver_new(stream, group, kv, &consumer, &options, cx),
            }
        })?;
        let entries = entries.and_then(|(entries, _)| entries);
        found.extend(entries.map(|entries| (Reply::bulk(key), entries)));
    }
    options.answer(found, cx)
}

/// The id after which the history is read; `None`: new entries. (The greatest id is as good as `>`.)
fn parse_after(id: &[u8]) -> Result<Option<StreamId>, CommandError> {
    match id {
        b"$" => Err(CommandError::Stream(StreamError::LastOfXreadgroup)),
        b">" => Ok(None),
        id => Ok(Some(parse_id(id)?).filter(|&id| id != StreamId::MAX)),
    }
}

/// `None` if there is nothing new.
fn deliver_new(
    stream: &Stream,
    group: &mut GroupEdit,
    kv: &mut dyn KvMut,
    consumer: &Bytes,
    options: &Options<'_>,
    cx: &Cx,
) -> Result<Option<Reply>, CommandError> {
    let Some(start) = group.group().last.next() else { return Ok(None) };
    let entries = stream.range(kv.as_kv(), start, StreamId::MAX, options.most)?;
    if entries.is_empty() {
        return Ok(None);
    }
    let delivered_ms = cx.now_ms.cast_signed();
    for entry in &entries {
        group.advance(entry.id);
        if !options.noack {
            let delivery = Pending { delivered_ms, deliveries: 1, consumer: consumer.clone() };
            group.deliver(kv, entry.id, &delivery)?;
        }
    }
    if !options.noack {
        group.activate(kv, consumer, cx.now_ms)?;
    }
    Ok(Some(show_entries(entries)))
}

/// What was deleted meanwhile is shown without fields.
fn deliver_again(
    stream: &Stream,
    group: &mut GroupEdit,
    kv: &mut dyn KvMut,
    consumer: &Bytes,
    after: StreamId,
    options: &Options<'_>,
    cx: &Cx,
) -> Result<Reply, CommandError> {
    let range = (after.next().unwrap_or(StreamId::MAX), StreamId::MAX);
    let ids = stream.pending_ids_of(kv.as_kv(), group.group(), consumer, range, options.most)?;
    let mut shown = Vec::new();
    for id in ids {
        let Some(entry) = stream.get(kv.as_kv(), id)? else {
            shown.push(Reply::Array(vec![show_id(id), Reply::NullArray]));
            continue;
        };
        if let Some(delivery) = stream.pending(kv.as_kv(), group.group(), id)? {
            let deliveries = delivery.deliveries.wrapping_add(1);
            group.update(kv, id, &Pending { delivered_ms: cx.now_ms.cast_signed(), deliveries, ..delivery });
        }
        shown.push(show_entry(entry));
    }
    Ok(Reply::Array(shown))
}
