//! Redis's scripts and functions: Lua, run inside the evaluator.
//!
//! ```text
//! engine        what a caller holds: scripts by digest, functions of libraries; runs them
//! library       code with the functions that it registered, as a value that can be stored
//! libraries     all that are loaded: what is dumped, restored and listed
//! host          what a script sees of the server; table_host is one over a view and the command table
//! machine       one Lua machine: protected globals, limits, how a run is stopped
//! prelude.luau  between scripts and the functions in Rust
//! api/          what scripts can call: redis, cjson, cmsgpack, struct, bit, math.random
//! to_lua, to_reply, dialect   between replies and values, and between Luau's words and Lua 5.1's
//! ```
//!
//! Pure: no clock, no randomness, no I/O. Time comes in through a [`Watch`], seeds through a [`Request`].
//!
//! Invariants: a run that answers `Ok` keeps its effects, whatever the reply; one that answers `Err` must
//! leave none. No state of a client outlives its run: globals are read-only, settings are reset. Memory,
//! steps, nesting and size of the reply are bounded by [`Limits`].

mod api;
mod cache;
mod dialect;
mod engine;
mod error;
mod flags;
mod format;
mod host;
mod libraries;
mod library;
mod library_error;
mod machine;
mod pulse;
mod random;
mod session;
mod shebang;
mod table_host;
mod tally;
mod to_lua;
mod to_reply;

pub use engine::{Engine, Request, Run};
pub use error::{ScriptError, StopReason, Stopped};
pub use flags::ScriptFlags;
pub use host::{Call, Host, LogLevel, Rights};
pub use libraries::{Libraries, Restore};
pub use library::{FunctionInfo, Library};
pub use library_error::LibraryError;
pub use machine::Limits;
pub use pulse::Watch;
pub use table_host::{Publish, Show, Standing, TableHost};
pub use tally::{Called, Tally};

/// The digest that scripts are known by, in lower-case hexadecimal.
pub fn sha1_hex(text: &[u8]) -> String {
    use sha1::Digest;
    sha1::Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
