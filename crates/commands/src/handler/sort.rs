//! SORT: the elements of a list, a set or a sorted set, in another order.
//!
//! What a pattern of BY or GET leads to must be in the slot of the key itself, whatever the element: Redis
//! refuses the others in a cluster, and a command is executed by one group.

mod options;
mod order;
mod pattern;
mod source;

use std::ops::Range;

use bytes::Bytes;
use datatypes::{Event, Keyspace, Kv, KvMut, Type, slot_of};
use resp::Reply;

use self::options::Options;
use self::pattern::Pattern;
use self::source::Source;
use super::{Outcome, bulk_or_null, count, keyspace, remove};
use crate::{Args, CommandError, Cx};

/// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern …]] [ASC | DESC] [ALPHA]
pub fn sort_ro(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, false)?;
    answer(kv, args.at(0)?, &options, cx)
}

/// SORT: as SORT_RO, and with STORE the result becomes a list.
pub fn sort(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, true)?;
    let Some(target) = options.store else { return answer(kv.as_kv(), args.at(0)?, &options, cx) };
    if slot_of(target) != slot_of(args.at(0)?) {
        return Err(CommandError::CrossSlot);
    }
    let found = sorted(kv.as_kv(), args.at(0)?, &options, cx)?;
    let found: Vec<Bytes> = found.into_iter().map(Option::unwrap_or_default).collect();
    let mut keyspace = keyspace(kv, cx);
    store(&mut keyspace, target, &found, cx)?;
    Ok(count(found.len()))
}

fn answer(kv: &mut dyn Kv, key: &[u8], options: &Options<'_>, cx: &Cx) -> Outcome {
    let found = sorted(kv, key, options, cx)?;
    Ok(Reply::Array(found.into_iter().map(bulk_or_null).collect()))
}

/// A list of the elements; without any, no key.
fn store(
    keyspace: &mut Keyspace<'_>,
    target: &[u8],
    elements: &[Bytes],
    cx: &Cx,
) -> Result<(), CommandError> {
    let entry = keyspace.entry(target)?;
    if elements.is_empty() {
        remove(keyspace, target, entry);
        return Ok(());
    }
    let mut list = keyspace.create_list(entry, cx.limits.list, None);
    list.fill(elements)?;
    list.save()?;
    keyspace.announce(target, Event::list("sortstore"));
    Ok(())
}

/// What is answered for the elements within the limit, in their order.
fn sorted(
    kv: &mut dyn Kv,
    key: &[u8],
    options: &Options<'_>,
    cx: &Cx,
) -> Result<Vec<Option<Bytes>>, CommandError> {
    let Source { kind, mut elements } = Source::read(kv, key, cx)?;
    let window = window(options.limit, elements.len());
    // A stored result must not depend on the order in which a set happens to be held.
    let forced = options.keeps_order() && kind == Type::Set && options.store.is_some();
    if !options.keeps_order() || forced {
        elements = order::sort(kv, elements, options, forced, cx)?;
    } else if options.descending && kind != Type::Set {
        elements.reverse();
    }
    let chosen = &elements[window];
    if options.get.is_empty() {
        return Ok(chosen.iter().cloned().map(Some).collect());
    }
    let mut found = Vec::new();
    for element in chosen {
        for pattern in &options.get {
            found.push(pattern.lookup(kv, element, cx)?);
        }
    }
    Ok(found)
}

/// The elements that LIMIT means: an offset before the first is the first, a negative count is all.
fn window((offset, count): (i64, i64), len: usize) -> Range<usize> {
    let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    start..start.saturating_add(count).min(len)
}
