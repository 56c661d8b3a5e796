//! Single bits.

use datatypes::number::parse_i64;
use datatypes::{Kv, KvMut, bits};

use super::super::{Outcome, expect_string, flag, keyspace, reader, string_bytes};
use super::SETBIT;
use super::offset::offset;
use crate::error::BitError;
use crate::{Args, CommandError, Cx};

pub fn getbit(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let offset = offset(args.at(1)?)?;
    let value = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)?.unwrap_or_default();
    Ok(flag(bits::get(&value, offset)))
}

/// SETBIT key offset bit: answers the bit that was there; zero bytes fill the gap.
pub fn setbit(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let offset = offset(args.at(1)?)?;
    let on = match parse_i64(args.at(2)?) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CommandError::Bit(BitError::Value)),
    };
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let old = expect_string(entry.live())?;
    let expiry_ms = old.and_then(|record| record.expiry_ms);
    let old = old.map(|record| record.payload.clone()).unwrap_or_default();
    let (was_on, len) = (bits::get(&old, offset), old.len().max(bits::bytes_for(offset)));
    if was_on != on || len > old.len() {
        keyspace.put_edited(entry, expiry_ms, len, |bytes| {
            bytes[..old.len()].copy_from_slice(&old);
            bits::set(bytes, offset, on);
        });
        keyspace.announce(args.at(0)?, SETBIT);
    }
    Ok(flag(was_on))
}
