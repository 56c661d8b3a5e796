//! RESP2 and RESP3: requests in, replies out. Pure: bytes to values and back.

pub mod reply;

pub use reply::{Protocol, Reply};
