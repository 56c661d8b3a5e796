//! Streams: entries in the order of their ids, and groups of consumers that read them.
//!
//! ```text
//! head record    payload := id:u64be  len:u64be  state            always large; see [`state`]
//! parts          … id:u64be  part
//!   00                                                →           an empty stream has a part too
//!   01 entry:16                                       → form:u8 (00)  text*     names and values
//!   02 !first:16                                      → leaf      see [`leaf`]; not the last one
//!   03 name                                           → group
//!   04 group:u64be 01 name                            → consumer
//!   04 group:u64be 02 entry:16                        → pending   delivery of an entry
//!   04 group:u64be 03 length:u32be consumer entry:16  →           pending, by consumer
//! ```
//!
//! Ids in keys are big-endian, `ms seq`; `!` inverts the bits, so that the last leaf lies first: the
//! store is walked forwards only. Numbers, ids and texts in values are LEB128. A group's number names its
//! parts, so that its name is stored once and XGROUP DESTROY deletes one range.
//!
//! XADD writes the entry and the head record; once in a leaf it writes the leaf that is full. Commands
//! of groups write what they change of the group, of the consumer and of what is pending, and not the head record.
//! See ADR 14.

mod check;
mod codec;
mod consumers;
mod edit;
mod entries;
mod group;
mod id;
mod leaf;
mod limits;
mod parts;
mod pending;
mod state;
#[cfg(test)]
mod tests;
mod trim;
mod value;

pub(crate) use check::check;
pub use consumers::GroupEdit;
pub use edit::StreamEdit;
pub use entries::StreamEntry;
pub use group::{Consumer, Group};
pub use id::{NewId, StreamId};
pub use leaf::Leaf;
pub use limits::StreamLimits;
pub use pending::Pending;
pub use state::State;
pub use trim::{Bound, Trim};
pub use value::{ConsumerValue, GroupValue, LeafValue, StreamValue};

use crate::key;
use crate::kv::StoreError;
use crate::record::{Record, Type};
use parts::Parts;

/// A stream: what its head record tells, and where its parts are.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    state: State,
    parts: Parts,
    id: u64,
}

impl Stream {
    /// That of `record`, stored under `key` in database `db`; `None` if it is of another type.
    pub fn of(record: &Record, db: u8, key: &[u8]) -> Result<Option<Self>, StoreError> {
        Self::under(record, &key::head_buf(db, key))
    }

    pub(crate) fn under(record: &Record, head: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(id) = record.collection_id().filter(|_| record.kind == Type::Stream) else {
            return Ok(None);
        };
        Ok(Some(Self { state: State::decode(&record.payload)?, parts: Parts::new(head, id), id }))
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// XSETID: sets the last id, and what else is given. The last id is not less than that of an entry.
    pub fn set_ids(&mut self, last: StreamId, added: Option<u64>, max_deleted: Option<StreamId>) {
        self.state.last = last;
        self.state.added = added.unwrap_or(self.state.added);
        self.state.max_deleted = max_deleted.unwrap_or(self.state.max_deleted);
    }
}
