//! Strings as bitmaps.
//!
//! A write that changes nothing leaves the key alone: no entry grows by it.

mod bit;
mod bitfield;
mod bitop;
mod offset;
mod search;

pub use bit::{getbit, setbit};
pub use bitfield::{bitfield, bitfield_ro};
pub use bitop::bitop;
pub use search::{bitcount, bitpos};

use datatypes::Event;

const SETBIT: Event = Event::string("setbit");
