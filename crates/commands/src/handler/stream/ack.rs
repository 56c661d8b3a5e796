//! XACK.

use datatypes::KvMut;

use super::super::{Outcome, count};
use super::{in_group, parse_ids};
use crate::{Args, Cx};

/// XACK key group id [id …]: how many of them were pending.
pub fn xack(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let released = in_group(kv, args.at(0)?, args.at(1)?, cx, |_, group, kv| {
        let mut released = 0;
        for id in parse_ids(args.from(2))? {
            released += usize::from(group.release(kv, id)?);
        }
        Ok(released)
    })?;
    Ok(count(released.unwrap_or(0)))
}
