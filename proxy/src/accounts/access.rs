//! What one connection may do.
//!
//! Invariant: `is_restricted` is false only for a user who may do everything, so that a command of such a
//! user costs one branch.

use std::sync::Arc;

use acl::Denial;
use bytes::Bytes;
use commands::{Spec, flags::flag};
use resp::Reply;

use super::{Account, Accounts};

/// The client's user was deleted.
#[derive(Debug)]
pub struct Gone;

/// See the module's documentation.
pub struct Access {
    account: Arc<Account>,
    /// It has said who it is, or came when nobody needed to.
    authenticated: bool,
    /// It has to say who it is first.
    needs_login: bool,
    /// Commands have to be looked at.
    pub is_restricted: bool,
    /// Of the table that `account` comes from.
    generation: u64,
}

/// Why a command is not executed.
pub enum Refusal {
    NoAuth,
    Denied(Denial),
}

impl Access {
    /// That of a client that connects.
    pub fn new(accounts: &Accounts) -> Self {
        // The generation first: a newer table only means to look again.
        let generation = accounts.generation();
        let account = accounts.table().default().clone();
        let authenticated = account.user.is_open();
        let is_restricted = !authenticated || !account.is_unrestricted;
        Self { account, authenticated, needs_login: !authenticated, is_restricted, generation }
    }

    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Follows the users in force; the account as it was before if it is not the same.
    pub fn refresh(&mut self, accounts: &Accounts) -> Result<Option<Arc<Account>>, Gone> {
        let generation = accounts.generation();
        if generation == self.generation {
            return Ok(None);
        }
        let table = accounts.table();
        let now = table.of_account(&self.account).ok_or(Gone)?.clone();
        let before = std::mem::replace(&mut self.account, now);
        // As in Redis: who has logged in stays so, also as a user who may not any more.
        self.needs_login = !self.authenticated && !table.default().user.is_open();
        self.is_restricted = self.needs_login || !self.account.is_unrestricted;
        self.generation = generation;
        Ok((!Arc::ptr_eq(&before, &self.account)).then_some(before))
    }

    /// Becomes a user, if the password is right.
    pub fn log_in(&mut self, accounts: &Accounts, name: &[u8], password: &[u8]) -> bool {
        let generation = accounts.generation();
        let table = accounts.table();
        let Some(account) = table.get(name).filter(|account| account.user.admits(password)) else {
            return false;
        };
        self.account = account.clone();
        (self.authenticated, self.needs_login) = (true, false);
        self.is_restricted = !account.is_unrestricted;
        self.generation = generation;
        true
    }

    pub fn needs_login(&self) -> bool {
        self.needs_login
    }

    /// Whether the command may be executed; `args` exclude its name.
    pub fn check(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Refusal> {
        if self.needs_login && !spec.flags.has(flag::NO_AUTH) {
            return Err(Refusal::NoAuth);
        }
        self.account.user.check(spec, args).map_err(Refusal::Denied)
    }
}

/// The error reply for what is denied.
pub fn denial_reply(account: &Account, denial: Denial, spec: &Spec) -> Reply {
    // A user's name has no line ends.
    Reply::Error(Bytes::from(denial.text(&account.name, spec)))
}
