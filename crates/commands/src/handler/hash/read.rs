//! Reading fields.

use std::ops::ControlFlow;

use datatypes::Kv;
use resp::{Aggregate, Bulks, Reply};

use super::super::{Outcome, bulk_or_null, count, flag};
use super::fields;
use crate::{Args, Cx};

pub fn hget(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let value = fields(kv, args, cx)?.get(kv, args.at(1)?)?;
    Ok(bulk_or_null(value))
}

pub fn hmget(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let fields = fields(kv, args, cx)?;
    let mut values = Vec::with_capacity(args.len());
    for name in args.from(1) {
        values.push(bulk_or_null(fields.get(kv, name)?));
    }
    Ok(Reply::Array(values))
}

pub fn hexists(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let value = fields(kv, args, cx)?.get(kv, args.at(1)?)?;
    Ok(flag(value.is_some()))
}

pub fn hstrlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let value = fields(kv, args, cx)?.get(kv, args.at(1)?)?;
    Ok(count(value.map_or(0, |value| value.len())))
}

pub fn hlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let len = fields(kv, args, cx)?.len()?;
    Ok(Reply::Int(len.cast_signed()))
}

pub fn hgetall(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    collect(kv, args, cx, Aggregate::Map, |found, name, value| {
        found.push(name);
        found.push(value);
    })
}

pub fn hkeys(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    collect(kv, args, cx, Aggregate::Array, |found, name, _| found.push(name))
}

pub fn hvals(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    collect(kv, args, cx, Aggregate::Array, |found, _, value| found.push(value))
}

fn collect(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    cx: &Cx,
    aggregate: Aggregate,
    show: impl Fn(&mut Bulks, &[u8], &[u8]),
) -> Outcome {
    let mut found = Bulks::default();
    fields(kv, args, cx)?.each(kv, &mut |name, value| {
        show(&mut found, name, value);
        ControlFlow::Continue(())
    })?;
    Ok(Reply::Bulks(aggregate, found))
}
