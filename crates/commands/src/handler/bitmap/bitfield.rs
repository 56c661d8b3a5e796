//! BITFIELD: several reads and writes of integers in one string.

use datatypes::bits::{FieldType, Overflow, bytes_for};
use datatypes::number::parse_i64;
use datatypes::{Kv, KvMut};
use resp::Reply;

use super::super::{Outcome, expect_string, keyspace, reader, string_bytes};
use super::SETBIT;
use super::offset::field_offset;
use crate::args::{int, is};
use crate::error::BitError;
use crate::{Args, CommandError, Cx};

/// What to do with one field.
#[derive(Debug, Clone, Copy)]
enum Action {
    Get,
    Set { value: i64, overflow: Overflow },
    IncrBy { amount: i64, overflow: Overflow },
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    kind: FieldType,
    offset: u64,
    action: Action,
}

/// BITFIELD key [GET type offset | [OVERFLOW how] SET type offset value | … INCRBY type offset amount] …
pub fn bitfield(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let operations = parse(args.from(1))?;
    let Some(last_bit) = last_bit_written(&operations) else {
        return read(kv.as_kv(), args, cx, &operations);
    };
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let old = expect_string(entry.live())?;
    let expiry_ms = old.and_then(|record| record.expiry_ms);
    let old = old.map(|record| record.payload.clone()).unwrap_or_default();
    // A write makes room even if it then fails.
    let len = old.len().max(bytes_for(last_bit));
    if len == old.len() && operations.iter().all(|operation| operation.keeps(&old)) {
        return Ok(Reply::Array(operations.iter().map(|operation| operation.preview(&old)).collect()));
    }
    let mut replies = Vec::with_capacity(operations.len());
    keyspace.put_edited(entry, expiry_ms, len, |bytes| {
        bytes[..old.len()].copy_from_slice(&old);
        replies.extend(operations.iter().map(|operation| operation.run(bytes)));
    });
    let is_written = |(operation, reply): (&Operation, &Reply)| {
        !matches!(operation.action, Action::Get) && !matches!(reply, Reply::Null)
    };
    if operations.iter().zip(&replies).any(is_written) {
        keyspace.announce(args.at(0)?, SETBIT);
    }
    Ok(Reply::Array(replies))
}

/// BITFIELD_RO key [GET type offset] …
pub fn bitfield_ro(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let operations = parse(args.from(1))?;
    if last_bit_written(&operations).is_some() {
        return Err(CommandError::Bit(BitError::ReadOnlyField));
    }
    read(kv, args, cx, &operations)
}

fn read(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, operations: &[Operation]) -> Outcome {
    let value = string_bytes(reader(kv, cx).lookup(args.at(0)?)?)?.unwrap_or_default();
    Ok(Reply::Array(operations.iter().map(|operation| operation.preview(&value)).collect()))
}

/// `None`: none of the operations writes.
fn last_bit_written(operations: &[Operation]) -> Option<u64> {
    let writes = operations.iter().filter(|operation| !matches!(operation.action, Action::Get));
    writes.map(|operation| operation.kind.last_bit(operation.offset)).max()
}

impl Operation {
    /// Executes the operation on `bytes`, which have room for it, and answers.
    fn run(&self, bytes: &mut [u8]) -> Reply {
        let reply = self.preview(bytes);
        if let Some(value) = self.result(bytes) {
            self.kind.set(bytes, self.offset, value);
        }
        reply
    }

    /// What the operation answers on `bytes`: SET the old value, the others what is there then.
    fn preview(&self, bytes: &[u8]) -> Reply {
        let old = self.kind.get(bytes, self.offset);
        let answer = match self.action {
            Action::Get => Some(old),
            Action::Set { .. } => self.result(bytes).map(|_| old),
            Action::IncrBy { .. } => self.result(bytes),
        };
        answer.map_or(Reply::Null, Reply::Int)
    }

    /// The value to write; `None` if there is none.
    fn result(&self, bytes: &[u8]) -> Option<i64> {
        match self.action {
            Action::Get => None,
            Action::Set { value, overflow } => self.kind.add(value, 0, overflow),
            Action::IncrBy { amount, overflow } => {
                self.kind.add(self.kind.get(bytes, self.offset), amount, overflow)
            }
        }
    }

    /// Whether the operation would leave `bytes` as they are.
    fn keeps(&self, bytes: &[u8]) -> bool {
        let old = self.kind.get(bytes, self.offset);
        self.result(bytes).is_none_or(|value| value == old)
    }
}

fn parse(words: &[&[u8]]) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::default();
    let mut rest = words;
    loop {
        rest = match rest {
            [] => return Ok(operations),
            [word, kind, offset, behind @ ..] if is(word, "GET") => {
                operations.push(operation(kind, offset, || Ok(Action::Get))?);
                behind
            }
            [word, kind, offset, value, behind @ ..] if is(word, "SET") => {
                let set = || Ok(Action::Set { value: int(value)?, overflow });
                operations.push(operation(kind, offset, set)?);
                behind
            }
            [word, kind, offset, amount, behind @ ..] if is(word, "INCRBY") => {
                let add = || Ok(Action::IncrBy { amount: int(amount)?, overflow });
                operations.push(operation(kind, offset, add)?);
                behind
            }
            [word, how, behind @ ..] if is(word, "OVERFLOW") => {
                overflow = overflow_named(how)?;
                behind
            }
            _ => return Err(CommandError::Syntax),
        };
    }
}

/// The action is read last: the first mistake is the one that is told.
fn operation(
    kind: &[u8],
    offset: &[u8],
    action: impl FnOnce() -> Result<Action, CommandError>,
) -> Result<Operation, CommandError> {
    let kind = field_type(kind)?;
    Ok(Operation { kind, offset: field_offset(offset, kind.bits)?, action: action()? })
}

fn overflow_named(word: &[u8]) -> Result<Overflow, CommandError> {
    match word {
        word if is(word, "WRAP") => Ok(Overflow::Wrap),
        word if is(word, "SAT") => Ok(Overflow::Saturate),
        word if is(word, "FAIL") => Ok(Overflow::Fail),
        _ => Err(CommandError::Bit(BitError::Overflow)),
    }
}

/// `i1` to `i64`, `u1` to `u63`.
fn field_type(text: &[u8]) -> Result<FieldType, CommandError> {
    let (signed, digits) = match text {
        [b'i', digits @ ..] => (true, digits),
        [b'u', digits @ ..] => (false, digits),
        _ => return Err(CommandError::Bit(BitError::FieldType)),
    };
    let bits_max = if signed { 64 } else { 63 };
    let bits = parse_i64(digits).and_then(|bits| u32::try_from(bits).ok());
    let bits = bits.filter(|bits| (1..=bits_max).contains(bits));
    bits.map(|bits| FieldType { signed, bits }).ok_or(CommandError::Bit(BitError::FieldType))
}
