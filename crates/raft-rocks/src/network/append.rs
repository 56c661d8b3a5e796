//! An append stream: requests pipelined to the peer, replies in order.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::errors::{NetworkError, RPCError, Unreachable};
use proto::v1::{RaftItem, RaftKind};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};

use super::{
    codec::{self, Append, AppendResult},
    mux::{Disconnected, Mux, Reply},
};
use crate::types::TypeConfig;

/// Requests of one stream that may be unanswered at a time. The server accepts a few more.
pub(super) const WINDOW: usize = 32;
const WINDOW_BYTES: usize = 8 << 20;
/// How long news of a commit wait for entries to travel with.
const COMMIT_DELAY: Duration = Duration::from_millis(5);
/// How long the peer may owe a reply before the stream counts as broken.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

type RpcError = RPCError<TypeConfig>;

pub(super) fn unreachable(reason: impl ToString) -> RpcError {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

/// Where a group's items go.
#[derive(Clone)]
pub(super) struct Target {
    pub mux: Arc<Mux>,
    pub group: u64,
    pub replica: u64,
}

impl Target {
    pub fn item(&self, stream: u64, kind: RaftKind, payload: Bytes) -> RaftItem {
        RaftItem { group: self.group, to_replica: self.replica, stream, kind: kind.into(), payload }
    }
}

/// A stream id known to the peer; survives from one `stream_append` to the next if nothing is owed,
/// so that heartbeats do not open a stream each.
pub(super) struct OpenStream {
    target: Target,
    id: u64,
    replies: mpsc::UnboundedReceiver<Reply>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let closing = self.target.item(self.id, RaftKind::Closed, Bytes::new());
        self.target.mux.close(self.id, Some(closing));
    }
}

/// The stream of results for one stream of requests.
///
/// The input is polled before anything can fail: openraft's backoff is in there.
///
/// A request without entries, in the midst of others, only brings news of a commit. It waits a
/// moment for the next request, which brings the same news, and then is not sent at all: an answer
/// that acknowledges a later request acknowledges the earlier ones.
pub(super) struct AppendStream<'a, S> {
    target: Target,
    /// Kept by the network client between streams.
    slot: &'a mut Option<OpenStream>,
    input: Option<S>,
    /// Sizes of the requests not answered.
    owed: VecDeque<usize>,
    owed_bytes: usize,
    idle: Pin<Box<Sleep>>,
    /// A request has been sent.
    started: bool,
    held: Option<Append>,
    hold: Pin<Box<Sleep>>,
    finished: bool,
}

impl<'a, S: Stream<Item = Append> + Unpin> AppendStream<'a, S> {
    pub fn new(target: Target, slot: &'a mut Option<OpenStream>, input: S) -> Self {
        // Replies of a stream that was given up with something owed would be taken for ours; such
        // a stream is not kept, see `Drop`.
        Self {
            target,
            slot,
            input: Some(input),
            owed: VecDeque::new(),
            owed_bytes: 0,
            idle: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)),
            started: false,
            held: None,
            hold: Box::pin(tokio::time::sleep(COMMIT_DELAY)),
            finished: false,
        }
    }

    fn send(&mut self, request: &Append) -> Result<(), Disconnected> {
        let payload = codec::put_append(request);
        let size = payload.len();
        match self.slot {
            Some(open) => self.target.mux.send(self.target.item(open.id, RaftKind::Append, payload))?,
            None => {
                let item = self.target.item(0, RaftKind::Append, payload);
                let (id, replies) = self.target.mux.open_append(item)?;
                *self.slot = Some(OpenStream { target: self.target.clone(), id, replies });
            }
        }
        if self.owed.is_empty() {
            self.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
        }
        self.owed.push_back(size);
        self.owed_bytes += size;
        Ok(())
    }

    /// Polls requests while the window has room. Ready with an error if one could not be sent.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Disconnected> {
        while self.owed.len() < WINDOW && self.owed_bytes < WINDOW_BYTES {
            let Some(input) = &mut self.input else { break };
            match input.poll_next_unpin(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.input = None,
                Poll::Ready(Some(request)) if self.may_wait(&request) => {
                    self.held = Some(request);
                    self.hold.as_mut().reset(Instant::now() + COMMIT_DELAY);
                }
                Poll::Ready(Some(request)) => {
                    self.held = None;
                    if let Err(error) = self.send_or_reopen(&request) {
                        return Poll::Ready(error);
                    }
                }
            }
        }
        self.poll_held(cx)
    }

    fn may_wait(&self, request: &Append) -> bool {
        request.entries.is_empty() && self.started && self.held.is_none()
    }

    /// Sends what was held when its time has come or nothing can follow it.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Disconnected> {
        if self.held.is_none() || (self.input.is_some() && self.hold.as_mut().poll(cx).is_pending()) {
            return Poll::Pending;
        }
        let Some(request) = self.held.take() else { return Poll::Pending };
        self.send_or_reopen(&request).err().map_or(Poll::Pending, Poll::Ready)
    }

    /// An idle stream whose connection broke: the request may open another.
    fn send_or_reopen(&mut self, request: &Append) -> Result<(), Disconnected> {
        if self.owed.is_empty() && self.slot.as_ref().is_some_and(|open| open.replies.is_closed()) {
            *self.slot = None;
        }
        self.started = true;
        self.send(request)
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<AppendResult, RpcError>> {
        let Some(open) = self.slot.as_mut().filter(|_| !self.owed.is_empty()) else { return Poll::Pending };
        let Poll::Ready(reply) = open.replies.poll_recv(cx) else { return Poll::Pending };
        Poll::Ready(match reply {
            None => Err(unreachable(Disconnected)),
            Some((RaftKind::AppendReply, payload)) => {
                self.owed_bytes -= self.owed.pop_front().unwrap_or(0);
                self.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
                codec::get_append_result(payload).map_err(unreachable)
            }
            Some((RaftKind::Closed, _)) => Err(unreachable("the peer does not host the replica")),
            Some(_) => Err(unreachable("unexpected reply to an append")),
        })
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<RpcError> {
        if self.owed.is_empty() {
            return Poll::Pending;
        }
        let late = || RPCError::Network(NetworkError::from_string("the peer owes a reply for too long"));
        self.idle.as_mut().poll(cx).map(|()| late())
    }

    /// After an error, from the peer or from the way there, the stream is at its end.
    fn finish<T>(&mut self, last: T) -> Poll<Option<T>> {
        self.finished = true;
        *self.slot = None;
        Poll::Ready(Some(last))
    }
}

impl<S: Stream<Item = Append> + Unpin> Stream for AppendStream<'_, S> {
    type Item = Result<AppendResult, RpcError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.finished {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = this.poll_input(cx) {
            return this.finish(Err(unreachable(error)));
        }
        match this.poll_reply(cx) {
            Poll::Ready(Ok(Ok(matching))) => return Poll::Ready(Some(Ok(Ok(matching)))),
            Poll::Ready(failed) => return this.finish(failed),
            Poll::Pending => {}
        }
        if let Poll::Ready(error) = this.poll_idle(cx) {
            return this.finish(Err(error));
        }
        if this.input.is_none() && this.owed.is_empty() && this.held.is_none() {
            this.finished = true;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

impl<S> Drop for AppendStream<'_, S> {
    fn drop(&mut self) {
        if !self.owed.is_empty() {
            *self.slot = None;
        }
    }
}
