//! Scripts of commands, and a server that executes them: the store in memory with an engine.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod here;
#[path = "../../../commands/tests/support/script.rs"]
pub mod script;
#[path = "../../../commands/tests/support/server.rs"]
pub mod server;
#[path = "../../../commands/tests/support/text.rs"]
pub mod text;
