//! Presence and type.

use datatypes::{Kv, KvMut};
use resp::Reply;

use super::super::{Outcome, count, keyspace, reader};
use crate::{Args, Cx};

/// DEL and UNLINK: removing is two writes, whatever the size, so both are the same.
pub fn del(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let mut removed = 0;
    for key in args.all() {
        let entry = keyspace.entry(key)?;
        removed += usize::from(entry.live().is_some());
        keyspace.remove(entry);
    }
    Ok(count(removed))
}

/// EXISTS and TOUCH (no access times are kept). A key named twice counts twice.
pub fn exists(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut reader = reader(kv, cx);
    let mut found = 0;
    for key in args.all() {
        found += usize::from(reader.lookup(key)?.is_some());
    }
    Ok(count(found))
}

pub fn type_of(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let record = reader(kv, cx).lookup(args.at(0)?)?;
    Ok(Reply::Simple(record.map_or("none", |record| record.kind.name())))
}
