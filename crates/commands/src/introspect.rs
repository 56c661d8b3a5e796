//! The table told to clients and people: COMMAND and its subcommands, HELP, docs/commands.md.
//!
//! Pure renderings; the proxy answers these without asking anybody.

mod docs;
mod getkeys;
mod info;
mod list;
mod markdown;
mod syntax;

pub use docs::docs;
pub use getkeys::{get_keys, get_keys_and_flags};
pub use info::{all_info, info};
pub use list::{count, list};
pub use markdown::markdown;
pub use syntax::{help, syntax};

use crate::{Spec, lookup};

/// The row called `name`, which may be `container|subcommand`.
pub fn by_full_name(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|&b| b == b'|') {
        Some(at) => lookup(&name[..at])?.subcommand(&name[at + 1..]),
        None => lookup(name),
    }
}
