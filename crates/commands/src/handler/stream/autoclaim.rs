//! XAUTOCLAIM.

use bytes::Bytes;
use datatypes::KvMut;
use datatypes::number::parse_i64;
use datatypes::stream::{GroupEdit, Pending, Stream, StreamId};
use resp::Reply;

use super::super::Outcome;
use super::{StreamError, in_group, parse_start, see_consumer, show_entry, show_id};
use crate::args::is;
use crate::{Args, CommandError, Cx};

const COUNT_DEFAULT: usize = 100;
const COUNT_MAX: i64 = i64::MAX / 16;
/// Pending entries looked at for each that is wanted.
const ATTEMPTS: usize = 10;

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT n] [JUSTID]: where to go on, what was claimed,
/// and the ids of what was deleted meanwhile.
pub fn xautoclaim(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, name) = (args.at(0)?, args.at(1)?);
    let options = Options::parse(args)?;
    let reply = in_group(kv, key, name, cx, |stream, group, kv| {
        see_consumer(kv, key, group, &options.consumer, cx)?;
        claim(stream, group, kv, &options, cx)
    })?;
    reply.ok_or_else(|| CommandError::Stream(StreamError::no_key_or_group(key, name)))
}

fn claim(stream: &Stream, group: &mut GroupEdit, kv: &mut dyn KvMut, options: &Options, cx: &Cx) -> Outcome {
    let attempts = options.count.saturating_mul(ATTEMPTS);
    let most = attempts.saturating_add(1);
    let ids = stream.pending_ids(kv.as_kv(), group.group(), options.start, most)?;
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    let mut seen = 0;
    for &id in ids.iter().take(attempts) {
        if claimed.len() + deleted.len() == options.count {
            break;
        }
        seen += 1;
        let Some(entry) = stream.get(kv.as_kv(), id)? else {
            group.release(kv, id)?;
            deleted.push(show_id(id));
            continue;
        };
        let Some(former) = stream.pending(kv.as_kv(), group.group(), id)? else { continue };
        if former.idle_ms(cx.now_ms) < options.min_idle_ms {
            continue;
        }
        let deliveries = former.deliveries.wrapping_add(u64::from(!options.just_id));
        let (delivered_ms, consumer) = (cx.now_ms.cast_signed(), options.consumer.clone());
        group.deliver(kv, id, &Pending { delivered_ms, deliveries, consumer })?;
        group.activate(kv, &options.consumer, cx.now_ms)?;
        claimed.push(if options.just_id { show_id(id) } else { show_entry(entry) });
    }
    let next = ids.get(seen).copied().unwrap_or(StreamId::MIN);
    Ok(Reply::Array(vec![show_id(next), Reply::Array(claimed), Reply::Array(deleted)]))
}

struct Options {
    consumer: Bytes,
    /// At most 0: however long.
    min_idle_ms: i64,
    start: StreamId,
    count: usize,
    just_id: bool,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let min_idle_ms =
            parse_i64(args.at(3)?).ok_or(CommandError::Stream(StreamError::MinIdle("XAUTOCLAIM")))?;
        let min_idle_ms = if min_idle_ms <= 0 { i64::MIN } else { min_idle_ms };
        let (start, consumer) = (parse_start(args.at(4)?)?, Bytes::copy_from_slice(args.at(2)?));
        let mut options = Self { consumer, min_idle_ms, start, count: COUNT_DEFAULT, just_id: false };
        let mut words = args.from(5).iter();
        while let Some(word) = words.next() {
            if is(word, "COUNT") && !words.as_slice().is_empty() {
                options.count = parse_count(words.next().copied().unwrap_or_default())?;
            } else if is(word, "JUSTID") {
                options.just_id = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn parse_count(text: &[u8]) -> Result<usize, CommandError> {
    let count = parse_i64(text).filter(|count| (1..=COUNT_MAX).contains(count));
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or(CommandError::Stream(StreamError::CountNotPositive))
}
