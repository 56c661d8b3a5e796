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
    accounts::Accounts,
    clients::{ClientInfo, Clients},
    latency::Latency,
    options::{Moved, Options},
    pause::Pause,
    pubsub::Hub,
    running::Running,
    settings::Settings,
    settings_file::SettingsFile,
    slowlog::Slowlog,
    stats::{
        Stats,
        rates::{Rates, Totals},
    },
    tracking::Tracking,
};

/// Counts since the start, or since CONFIG RESETSTAT. One per worker: a single writer each.
#[derive(Debug, Default)]
pub struct Counters {
    pub commands: AtomicU64,
    pub connections: AtomicU64,
    pub rejected_connections: AtomicU64,
    pub input_bytes: AtomicU64,
    pub output_bytes: AtomicU64,
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
            &self.protocol_errors,
        ] {
            counter.store(0, Relaxed);
        }
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
    pub accounts: Accounts,
    /// `None`: nothing is kept.
    pub settings_file: Option<SettingsFile>,
    /// Of ACL LOAD and SAVE.
    pub acl_file: Option<String>,
    pub clients: Clients,
    pub pause: Pause,
    pub monitors: Monitors,
    pub pubsub: Hub,
    pub tracking: Tracking,
    pub running: Running,
    pub slowlog: Mutex<Slowlog>,
    pub latency: Mutex<Latency>,
    pub rates: Mutex<Rates>,
    /// One per worker.
    pub counters: Vec<Counters>,
    /// Likewise.
    pub stats: Vec<Stats>,
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
            accounts: Accounts::default(),
            moved: options.moved,
            settings_file: options.settings_file.as_deref().map(SettingsFile::new),
            acl_file: options.aclfile.clone(),
            clients: Clients::default(),
            pause: Pause::default(),
            monitors: Monitors::default(),
            pubsub: Hub::new(u64::from_str_radix(&digits[..16], 16).unwrap_or(1), options.deadline_ms),
            tracking: Tracking::default(),
            running: Running::default(),
            slowlog: Mutex::default(),
            latency: Mutex::default(),
            rates: Mutex::default(),
            counters: std::iter::repeat_with(Counters::default).take(options.workers.max(1)).collect(),
            stats: std::iter::repeat_with(Stats::default).take(options.workers.max(1)).collect(),
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

    /// To be called every [`rates::EVERY`](crate::stats::rates::EVERY).
    pub fn look_at_rates(&self) {
        let totals = Totals {
            commands: self.total(|c| &c.commands),
            input_bytes: self.total(|c| &c.input_bytes),
            output_bytes: self.total(|c| &c.output_bytes),
        };
        self.rates.lock().look(self.now_ms(), totals);
    }

    pub fn reset_counters(&self) {
        self.counters.iter().for_each(Counters::reset);
        self.stats.iter().for_each(Stats::reset);
    }

    /// Makes every connection's task look around.
    pub fn wake_all(&self) {
        self.clients.all().iter().for_each(|client| client.wake());
    }
}
