//! XCLAIM.

use bytes::Bytes;
use datatypes::KvMut;
use datatypes::number::parse_i64;
use datatypes::stream::{GroupEdit, Pending, Stream, StreamId};
use resp::Reply;

use super::super::Outcome;
use super::{StreamError, in_group, parse_id, see_consumer, show_entry, show_id};
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// XCLAIM key group consumer min-idle-time id … [IDLE ms] [TIME unix-ms] [RETRYCOUNT n] [FORCE] [JUSTID]
/// [LASTID id]
pub fn xclaim(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, name) = (args.at(0)?, args.at(1)?);
    let consumer = Bytes::copy_from_slice(args.at(2)?);
    let claimed = in_group(kv, key, name, cx, |stream, group, kv| {
        let options = Options::parse(args, cx.now_ms)?;
        group.raise_last(options.last);
        see_consumer(kv, key, group, &consumer, cx)?;
        let mut claimed = Vec::new();
        for &id in &options.ids {
            claimed.extend(claim(stream, group, kv, &consumer, id, &options, cx)?);
        }
        Ok(claimed)
    })?;
    let claimed = claimed.ok_or_else(|| CommandError::Stream(StreamError::no_key_or_group(key, name)))?;
    Ok(Reply::Array(claimed))
}

/// What is shown of an entry that the consumer has now.
fn claim(
    stream: &Stream,
    group: &mut GroupEdit,
    kv: &mut dyn KvMut,
    consumer: &Bytes,
    id: StreamId,
    options: &Options,
    cx: &Cx,
) -> Result<Option<Reply>, CommandError> {
    let former = stream.pending(kv.as_kv(), group.group(), id)?;
    let Some(entry) = stream.get(kv.as_kv(), id)? else {
        group.release(kv, id)?;
        return Ok(None);
    };
    let deliveries = match former {
        Some(former) if former.idle_ms(cx.now_ms) < options.min_idle_ms => return Ok(None),
        Some(former) => former.deliveries,
        None if options.force => 1,
        None => return Ok(None),
    };
    let deliveries = match options.deliveries {
        Some(given) => given,
        None => deliveries.wrapping_add(u64::from(!options.just_id)),
    };
    let delivery = Pending { delivered_ms: options.delivered_ms, deliveries, consumer: consumer.clone() };
    group.deliver(kv, id, &delivery)?;
    group.activate(kv, consumer, cx.now_ms)?;
    Ok(Some(if options.just_id { show_id(id) } else { show_entry(entry) }))
}

struct Options {
    /// At most 0: however long.
    min_idle_ms: i64,
    ids: Vec<StreamId>,
    delivered_ms: i64,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last: StreamId,
}

impl Options {
    /// Ids end where one cannot be read: there options begin.
    fn parse(args: &Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        let now = now_ms.cast_signed();
        let ids: Vec<_> = args.from(4).iter().map_while(|text| StreamId::parse(text, 0)).collect();
        let min_idle_ms =
            parse_i64(args.at(3)?).ok_or(CommandError::Stream(StreamError::MinIdle("XCLAIM")))?;
        // An entry may be delivered in the future, by TIME of another clock; 0 asks for none of it.
        let min_idle_ms = if min_idle_ms <= 0 { i64::MIN } else { min_idle_ms };
        let (mut delivered, mut deliveries) = (None, None);
        let (mut force, mut just_id, mut last) = (false, false, StreamId::MIN);
        let mut words = args.from(4 + ids.len()).iter();
        while let Some(&word) = words.next() {
            let more = !words.as_slice().is_empty();
            let mut number = |option| -> Result<i64, CommandError> {
                let text = words.next().copied().unwrap_or_default();
                parse_i64(text).ok_or(CommandError::Stream(StreamError::ClaimOption(option)))
            };
            if is(word, "FORCE") {
                force = true;
            } else if is(word, "JUSTID") {
                just_id = true;
            } else if is(word, "IDLE") && more {
                delivered = Some(now.wrapping_sub(number("IDLE")?));
            } else if is(word, "TIME") && more {
                delivered = Some(number("TIME")?);
            } else if is(word, "RETRYCOUNT") && more {
                deliveries = u64::try_from(number("RETRYCOUNT")?).ok();
            } else if is(word, "LASTID") && more {
                last = parse_id(words.next().copied().unwrap_or_default())?;
            } else {
                return Err(CommandError::Stream(StreamError::UnknownClaimOption(word.to_vec())));
            }
        }
        // A time that cannot be is now: clocks differ.
        let delivered_ms = delivered.filter(|ms| (0..=now).contains(ms)).unwrap_or(now);
        Ok(Self { min_idle_ms, ids, delivered_ms, deliveries, force, just_id, last })
    }
}
