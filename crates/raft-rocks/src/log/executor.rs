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

use super::writer::LogWriter;

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

/// The writer, for whoever's turn it is.
struct Turns {
    turn: Mutex<Turn>,
    slow: AtomicBool,
    stop: AtomicBool,
}

struct Turn {
    /// Gone when the store is closed, and the directory with it.
    writer: Option<LogWriter>,
    /// Of the time a sync takes.
    average: Duration,
}

impl Turns {
    /// Writes, syncs and answers what is queued. False if there was nothing.
    fn take(&self) -> bool {
        let Turn { writer, average } = &mut *self.turn.lock();
        let Some(writer) = writer else { return false };
        if !writer.write() {
            return false;
        }
        let begin = Instant::now();
        writer.sync();
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
    runtime: Option<tokio::runtime::Handle>,
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

impl LogExecutor for AdaptiveExecutor {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>> {
        let turns = Arc::new(Turns {
            turn: Mutex::new(Turn { writer: Some(writer), average: Duration::ZERO }),
            slow: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let of_thread = turns.clone();
        let runtime = tokio::runtime::Handle::try_current().ok();
        let run = {
            let runtime = runtime.clone();
            move || run_in_thread(&of_thread, runtime.as_ref())
        };
        let join = std::thread::Builder::new().name("raft-log".to_owned()).spawn(run)?;
        Ok(Box::new(Adaptive { turns, runtime, thread: join.thread().clone(), join: Some(join) }))
    }
}

fn run_in_thread(turns: &Arc<Turns>, runtime: Option<&tokio::runtime::Handle>) {
    loop {
        let took = turns.take();
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
            runtime.spawn(run_on_runtime(turns.clone(), std::thread::current()));
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
        if !turns.take() {
            return;
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
        self.thread.unpark();
        if let Some(join) = self.join.take()
            && join.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
        self.turns.turn.lock().writer.take();
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
    runtime: tokio::runtime::Handle,
    parts: Arc<Mutex<(LogWriter, Delays)>>,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl LogExecutor for InlineExecutor {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let parts = Arc::new(Mutex::new((writer, self.delays)));
        Ok(Box::new(Inline { runtime, parts, task: Mutex::default() }))
    }
}

async fn run_inline(parts: Arc<Mutex<(LogWriter, Delays)>>) {
    loop {
        let (before_sync, before_callbacks) = {
            let (writer, delays) = &mut *parts.lock();
            if !writer.write() {
                return;
            }
            delays()
        };
        pass(before_sync).await;
        parts.lock().0.sync();
        pass(before_callbacks).await;
        parts.lock().0.complete();
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl LogDriver for Inline {
    fn wake(&self) {
        let task = self.runtime.spawn(run_inline(self.parts.clone()));
        *self.task.lock() = Some(task.abort_handle());
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}
