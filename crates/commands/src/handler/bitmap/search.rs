//! Reading a range of bits.
//!
//! As up to Redis 7.2, a missing key is answered before the range is looked at.

use datatypes::Kv;
use datatypes::bits::{self, BitRange, Unit};
use resp::Reply;

use super::super::{Outcome, reader, string_bytes};
use crate::args::is;
use crate::error::BitError;
use crate::{Args, CommandError, Cx};

/// BITCOUNT key [start end [BYTE | BIT]]
pub fn bitcount(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let Some(value) = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)? else { return Ok(Reply::Int(0)) };
    let range = match args.len() {
        1 => BitRange::whole(value.len()),
        3 | 4 => {
            let (start, end) = (args.int(1)?, args.int(2)?);
            // Redis answers this before it looks at the unit.
            if start < 0 && end < 0 && start > end {
                return Ok(Reply::Int(0));
            }
            BitRange::of(start, end, unit(args, 3)?, value.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    Ok(Reply::Int(range.map_or(0, |range| bits::count(&value, range)).cast_signed()))
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub fn bitpos(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let bit = match args.int(1)? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::Bit(BitError::Argument)),
    };
    let Some(value) = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)? else {
        return Ok(Reply::Int(if bit { -1 } else { 0 }));
    };
    let end_given = args.len() >= 4;
    let range = match args.len() {
        2 => BitRange::whole(value.len()),
        3..=5 => {
            let start = args.int(2)?;
            let unit = unit(args, 4)?;
            let end = if end_given { args.int(3)? } else { -1 };
            BitRange::of(start, end, unit, value.len())
        }
        _ => return Err(CommandError::Syntax),
    };
    let found = range.and_then(|range| bits::find(&value, range, bit));
    // A string without an end is followed by zeros.
    let behind = || if bit || end_given || range.is_none() { -1 } else { value.len() as i64 * 8 };
    Ok(Reply::Int(found.map_or_else(behind, u64::cast_signed)))
}

fn unit(args: &Args<'_>, index: usize) -> Result<Unit, CommandError> {
    match args.from(index) {
        [] => Ok(Unit::Byte),
        [word, ..] if is(word, "BYTE") => Ok(Unit::Byte),
        [word, ..] if is(word, "BIT") => Ok(Unit::Bit),
        _ => Err(CommandError::Syntax),
    }
}
