//! Adding elements at the ends.

use datatypes::KvMut;
use datatypes::list::End;
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::{edit, pushed};
use crate::{Args, Cx};

pub fn lpush(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    push(kv, args, cx, End::Front, true)
}

pub fn rpush(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    push(kv, args, cx, End::Back, true)
}

pub fn lpushx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    push(kv, args, cx, End::Front, false)
}

pub fn rpushx(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    push(kv, args, cx, End::Back, false)
}

/// Pushes one element after the other, onto a list that is missing only if it may be created. Answers
/// the length.
fn push(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, end: End, create: bool) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    if list.is_empty() && !create {
        return Ok(Reply::Int(0));
    }
    list.push(end, args.from(1))?;
    let len = list.len();
    list.save()?;
    keyspace.announce(args.at(0)?, pushed(end));
    Ok(Reply::Int(len.cast_signed()))
}
