//! Users and what they may do: Redis's access control lists, as values.
//!
//! ```text
//! password    a digest of one, never the password itself
//! command_set which commands: bits over the command table, and the rules that made them
//! selector    commands, keys and channels that go together
//! user        flags, passwords, selectors; `apply` takes one rule
//! access      which keys and channels a command touches, and how
//! check       whether a user may execute a command
//! text        forms of a user: as ACL LIST tells it, and as it is stored
//! show        replies of ACL GETUSER and ACL CAT
//! file        users of an ACL file
//! ```
//!
//! Commands, their categories and keys come from the command table. Nothing here knows of
//! connections, of storage, or of who else uses the same users.

pub mod access;
mod check;
mod command_set;
mod error;
pub mod file;
mod password;
mod selector;
pub mod show;
mod text;
mod user;

pub use check::Denial;
pub use error::{RuleError, SetError};
pub use password::Digest;
pub use selector::{KeyPattern, Selector};
pub use text::{StoredError, latin1, unlatin1};
pub use user::{Channels, User};

/// The user of connections that have not said who they are.
pub const DEFAULT: &[u8] = b"default";

/// Whether a name or pattern holds what would break the text form of a user.
pub fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, 0 | b' ' | b'\t'..=b'\r'))
}
