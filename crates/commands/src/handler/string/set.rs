//! SET and its relatives.

use datatypes::event::{self, Event};
use datatypes::{Keyspace, KvMut, Record};
use resp::Reply;

use super::super::{Outcome, bulk_or_null, expect_string, flag, keyspace};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

pub(super) const SET: Event = Event::string("set");

/// In what an expiry is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// EX
    Seconds,
    /// PX
    Milliseconds,
    /// EXAT
    UnixSeconds,
    /// PXAT
    UnixMilliseconds,
}

/// An expiry as the client told it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry<'a> {
    pub unit: Unit,
    pub amount: &'a [u8],
}

impl Expiry<'_> {
    /// The moment in group time, for the command called `name`.
    pub fn deadline(&self, name: &'static str, now_ms: u64) -> Result<u64, CommandError> {
        let amount = int(self.amount)?;
        let invalid = || CommandError::InvalidExpire(name);
        if amount <= 0 {
            return Err(invalid());
        }
        let scale = if matches!(self.unit, Unit::Seconds | Unit::UnixSeconds) { 1000 } else { 1 };
        let base = match self.unit {
            Unit::Seconds | Unit::Milliseconds => now_ms.cast_signed(),
            Unit::UnixSeconds | Unit::UnixMilliseconds => 0,
        };
        let when = amount.checked_mul(scale).and_then(|ms| ms.checked_add(base)).ok_or_else(invalid)?;
        u64::try_from(when).map_err(|_| invalid())
    }
}

/// Which expiry an option word announces.
pub(super) fn expiry_option(word: &[u8]) -> Option<Unit> {
    match word {
        word if is(word, "EX") => Some(Unit::Seconds),
        word if is(word, "PX") => Some(Unit::Milliseconds),
        word if is(word, "EXAT") => Some(Unit::UnixSeconds),
        word if is(word, "PXAT") => Some(Unit::UnixMilliseconds),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Missing,
    Present,
}

/// Options of SET.
#[derive(Default)]
struct Options<'a> {
    condition: Option<Condition>,
    get: bool,
    keep_ttl: bool,
    expiry: Option<Expiry<'a>>,
}

impl<'a> Options<'a> {
    /// Repeating an option is fine, contradicting one is not.
    fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 2;
        while at < args.len() {
            let word = args.at(at)?;
            if is(word, "NX") && options.condition != Some(Condition::Present) {
                options.condition = Some(Condition::Missing);
            } else if is(word, "XX") && options.condition != Some(Condition::Missing) {
                options.condition = Some(Condition::Present);
            } else if is(word, "GET") {
                options.get = true;
            } else if is(word, "KEEPTTL") && options.expiry.is_none() {
                options.keep_ttl = true;
            } else if let Some(unit) = expiry_option(word)
                && !options.keep_ttl
                && options.expiry.is_none_or(|old| old.unit == unit)
            {
                at += 1;
                options.expiry = Some(Expiry { unit, amount: args.at(at)? });
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }
}

/// SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
pub fn set(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, value) = (args.at(0)?, args.at(1)?);
    let options = Options::parse(args)?;
    let deadline = options.expiry.map(|expiry| expiry.deadline("set", cx.now_ms)).transpose()?;
    let mut keyspace = keyspace(kv, cx);
    let entry = if options.get { keyspace.read_entry(key)? } else { keyspace.entry(key)? };
    let old = entry.live();
    let old_reply = match options.get {
        true => Some(bulk_or_null(expect_string(old)?.map(|record| record.payload.clone()))),
        false => None,
    };
    let allowed = match options.condition {
        None => true,
        Some(Condition::Missing) => old.is_none(),
        Some(Condition::Present) => old.is_some(),
    };
    if !allowed {
        return Ok(old_reply.unwrap_or(Reply::Null));
    }
    let expiry_ms = if options.keep_ttl { kept_expiry(old) } else { deadline };
    keyspace.put_string(entry, value, expiry_ms);
    announce_set(&mut keyspace, key, deadline, cx);
    Ok(old_reply.unwrap_or(Reply::OK))
}

/// The key has a new value, and perhaps a new expiry.
fn announce_set(keyspace: &mut Keyspace<'_>, key: &[u8], deadline: Option<u64>, cx: &Cx) {
    keyspace.announce(key, SET);
    if let Some(deadline) = deadline {
        keyspace.announce(key, event::EXPIRE);
        if deadline <= cx.now_ms {
            keyspace.announce(key, event::EXPIRED);
        }
    }
}

fn kept_expiry(old: Option<&Record>) -> Option<u64> {
    old.and_then(|record| record.expiry_ms)
}

pub fn setnx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let missing = entry.live().is_none();
    if missing {
        keyspace.put_string(entry, args.at(1)?, None);
        keyspace.announce(args.at(0)?, SET);
    }
    Ok(flag(missing))
}

pub fn setex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiring(kv, args, cx, Unit::Seconds, "setex")
}

pub fn psetex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiring(kv, args, cx, Unit::Milliseconds, "psetex")
}

fn set_expiring(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, unit: Unit, name: &'static str) -> Outcome {
    let deadline = Expiry { unit, amount: args.at(1)? }.deadline(name, cx.now_ms)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    keyspace.put_string(entry, args.at(2)?, Some(deadline));
    announce_set(&mut keyspace, args.at(0)?, Some(deadline), cx);
    Ok(Reply::OK)
}

pub fn getset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.read_entry(args.at(0)?)?;
    let old = expect_string(entry.live())?.map(|record| record.payload.clone());
    keyspace.put_string(entry, args.at(1)?, None);
    keyspace.announce(args.at(0)?, SET);
    Ok(bulk_or_null(old))
}
