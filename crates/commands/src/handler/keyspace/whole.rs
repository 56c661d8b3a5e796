//! Commands over all keys of a group; the proxy merges the groups' answers.

use std::ops::ControlFlow;

use datatypes::{Kv, KvMut, Random, SLOT_COUNT, Slot, glob, slots};
use resp::Reply;

use super::super::Outcome;
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// Keys of a slot that RANDOMKEY chooses among.
const SAMPLE_MAX: u64 = 1000;

pub fn dbsize(kv: &mut dyn Kv, _: &Args<'_>, cx: &Cx) -> Outcome {
    Ok(Reply::Int(kv.key_count(cx.db).cast_signed()))
}

pub fn keys(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let pattern = args.at(0)?;
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(slot) = slots::next_used_slot(kv, from, SLOT_COUNT, cx.db)? {
        slots::keys_of_slot(kv, slot, cx.db, cx.now_ms, &mut |key, _| {
            if glob::matches(pattern, key) {
                found.push(Reply::bulk(key));
            }
            ControlFlow::Continue(())
        })?;
        from = slot.number() + 1;
    }
    Ok(Reply::Array(found))
}

/// A key of the first slot with any from a random one on; keys of one slot are equally likely.
pub fn randomkey(kv: &mut dyn Kv, _: &Args<'_>, cx: &Cx) -> Outcome {
    let start = (cx.seed % u64::from(SLOT_COUNT)) as u16;
    for (mut from, end) in [(start, SLOT_COUNT), (0, start)] {
        while let Some(slot) = slots::next_used_slot(kv, from, end, cx.db)? {
            if let Some(key) = random_key_of(kv, slot, cx)? {
                return Ok(key);
            }
            from = slot.number() + 1;
        }
    }
    Ok(Reply::Null)
}

fn random_key_of(kv: &mut dyn Kv, slot: Slot, cx: &Cx) -> Result<Option<Reply>, CommandError> {
    let mut random = Random::new(cx.seed);
    let mut chosen = None;
    let mut seen = 0;
    slots::keys_of_slot(kv, slot, cx.db, cx.now_ms, &mut |key, _| {
        seen += 1;
        if random.below(seen) == 0 {
            chosen = Some(Reply::bulk(key));
        }
        if seen < SAMPLE_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(chosen)
}

/// FLUSHDB [ASYNC | SYNC]: removing ranges is cheap, so both are the same.
pub fn flushdb(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    check_flush_mode(args)?;
    slots::flush_database(kv, cx.db)?;
    Ok(Reply::OK)
}

pub fn flushall(kv: &mut dyn KvMut, args: &Args<'_>, _: &Cx) -> Outcome {
    check_flush_mode(args)?;
    slots::flush_all(kv);
    Ok(Reply::OK)
}

fn check_flush_mode(args: &Args<'_>) -> Result<(), CommandError> {
    match args.all() {
        [] => Ok(()),
        [mode] if is(mode, "SYNC") || is(mode, "ASYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}
