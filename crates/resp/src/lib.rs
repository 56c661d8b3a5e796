//! RESP2 and RESP3: requests in, replies out. Pure: bytes to values and back.
//!
//! - [`Decoder`]: requests of a client, in place over the connection's read buffer.
//! - [`encode`]: replies to a client.
//! - [`items`]: the parts of an array, still encoded.
//! - [`parse`]: replies looked into (where the proxy acts by them, tests), on top of `redis-protocol`.
//!
//! Invariants: nothing is allocated from a declared count or length; no input panics.

pub mod bulks;
pub mod encode;
pub mod inline;
pub mod items;
pub mod number;
pub mod parse;
pub mod reply;
pub mod request;

pub use bulks::{Aggregate, Bulks};
pub use encode::encode;
pub use items::items;
pub use parse::{ParseError, parse};
pub use reply::{Protocol, Reply};
pub use request::{Args, Decoded, Decoder, ProtocolError};
