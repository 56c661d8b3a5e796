//! Keys of any type.

mod basic;
mod dump;
mod expire;
mod memory;
mod object;
mod random;
mod rename;
pub mod scan;
mod slot;
mod swap;
mod whole;

pub use basic::{del, exists, touch, type_of};
pub use dump::{dump, restore};
pub use expire::{expire, expireat, expiretime, persist, pexpire, pexpireat, pexpiretime, pttl, ttl};
pub use memory::usage;
pub use object::{encoding, freq, idletime, refcount};
pub use random::randomkey;
pub use rename::{copies_elsewhere, copy, move_to_database, rename, renamenx};
pub use slot::{count_keys_in_slot, get_keys_in_slot};
pub use swap::swapdb;
pub use whole::{dbsize, flushall, flushdb, keys};
