//! Sets: members, as [`datatypes::collection`] holds them; a member is an element without a value.
//!
//! A small set is in the record of its key, in ascending order while all members are integers, else
//! in order of insertion; a large one has a part for each member.

mod algebra;
mod cardinality;
mod random;
mod read;
mod scan;
mod write;

pub use algebra::{sdiff, sdiffstore, sinter, sinterstore, sunion, sunionstore};
pub use cardinality::sintercard;
pub use random::{spop, srandmember};
pub use read::{scard, sismember, smembers, smismember};
pub use scan::sscan;
pub use write::{sadd, smove, srem};

use datatypes::{Edit, Elements, Keyspace, Kv, Type};

use crate::{Args, CommandError, Cx};

/// The members of the set that the first argument names; none if the key is missing.
fn members(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Result<Elements, CommandError> {
    super::elements(kv, args.at(0)?, Type::Set, cx)
}

/// Likewise, to find what is to be changed.
fn members_to_change(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Elements, CommandError> {
    let record = super::reader(kv, cx).peek(key)?;
    super::elements_of(kv, record, key, Type::Set, cx)
}

/// The set under `key`, to change it; a new one if the key is missing.
fn edit<'a, 'kv>(
    keyspace: &'a mut Keyspace<'kv>,
    key: &[u8],
    cx: &Cx,
) -> Result<Edit<'a, 'kv>, CommandError> {
    super::edit(keyspace, key, Type::Set, cx.limits.set)
}
