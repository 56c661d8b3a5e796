//! Who runs the writer: a thread of its own in production, the caller's runtime in a simulation.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::Duration,
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

/// A dedicated thread, parked while nothing is queued.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadExecutor;

struct WriterThread {
    thread: Thread,
    join: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl LogExecutor for ThreadExecutor {
    fn start(self: Box<Self>, writer: LogWriter) -> io::Result<Box<dyn LogDriver>> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || run_writer(writer, &stopped);
        let join = std::thread::Builder::new().name("raft-log".to_owned()).spawn(run)?;
        Ok(Box::new(WriterThread { thread: join.thread().clone(), join: Some(join), stop }))
    }
}

fn run_writer(mut writer: LogWriter, stop: &AtomicBool) {
    loop {
        if writer.write() {
            writer.sync();
            writer.complete();
        } else if stop.load(Ordering::Acquire) && writer.is_idle() {
            return;
        } else {
            // A wake-up between the two is kept by the thread's token.
            std::thread::park();
        }
    }
}

impl LogDriver for WriterThread {
    fn wake(&self) {
        self.thread.unpark();
    }

    /// Writes out what is queued and ends the thread, so that the directory can be opened again.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
        if let Some(join) = self.join.take()
            && join.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
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
