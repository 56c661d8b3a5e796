//! Commands that wait for an element: each tries once.

use datatypes::KvMut;
use datatypes::list::End;
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::pop::{PopFirst, first_list};
use super::transfer::Transfer;
use super::{edit, popped};
use crate::blocking::timeout_ms;
use crate::{Args, CommandError, Cx, Null};

pub fn blpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    pop(kv, args, cx, End::Front)
}

pub fn brpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    pop(kv, args, cx, End::Back)
}

/// BLPOP key [key …] timeout: the key and its element.
fn pop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, end: End) -> Outcome {
    let (timeout, keys) = args.all().split_last().ok_or(CommandError::Syntax)?;
    timeout_ms(timeout, cx.now_ms)?;
    let mut keyspace = keyspace(kv, cx);
    let nothing = CommandError::WouldBlock(Null::Array);
    let Some(key) = first_list(&mut keyspace, keys, cx)? else { return Err(nothing) };
    let mut list = edit(&mut keyspace, key, cx)?;
    let element = list.pop(end)?.ok_or(nothing)?;
    list.save()?;
    keyspace.announce_taken(key, popped(end))?;
    Ok(Reply::Array(vec![Reply::bulk(key), Reply::Bulk(element)]))
}

/// BLMPOP timeout numkeys key [key …] LEFT|RIGHT [COUNT count]
pub fn blmpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let pop = PopFirst::parse(args.from(1))?;
    timeout_ms(args.at(0)?, cx.now_ms)?;
    pop.execute(kv, cx)?.ok_or(CommandError::WouldBlock(Null::Array))
}

/// BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout
pub fn blmove(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let transfer = Transfer::parse(args)?;
    timeout_ms(args.at(4)?, cx.now_ms)?;
    wait_for(transfer, kv, cx)
}

/// BRPOPLPUSH source destination timeout
pub fn brpoplpush(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    timeout_ms(args.at(2)?, cx.now_ms)?;
    wait_for(Transfer::right_to_left(args)?, kv, cx)
}

fn wait_for(transfer: Transfer<'_>, kv: &mut dyn KvMut, cx: &Cx) -> Outcome {
    let moved = transfer.execute(kv, cx)?;
    moved.map(Reply::Bulk).ok_or(CommandError::WouldBlock(Null::Bulk))
}
