//! One worker: a thread, its backend, and the connections it serves.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::AtomicU64},
    task::{Context, Waker},
};

use bytes::Bytes;
use commands::{Spec, flags::flag};
use tokio::sync::Notify;

use crate::{
    backend::Backend,
    backend_api::Submit,
    clients::ClientInfo,
    cluster::Cluster,
    latency::Sample,
    pubsub::Publications,
    scripts::Scripts,
    settings::Number,
    shared::{Counters, Shared},
    slowlog::Entry,
    stats::Stats,
};

/// One read takes at most so many bytes.
const SCRATCH_BYTES: usize = 64 * 1024;

/// See the module's documentation.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub backend: Rc<dyn Submit>,
    pub cluster: Cluster,
    /// Messages published here that have no outcome yet.
    pub publications: Rc<Publications>,
    /// Which groups have which scripts.
    pub scripts: Scripts,
    /// Index among the workers of the process.
    pub number: usize,
    /// What all connections read into: a connection keeps only what it could not process.
    scratch: Cell<Vec<u8>>,
    /// Tasks that wait until less waits in the backend.
    congested: RefCell<Vec<Waker>>,
    /// There are such tasks.
    is_awaited: Notify,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, backend: Rc<dyn Submit>, cluster: Cluster, number: usize) -> Rc<Self> {
        Rc::new(Self {
            shared,
            backend,
            cluster,
            publications: Rc::default(),
            scripts: Scripts::default(),
            number,
            scratch: Cell::default(),
            congested: RefCell::default(),
            is_awaited: Notify::new(),
        })
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters[self.number]
    }

    pub fn stats(&self) -> &Stats {
        &self.shared.stats[self.number]
    }

    /// A command has its reply, which took so long; `error` is its text, if it is one.
    pub fn executed(&self, spec: &Spec, duration_us: u64, error: Option<&[u8]>) {
        let is_tracked = self.shared.settings.number(Number::LatencyTracking) != 0;
        self.stats().executed(spec, duration_us, error.is_some(), is_tracked);
        if let Some(text) = error {
            self.stats().error(text);
        }
    }

    /// A buffer to read into; to be returned by `put_scratch`.
    pub fn take_scratch(&self) -> Vec<u8> {
        let mut scratch = self.scratch.take();
        scratch.resize(SCRATCH_BYTES, 0);
        scratch
    }

    pub fn put_scratch(&self, scratch: Vec<u8>) {
        self.scratch.set(scratch);
    }

    /// Whether the backend has more than it can send; if so, wakes the task when it has not.
    pub fn wait_for_relief(&self, cx: &Context<'_>) -> bool {
        if !self.backend.is_congested() {
            return false;
        }
        self.congested.borrow_mut().push(cx.waker().clone());
        self.is_awaited.notify_one();
        true
    }

    /// Wakes those who wait for relief, each time there is some.
    pub async fn spread_relief(self: Rc<Self>, backend: Backend) {
        loop {
            self.is_awaited.notified().await;
            backend.relief().await;
            let waiting = std::mem::take(&mut *self.congested.borrow_mut());
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether a command that took so long is to be remembered.
    pub fn is_slow(&self, duration_us: u64) -> bool {
        let settings = &self.shared.settings;
        let reaches = |limit: i64| u64::try_from(limit).is_ok_and(|limit| duration_us >= limit);
        let latency_ms = settings.number(Number::LatencyThresholdMs);
        reaches(settings.number(Number::SlowlogSlowerUs))
            || latency_ms > 0 && reaches(latency_ms.saturating_mul(1000))
    }

    /// Enters a slow command into SLOWLOG and LATENCY, as they ask for it.
    pub fn note_slow(
        &self,
        client: &ClientInfo,
        spec: &Spec,
        duration_us: u64,
        words: impl FnOnce() -> Vec<Bytes>,
    ) {
        let settings = &self.shared.settings;
        let time_s = self.shared.env.clock.now_ms() / 1000;
        let (latency_ms, threshold_ms) = (duration_us / 1000, settings.number(Number::LatencyThresholdMs));
        if threshold_ms > 0 && latency_ms >= threshold_ms as u64 {
            let event = if spec.flags.has(flag::FAST) { "fast-command" } else { "command" };
            self.shared.latency.lock().push(event, Sample { time_s, latency_ms });
        }
        let slower_us = settings.number(Number::SlowlogSlowerUs);
        let is_slow = u64::try_from(slower_us).is_ok_and(|limit| duration_us >= limit);
        if is_slow && !spec.flags.has(flag::SKIP_SLOWLOG) {
            let entry = Entry {
                id: 0,
                time_s,
                duration_us,
                words: words(),
                client: client.peer.to_string(),
                client_name: client.names.lock().name.clone(),
            };
            self.shared.slowlog.lock().push(entry, settings.limit(Number::SlowlogLen));
        }
    }

    /// Bumps a counter of this worker.
    pub fn count(&self, counter: impl Fn(&Counters) -> &AtomicU64) {
        Counters::add(counter(self.counters()), 1);
    }
}
