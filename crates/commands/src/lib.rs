//! The command table: the single truth about every command, and the handlers inside it.
//!
//! ```text
//! spec, keyspec, flags, doc   what a row says
//! table/<family>.rs           the rows
//! lookup                      name → row, id → row
//! handler/<family>            what the rows execute: pure functions over a `Kv`
//! introspect                  COMMAND …, HELP and docs/commands.md, rendered from the rows
//! blocking                    commands that wait until they can be served
//! limits                      up to where collections stay small, by their names
//! functions                   FUNCTION: its arguments
//! options                     which option names the key of the result
//! memory                      MEMORY, of a proxy that holds no data
//! namespace                   commands on hashes whose fields are spread over groups
//! replication                 WAIT, WAITAOF, and what a leader answers them
//! wire                        commands and replies between proxy and storage node
//! ```
//!
//! Handlers are synchronous and pure: time, randomness and storage come in as parameters. A handler
//! that fails leaves its writes for the owner of the view to discard.

pub mod args;
pub mod blocking;
pub mod doc;
pub mod error;
pub mod flags;
pub mod functions;
pub mod handler;
mod id;

pub mod introspect;
pub mod keyspec;
pub mod limits;
pub mod lookup;
pub mod memory;
pub mod namespace;
pub mod options;
pub mod replication;
pub mod spec;
pub mod table;
pub mod wire;

pub use args::Args;
pub use error::{CommandError, Null};
pub use id::Id;
pub use lookup::{by_id, lookup, named, resolve};
pub use spec::{Cx, GroupCommand, Handler, Kind, Merge, ProxyCommand, ReadFn, ScriptCommand, Spec, WriteFn};

pub use datatypes::{glob, hyperloglog::self_test as hyperloglog_self_test, kv::DATABASES};
