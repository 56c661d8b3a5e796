//! Who runs the writer: see [`AdaptiveExecutor`]; in a simulation, the caller's runtime with delays.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{
    later::{LOOK_AFTER, SyncWhen},
    writer::LogWriter,
};

/// Starts a writer.
pub trait LogExecutor: 'static {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>>;
}

/// A running writer.
pub trait LogDriver: Send + Sync {
    /// Something was queued while the writer slept.
    fn wake(&self);
    /// The store is dropped.
    fn stop(&mut self);
}

/// Writes on the runtime that opened the store while the disk is fast: handing work to another
/// thread and back costs more than such a sync, and a group has nothing better to do meanwhile.
/// Turns go to a thread of their own while syncs are slow, or if there is no runtime.
///
/// Either way a turn begins when the runtime has done what else was ready. A round of entries is one
/// for each group: a turn that began with the first would leave the others to the next sync.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdaptiveExecutor;

/// Syncs that take longer than this on average leave the runtime, and return below half of it.
const SLOW_SYNC: Duration = Duration::from_millis(3);
/// Weight of the last sync in the average: one in so many.
const AVERAGE_OVER: u32 = 8;

/// Gone when the store is closed, and the directory with it.
type Kept = Mutex<Option<LogWriter>>;

/// The writer, for whoever's turn it is.
struct Turns {
    writer: Kept,
    /// Of the time a sync takes. Whoever has the writer has this.
    average: Mutex<Duration>,
    slow: AtomicBool,
    stop: AtomicBool,
}

impl Turns {
    /// Writes, syncs and answers what is queued, or leaves its sync for later. False if there was nothing.
    fn take(self: &Arc<Self>, runtime: Option<&Handle>, thread: &Thread) -> bool {
        let mut writer = self.writer.lock();
        let Some(writer) = &mut *writer else { return false };
        match (writer.write(), runtime) {
            (None, _) => return false,
            (Some(SyncWhen::Later), Some(runtime)) if !self.stop.load(Ordering::Acquire) => {
                if writer.begin_watch() {
                    let (turns, thread) = (self.clone(), thread.clone());
                    runtime.spawn(async move {
                        watch(&turns.writer, || run_on_runtime(turns.clone(), thread.clone())).await;
                    });
                }
                return true;
            }
            _ => {}
        }
        let begin = Instant::now();
        writer.sync();
        let mut average = self.average.lock();
        *average = (*average * (AVERAGE_OVER - 1) + begin.elapsed()) / AVERAGE_OVER;
        let limit = if self.is_slow() { SLOW_SYNC / 2 } else { SLOW_SYNC };
        self.slow.store(*average > limit, Ordering::Relaxed);
        writer.complete();
        true
    }

    fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }
}

struct Adaptive {
    turns: Arc<Turns>,
    runtime: Option<Handle>,
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

impl LogExecutor for AdaptiveExecutor {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>> {
        let turns = Arc::new(Turns {
            writer: Mutex::new(Some(writer)),
            average: Mutex::default(),
            slow: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = turns.clone();
        let runtime = Handle::try_current().ok();
        let run = {
            let runtime = runtime.clone();
            move || run_in_thread(&of_thread, runtime.as_ref())
        };
        let join = std::thread::Builder::new().name("raft-log".to_owned()).spawn(run)?;
        Ok(Box::new(Adaptive { turns, runtime, thread: join.thread().clone(), join: Some(join) }))
    }
}

fn run_in_thread(turns: &Arc<Turns>, runtime: Option<&Handle>) {
    let thread = std::thread::current();
    loop {
        let took = turns.take(runtime, &thread);
        if turns.stop.load(Ordering::Acquire) {
            // What is still queued is written out.
            if took {
                continue;
            }
            return;
        }
        if took {
            let Some(runtime) = runtime else { continue };
            // The runtime says when the next turn begins.
            runtime.spawn(run_on_runtime(turns.clone(), thread.clone()));
        }
        // A wake-up between the two is kept by the thread's token.
        std::thread::park();
    }
}

async fn run_on_runtime(turns: Arc<Turns>, thread: Thread) {
    loop {
        // Everything else that is ready goes first: what it queues joins the turn, and what it sends
        // is on its way while the disk works.
        tokio::task::yield_now().await;
        if turns.is_slow() {
            return thread.unpark();
        }
        if !turns.take(Some(&Handle::current()), &thread) {
            return;
        }
    }
}

/// Looks after what turns left for a later sync, until nothing is left. Whoever has the writer may be waiting
/// for the disk; the runtime is not to wait with it.
async fn watch<T: Future<Output = ()>>(writer: &Kept, take_turn: impl Fn() -> T) {
    loop {
        let after = match writer.try_lock() {
            None => LOOK_AFTER,
            Some(writer) => match &*writer {
                None => return,
                Some(writer) => writer.look_after(),
            },
        };
        tokio::time::sleep(after).await;
        let Some(when) = writer.try_lock().map(|mut writer| writer.as_mut().and_then(LogWriter::look)) else {
            continue;
        };
        match when {
            None => return,
            Some(SyncWhen::Later) => {}
            Some(SyncWhen::Now) => take_turn().await,
        }
    }
}

impl LogDriver for Adaptive {
    fn wake(&self) {
        match &self.runtime {
            Some(runtime) => {
                runtime.spawn(run_on_runtime(self.turns.clone(), self.thread.clone()));
            }
            None => self.thread.unpark(),
        }
    }

    /// Writes out what is queued and ends the thread, so that the directory can be opened again.
    fn stop(&mut self) {
        self.turns.stop.store(true, Ordering::Release);
        if let Some(writer) = &mut *self.turns.writer.lock() {
            writer.sync_soon();
        }
        self.thread.unpark();
        if let Some(join) = self.join.take()
            && join.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
        self.turns.writer.lock().take();
    }
}

/// Time that a simulated disk takes: before the sync, and between the sync and the callbacks.
pub type Delays = Box<dyn FnMut() -> (Duration, Duration) + Send>;

/// Runs the writer on the tokio runtime that opens the store. When the store is dropped, what is
/// queued is lost, as in a crash.
pub struct InlineExecutor {
    delays: Delays,
}

impl InlineExecutor {
    pub fn new(delays: impl FnMut() -> (Duration, Duration) + Send + 'static) -> Self {
        Self { delays: Box::new(delays) }
    }

    /// Takes no time.
    pub fn immediate() -> Self {
        Self::new(|| (Duration::ZERO, Duration::ZERO))
    }
}

struct Inline {
    runtime: Handle,
    parts: Arc<InlineParts>,
}

struct InlineParts {
    writer: Kept,
    delays: Mutex<Delays>,
}

impl InlineParts {
    fn with_writer<T>(&self, step: impl FnOnce(&mut LogWriter) -> T) -> Option<T> {
        self.writer.lock().as_mut().map(step)
    }
}

impl LogExecutor for InlineExecutor {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let parts = InlineParts { writer: Mutex::new(Some(writer)), delays: Mutex::new(self.delays) };
        Ok(Box::new(Inline { runtime, parts: Arc::new(parts) }))
    }
}

async fn run_inline(parts: Arc<InlineParts>) {
    while let Some(when) = parts.with_writer(LogWriter::write).flatten() {
        if when == SyncWhen::Later {
            watch_inline(&parts);
            continue;
        }
        let (before_sync, before_callbacks) = (parts.delays.lock())();
        pass(before_sync).await;
        parts.with_writer(LogWriter::sync);
        pass(before_callbacks).await;
        parts.with_writer(LogWriter::complete);
    }
}

fn watch_inline(parts: &Arc<InlineParts>) {
    if parts.with_writer(LogWriter::begin_watch) == Some(true) {
        let parts = parts.clone();
        tokio::spawn(async move { watch(&parts.writer, || run_inline(parts.clone())).await });
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl LogDriver for Inline {
    fn wake(&self) {
        self.runtime.spawn(run_inline(self.parts.clone()));
    }

    fn stop(&mut self) {
        self.parts.writer.lock().take();
    }
}
