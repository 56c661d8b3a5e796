//! Keys of any type.

mod basic;
mod dump;
mod expire;
mod object;
mod rename;
pub mod scan;
mod slot;
mod whole;

pub use basic::{del, exists, type_of};
pub use dump::{dump, restore};
pub use expire::{expire, expireat, expiretime, persist, pexpire, pexpireat, pexpiretime, pttl, ttl};
pub use object::{encoding, freq, idletime, refcount};
pub use rename::{copy, rename, renamenx};
pub use slot::{count_keys_in_slot, get_keys_in_slot};
pub use whole::{dbsize, flushall, flushdb, keys, randomkey};
