//! Values in the form of Redis's RDB files, as DUMP answers and RESTORE takes them.
//!
//! ```text
//! payload := type:u8  value  footer
//! footer  := version:u16le  crc:u64le          the CRC covers all before itself
//! length  := 00nnnnnn | 01nnnnnn n:u8 | 80 n:u32be | 81 n:u64be
//! string  := length bytes | C0 i8 | C1 i16le | C2 i32le | C3 length(compressed) length bytes
//! ```
//!
//! [`payload`] is the frame, [`value`] maps between values and records, with a module for each type of
//! collection; [`read`], [`write`], [`listpack`], [`ziplist`], [`zipmap`], [`lzf`] and [`crc64`] are the building blocks, the same
//! for every type of value.
//!
//! Bounds: nothing is allocated from a declared length; what is read is in the payload, and what
//! LZF makes of it ends at the declared length, [`read::STRING_BYTES_MAX`] at most. Any bytes can be read
//! without a panic.
//!
//! Stricter than Redis: a value ends where the footer begins. Deliberately absent: compression of
//! what is written (every reader takes strings as they are).

mod crc64;
mod hash;
mod json;
mod library;
mod list;
pub(crate) mod listpack;
mod lzf;
mod payload;
mod read;
mod set;
mod sorted;
mod stream;
#[cfg(test)]
mod tests;
mod value;
mod write;
mod ziplist;
mod zipmap;

pub use hash::dump_hash;
pub use library::{NotLibrary, dump_libraries, restore_libraries};
pub use list::dump_list;
pub use payload::{VERSION, VERSION_MAX, seal, unseal};
pub use set::{Members, dump_set};
pub use sorted::dump_sorted_set;
pub use stream::dump_stream;
pub use value::{Value, dump, restore};

/// Why a payload is not taken, or a value not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RdbError {
    #[error("the version is newer than {VERSION_MAX}, or the checksum is wrong")]
    Footer,
    #[error("the bytes are not an RDB value")]
    Format,
    /// A value of Redis that is not understood here: what it is called.
    #[error("values of type {0} are not supported yet")]
    Unsupported(&'static str),
}
