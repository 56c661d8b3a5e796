//! HSETEX: setting fields and their expiry at once.

use datatypes::{Edit, KvMut};

use super::super::{Outcome, flag, keyspace};
use super::named::Unit;
use super::{DELETED, EXPIRE, SET, edit};
use crate::args::is;
use crate::error::FieldError;
use crate::{Args, CommandError, Cx};

/// Which fields must be there for any to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    AllMissing,
    AllThere,
}

/// When the fields that are set expire.
#[derive(Debug, Clone, Copy)]
enum Expiry {
    Kept,
    At(u64),
}

#[derive(Debug, Default)]
struct Options<'a> {
    condition: Option<Condition>,
    expiry: Option<Expiry>,
    pairs: &'a [[&'a [u8]; 2]],
}

/// HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS numfields field value
/// [field value …]: answers whether the fields were set. A moment in the past deletes them.
pub fn hsetex(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args, cx)?;
    let mut keyspace = keyspace(kv, cx);
    let mut hash = edit(&mut keyspace, args, cx)?;
    if !options.is_met(&mut hash)? {
        return Ok(flag(false));
    }
    if options.pairs.len() as u64 > cx.limits.hash.entries {
        hash.grow()?;
    }
    for [field, value] in options.pairs {
        match options.expiry {
            Some(Expiry::At(when)) if when <= cx.now_ms => {
                hash.remove(field)?;
            }
            Some(Expiry::At(when)) => {
                hash.put_expiring(field, value, Some(when))?;
            }
            Some(Expiry::Kept) => {
                let expiry_ms = hash.field(field)?.and_then(|(_, expiry_ms)| expiry_ms);
                hash.put_expiring(field, value, expiry_ms)?;
            }
            None => {
                hash.put(field, value)?;
            }
        }
    }
    hash.save();
    let key = args.at(0)?;
    keyspace.announce(key, SET);
    match options.expiry {
        Some(Expiry::At(when)) if when <= cx.now_ms => keyspace.announce_taken(key, DELETED)?,
        Some(Expiry::At(_)) => keyspace.announce(key, EXPIRE),
        _ => {}
    }
    Ok(flag(true))
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, cx: &Cx) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 1;
        while let Ok(word) = args.at(at) {
            at += 1;
            if is(word, "FIELDS") {
                options.pairs = pairs(args, at)?;
                return Ok(options);
            }
            let condition = [("FNX", Condition::AllMissing), ("FXX", Condition::AllThere)];
            if let Some((_, condition)) = condition.into_iter().find(|(name, _)| is(word, name)) {
                if options.condition.replace(condition).is_some() {
                    return Err(FieldError::TwoConditions.into());
                }
                continue;
            }
            let unit = Unit::parse(word);
            if unit.is_none() && !is(word, "KEEPTTL") {
                return Err(FieldError::UnknownArgument(word.to_vec()).into());
            }
            if options.expiry.is_some() {
                return Err(FieldError::TwoExpiries.into());
            }
            options.expiry = Some(match unit {
                None => Expiry::Kept,
                Some(unit) => {
                    let amount = args.at(at).map_err(|_| FieldError::NoExpiry)?;
                    at += 1;
                    Expiry::At(unit.moment(amount, cx, "hsetex")?)
                }
            });
        }
        Err(FieldError::NoFields.into())
    }

    fn is_met(&self, hash: &mut Edit<'_, '_>) -> Result<bool, CommandError> {
        let Some(condition) = self.condition else { return Ok(true) };
        for [field, _] in self.pairs {
            if hash.get(field)?.is_some() != (condition == Condition::AllThere) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// `numfields field value [field value …]` from `at` on.
fn pairs<'a>(args: &Args<'a>, at: usize) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    let wrong_arity = || CommandError::WrongArity("hsetex");
    if args.len() < at + 3 {
        return Err(wrong_arity());
    }
    let count = args.int(at).ok().and_then(|count| i32::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or(FieldError::InvalidCount)?;
    match args.from(at + 1).as_chunks() {
        (pairs, []) if usize::try_from(count) == Ok(pairs.len()) => Ok(pairs),
        _ => Err(wrong_arity()),
    }
}
