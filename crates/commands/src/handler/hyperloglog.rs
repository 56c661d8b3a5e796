//! HyperLogLogs.

use datatypes::hyperloglog::{self, HyperLogLog, REGISTERS, Registers, Sketch};
use datatypes::{Entry, Event, Keyspace, KvMut, Record, StringForm};
use resp::Reply;

use super::{Outcome, expect_string, flag, keyspace, reader, string_bytes};
use crate::args::is;
use crate::error::HllDebugError;
use crate::{Args, CommandError, Cx};

const PFADD: Event = Event::string("pfadd");

/// PFADD key [element …]: whether the estimate may have changed.
pub fn pfadd(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let (mut log, mut changed) = match expect_string(entry.live())? {
        Some(record) => (Sketch::parse(&record.payload)?.edit(), false),
        None => (HyperLogLog::default(), true),
    };
    for element in args.from(1) {
        changed |= log.add(element, cx.limits.sparse_log_bytes)?;
    }
    if changed {
        log.forget_estimate();
        put(&mut keyspace, entry, log);
        keyspace.announce(args.at(0)?, PFADD);
    }
    Ok(flag(changed))
}

/// PFCOUNT key [key …]: a write, because the estimate of a single key is kept in its value.
pub fn pfcount(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    if args.len() > 1 {
        return Ok(integer(hyperloglog::estimate(&union(kv, args.all(), cx)?.registers)));
    }
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.read_entry(args.at(0)?)?;
    let Some(record) = expect_string(entry.live())? else { return Ok(Reply::Int(0)) };
    let sketch = Sketch::parse(&record.payload)?;
    if let Some(estimate) = sketch.cached() {
        return Ok(integer(estimate));
    }
    let estimate = sketch.estimate()?;
    let mut log = sketch.edit();
    log.cache(estimate);
    put(&mut keyspace, entry, log);
    Ok(integer(estimate))
}

/// PFMERGE destination [source …]: the destination counts too, and becomes dense if any of them is.
pub fn pfmerge(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let union = union(kv, args.all(), cx)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let mut log = match expect_string(entry.live())? {
        Some(record) => Sketch::parse(&record.payload)?.edit(),
        None => HyperLogLog::default(),
    };
    if union.any_dense {
        log.make_dense()?;
    }
    log.merge(&union.registers, cx.limits.sparse_log_bytes)?;
    log.forget_estimate();
    put(&mut keyspace, entry, log);
    keyspace.announce(args.at(0)?, PFADD);
    Ok(Reply::OK)
}

/// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key. Whoever asks for the registers makes the value
/// dense, as in Redis.
pub fn pfdebug(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (subcommand, key) = (args.at(0)?, args.at(1)?);
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(key)?;
    let Some(record) = expect_string(entry.live())? else { return Err(HllDebugError::NoKey.into()) };
    let sketch = Sketch::parse(&record.payload)?;
    let is_dense = sketch.is_dense();
    if is(subcommand, "ENCODING") {
        return Ok(Reply::Simple(if is_dense { "dense" } else { "sparse" }));
    }
    if is(subcommand, "DECODE") {
        return sketch.describe().map(Reply::bulk).ok_or(HllDebugError::NotSparse.into());
    }
    let reply = if is(subcommand, "GETREG") {
        let registers = sketch.registers()?;
        Reply::Array(registers.iter().map(|&count| Reply::Int(count.into())).collect())
    } else if is(subcommand, "TODENSE") {
        flag(!is_dense)
    } else {
        return Err(HllDebugError::Unknown(subcommand.to_vec()).into());
    };
    if !is_dense {
        let mut log = sketch.edit();
        log.make_dense()?;
        put(&mut keyspace, entry, log);
    }
    Ok(reply)
}

struct Union {
    registers: Registers,
    any_dense: bool,
}

/// Of the keys that exist.
fn union(kv: &mut dyn KvMut, keys: &[&[u8]], cx: &Cx) -> Result<Union, CommandError> {
    let mut union = Union { registers: [0; REGISTERS], any_dense: false };
    for key in keys {
        let Some(value) = string_bytes(reader(kv.as_kv(), cx).lookup(key)?)? else { continue };
        let sketch = Sketch::parse(&value)?;
        union.any_dense |= sketch.is_dense();
        sketch.merge_into(&mut union.registers)?;
    }
    Ok(union)
}

fn put(keyspace: &mut Keyspace<'_>, entry: Entry, log: HyperLogLog) {
    let expiry_ms = entry.live().and_then(|record| record.expiry_ms);
    let record = Record { form: StringForm::Raw, expiry_ms, ..Record::string(log.into_value().into()) };
    keyspace.put(entry, &record);
}

fn integer(estimate: u64) -> Reply {
    Reply::Int(estimate.cast_signed())
}
