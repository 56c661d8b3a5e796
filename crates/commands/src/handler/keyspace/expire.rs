//! Expiry: setting, asking, removing.

use datatypes::{Kv, KvMut, event};
use resp::Reply;

use super::super::{Outcome, flag, keyspace, reader};
use crate::args::is;
use crate::{Args, CommandError, Cx};

pub fn expire(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, cx.now_ms, 1000, "expire")
}

pub fn pexpire(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, cx.now_ms, 1, "pexpire")
}

pub fn expireat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, 0, 1000, "expireat")
}

pub fn pexpireat(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    set_expiry(kv, args, cx, 0, 1, "pexpireat")
}

/// When the new expiry is taken.
#[derive(Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(options: &[&[u8]]) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for option in options {
            let known = [
                ("NX", &mut conditions.nx),
                ("XX", &mut conditions.xx),
                ("GT", &mut conditions.gt),
                ("LT", &mut conditions.lt),
            ];
            match known.into_iter().find(|(word, _)| is(option, word)) {
                Some((_, set)) => *set = true,
                None => return Err(CommandError::UnsupportedOption(option.to_vec())),
            }
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err(CommandError::ExpireNxWithOthers);
        }
        if conditions.gt && conditions.lt { Err(CommandError::ExpireGtWithLt) } else { Ok(conditions) }
    }

    /// `current` is the expiry now; none counts as infinite.
    fn allow(&self, current: Option<u64>, when: i64) -> bool {
        let current = current.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| when <= current)
            || self.lt && current.is_some_and(|current| when >= current))
    }
}

/// Expiry at `base_ms` plus the amount in units of `scale` milliseconds.
fn set_expiry(
    kv: &mut dyn KvMut,
    args: &Args<'_>,
    cx: &Cx,
    base_ms: u64,
    scale: i64,
    name: &'static str,
) -> Outcome {
    let conditions = Conditions::parse(args.from(2))?;
    let amount = args.int(1)?;
    let when = amount.checked_mul(scale).and_then(|ms| ms.checked_add(base_ms.cast_signed()));
    let when = when.ok_or(CommandError::InvalidExpire(name))?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let Some(record) = entry.live() else { return Ok(flag(false)) };
    if !conditions.allow(record.expiry_ms, when) {
        return Ok(flag(false));
    }
    let when = u64::try_from(when).unwrap_or(0);
    keyspace.set_expiry(entry, Some(when));
    keyspace.announce(args.at(0)?, if when <= cx.now_ms { event::DEL } else { event::EXPIRE });
    Ok(flag(true))
}

pub fn persist(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    let expires = entry.live().is_some_and(|record| record.expiry_ms.is_some());
    if expires {
        keyspace.set_expiry(entry, None);
        keyspace.announce(args.at(0)?, event::PERSIST);
    }
    Ok(flag(expires))
}

pub fn ttl(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    time_left(kv, args, cx, |when| (when.saturating_sub(cx.now_ms) + 500) / 1000)
}

pub fn pttl(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    time_left(kv, args, cx, |when| when.saturating_sub(cx.now_ms))
}

pub fn expiretime(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    time_left(kv, args, cx, |when| when.saturating_add(500) / 1000)
}

pub fn pexpiretime(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    time_left(kv, args, cx, |when| when)
}

/// -2 without a key, -1 without an expiry, else what `show` makes of it.
fn time_left(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, show: impl Fn(u64) -> u64) -> Outcome {
    Ok(Reply::Int(match reader(kv, cx).glance(args.at(0)?)? {
        None => -2,
        Some(record) => record.expiry_ms.map_or(-1, |when| show(when).cast_signed()),
    }))
}
