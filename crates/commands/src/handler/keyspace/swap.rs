//! SWAPDB.

use datatypes::KvMut;
use datatypes::kv::SHARDS;
use datatypes::number::parse_i64;
use datatypes::swap::swap_databases;
use resp::Reply;

use super::super::Outcome;
use crate::error::SwapError;
use crate::{Args, CommandError, Cx, DATABASES};

/// SWAPDB index1 index2: this group's part.
pub fn swapdb(kv: &mut dyn KvMut, args: &Args<'_>, _: &Cx) -> Outcome {
    let first = index(args.at(0)?, SwapError::First)?;
    let second = index(args.at(1)?, SwapError::Second)?;
    let database = |index: i32| u8::try_from(index).ok().filter(|&db| db < DATABASES);
    let (Some(first), Some(second)) = (database(first), database(second)) else {
        return Err(CommandError::DatabaseOutOfRange);
    };
    let (shards, other_shards) = (first | SHARDS, second | SHARDS);
    if swap_databases(kv, first, second)? && swap_databases(kv, shards, other_shards)? {
        Ok(Reply::OK)
    } else {
        Err(SwapError::TooLarge.into())
    }
}

fn index(text: &[u8], error: SwapError) -> Result<i32, CommandError> {
    parse_i64(text).and_then(|number| i32::try_from(number).ok()).ok_or(error.into())
}
