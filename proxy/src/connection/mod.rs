//! One client connection: one task, one socket, an ordered queue of replies.
//!
//! ```text
//! read ─► decode ─► execute ─┬─► local reply ────────────┐
//!   ▲                        └─► backend … reply ─► Output ─► write
//!   └── the task ([`Driver`])         the backend's flush, or the task
//! ```
//!
//! All commands of one read are submitted before anything is written. A reply that arrives is
//! written by the backend's `flush` right away; the task is woken only if the socket is full or it
//! waits for room in the pipeline. A connection at rest owns no buffers: the read buffer belongs to
//! the worker, and only the bytes of an incomplete request are kept.
//!
//! Invariant: `output` and `io` are never borrowed while the backend or another target is called.

mod driver;
mod input;
mod output;
mod session;
#[cfg(test)]
mod tests;
mod turn;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use commands::wire;
use daemon::env::BoxIo;
use resp::{Protocol, Reply, encode};
use tokio::sync::Notify;

pub use self::{
    driver::serve,
    output::{Call, Completed, Output},
    session::{Replies, Session},
};
use crate::{
    backend_api::{ReplyTarget, RouteError, Sink},
    clients::ClientInfo,
    execute::Front,
    local::own_args,
    pubsub::Subscriber,
    settings::Number,
    shared::Counters,
    slowlog::{self, Words},
    stats::error_in,
    worker::Worker,
};

/// The part of a connection that replies find their way to.
pub struct Connection {
    pub worker: Rc<Worker>,
    pub info: Arc<ClientInfo>,
    output: RefCell<Output>,
    /// `None`: closed.
    io: RefCell<Option<BoxIo>>,
    waker: RefCell<Waker>,
    /// Commands wait until the one under way has its reply: it changes what they would see.
    barrier: Cell<bool>,
    /// What the command under way has yet to do with the client's session.
    rest: RefCell<Option<(u64, Rest)>>,
    /// Whether what the command calls that CLIENT PAUSE holds back promises not to write.
    promise: Cell<Option<bool>>,
    /// Signalled when the client has left.
    left: Notify,
    has_left: Cell<bool>,
    me: Weak<Self>,
}

/// The end of a command that needed something from elsewhere: it answers.
pub type Rest = Box<dyn FnOnce(&mut Front) -> Reply>;

impl Connection {
    pub fn new(worker: Rc<Worker>, info: Arc<ClientInfo>, io: BoxIo) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            worker,
            info,
            output: RefCell::default(),
            io: RefCell::new(Some(io)),
            waker: RefCell::new(Waker::noop().clone()),
            barrier: Cell::new(false),
            rest: RefCell::default(),
            promise: Cell::default(),
            left: Notify::new(),
            has_left: Cell::new(false),
            me: me.clone(),
        })
    }

    /// Where a command's reply goes; `None`: the connection is being dropped.
    pub fn sink(&self, token: u64) -> Option<Sink> {
        Some(Sink { to: self.me.upgrade()?, token, origin: self.info.id })
    }

    /// A place in the queue of replies.
    pub fn open(&self, call: Call, silent: bool) -> u64 {
        self.output.borrow_mut().open(call, silent)
    }

    /// A command has no reply yet.
    pub fn waits(&self) -> bool {
        self.output.borrow().waiting() > 0
    }

    /// A reply that is there already.
    pub fn push(&self, reply: &Reply, protocol: Protocol) {
        self.output.borrow_mut().push(reply, protocol);
    }

    /// Messages come behind the reply of `token`.
    pub fn hold_messages(&self, token: u64) {
        self.output.borrow_mut().hold_messages(token);
    }

    /// Puts all messages that wait behind the replies that wait.
    pub fn push_messages(&self, subscriber: &Subscriber) {
        let mut messages = Vec::new();
        subscriber.take(usize::MAX, |message| messages.extend_from_slice(message));
        if !messages.is_empty() {
            self.output.borrow_mut().push(&Reply::Raw(messages.into()), Protocol::Resp2);
        }
    }

    /// Works on a command outside of the connection's task. Later commands wait for it.
    pub fn run_later(&self, token: u64, protocol: Protocol, work: impl Future<Output = Reply> + 'static) {
        let Some(me) = self.me.upgrade() else { return };
        self.barrier.set(true);
        tokio::task::spawn_local(async move {
            let mut bytes = Vec::new();
            encode(&work.await, protocol, &mut bytes);
            me.barrier.set(false);
            me.reply(token, Ok(bytes.into()));
            me.flush();
        });
    }

    /// Like [`Self::run_later`], for a command whose end changes or reads the client's session.
    pub fn run_then(&self, token: u64, work: impl Future<Output = Rest> + 'static) {
        let Some(me) = self.me.upgrade() else { return };
        self.barrier.set(true);
        tokio::task::spawn_local(async move {
            let rest = work.await;
            me.rest.replace(Some((token, rest)));
            me.barrier.set(false);
            me.wake();
        });
    }

    /// Has a command that is held back looked at again once it is known what it calls promises.
    pub fn await_promise(&self, asked: impl Future<Output = bool> + 'static) {
        let Some(me) = self.me.upgrade() else { return };
        self.barrier.set(true);
        tokio::task::spawn_local(async move {
            me.promise.set(Some(asked.await));
            me.barrier.set(false);
            me.wake();
        });
    }

    /// What was promised, for the command that waited for it.
    pub fn take_promise(&self) -> Option<bool> {
        self.promise.take()
    }

    /// Takes the end of a command that was under way, and the place of its reply.
    fn take_rest(&self) -> Option<(u64, Rest)> {
        self.rest.take()
    }

    /// The client is gone.
    fn leave(&self) {
        self.has_left.set(true);
        self.left.notify_waiters();
    }

    pub fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// Resolves when the client is gone.
    pub async fn gone(&self) {
        let left = self.left.notified();
        if !self.has_left.get() {
            left.await;
        }
    }

    fn wake(&self) {
        self.waker.borrow().wake_by_ref();
    }

    /// Keeps the arguments of a command under way, in case it turns out to be slow.
    pub fn note(&self, token: u64, args: &[&[u8]]) {
        if self.worker.shared.settings.number(Number::SlowlogSlowerUs) >= 0 {
            self.output.borrow_mut().note(token, |call| Words::of(call.spec, args));
        }
    }

    /// Counts a command that has its reply, and remembers it if it took long.
    fn account(&self, completed: &Completed, error: Option<&[u8]>) {
        let call = completed.call;
        let duration_us = self.worker.shared.now_us().saturating_sub(call.started_us);
        self.worker.executed(call.spec, duration_us, error);
        if self.worker.is_slow(duration_us) {
            let words = || slowlog::words(call.spec, call.in_capitals, completed.words.as_deref());
            self.worker.note_slow(&self.info, call.spec, duration_us, words);
        }
    }

    /// Writes what can be written, outside of the connection's task.
    fn try_write(&self) -> Poll<std::io::Result<()>> {
        let mut io = self.io.borrow_mut();
        let Some(io) = io.as_mut() else { return Poll::Ready(Ok(())) };
        let mut output = self.output.borrow_mut();
        // Not the budget of whichever task delivers replies: this is another connection's I/O.
        let write = tokio::task::unconstrained(poll_fn(|cx| output.poll_write(io, cx)));
        let written = pin!(write).poll(&mut Context::from_waker(Waker::noop()));
        self.has_written(output.take_count());
        self.publish_figures(&output);
        written
    }

    /// The socket took so much.
    fn has_written(&self, count: u64) {
        if count > 0 {
            Counters::add(&self.worker.counters().output_bytes, count);
            self.info.active_ms.store(self.worker.shared.now_ms(), Relaxed);
        }
    }

    /// Shows others what waits here.
    fn publish_figures(&self, output: &Output) {
        self.info.output_bytes.store(output.bytes(), Relaxed);
        self.info.pending.store(output.waiting(), Relaxed);
    }
}

impl ReplyTarget for Connection {
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
        let bytes = result.unwrap_or_else(|error| error_reply(&error));
        let error = error_in(&bytes).map(Bytes::copy_from_slice);
        let mut output = self.output.borrow_mut();
        let completed = output.complete(token, bytes);
        let wants_flush = output.wants_flush();
        if output.bytes() > self.worker.shared.settings.limit(Number::OutputBytesMax) {
            // The task closes the connection, unless the socket takes more than it did.
            self.wake();
        }
        self.publish_figures(&output);
        drop(output);
        if let Some(completed) = completed {
            self.account(&completed, error.as_deref());
        }
        wants_flush
    }

    fn late(&self, token: u64, command: &[u8]) {
        if let Some(Ok(command)) = wire::commands(command).next() {
            self.note(token, own_args(&command));
        }
    }

    fn flush(self: Rc<Self>) {
        match self.try_write() {
            Poll::Ready(Ok(())) => {
                let is_watched = self.output.borrow().is_watched();
                if is_watched {
                    self.wake();
                }
            }
            // The task finds the error, or waits for the socket.
            Poll::Ready(Err(_)) | Poll::Pending => self.wake(),
        }
    }
}

/// An error of the road as the client reads it.
pub fn error_reply(error: &RouteError) -> Bytes {
    let mut bytes = Vec::new();
    encode(&Reply::error(error.to_string()), Protocol::Resp2, &mut bytes);
    bytes.into()
}
