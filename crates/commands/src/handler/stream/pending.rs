//! XPENDING.

use std::ops::ControlFlow;

use datatypes::Kv;
use datatypes::stream::{Group, Pending, Stream, StreamId};
use resp::Reply;

use super::super::Outcome;
use super::{StreamError, open, parse_end, parse_start, show_id};
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
pub fn xpending(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, name) = (args.at(0)?, args.at(1)?);
    let filter = Filter::parse(args)?;
    let stream = open(kv, key, cx)?;
    let group = stream.map(|stream| stream.group(kv, name)).transpose()?.flatten();
    let (Some(stream), Some(group)) = (stream, group) else {
        return Err(CommandError::Stream(StreamError::no_key_or_group(key, name)));
    };
    match filter {
        None => summary(kv, &stream, &group),
        Some(filter) => filter.select(kv, &stream, &group, cx),
    }
}

/// How many are pending, from which to which, and for whom.
fn summary(kv: &mut dyn Kv, stream: &Stream, group: &Group) -> Outcome {
    let first = stream.pending_ids(kv, group, StreamId::MIN, 1)?;
    let (Some(&first), Some(last)) = (first.first(), stream.last_pending(kv, group)?) else {
        return Ok(Reply::Array(vec![Reply::Int(0), Reply::Null, Reply::Null, Reply::NullArray]));
    };
    let consumers = stream.consumers(kv, group)?.into_iter().filter(|(_, consumer)| consumer.pending > 0);
    let consumers = consumers.map(|(name, consumer)| {
        Reply::Array(vec![Reply::Bulk(name), Reply::bulk(itoa::Buffer::new().format(consumer.pending))])
    });
    let consumers = Reply::Array(consumers.collect());
    Ok(Reply::Array(vec![Reply::Int(group.pending.cast_signed()), show_id(first), show_id(last), consumers]))
}

/// Which pending entries are asked for.
struct Filter<'a> {
    /// At most 0: any.
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// Words behind the consumer are passed over, as by Redis.
    fn parse(args: &Args<'a>) -> Result<Option<Self>, CommandError> {
        if args.len() == 2 {
            return Ok(None);
        }
        if !(5..=8).contains(&args.len()) {
            return Err(CommandError::Syntax);
        }
        let (mut at, mut min_idle_ms) = (2, 0);
        if is(args.at(2)?, "IDLE") {
            min_idle_ms = args.int(3)?;
            at = 4;
            if args.len() < 7 {
                return Err(CommandError::Syntax);
            }
        }
        let count = usize::try_from(args.int(at + 2)?).unwrap_or(0);
        let (start, end) = (parse_start(args.at(at)?)?, parse_end(args.at(at + 1)?)?);
        let consumer = args.from(at + 3).first().copied();
        Ok(Some(Self { min_idle_ms, start, end, count, consumer }))
    }

    fn select(&self, kv: &mut dyn Kv, stream: &Stream, group: &Group, cx: &Cx) -> Outcome {
        let mut found = Vec::new();
        if self.count == 0 {
            return Ok(Reply::Array(found));
        }
        let mut visit = |id, delivery: Pending| {
            if self.min_idle_ms == 0 || delivery.idle_ms(cx.now_ms) >= self.min_idle_ms {
                found.push(show(id, delivery, cx));
            }
            if found.len() < self.count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        match self.consumer {
            None => stream.each_pending(kv, group, self.start, self.end, &mut visit)?,
            Some(name) => {
                let range = (self.start, self.end);
                stream.each_pending_of(kv, group, name, range, &mut visit)?;
            }
        }
        Ok(Reply::Array(found))
    }
}

fn show(id: StreamId, delivery: Pending, cx: &Cx) -> Reply {
    let idle_ms = delivery.idle_ms(cx.now_ms).max(0);
    let deliveries = Reply::Int(delivery.deliveries.cast_signed());
    Reply::Array(vec![show_id(id), Reply::Bulk(delivery.consumer), Reply::Int(idle_ms), deliveries])
}
