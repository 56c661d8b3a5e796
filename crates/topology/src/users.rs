//! Users: names and rules, as texts that this crate does not read.
//!
//! A change names the revision that it was made from, and is refused if there is a newer one: whoever
//! asks for it makes it again. Rules never hold a password, only digests.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{ClusterState, Refused};

/// Most users.
pub const USERS_MAX: usize = 10_000;
/// Most bytes of all names and rules: every process gets them with each version.
pub const USERS_BYTES_MAX: usize = 4 << 20;

/// The users of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Users {
    /// Adds one with each change; 0: nobody has ever changed them.
    pub revision: u64,
    pub by_name: BTreeMap<String, User>,
}

/// One user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The revision that made it: one that is deleted and made anew is another.
    pub id: u64,
    pub rules: String,
}

/// Digests of passwords are not to be shown.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A change of users, made from what `seen` was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersChange {
    pub seen: u64,
    /// New rules by name; none: the user goes.
    pub rules: BTreeMap<String, Option<String>>,
    /// These are all that there are from here on, and all are others than before, but for this one.
    #[serde(default)]
    pub anew_but: Option<String>,
}

impl fmt::Debug for UsersChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsersChange").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl ClusterState {
    pub(crate) fn change_users(&mut self, change: &UsersChange) -> Result<(), Refused> {
        let users = &mut self.users;
        if users.revision != change.seen {
            return Err(Refused::UsersChanged);
        }
        let id = change.seen + 1;
        if let Some(kept) = &change.anew_but {
            users.by_name.retain(|name, _| name == kept);
        }
        for (name, rules) in &change.rules {
            match rules {
                None => {
                    users.by_name.remove(name);
                }
                Some(rules) => {
                    let user = users.by_name.entry(name.clone());
                    user.or_insert(User { id, rules: String::new() }).rules.clone_from(rules);
                }
            }
        }
        let bytes = users.by_name.iter().map(|(name, user)| name.len() + user.rules.len()).sum::<usize>();
        if users.by_name.len() > USERS_MAX || bytes > USERS_BYTES_MAX {
            return Err(Refused::TooManyUsers);
        }
        users.revision = id;
        Ok(())
    }
}
