//! Events of one stream that wait to be sent.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use proto::v1::{Event, EventReply, event};

use super::weight;

/// Events that wait beyond which the stream is ended: its proxy takes nothing.
const OUTBOX_BYTES_MAX: usize = 64 << 20;
/// About what one message of the stream holds.
const MESSAGE_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    overrun: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Held for a push or a take.
    queue: Mutex<Queue>,
    waker: AtomicWaker,
}

impl Outbox {
    pub fn push(&self, event: event::Event) {
        let mut queue = self.queue.lock();
        if queue.overrun {
            return;
        }
        if queue.bytes > OUTBOX_BYTES_MAX {
            *queue = Queue { overrun: true, ..Queue::default() };
        } else {
            queue.bytes += weight(&event);
            queue.events.push_back(Event { event: Some(event) });
        }
        drop(queue);
        self.waker.wake();
    }

    #[cfg(test)]
    pub fn is_overrun(&self) -> bool {
        self.queue.lock().overrun
    }

    /// The next message of the stream; `None`: the stream is to end.
    pub fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Option<EventReply>> {
        self.waker.register(cx.waker());
        let mut queue = self.queue.lock();
        if queue.overrun {
            return Poll::Ready(None);
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < MESSAGE_BYTES
            && let Some(event) = queue.events.pop_front()
        {
            bytes += event.event.as_ref().map_or(0, weight);
            events.push(event);
        }
        queue.bytes -= bytes;
        if events.is_empty() { Poll::Pending } else { Poll::Ready(Some(EventReply { events })) }
    }
}
