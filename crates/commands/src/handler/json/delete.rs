//! JSON.DEL, which is JSON.FORGET too, and JSON.CLEAR.

use datatypes::json::{clear as empty, is_clearable, outermost};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, count, keyspace};
use super::{Opened, path, put};
use crate::{Args, Cx};

const DELETED: Event = Event::module("json.del");

/// JSON.DEL key [path]: the key goes with the root, and with the last element of the root.
pub fn del(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let mut keyspace = keyspace(kv, cx);
    let Opened { entry, document } = Opened::new(&mut keyspace, args.at(0)?)?;
    let Some(mut document) = document else { return Ok(Reply::Int(0)) };
    if path.is_root() {
        keyspace.remove(entry);
        keyspace.announce(args.at(0)?, DELETED);
        return Ok(Reply::Int(1));
    }
    let places = outermost(document.places(&path, |_| true)?.into_iter().flatten().collect());
    let removed = places.iter().filter(|place| document.root.remove(place)).count();
    if removed > 0 && document.root.is_empty() {
        keyspace.remove(entry);
    } else if removed > 0 {
        put(&mut keyspace, entry, &document)?;
    }
    if removed > 0 {
        keyspace.announce(args.at(0)?, DELETED);
    }
    Ok(count(removed))
}

/// JSON.CLEAR key [path]: how many containers were emptied and numbers made 0.
pub fn clear(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let mut keyspace = keyspace(kv, cx);
    let (entry, mut document) = Opened::new(&mut keyspace, args.at(0)?)?.existing()?;
    let places = document.places(&path, is_clearable)?;
    let mut cleared = 0;
    for place in places.into_iter().flatten() {
        // It may have been inside another one.
        if let Some(value) = document.root.at_mut(&place) {
            empty(value);
            cleared += 1;
        }
    }
    if cleared > 0 {
        put(&mut keyspace, entry, &document)?;
        keyspace.announce(args.at(0)?, Event::module("json.clear"));
    }
    Ok(count(cleared))
}
