//! BITOP. It needs its keys in one slot.

use bytes::Bytes;
use datatypes::bits::{self, Operation};
use datatypes::{Event, KvMut};

use super::super::{Outcome, count, keyspace, reader, remove, string_bytes};
use crate::args::is;
use crate::error::BitError;
use crate::{Args, CommandError, Cx};

/// BITOP AND | OR | XOR | NOT destination key [key …]: a missing key is an empty string, shorter
/// strings are followed by zeros, and an empty result removes the destination.
pub fn bitop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let operation = operation(args.at(0)?)?;
    if operation == Operation::Not && args.len() != 3 {
        return Err(CommandError::Bit(BitError::NotTakesOne));
    }
    let mut sources: Vec<Bytes> = Vec::with_capacity(args.from(2).len());
    for key in args.from(2) {
        sources.push(string_bytes(reader(kv.as_kv(), cx).lookup(key)?)?.unwrap_or_default());
    }
    let len = sources.iter().map(Bytes::len).max().unwrap_or(0);
    let mut keyspace = keyspace(kv, cx);
    let destination = keyspace.entry(args.at(1)?)?;
    if len == 0 {
        remove(&mut keyspace, args.at(1)?, destination);
    } else {
        let sources: Vec<&[u8]> = sources.iter().map(|source| &source[..]).collect();
        keyspace.put_edited(destination, None, len, |out| bits::combine(operation, &sources, out));
        keyspace.announce(args.at(1)?, Event::string("set"));
    }
    Ok(count(len))
}

fn operation(word: &[u8]) -> Result<Operation, CommandError> {
    match word {
        word if is(word, "AND") => Ok(Operation::And),
        word if is(word, "OR") => Ok(Operation::Or),
        word if is(word, "XOR") => Ok(Operation::Xor),
        word if is(word, "NOT") => Ok(Operation::Not),
        _ => Err(CommandError::Syntax),
    }
}
