//! Items waiting for the next frame of a connection; either side has one.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::Stream;
use parking_lot::Mutex;
use proto::v1::{RaftFrame, RaftItem};

/// A frame is ended when it holds so much; at least one item goes into it.
const FRAME_BYTES: usize = 1 << 20;

#[derive(Default)]
struct State {
    items: VecDeque<RaftItem>,
    closed: bool,
    waker: Option<Waker>,
}

/// Bounded by its users: each append stream owes a bounded number of replies, each call one.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<State>>);

impl Outbox {
    /// False if the connection is closed.
    pub fn push(&self, item: RaftItem) -> bool {
        let waker = {
            let mut state = self.0.lock();
            if state.closed {
                return false;
            }
            state.items.push_back(item);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Ends the stream of frames; what is queued is dropped.
    pub fn close(&self) {
        let waker = {
            let mut state = self.0.lock();
            state.closed = true;
            state.items.clear();
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<RaftFrame>> {
        let mut state = self.0.lock();
        if state.closed {
            return Poll::Ready(None);
        }
        if state.items.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = frame_items(&state.items);
        Poll::Ready(Some(RaftFrame { items: state.items.drain(..count).collect() }))
    }
}

/// How many of the items go into the next frame.
fn frame_items(items: &VecDeque<RaftItem>) -> usize {
    let mut bytes = 0;
    let fits = |item: &&RaftItem| {
        let is_first = bytes == 0;
        bytes += item.payload.len() + 16;
        is_first || bytes <= FRAME_BYTES
    };
    items.iter().take_while(fits).count()
}

/// The frames of an outbox, made when the transport asks for one: so everything that queued
/// meanwhile is in it. Dropping it closes the outbox.
pub(super) struct Frames(pub Outbox);

impl Stream for Frames {
    type Item = RaftFrame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RaftFrame>> {
        self.0.poll_frame(cx)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.0.close();
    }
}
