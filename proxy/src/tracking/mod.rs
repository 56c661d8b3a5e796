//! Client-side caching: who is told when a key changes, for all workers of the process.
//!
//! ```text
//! read ─► leader: remembers the stream ─► reply with the keys ─► table (who has read them)
//! client ◄── feed ◄── table ◄── the same stream ◄── leader: the key has changed
//! BCAST:  client ◄── feed ◄── table (prefixes) ◄── stream of events ◄── every leader
//! ```
//!
//! Invariants:
//!
//! - A key is entered for a client before it gets the reply; what is told of changes comes behind that
//!   on the same stream. So no change is missed between the two.
//! - Whoever is taken out of the table, unless it made the change itself and does not want to know, is
//!   told. What nobody remembers (a stream broke, a leader stepped down, a reply was repeated) is told as
//!   a change of everything.
//! - The table is bounded; a key that makes room counts as changed.

mod mode;
mod table;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{Changed, EventChanged};
use resp::{Protocol, Reply, encode};

use self::table::{Notice, Table};
pub use self::{
    mode::{Shown, Tracks},
    table::{Figures, Member},
};
use crate::{
    backend_api::Caches,
    pubsub::{KeyNews, Pushed, Settled, Subscriber},
    settings::Number,
    shared::Shared,
};

/// Where RESP2 clients are told, if they subscribe.
const CHANNEL: &str = "__redis__:invalidate";

/// See the module's documentation.
#[derive(Default)]
pub struct Tracking {
    /// Held for moments, never across an await; before the hub's, never behind it.
    table: Mutex<Table>,
}

impl Tracking {
    /// The client tracks from here on, or in another way. With prefixes, changes are told for sure once the
    /// answer has resolved.
    pub fn join(&self, shared: &Shared, member: Member, prefixes: &[Bytes]) -> Option<Settled> {
        let mut table = self.table.lock();
        table.join(member, prefixes);
        let are_told = !prefixes.is_empty();
        are_told.then(|| shared.pubsub.follow_prefixes(shared.now_ms(), prefixes, true))
    }

    /// The client tracks no more.
    pub fn leave(&self, shared: &Shared, client: u64) {
        let mut table = self.table.lock();
        let unused = table.leave(client);
        if !unused.is_empty() {
            drop(shared.pubsub.follow_prefixes(shared.now_ms(), &unused, false));
        }
    }

    /// What the client has read may have changed unnoticed.
    pub fn doubt(&self, shared: &Shared, client: u64) {
        let notice = self.table.lock().doubt(client);
        tell(shared, notice);
    }

    /// Makes the table as small as it is to be.
    pub fn trim(&self, shared: &Shared) {
        let notices = self.table.lock().trim(shared.settings.limit(Number::TrackingTableKeys));
        tell(shared, notices);
    }

    /// A leader told something of keys with a prefix.
    pub fn heard(&self, shared: &Shared, news: KeyNews) {
        let table = self.table.lock();
        let notices = match news {
            KeyNews::Changed(EventChanged { everything: true, .. }) => table.all_broadcast(),
            KeyNews::Changed(changed) => table.broadcast(&changed.prefix, &changed.keys, &changed.writers),
            KeyNews::Renewed(prefix) => table.renewed(&prefix),
        };
        drop(table);
        tell(shared, notices);
    }

    pub fn figures(&self) -> Figures {
        self.table.lock().figures()
    }
}

/// What the back half of a worker learns.
pub struct Reader {
    pub shared: Arc<Shared>,
    pub worker: usize,
}

impl Caches for Reader {
    fn has_read(&self, client: u64, key: &[u8]) {
        let keys_max = self.shared.settings.limit(Number::TrackingTableKeys);
        let notices = self.shared.tracking.table.lock().has_read(client, key, keys_max);
        tell(&self.shared, notices);
    }

    fn is_unsure(&self, client: u64) {
        self.shared.tracking.doubt(&self.shared, client);
    }

    fn changed(&self, changed: Changed) {
        let mut table = self.shared.tracking.table.lock();
        let notices = match changed.everything {
            true => table.everything(self.worker),
            false => table.changed(self.worker, &changed.keys, &changed.writers),
        };
        drop(table);
        tell(&self.shared, notices);
    }

    fn stream_lost(&self) {
        let notices = self.shared.tracking.table.lock().everything(self.worker);
        tell(&self.shared, notices);
    }
}

fn tell(shared: &Shared, notices: impl IntoIterator<Item = Notice>) {
    notices.into_iter().for_each(|notice| tell_one(shared, notice));
}

/// Tells the client, or the one that is told for it.
fn tell_one(shared: &Shared, Notice { to, redirect, keys }: Notice) {
    if redirect == 0 {
        if to.is_resp3() {
            push(shared, &to, &invalidate(keys), Protocol::Resp3);
        }
        return;
    }
    let Some(target) = shared.clients.get(redirect).filter(|target| !target.is_killed()) else {
        to.info.tracking.set_broken();
        if to.is_resp3() {
            let broken = [Reply::bulk("tracking-redir-broken"), Reply::Int(redirect as i64)];
            push(shared, &to, &Reply::Push(broken.into()), Protocol::Resp3);
        }
        return;
    };
    if target.resp3.load(Relaxed) {
        push(shared, &Subscriber::new(target), &invalidate(keys), Protocol::Resp3);
    } else if target.is_subscribed() {
        let message = [Reply::bulk("message"), Reply::bulk(CHANNEL), names(keys)];
        push(shared, &Subscriber::new(target), &Reply::Push(message.into()), Protocol::Resp2);
    }
}

fn invalidate(keys: Option<Vec<Bytes>>) -> Reply {
    Reply::Push(vec![Reply::bulk("invalidate"), names(keys)])
}

/// Null stands for all keys.
fn names(keys: Option<Vec<Bytes>>) -> Reply {
    keys.map_or(Reply::Null, |keys| Reply::Array(keys.into_iter().map(Reply::Bulk).collect()))
}

fn push(shared: &Shared, to: &Subscriber, reply: &Reply, protocol: Protocol) {
    let mut message = Vec::new();
    encode(reply, protocol, &mut message);
    if to.push(&message.into(), shared.settings.pubsub_limits(), shared.now_ms()) == Pushed::CutOff {
        shared.pubsub.figures.cut_off.fetch_add(1, Relaxed);
    }
}
