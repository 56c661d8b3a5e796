//! The command table: the single truth about every command, and the handlers inside it.

pub mod wire;
