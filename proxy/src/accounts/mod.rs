//! Who may use this proxy, and do what there: the users of the cluster, as the process knows them.
//!
//! ```text
//! meta's state ─► update ─► Table (swapped whole) ─► Access (of each connection) ─► execute
//! ACL SETUSER … ─► change ─► meta
//! ```
//!
//! Users are one value for the whole cluster ([`topology::Users`]). The link to meta puts each new one in
//! force here before it acknowledges it; so when a change is confirmed to anyone, every proxy that meta
//! can reach acts by it. A proxy that is cut off from meta goes on with the users that it knows.
//!
//! Until somebody changes users, those of this proxy's configuration are in force, and are proposed to
//! meta as the first ones.

mod access;
mod change;
mod log;
mod start;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use acl::User;
use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::{
    access::{Access, Gone, Refusal, denial_reply},
    change::{Edit, Editor},
    log::{AclLog, Context, Denied, Entry as LogEntry, Reason},
    start::{begin, initial_users},
    table::{Account, Table},
};
use crate::{clients::ClientInfo, pubsub::Kind, shared::Shared};

/// See the module's documentation.
pub struct Accounts {
    table: ArcSwap<Table>,
    /// Adds one with each table.
    generation: AtomicU64,
    /// The same, for those who wait.
    news: watch::Sender<u64>,
    /// Meta was heard.
    is_known: AtomicBool,
    pub log: Mutex<AclLog>,
    pub denied: Denied,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::initial(BTreeMap::new())),
            generation: AtomicU64::new(0),
            news: watch::channel(0).0,
            is_known: AtomicBool::new(false),
            log: Mutex::default(),
            denied: Denied::default(),
        }
    }
}

impl Accounts {
    /// Puts the users of the configuration in force.
    pub fn begin_with(&self, users: BTreeMap<Bytes, User>) {
        self.put(Table::initial(users));
    }

    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Changes with each new table.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Whoever connects may do what the default user may, without a password.
    pub fn are_open(&self) -> bool {
        self.table.load().default().user.nopass
    }

    fn put(&self, table: Table) {
        self.table.store(Arc::new(table));
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.news.send_replace(generation);
    }
}

/// Puts users that came from meta in force, and closes the connections of those who are gone or may no
/// longer hear what they subscribe to.
pub fn update(shared: &Shared, users: &topology::Users) {
    let accounts = &shared.accounts;
    let is_first = !accounts.is_known.swap(true, Ordering::AcqRel);
    let old = accounts.table();
    if users.revision <= old.revision {
        return;
    }
    let new = old.next(users);
    // Who came before it was known that a password is needed has not given one.
    let closes_all = is_first && !new.default().user.is_open();
    tracing::info!(revision = new.revision, users = new.len(), "users in force");
    accounts.put(new);
    let new = accounts.table();
    for client in shared.clients.all() {
        let (before, now) = (client.account(), new.of_account(&client.account()));
        let loses =
            |now: &Arc<Account>| !Arc::ptr_eq(&before, now) && is_overheard(shared, &client, &before, now);
        if closes_all || now.is_none_or(loses) {
            remove(&client);
        } else {
            client.wake();
        }
    }
}

/// Whoever changes users is told the outcome first.
fn remove(client: &ClientInfo) {
    if client.edits_users() { client.dismiss() } else { client.kill() }
}

/// Whether the client subscribes to something that it may no longer hear.
pub fn is_overheard(shared: &Shared, client: &ClientInfo, before: &Account, now: &Account) -> bool {
    if !client.is_subscribed() || !now.user.hears_less_than(&before.user) {
        return false;
    }
    let denied = |kind: Kind| {
        let topics = shared.pubsub.topics_of(client.id, kind);
        topics.iter().any(|topic| !now.user.hears(&topic.name, kind == Kind::Pattern))
    };
    [Kind::Channel, Kind::Pattern, Kind::Shard].into_iter().any(denied)
}
