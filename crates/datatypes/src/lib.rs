//! Redis data types over an ordered map of bytes: key layout, value records, expiry.
//!
//! Layers, lowest first: [`kv`] is the map a command sees; [`key`] and [`record`] are the layouts
//! of what is stored in it; [`keyspace`] keeps the three things that must agree (the head record,
//! the key count and the expiry index) in step; [`number`] reads and writes numbers as Redis does.
//!
//! Deliberately absent: the wall clock, randomness, Raft, slots' owners. Time is a parameter.

pub mod expiry;
pub mod glob;
pub mod key;
pub mod keyspace;
pub mod kv;
pub mod mem;
pub mod number;
pub mod record;
pub mod slots;

pub use expiry::active_expire;
pub use keyspace::{Entry, Keyspace, Reader};
pub use kv::{Kv, KvMut, StoreError};
pub use record::{Record, StringForm, Type};
pub use topology::{SLOT_COUNT, Slot, slot_of};
