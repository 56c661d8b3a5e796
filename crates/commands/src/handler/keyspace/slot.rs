//! Keys of one slot, for the proxy's CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT.

use std::ops::ControlFlow;

use datatypes::{Kv, Slot, kv::SHARDS, slots};
use resp::Reply;

use super::super::Outcome;
use crate::{Args, CommandError, Cx};

/// Arguments: slot. A shard of a namespace counts as a key.
pub fn count_keys_in_slot(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let slot = slot(args.int(0)?).ok_or(CommandError::InvalidSlot)?;
    let keys = slots::count_of_slot(kv, slot, cx.db)? + slots::count_of_slot(kv, slot, cx.db | SHARDS)?;
    Ok(Reply::Int(keys.cast_signed()))
}

/// Arguments: slot, greatest number of keys.
pub fn get_keys_in_slot(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (number, most) = (args.int(0)?, args.int(1)?);
    let slot = slot(number).ok_or(CommandError::InvalidKeyCount)?;
    let most = usize::try_from(most).map_err(|_| CommandError::InvalidKeyCount)?;
    let mut keys = Vec::new();
    if most > 0 {
        slots::keys_of_slot(kv, slot, cx.db, cx.now_ms, &mut |key, _| {
            keys.push(Reply::bulk(key));
            if keys.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(Reply::Array(keys))
}

fn slot(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}
