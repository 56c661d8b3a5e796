//! The task of a connection: reads, decodes, hands commands over, writes, and decides when to stop.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use daemon::env::BoxIo;
use resp::{Decoded, Decoder, Reply};
use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead, ReadBuf},
    task::yield_now,
    time::{Sleep, sleep},
};

use super::{Connection, Session, input::Input, turn::Turn};
use crate::{
    accounts::Access,
    backend_api::ReplyTarget,
    clients::ClientInfo,
    execute::{ARGS_INLINE, Front, Verdict},
    local,
    pubsub::Subscriber,
    settings::Number,
    shared::Counters,
    worker::Worker,
};

/// Bytes kept, about, of what a client sends while it waits in a command.
const INPUT_BYTES_AHEAD: usize = 1024 * 1024;
/// Replies made at a time, about, before they are written and the limit is looked at.
const REPLY_BYTES_AHEAD: usize = 256 * 1024;
/// Messages handed to the socket at a time, about.
const MESSAGES_BYTES_READY: usize = 64 * 1024;
/// Likewise for argument positions.
const DECODER_BYTES_KEPT: usize = 2 * 1024;

/// Serves a client until it leaves or is closed.
pub async fn serve(worker: Rc<Worker>, info: Arc<ClientInfo>, io: BoxIo) {
    let access = Access::new(&worker.shared.accounts);
    let authenticated = !access.needs_login();
    info.set_account(access.account().clone());
    let session = Session::new(info.side, access);
    let mut driver = Driver {
        front: Front::new(Connection::new(worker, info, io), session),
        decoder: Decoder::new(0, authenticated),
        input: Input::default(),
        turn: Turn::default(),
        stalled: false,
        pause: None,
        eof: false,
    };
    poll_fn(|cx| driver.poll(cx)).await;
    driver.close();
}

struct Driver {
    front: Front,
    decoder: Decoder,
    /// Starts with the first byte of a request.
    input: Input,
    /// Since the task was woken.
    turn: Turn,
    /// `input` may hold complete requests: something made us stop before them.
    stalled: bool,
    /// Until CLIENT PAUSE ends.
    pause: Option<Pin<Box<Sleep>>>,
    /// The client sends no more.
    eof: bool,
}

/// Nothing more is to be done: close.
struct Closed;

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.keep_waker(cx);
        self.turn = Turn::default();
        match self.run(cx) {
            Ok(()) => Poll::Pending,
            Err(Closed) => Poll::Ready(()),
        }
    }

    /// Works until there is nothing to do but wait, or it is the turn of others.
    fn run(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        loop {
            self.front.follow_users();
            self.take_feed();
            self.begin_to_listen();
            self.finish_command();
            let more = self.take_messages();
            self.write(cx)?;
            if self.turn.is_over() {
                // Woken when all others have run and sockets were looked at.
                let _ = pin!(yield_now()).poll(cx);
                self.publish_figures();
                return Ok(());
            }
            if self.has_messages() {
                continue;
            }
            self.listen(cx)?;
            if self.is_waiting(cx) {
                self.front.conn.output.borrow_mut().watch(true);
                self.publish_figures();
                return Ok(());
            }
            self.front.conn.output.borrow_mut().watch(more);
            if self.stalled {
                self.process_input();
            } else if !self.read(cx)? {
                self.rest();
                return Ok(());
            }
        }
    }

    /// Writes what is ready; finds out whether the connection has to end.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        let conn = &self.front.conn;
        if conn.info.is_killed() {
            return Err(Closed);
        }
        self.front.session.closing |= conn.info.is_dismissed();
        let mut output = conn.output.borrow_mut();
        let mut io = conn.io.borrow_mut();
        let io = io.as_mut().ok_or(Closed)?;
        let written = output.poll_write(io, cx);
        conn.has_written(output.take_count());
        if let Poll::Ready(Err(_)) = written {
            return Err(Closed);
        }
        let ended = (self.front.session.closing || self.eof && !self.stalled) && output.is_done();
        let limit = conn.worker.shared.settings.limit(Number::OutputBytesMax);
        if output.bytes() > limit {
            tracing::warn!(client = %conn.info.peer, limit, "client does not read its replies: closed");
            return Err(Closed);
        }
        if ended { Err(Closed) } else { Ok(()) }
    }

    /// The command under way got what it needed from elsewhere.
    fn finish_command(&mut self) {
        let Some((token, rest)) = self.front.conn.take_rest() else { return };
        let reply = rest(&mut self.front);
        let mut bytes = Vec::new();
        resp::encode(&reply, self.front.session.protocol, &mut bytes);
        self.front.conn.reply(token, Ok(bytes.into()));
    }

    /// While the client waits in a command, some of what it sends is kept; that it leaves ends the
    /// waiting, unless it has sent more than that.
    fn listen(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        if !self.front.conn.info.is_blocked() || self.eof {
            return Ok(());
        }
        let worker = self.front.conn.worker.clone();
        let mut scratch = worker.take_scratch();
        let mut result = Ok(());
        while result.is_ok() && self.input.len() < INPUT_BYTES_AHEAD {
            match self.poll_read(&mut scratch, cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_) | Ok(0)) => result = Err(Closed),
                Poll::Ready(Ok(count)) => {
                    self.input.push(&scratch[..count]);
                    self.stalled = true;
                }
            }
        }
        worker.put_scratch(scratch);
        result
    }

    /// No further command may be taken now; whoever changes that wakes this task.
    fn is_waiting(&mut self, cx: &mut Context<'_>) -> bool {
        let conn = &self.front.conn;
        if self.front.session.closing || self.eof && !self.stalled || conn.barrier.get() || self.is_full() {
            return true;
        }
        if let Some(pause) = &mut self.pause {
            // The pause is over, someone changed it, or a promise is known: look at the command again.
            let is_over = pause.as_mut().poll(cx).is_ready();
            let shared = &conn.worker.shared;
            let holds = || shared.pause.holds(|| true, || shared.now_ms()).is_some();
            if !is_over && conn.promise.get().is_none() && holds() {
                return true;
            }
            self.pause = None;
            conn.info.set_paused(false);
        }
        conn.worker.wait_for_relief(cx)
    }

    fn is_full(&self) -> bool {
        let conn = &self.front.conn;
        conn.output.borrow().waiting() >= conn.worker.shared.settings.pipeline_depth
    }

    /// Reads once and processes what came. False: nothing to read for now.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Closed> {
        let worker = self.front.conn.worker.clone();
        let mut scratch = worker.take_scratch();
        let result = match self.poll_read(&mut scratch, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Closed),
            Poll::Ready(Ok(0)) => {
                self.eof = true;
                Ok(true)
            }
            Poll::Ready(Ok(count)) => self.take(&scratch[..count]),
        };
        worker.put_scratch(scratch);
        result
    }

    fn poll_read(&self, scratch: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let conn = &self.front.conn;
        let mut io = conn.io.borrow_mut();
        let Some(io) = io.as_mut() else { return Poll::Ready(Ok(0)) };
        let mut buf = ReadBuf::new(scratch);
        let read = Pin::new(io).poll_read(cx, &mut buf);
        let count = buf.filled().len();
        Counters::add(&conn.worker.counters().input_bytes, count as u64);
        read.map_ok(|()| count)
    }

    fn take(&mut self, received: &[u8]) -> Result<bool, Closed> {
        if self.input.is_empty() {
            let consumed = self.process(received);
            self.input.push(&received[consumed..]);
        } else {
            self.input.push(received);
            self.process_input();
        }
        let limit = self.front.conn.worker.shared.settings.limit(Number::QueryBytesMax);
        if self.input.len() > limit {
            tracing::warn!(client = %self.front.conn.info.peer, limit, "query buffer limit exceeded: closed");
            return Err(Closed);
        }
        Ok(true)
    }

    /// Processes what was kept.
    fn process_input(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let consumed = self.process(input.unread());
        input.consume(consumed);
        self.input = input;
    }

    /// Executes requests in `buf`, as many as may be for now; answers how many bytes they took.
    fn process(&mut self, buf: &[u8]) -> usize {
        let shared = &self.front.conn.worker.shared.clone();
        let started_us = shared.now_us();
        self.decoder.set_bulk_bytes_max(shared.settings.limit(Number::BulkBytesMax));
        self.front.conn.info.active_ms.store(started_us / 1000, Relaxed);
        let mut at = 0;
        let mut count = 0;
        let reply_bytes_max = self.front.conn.output.borrow().bytes() + REPLY_BYTES_AHEAD;
        self.stalled = true;
        while self.takes_more(reply_bytes_max) {
            self.decoder.set_authenticated(!self.front.session.access.needs_login());
            match self.decoder.decode(&buf[at..]) {
                Ok(Decoded::Incomplete { .. }) => {
                    self.stalled = false;
                    break;
                }
                Ok(Decoded::Request { consumed }) => {
                    if let Verdict::Paused { until_ms } = self.execute(&buf[at..], started_us) {
                        self.pause_until(until_ms);
                        break;
                    }
                    count += u64::from(!self.decoder.is_empty());
                    self.turn.took_one(|| shared.now_us());
                    at += consumed;
                }
                Err(error) => {
                    Counters::add(&self.front.conn.worker.counters().protocol_errors, 1);
                    tracing::debug!(client = %self.front.conn.info.peer, %error, "protocol error");
                    self.front.refuse(&Reply::error(error.to_string()));
                    at = buf.len();
                }
            }
        }
        Counters::add(&self.front.conn.worker.counters().commands, count);
        self.front.publish_last();
        at
    }

    /// Another command may be executed at once.
    fn takes_more(&self, reply_bytes_max: usize) -> bool {
        let conn = &self.front.conn;
        let may_go_on = !self.front.session.closing && !conn.barrier.get() && !self.turn.is_over();
        may_go_on && !self.is_full() && conn.output.borrow().bytes() < reply_bytes_max
    }

    /// Executes the request that the decoder found at the front of `buf`.
    fn execute(&mut self, buf: &[u8], started_us: u64) -> Verdict {
        let argv: SmallVec<[&[u8]; ARGS_INLINE]> = self.decoder.args(buf).collect();
        if argv.is_empty() { Verdict::Done } else { self.front.execute(&argv, started_us) }
    }

    fn pause_until(&mut self, until_ms: u64) {
        let left = until_ms.saturating_sub(self.front.conn.worker.shared.now_ms());
        self.pause = Some(Box::pin(sleep(Duration::from_millis(left))));
        self.front.conn.info.set_paused(true);
    }

    /// Lines for a monitoring client.
    fn take_feed(&mut self) {
        if let Some(feed) = &self.front.session.feed {
            let lines = feed.take();
            if !lines.is_empty() {
                let mut output = self.front.conn.output.borrow_mut();
                let place = output.place();
                output.push_message(place, &lines);
            }
        }
    }

    /// Somebody else has something to tell this client for the first time.
    fn begin_to_listen(&mut self) {
        let info = &self.front.conn.info;
        if self.front.session.subscriber.is_none() && info.has_feed() {
            self.front.session.subscriber = Some(Subscriber::new(info.clone()));
        }
    }

    /// Messages for a client that subscribes or tracks, as far as the socket takes them: the others wait
    /// where they are counted. Whether some do.
    fn take_messages(&self) -> bool {
        let Some(subscriber) = &self.front.session.subscriber else { return false };
        let mut output = self.front.conn.output.borrow_mut();
        if self.front.conn.info.is_blocked() {
            output.overtake_last();
        }
        if output.bytes() < MESSAGES_BYTES_READY {
            let place = output.place();
            subscriber.take(MESSAGES_BYTES_READY, |message| output.push_message(place, message));
        }
        !subscriber.is_empty()
    }

    /// The socket took what was ready, and there is more.
    fn has_messages(&self) -> bool {
        let Some(subscriber) = &self.front.session.subscriber else { return false };
        self.front.conn.output.borrow().bytes() < MESSAGES_BYTES_READY && !subscriber.is_empty()
    }

    /// Nothing to do: give back what is not needed.
    fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = Input::default();
        }
        if self.decoder.memory() > DECODER_BYTES_KEPT {
            self.decoder.release();
        }
        self.publish_figures();
    }

    fn publish_figures(&self) {
        let info = &self.front.conn.info;
        info.query_bytes.store(self.input.len(), Relaxed);
        let messages = self.front.session.subscriber.as_ref().map_or(0, |subscriber| subscriber.bytes());
        info.message_bytes.store(messages, Relaxed);
        self.front.conn.publish_figures(&self.front.conn.output.borrow());
    }

    fn keep_waker(&self, cx: &Context<'_>) {
        let conn = &self.front.conn;
        let mut waker = conn.waker.borrow_mut();
        if !waker.will_wake(cx.waker()) {
            waker.clone_from(cx.waker());
            conn.info.set_waker(cx.waker());
        }
    }

    fn close(&mut self) {
        local::leave_tracking(&mut self.front);
        local::leave_pubsub(&mut self.front);
        let conn = &self.front.conn;
        conn.leave();
        if let Some(feed) = self.front.session.feed.take() {
            conn.worker.shared.monitors.leave(&feed);
        }
        conn.output.borrow_mut().close();
        *conn.io.borrow_mut() = None;
    }
}
