//! What all workers of a proxy process share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use daemon::env::Env;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    clients::{ClientInfo, Clients},
    options::{Moved, Options},
    pubsub::Hub,
    settings::Settings,
    settings_file::SettingsFile,
    slowlog::{Latency, Slowlog},
};

/// Counts since the start, or since CONFIG RESETSTAT. One per worker: a single writer each.
#[derive(Debug, Default)]
pub struct Counters {
    pub commands: AtomicU64,
    pub connections: AtomicU64,
    pub rejected_connections: AtomicU64,
    pub input_bytes: AtomicU64,
    pub output_bytes: AtomicU64,
    /// Replies that are errors, as far as the proxy made them itself.
    pub errors: AtomicU64,
    pub protocol_errors: AtomicU64,
}

impl Counters {
    /// Adds to a counter of the own worker.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.store(counter.load(Relaxed) + count, Relaxed);
    }

    fn reset(&self) {
        for counter in [
            &self.commands,
            &self.connections,
            &self.rejected_connections,
            &self.input_bytes,
            &self.output_bytes,
            &self.errors,
            &self.protocol_errors,
        ] {
            counter.store(0, Relaxed);
        }
    }
}

/// Which commands CLIENT PAUSE holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    Writes,
    All,
}

/// CLIENT PAUSE: until when, and what.
#[derive(Debug, Default)]
pub struct Pause {
    /// Milliseconds since the start; 0: no pause.
    until_ms: AtomicU64,
    /// 1: everything.
    all: AtomicU64,
}

impl Pause {
    pub fn set(&self, until_ms: u64, what: Paused) {
        self.all.store(u64::from(what == Paused::All), Relaxed);
        self.until_ms.store(until_ms, Relaxed);
    }

    /// When the pause ends that holds back a command now; `None`: it may run.
    pub fn holds(&self, is_write: bool, now_ms: impl FnOnce() -> u64) -> Option<u64> {
        let until_ms = self.until_ms.load(Relaxed);
        if until_ms == 0 || !(is_write || self.all.load(Relaxed) == 1) {
            return None;
        }
        (now_ms() < until_ms).then_some(until_ms)
    }
}

/// Clients that see every command.
#[derive(Default)]
pub struct Monitors {
    count: AtomicU64,
    feeds: Mutex<Vec<Arc<Feed>>>,
}

/// Lines for one monitoring client that its task has not taken yet.
pub struct Feed {
    client: Arc<ClientInfo>,
    lines: Mutex<Vec<u8>>,
}

/// A monitor that takes no lines is closed at so many bytes.
const FEED_BYTES_MAX: usize = 64 << 20;

impl Feed {
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lines.lock())
    }
}

impl Monitors {
    pub fn any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    pub fn join(&self, client: Arc<ClientInfo>) -> Arc<Feed> {
        let feed = Arc::new(Feed { client, lines: Mutex::default() });
        let mut feeds = self.feeds.lock();
        feeds.push(feed.clone());
        self.count.store(feeds.len() as u64, Relaxed);
        feed
    }

    pub fn leave(&self, feed: &Arc<Feed>) {
        let mut feeds = self.feeds.lock();
        feeds.retain(|known| !Arc::ptr_eq(known, feed));
        self.count.store(feeds.len() as u64, Relaxed);
    }

    pub fn publish(&self, line: &[u8]) {
        for feed in self.feeds.lock().iter() {
            let mut lines = feed.lines.lock();
            lines.extend_from_slice(line);
            if lines.len() > FEED_BYTES_MAX {
                feed.client.kill();
            }
            drop(lines);
            feed.client.wake();
        }
    }
}

/// See the module's documentation.
pub struct Shared {
    pub env: Env,
    pub settings: Settings,
    /// `None`: nothing is kept.
    pub settings_file: Option<SettingsFile>,
    pub clients: Clients,
    pub pause: Pause,
    pub monitors: Monitors,
    pub pubsub: Hub,
    pub slowlog: Mutex<Slowlog>,
    pub latency: Mutex<Latency>,
    /// One per worker.
    pub counters: Vec<Counters>,
    pub moved: Moved,
    /// 40 hex digits, new at each start.
    pub run_id: Bytes,
    started: Instant,
}

impl Shared {
    pub fn new(options: &Options, env: Env) -> Self {
        let digits: String = (0..3).map(|_| format!("{:016x}", env.entropy.next_u64())).collect();
        Self {
            settings: Settings::new(options),
            moved: options.moved,
            settings_file: options.settings_file.as_deref().map(SettingsFile::new),
            clients: Clients::default(),
            pause: Pause::default(),
            monitors: Monitors::default(),
            pubsub: Hub::new(u64::from_str_radix(&digits[..16], 16).unwrap_or(1), options.deadline_ms),
            slowlog: Mutex::default(),
            latency: Mutex::default(),
            counters: std::iter::repeat_with(Counters::default).take(options.workers.max(1)).collect(),
            run_id: Bytes::copy_from_slice(&digits.as_bytes()[..40]),
            started: Instant::now(),
            env,
        }
    }

    /// Since the start; monotone.
    pub fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Since the start; monotone.
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// Sum of a counter over all workers.
    pub fn total(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        self.counters.iter().map(|c| counter(c).load(Relaxed)).sum()
    }

    pub fn reset_counters(&self) {
        self.counters.iter().for_each(Counters::reset);
    }

    /// Makes every connection's task look around.
    pub fn wake_all(&self) {
        self.clients.all().iter().for_each(|client| client.wake());
    }
}
