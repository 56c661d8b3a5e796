//! Asking for members.

use std::ops::ControlFlow;

use datatypes::Kv;
use resp::{Aggregate, Bulks, Reply};

use super::super::{Outcome, flag};
use super::members;
use crate::{Args, Cx};

pub fn scard(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let len = members(kv, args, cx)?.len()?;
    Ok(Reply::Int(len.cast_signed()))
}

pub fn sismember(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let found = members(kv, args, cx)?.get(kv, args.at(1)?)?;
    Ok(flag(found.is_some()))
}

pub fn smismember(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let members = members(kv, args, cx)?;
    let mut found = Vec::with_capacity(args.len());
    for member in args.from(1) {
        found.push(flag(members.get(kv, member)?.is_some()));
    }
    Ok(Reply::Array(found))
}

pub fn smembers(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut all = Bulks::default();
    members(kv, args, cx)?.each(kv, &mut |member, _| {
        all.push(member);
        ControlFlow::Continue(())
    })?;
    Ok(Reply::Bulks(Aggregate::Set, all))
}
