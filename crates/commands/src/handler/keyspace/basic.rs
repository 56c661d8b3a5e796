//! Presence and type.

use datatypes::{Kv, KvMut, Record, StoreError};
use resp::Reply;

use super::super::{Outcome, count, keyspace, reader, remove};
use crate::{Args, Cx};

/// DEL and UNLINK: removing is two writes, whatever the size, so both are the same.
pub fn del(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut removed = 0;
    for key in args.all() {
        let entry = keyspace.entry(key)?;
        removed += usize::from(entry.live().is_some());
        remove(&mut keyspace, key, entry);
    }
    Ok(count(removed))
}

/// A key named twice counts twice.
pub fn exists(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    count_found(args, |key| reader(kv, cx).glance(key))
}

/// Like EXISTS, and uses the keys.
pub fn touch(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    count_found(args, |key| reader(kv, cx).lookup(key))
}

fn count_found(
    args: &Args<'_>,
    mut find: impl FnMut(&[u8]) -> Result<Option<Record>, StoreError>,
) -> Outcome {
    let mut found = 0;
    for key in args.all() {
        found += usize::from(find(key)?.is_some());
    }
    Ok(count(found))
}

pub fn type_of(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let record = reader(kv, cx).glance(args.at(0)?)?;
    Ok(Reply::Simple(record.map_or("none", |record| record.kind.name())))
}
