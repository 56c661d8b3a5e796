//! Redis data types over an ordered map of bytes: key layout, value records, expiry.
//!
//! Layers, lowest first: [`kv`] is the map a command sees; [`key`] and [`record`] are the layouts
//! of what is stored in it; [`keyspace`] keeps what must agree (the head record, the parts of a large
//! collection, the key count and the expiry index) in step; [`collection`] is what hashes and sets are
//! made of, [`list`] what lists are, [`stream`] what streams are; [`number`] reads and writes numbers as
//! Redis does; [`bits`] and [`hyperloglog`] are what a string can be besides text; [`json`] are documents;
//! [`geo`] makes scores of places; [`rdb`] is the form in which values
//! travel between servers.
//!
//! Deliberately absent: the wall clock, entropy, Raft, slots' owners. Time and seeds are parameters.

pub mod bits;
pub mod check;
pub mod collection;
#[cfg(test)]
mod counting;
pub mod event;
pub mod expiry;
pub mod geo;
pub mod glob;
pub mod hyperloglog;
pub mod json;
pub mod key;
pub mod keyspace;
pub mod kv;
pub mod list;
pub mod mem;
pub mod number;
pub mod random;
pub mod rdb;
pub mod record;
pub mod size;
pub mod slots;
pub mod stream;
pub mod swap;

pub use collection::sorted::{Place, Scored, SortedEdit, SortedSet};
pub use collection::{Edit, Element, Elements, Field, Limits};
pub use event::Event;
pub use expiry::{active_expire, next_expiry};
pub use keyspace::{Entry, Keyspace, Reader};
pub use kv::{Kv, KvMut, Savepoints, StoreError};
pub use list::{List, ListEdit, ListLimit};
pub use random::Random;
pub use record::{Record, StringForm, Type};
pub use topology::{SLOT_COUNT, Slot, slot_of};
