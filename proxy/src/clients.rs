//! Every client of the process, as the others may see it: CLIENT LIST, CLIENT KILL, INFO, limits.
//!
//! A [`ClientInfo`] is written by the connection's own task (relaxed: figures may be a moment old)
//! and read by any worker.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
};

use acl::Denial;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    accounts::Account,
    awaited::Awaited,
    pubsub::{Counts, Feed},
    tracking::Shown,
};

/// Which of the two listeners a client came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One node of a Redis Cluster: one database, this proxy's share of the keyspace.
    Cluster,
    /// One big Redis.
    Plain,
}

/// What a client says about itself.
#[derive(Debug, Default, Clone)]
pub struct Names {
    pub name: Bytes,
    pub lib_name: Bytes,
    pub lib_ver: Bytes,
}

/// How a client that waits is told that it need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unblocked {
    /// As if its time were up.
    Timeout,
    Error,
    /// Its user may not do it any more.
    Denied(Denial),
}

/// One client.
pub struct ClientInfo {
    pub id: u64,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub side: Side,
    /// Milliseconds since the process started.
    pub created_ms: u64,
    /// Of the last read or write of some bytes.
    pub active_ms: AtomicU64,
    pub db: AtomicUsize,
    pub resp3: AtomicBool,
    pub monitor: AtomicBool,
    /// Subscriptions to channels, patterns and shard channels.
    channels: AtomicUsize,
    patterns: AtomicUsize,
    shards: AtomicUsize,
    pub no_evict: AtomicBool,
    pub no_touch: AtomicBool,
    pub readonly: AtomicBool,
    /// Commands queued in a transaction; -1 outside of one.
    pub queued: AtomicI64,
    /// Keys watched.
    pub watched: AtomicUsize,
    /// Bytes received of a request that is not complete.
    pub query_bytes: AtomicUsize,
    /// Bytes of replies that the client has not read.
    pub output_bytes: AtomicUsize,
    /// Bytes of messages that wait to be put among them.
    pub message_bytes: AtomicUsize,
    /// Commands under way.
    pub pending: AtomicUsize,
    pub names: Mutex<Names>,
    /// The user that it is.
    account: Mutex<Arc<Account>>,
    /// It changes users, and is to be told the outcome.
    edits_users: AtomicBool,
    /// Full name of the last command.
    pub last_command: Mutex<&'static str>,
    /// It waits in a blocking command.
    blocked: AtomicBool,
    /// CLIENT PAUSE holds its next command back.
    paused: AtomicBool,
    unblock: Mutex<Option<Unblocked>>,
    /// Signalled when `unblock` is set.
    unblocking: Notify,
    /// Signalled when the client is not blocked any more.
    released: Notify,
    killed: AtomicBool,
    dismissed: AtomicBool,
    /// Of the connection's task.
    waker: Mutex<Waker>,
    /// Present once there was something to tell.
    feed: OnceLock<Arc<Feed>>,
    pub tracking: Shown,
}

impl ClientInfo {
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, side: Side, now_ms: u64) -> Self {
        Self {
            id,
            peer,
            local,
            side,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            db: AtomicUsize::new(0),
            resp3: AtomicBool::new(false),
            monitor: AtomicBool::new(false),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            shards: AtomicUsize::new(0),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            readonly: AtomicBool::new(false),
            queued: AtomicI64::new(-1),
            watched: AtomicUsize::new(0),
            query_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            message_bytes: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            names: Mutex::new(Names::default()),
            account: Mutex::new(Account::anyone()),
            edits_users: AtomicBool::new(false),
            last_command: Mutex::new("NULL"),
            blocked: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            unblock: Mutex::new(None),
            unblocking: Notify::new(),
            released: Notify::new(),
            killed: AtomicBool::new(false),
            dismissed: AtomicBool::new(false),
            waker: Mutex::new(Waker::noop().clone()),
            feed: OnceLock::new(),
            tracking: Shown::default(),
        }
    }

    /// Closes the connection, from whichever thread.
    pub fn kill(&self) {
        self.killed.store(true, Relaxed);
        self.wake();
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    pub fn account(&self) -> Arc<Account> {
        self.account.lock().clone()
    }

    pub fn set_account(&self, account: Arc<Account>) {
        *self.account.lock() = account;
    }

    pub fn set_edits_users(&self, edits: bool) {
        self.edits_users.store(edits, Relaxed);
    }

    pub fn edits_users(&self) -> bool {
        self.edits_users.load(Relaxed)
    }

    /// Closes the connection when the replies under way are written.
    pub fn dismiss(&self) {
        self.dismissed.store(true, Relaxed);
        self.wake();
    }

    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Relaxed)
    }

    pub fn set_blocked(&self, blocked: bool) {
        // Whoever unblocks it sees it blocked, and so means this time.
        let mut unblock = self.unblock.lock();
        *unblock = None;
        self.blocked.store(blocked, Relaxed);
        drop(unblock);
        if !blocked {
            self.released.notify_waiters();
        }
    }

    /// Resolves when the client is not blocked.
    pub async fn until_unblocked(&self) {
        loop {
            let released = self.released.notified();
            if !self.is_blocked() {
                return;
            }
            released.await;
        }
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Relaxed);
    }

    /// It waits, whether for a key or for the end of a pause.
    fn is_waiting(&self) -> bool {
        self.is_blocked() || self.paused.load(Relaxed)
    }

    /// Ends the waiting of a blocked client; whether it was one.
    pub fn unblock(&self, reason: Unblocked) -> bool {
        let mut unblock = self.unblock.lock();
        let is_blocked = self.is_blocked() && unblock.is_none();
        if is_blocked {
            *unblock = Some(reason);
            self.unblocking.notify_one();
        }
        is_blocked
    }

    /// Resolves when the client is unblocked.
    pub async fn unblocked(&self) -> Unblocked {
        loop {
            if let Some(reason) = *self.unblock.lock() {
                return reason;
            }
            self.unblocking.notified().await;
        }
    }

    /// How long nothing was heard of it; 0 while commands are under way or it only listens.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        if self.monitor.load(Relaxed) || self.is_subscribed() || self.pending.load(Relaxed) > 0 {
            return 0;
        }
        now_ms.saturating_sub(self.active_ms.load(Relaxed))
    }

    pub fn set_subscriptions(&self, counts: Counts) {
        self.channels.store(counts.channels, Relaxed);
        self.patterns.store(counts.patterns, Relaxed);
        self.shards.store(counts.shards, Relaxed);
    }

    /// It subscribes to something.
    pub fn is_subscribed(&self) -> bool {
        [&self.channels, &self.patterns, &self.shards].iter().any(|count| count.load(Relaxed) > 0)
    }

    /// Makes the connection's task look around.
    pub fn wake(&self) {
        self.waker.lock().wake_by_ref();
    }

    pub fn set_waker(&self, waker: &Waker) {
        self.waker.lock().clone_from(waker);
    }

    /// Where messages for it wait.
    pub fn feed(&self) -> Arc<Feed> {
        self.feed.get_or_init(Arc::default).clone()
    }

    /// There was something to tell.
    pub fn has_feed(&self) -> bool {
        self.feed.get().is_some()
    }

    /// A line of CLIENT LIST, without the line end.
    pub fn describe(&self, now_ms: u64) -> String {
        let names = self.names.lock().clone();
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let seconds = |since: u64| now_ms.saturating_sub(since) / 1000;
        let output = self.output_bytes.load(Relaxed) + self.message_bytes.load(Relaxed);
        let query = self.query_bytes.load(Relaxed);
        let mut line = String::with_capacity(400);
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} \
             qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs={output} rbp={output} obl={output} oll=0 \
             omem={output} tot-mem={} events={} cmd={} user={} redir={} resp={} lib-name={} lib-ver={}",
            self.id,
            self.peer,
            self.local,
            text(&names.name),
            seconds(self.created_ms),
            seconds(self.active_ms.load(Relaxed)),
            self.flags(),
            self.db.load(Relaxed),
            self.channels.load(Relaxed),
            self.patterns.load(Relaxed),
            self.shards.load(Relaxed),
            self.queued.load(Relaxed),
            output + query + size_of::<Self>(),
            if output > 0 { "rw" } else { "r" },
            *self.last_command.lock(),
            text(&self.account.lock().name),
            self.tracking.redirect(),
            if self.resp3.load(Relaxed) { 3 } else { 2 },
            text(&names.lib_name),
            text(&names.lib_ver),
        );
        line
    }

    fn flags(&self) -> String {
        let set = |flag: &AtomicBool| flag.load(Relaxed);
        let known = [
            (self.is_waiting(), 'b'),
            (set(&self.monitor), 'O'),
            (self.is_subscribed(), 'P'),
            (self.tracking.is_on(), 't'),
            (self.tracking.is_broken(), 'R'),
            (self.tracking.broadcasts(), 'B'),
            (set(&self.readonly), 'r'),
            (set(&self.no_evict), 'e'),
            (set(&self.no_touch), 'T'),
        ];
        let flags: String = known.iter().filter(|(set, _)| *set).map(|(_, c)| c).collect();
        if flags.is_empty() { "N".to_owned() } else { flags }
    }
}

/// The clients that are connected.
#[derive(Default)]
pub struct Clients {
    next_id: AtomicU64,
    count: AtomicUsize,
    by_id: Mutex<BTreeMap<u64, Arc<ClientInfo>>>,
    pub awaited: Awaited,
}

impl Clients {
    /// Admits a client unless there are `max` already.
    pub fn admit(&self, max: usize) -> Option<u64> {
        let admitted = self.count.try_update(Relaxed, Relaxed, |n| (n < max).then_some(n + 1));
        admitted.is_ok().then(|| self.next_id.fetch_add(1, Relaxed) + 1)
    }

    pub fn insert(&self, client: Arc<ClientInfo>) {
        self.by_id.lock().insert(client.id, client);
    }

    /// To be called once per admitted client.
    pub fn remove(&self, id: u64) {
        self.by_id.lock().remove(&id);
        self.count.fetch_sub(1, Relaxed);
    }

    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait: in a blocking command, or for the end of a pause.
    pub fn blocked(&self) -> usize {
        let paused = |client: &&Arc<ClientInfo>| client.is_waiting() && !client.is_blocked();
        self.awaited.counts().clients + self.by_id.lock().values().filter(paused).count()
    }

    pub fn get(&self, id: u64) -> Option<Arc<ClientInfo>> {
        self.by_id.lock().get(&id).cloned()
    }

    /// All, by id, but for those that are being closed.
    pub fn all(&self) -> Vec<Arc<ClientInfo>> {
        self.by_id.lock().values().filter(|client| !client.is_killed()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_admitted() {
        let clients = Clients::default();
        assert_eq!((clients.admit(2), clients.admit(2), clients.admit(2)), (Some(1), Some(2), None));
        clients.remove(1);
        assert_eq!(clients.admit(2), Some(3));
    }

    #[test]
    fn a_line_has_the_fields_that_clients_parse() {
        let addr = "127.0.0.1:5000".parse().unwrap();
        let info = ClientInfo::new(7, addr, addr, Side::Plain, 1_000);
        info.names.lock().name = Bytes::from_static(b"me");
        let line = info.describe(4_500);
        for field in
            ["id=7 ", "addr=127.0.0.1:5000 ", " name=me ", " age=3 ", " flags=N ", " resp=2 ", " cmd=NULL "]
        {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
}
