//! Scripts of commands and expected replies, and the store they run on.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod differential;
pub mod script;
pub mod server;
pub mod shard;
pub mod text;
