//! XINFO STREAM … FULL: entries, groups, consumers and what is pending, up to a count of each.

use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::Kv;
use datatypes::stream::{Consumer, Group, Pending, Stream, StreamId};
use resp::Reply;

use super::info::{Field, field, number, progress};
use super::{show_entries, show_id};
use crate::CommandError;

/// What FULL tells beside the stream's own fields.
pub(super) fn fields(kv: &mut dyn Kv, stream: &Stream, most: usize) -> Result<[Field; 2], CommandError> {
    let entries = stream.range(kv, StreamId::MIN, StreamId::MAX, most)?;
    let mut groups = Vec::new();
    for (name, group) in stream.groups(kv)? {
        groups.push(show_group(kv, stream, name, &group, most)?);
    }
    Ok([field("entries", show_entries(entries)), field("groups", Reply::Array(groups))])
}

fn show_group(
    kv: &mut dyn Kv,
    stream: &Stream,
    name: Bytes,
    group: &Group,
    most: usize,
) -> Result<Reply, CommandError> {
    let mut pending = Vec::new();
    stream.each_pending(kv, group, StreamId::MIN, StreamId::MAX, &mut |id, delivery| {
        let [id, delivered, deliveries] = show_delivery(id, &delivery);
        pending.push(Reply::Array(vec![id, Reply::Bulk(delivery.consumer), delivered, deliveries]));
        if pending.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut consumers = Vec::new();
    for (name, consumer) in stream.consumers(kv, group)? {
        consumers.push(show_consumer(kv, stream, group, name, &consumer, most)?);
    }
    let mut fields = vec![field("name", Reply::Bulk(name))];
    fields.extend(progress(stream.state(), group));
    fields.extend([
        field("pel-count", number(group.pending)),
        field("pending", Reply::Array(pending)),
        field("consumers", Reply::Array(consumers)),
    ]);
    Ok(Reply::Map(fields))
}

fn show_consumer(
    kv: &mut dyn Kv,
    stream: &Stream,
    group: &Group,
    name: Bytes,
    consumer: &Consumer,
    most: usize,
) -> Result<Reply, CommandError> {
    let mut pending = Vec::new();
    let all = (StreamId::MIN, StreamId::MAX);
    stream.each_pending_of(kv, group, &name, all, &mut |id, delivery| {
        pending.push(Reply::Array(show_delivery(id, &delivery).into()));
        if pending.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(Reply::Map(vec![
        field("name", Reply::Bulk(name)),
        field("seen-time", Reply::Int(consumer.seen_ms)),
        field("active-time", Reply::Int(consumer.active_ms.unwrap_or(-1))),
        field("pel-count", number(consumer.pending)),
        field("pending", Reply::Array(pending)),
    ]))
}

fn show_delivery(id: StreamId, delivery: &Pending) -> [Reply; 3] {
    [show_id(id), Reply::Int(delivery.delivered_ms), number(delivery.deliveries)]
}
