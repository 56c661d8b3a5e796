//! Strings as counters.

use datatypes::number::{LongDouble, parse_i64};
use datatypes::{Event, KvMut, Record, StringForm};
use resp::Reply;

use super::super::{Outcome, expect_string, keyspace};
use crate::{Args, CommandError, Cx};

pub fn incr(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    add(kv, args, cx, 1)
}

pub fn decr(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    add(kv, args, cx, -1)
}

pub fn incrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    add(kv, args, cx, args.int(1)?)
}

pub fn decrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let amount = args.int(1)?.checked_neg().ok_or(CommandError::DecrementOverflow)?;
    add(kv, args, cx, amount)
}

fn add(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, amount: i64) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let old = expect_string(entry.live())?;
    let (value, expiry_ms) = match old {
        Some(record) => (parse_i64(&record.payload).ok_or(CommandError::NotInteger)?, record.expiry_ms),
        None => (0, None),
    };
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementOverflow)?;
    keyspace.put_string(entry, itoa::Buffer::new().format(sum).as_bytes(), expiry_ms);
    keyspace.announce(args.at(0)?, Event::string("incrby"));
    Ok(Reply::Int(sum))
}

pub fn incrbyfloat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let old = expect_string(entry.live())?;
    let stored = old.map_or(&b"0"[..], |record| &record.payload);
    let parse = |text: &[u8]| LongDouble::parse(text).ok_or(CommandError::NotFloat);
    let (value, amount) = (parse(stored)?, parse(args.at(1)?)?);
    let sum = value.checked_add(amount).ok_or(CommandError::IncrementNotFinite)?;
    let text = bytes::Bytes::from(sum.to_text());
    let expiry_ms = old.and_then(|record| record.expiry_ms);
    let record = Record { form: StringForm::Text, expiry_ms, ..Record::string(text.clone()) };
    keyspace.put(entry, &record);
    keyspace.announce(args.at(0)?, Event::string("incrbyfloat"));
    Ok(Reply::Bulk(text))
}
