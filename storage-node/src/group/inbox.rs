//! Batches on their way to a group's evaluator, and replies on their way back to a stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use proto::v1::{Batch, BatchReply, DataReply, Refusal};
use tokio::sync::Notify;

/// Bytes of commands that may wait for one evaluator; more is refused as overload.
const INBOX_BYTES_MAX: usize = 256 << 20;

/// A batch and where its reply goes.
pub struct Incoming {
    pub batch: Batch,
    pub sink: Arc<ReplyQueue>,
}

impl Incoming {
    pub fn refuse(self, refusal: Refusal, leader_hint: u64, topology_version: u64) {
        self.sink.push(refused(self.batch.id, refusal, leader_hint, topology_version));
    }
}

/// A reply that says that nothing was executed, and why.
pub fn refused(id: u64, refusal: Refusal, leader_hint: u64, topology_version: u64) -> BatchReply {
    let detail = match refusal {
        Refusal::StorageFailed => "the disk of its leader is full or failing".to_owned(),
        _ => String::new(),
    };
    BatchReply { id, refusal: refusal.into(), leader_hint, topology_version, detail, ..BatchReply::default() }
}

/// The queue before an evaluator. The mutex is held for a push or a swap, never across an await.
#[derive(Default)]
pub struct Inbox {
    queue: Mutex<(Vec<Incoming>, usize)>,
    ready: Notify,
}

impl Inbox {
    /// Queues a batch, or refuses it when too much waits already.
    pub fn push(&self, incoming: Incoming) {
        let mut queue = self.queue.lock();
        if queue.1 > INBOX_BYTES_MAX {
            drop(queue);
            return incoming.refuse(Refusal::Overloaded, 0, 0);
        }
        queue.1 += incoming.batch.commands.len();
        queue.0.push(incoming);
        let first = queue.0.len() == 1;
        drop(queue);
        if first {
            self.ready.notify_one();
        }
    }

    /// Resolves when something waits.
    pub async fn ready(&self) {
        while self.queue.lock().0.is_empty() {
            self.ready.notified().await;
        }
    }

    pub fn take(&self) -> Vec<Incoming> {
        let mut queue = self.queue.lock();
        queue.1 = 0;
        std::mem::take(&mut queue.0)
    }
}

/// Replies of all groups for one stream; whatever gathered since the last message becomes the next.
#[derive(Default)]
pub struct ReplyQueue {
    replies: Mutex<Vec<BatchReply>>,
    waker: AtomicWaker,
    closed: AtomicBool,
}

impl ReplyQueue {
    pub fn push(&self, reply: BatchReply) {
        self.replies.lock().push(reply);
        self.waker.wake();
    }

    /// The stream has ended: nobody will read what is pushed.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub fn take(&self) -> Vec<BatchReply> {
        std::mem::take(&mut *self.replies.lock())
    }

    /// The next message of the stream.
    pub fn poll_message(&self, cx: &mut Context<'_>) -> Poll<DataReply> {
        self.waker.register(cx.waker());
        let replies = std::mem::take(&mut *self.replies.lock());
        if replies.is_empty() { Poll::Pending } else { Poll::Ready(DataReply { replies }) }
    }
}
