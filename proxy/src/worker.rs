//! One worker: a thread, its backend, and the connections it serves.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::AtomicU64},
    task::{Context, Waker},
};

use tokio::sync::Notify;

use crate::{
    backend::Backend,
    backend_api::Submit,
    cluster::Cluster,
    pubsub::Publications,
    settings::Number,
    shared::{Counters, Shared},
    slowlog::Entry,
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
    /// Index among the workers of the process.
    number: usize,
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
            number,
            scratch: Cell::default(),
            congested: RefCell::default(),
            is_awaited: Notify::new(),
        })
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters[self.number]
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
    pub fn note_slow(&self, entry: Entry) {
        let settings = &self.shared.settings;
        let latency_ms = settings.number(Number::LatencyThresholdMs);
        if latency_ms > 0 && entry.duration_us >= latency_ms as u64 * 1000 {
            self.shared.latency.lock().push(entry.time_s, entry.duration_us / 1000);
        }
        let slower_us = settings.number(Number::SlowlogSlowerUs);
        if u64::try_from(slower_us).is_ok_and(|limit| entry.duration_us >= limit) {
            self.shared.slowlog.lock().push(entry, settings.limit(Number::SlowlogLen));
        }
    }

    /// Bumps a counter of this worker.
    pub fn count(&self, counter: impl Fn(&Counters) -> &AtomicU64) {
        Counters::add(counter(self.counters()), 1);
    }
}
