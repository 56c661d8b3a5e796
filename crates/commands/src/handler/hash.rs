//! Hashes: fields and their values, as [`datatypes::collection`] holds them.
//!
//! A small hash is in the record of its key, fields in order of insertion; a large one has a part for
//! each field. HGET reads one or two pairs of the store and HSET writes one or two, either way.
//!
//! Fields may expire, each by itself; one that has is nowhere to be seen.

mod expire;
mod getex;
mod named;
mod number;
mod random;
mod read;
mod scan;
mod setex;
mod ttl;
mod write;

pub use expire::{hexpire, hexpireat, hpexpire, hpexpireat};
pub use getex::{hgetdel, hgetex};
pub use number::{hincrby, hincrbyfloat};
pub use random::hrandfield;
pub use read::{hexists, hget, hgetall, hkeys, hlen, hmget, hstrlen, hvals};
pub use scan::hscan;
pub use setex::hsetex;
pub use ttl::{hexpiretime, hpersist, hpexpiretime, hpttl, httl};
pub use write::{hdel, hmset, hset, hsetnx};

use datatypes::{Edit, Elements, Event, Keyspace, Kv, Type};

use crate::{Args, CommandError, Cx};

const SET: Event = Event::hash("hset");
const DELETED: Event = Event::hash("hdel");
const EXPIRE: Event = Event::hash("hexpire");
const PERSIST: Event = Event::hash("hpersist");

/// The fields of the hash that the first argument names; none if the key is missing.
fn fields(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Result<Elements, CommandError> {
    super::elements(kv, args.at(0)?, Type::Hash, cx)
}

/// The hash that the first argument names, to change it; a new one if the key is missing.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    args: &Args<'_>,
    cx: &Cx,
) -> Result<Edit<'a, 'kv>, CommandError> {
    super::edit(keyspace, args.at(0)?, Type::Hash, cx.limits.hash)
}
