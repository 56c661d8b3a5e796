//! Strings edited in place.

use bytes::Bytes;
use datatypes::{Event, KvMut, Record, StringForm};

use super::super::{Outcome, STRING_BYTES_MAX, count, expect_string, keyspace};
use crate::{Args, CommandError, Cx};

const APPEND: Event = Event::string("append");

pub fn append(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let tail = args.at(1)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let Some(old) = expect_string(entry.live())? else {
        keyspace.put_string(entry, tail, None);
        keyspace.announce(args.at(0)?, APPEND);
        return Ok(count(tail.len()));
    };
    checked_len(old.payload.len(), tail.len())?;
    let joined = Bytes::from([&old.payload[..], tail].concat());
    let edited = edited(Some(old), joined);
    keyspace.put(entry, &edited);
    keyspace.announce(args.at(0)?, APPEND);
    Ok(count(edited.payload.len()))
}

/// SETRANGE key offset value: zero bytes fill the gap.
pub fn setrange(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let offset = usize::try_from(args.int(1)?).map_err(|_| CommandError::OffsetOutOfRange)?;
    let patch = args.at(2)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let old = expect_string(entry.live())?;
    let old_bytes = old.map_or(&[][..], |record| &record.payload);
    if patch.is_empty() {
        return Ok(count(old_bytes.len()));
    }
    let end = checked_len(offset, patch.len())?;
    let mut bytes = Vec::with_capacity(end.max(old_bytes.len()));
    bytes.extend_from_slice(old_bytes);
    bytes.resize(end.max(old_bytes.len()), 0);
    bytes[offset..end].copy_from_slice(patch);
    let edited = edited(old, Bytes::from(bytes));
    keyspace.put(entry, &edited);
    keyspace.announce(args.at(0)?, Event::string("setrange"));
    Ok(count(edited.payload.len()))
}

fn edited(old: Option<&Record>, payload: Bytes) -> Record {
    let expiry_ms = old.and_then(|record| record.expiry_ms);
    Record { form: StringForm::Raw, expiry_ms, ..Record::string(payload) }
}

fn checked_len(a: usize, b: usize) -> Result<usize, CommandError> {
    a.checked_add(b).filter(|&len| len <= STRING_BYTES_MAX).ok_or(CommandError::StringTooLong)
}
