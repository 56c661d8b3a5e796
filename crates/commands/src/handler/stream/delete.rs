//! XDEL.

use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, count, keyspace};
use super::{edit, parse_ids};
use crate::{Args, Cx};

/// XDEL key id [id …]: answers how many entries there were. A stream stays when it is empty.
pub fn xdel(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut keyspace = keyspace(kv, cx);
    let Some(mut edit) = edit(&mut keyspace, args.at(0)?)? else { return Ok(Reply::Int(0)) };
    let (stream, kv) = edit.split();
    let mut deleted = 0;
    for id in parse_ids(args.from(1))? {
        deleted += usize::from(stream.delete(kv, id)?);
    }
    edit.save();
    if deleted > 0 {
        keyspace.announce(args.at(0)?, Event::stream("xdel"));
    }
    Ok(count(deleted))
}
