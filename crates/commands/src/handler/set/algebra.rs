//! Intersection, union and difference. All keys are in one slot, the proxy sees to that.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::{Elements, Event, Kv, KvMut, Type};
use resp::Reply;

use super::super::{Outcome, count, elements, keyspace, remove};
use crate::{Args, CommandError, Cx};

/// What becomes of the sets that are named.
type Combine = fn(&mut dyn Kv, &[Elements]) -> Result<Vec<Bytes>, CommandError>;

pub fn sinter(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, intersection)
}

pub fn sunion(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, union)
}

pub fn sdiff(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, difference)
}

pub fn sinterstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    store(kv, args, cx, intersection, Event::set("sinterstore"))
}

pub fn sunionstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    store(kv, args, cx, union, Event::set("sunionstore"))
}

pub fn sdiffstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    store(kv, args, cx, difference, Event::set("sdiffstore"))
}

fn answer(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, combine: Combine) -> Outcome {
    let sets = sets(kv, args.all(), cx)?;
    Ok(Reply::Set(combine(kv, &sets)?.into_iter().map(Reply::Bulk).collect()))
}

/// Replaces whatever is under the first key; an empty set is no key.
fn store(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, combine: Combine, stored: Event) -> Outcome {
    let sets = sets(kv.as_kv(), args.from(1), cx)?;
    let members = combine(kv.as_kv(), &sets)?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    if members.is_empty() {
        remove(&mut keyspace, args.at(0)?, entry);
        return Ok(count(0));
    }
    let mut set = keyspace.create(entry, Type::Set, cx.limits.set, None);
    for member in &members {
        set.add(member, cx.limits.set_integers)?;
    }
    set.save();
    keyspace.announce(args.at(0)?, stored);
    Ok(count(members.len()))
}

pub(super) fn sets(kv: &mut dyn Kv, keys: &[&[u8]], cx: &Cx) -> Result<Vec<Elements>, CommandError> {
    keys.iter().map(|key| elements(kv, key, Type::Set, cx)).collect()
}

/// Goes through the smallest set and asks the others.
fn intersection(kv: &mut dyn Kv, sets: &[Elements]) -> Result<Vec<Bytes>, CommandError> {
    let by_size = by_size(sets)?;
    let Some(((_, smallest), others)) = by_size.split_first() else { return Ok(Vec::new()) };
    let mut common = Vec::new();
    for member in smallest.all(kv)? {
        if is_in_all(kv, others, &member.name)? {
            common.push(member.name);
        }
    }
    Ok(common)
}

/// The sets and their sizes, the smallest first.
pub(super) fn by_size(sets: &[Elements]) -> Result<Vec<(u64, &Elements)>, CommandError> {
    let mut by_size = Vec::with_capacity(sets.len());
    for set in sets {
        by_size.push((set.len()?, set));
    }
    by_size.sort_by_key(|(len, _)| *len);
    Ok(by_size)
}

pub(super) fn is_in_all(
    kv: &mut dyn Kv,
    sets: &[(u64, &Elements)],
    member: &[u8],
) -> Result<bool, CommandError> {
    for (_, set) in sets {
        if set.get(kv, member)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn union(kv: &mut dyn Kv, sets: &[Elements]) -> Result<Vec<Bytes>, CommandError> {
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for set in sets {
        set.each(kv, &mut |member, _| {
            if !seen.contains(member) {
                let member = Bytes::copy_from_slice(member);
                seen.insert(member.clone());
                all.push(member);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(all)
}

/// Members of the first set that no other has.
fn difference(kv: &mut dyn Kv, sets: &[Elements]) -> Result<Vec<Bytes>, CommandError> {
    let Some((first, others)) = sets.split_first() else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for member in first.all(kv)? {
        if !is_in_any(kv, others, &member.name)? {
            left.push(member.name);
        }
    }
    Ok(left)
}

fn is_in_any(kv: &mut dyn Kv, sets: &[Elements], member: &[u8]) -> Result<bool, CommandError> {
    for set in sets {
        if set.get(kv, member)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
