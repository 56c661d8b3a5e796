//! Commands over all keys of a group; the proxy merges the groups' answers.

use std::ops::ControlFlow;

use datatypes::{Kv, KvMut, SLOT_COUNT, glob, slots};
use resp::Reply;

use super::super::Outcome;
use crate::args::is;
use crate::{Args, CommandError, Cx};

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
