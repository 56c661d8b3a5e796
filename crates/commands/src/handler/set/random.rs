//! SRANDMEMBER and SPOP.

use datatypes::number::parse_i64;
use datatypes::{Element, Event, Kv, KvMut, Random};
use resp::Reply;

use super::super::{Outcome, bulk_or_null, elements, keyspace};
use super::{edit, members};
use crate::{Args, CommandError, Cx};

/// SRANDMEMBER key [count]: one member, `count` different ones, or with a negative count exactly that
/// many, the same one more than once perhaps.
pub fn srandmember(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    if args.len() == 1 {
        let member = members(kv, args, cx)?.pick(kv, &mut Random::new(cx.seed))?;
        return Ok(bulk_or_null(member.map(|member| member.name)));
    }
    let count = args.int(1)?;
    if count == i64::MIN {
        return Err(CommandError::NotBetween(-i64::MAX, i64::MAX));
    }
    if args.len() > 2 {
        return Err(CommandError::Syntax);
    }
    let members = members(kv, args, cx)?;
    let chosen = elements::choose(kv, &members, count, cx)?;
    Ok(Reply::Array(names(chosen)))
}

/// SPOP key [count]
pub fn spop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let count = match args.len() {
        1 => None,
        2 => Some(positive(args.at(1)?)?),
        _ => return Err(CommandError::Syntax),
    };
    let members = super::members_to_change(kv.as_kv(), args.at(0)?, cx)?;
    let chosen = members.sample(kv.as_kv(), count.unwrap_or(1), &mut Random::new(cx.seed))?;
    let mut keyspace = keyspace(kv, cx);
    if count.is_some() && chosen.len() as u64 == members.len()? {
        let entry = keyspace.entry(args.at(0)?)?;
        keyspace.remove(entry);
    } else {
        let mut set = edit(&mut keyspace, args.at(0)?, cx)?;
        for member in &chosen {
            set.remove(&member.name)?;
        }
        set.save();
    }
    if !chosen.is_empty() {
        keyspace.announce_taken(args.at(0)?, Event::set("spop"))?;
    }
    Ok(match count {
        None => bulk_or_null(chosen.into_iter().next().map(|member| member.name)),
        Some(_) => Reply::Set(names(chosen)),
    })
}

fn positive(text: &[u8]) -> Result<usize, CommandError> {
    parse_i64(text).and_then(|count| usize::try_from(count).ok()).ok_or(CommandError::NotPositive)
}

fn names(members: Vec<Element>) -> Vec<Reply> {
    members.into_iter().map(|member| Reply::Bulk(member.name)).collect()
}
