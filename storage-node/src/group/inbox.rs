//! Batches on their way to a group's evaluator, and replies on their way back to a stream.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use commands::Id;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use proto::v1::{Batch, BatchReply, Changed, DataReply, Refusal, RunningScript};
use tokio::sync::Notify;

/// Bytes of commands that may wait for one evaluator; more is refused as overload.
const INBOX_BYTES_MAX: usize = 256 << 20;
/// Keys that changed and wait for one stream; past it, everything counts as changed.
const CHANGES_BYTES_MAX: usize = 16 << 20;
/// What one such key costs beside its bytes, about.
const CHANGE_OVERHEAD_BYTES: usize = 48;

/// A batch and where its reply goes.
pub struct Incoming {
    pub batch: Batch,
    pub sink: Arc<ReplyQueue>,
}

impl Incoming {
    /// It is about a script that keeps others waiting.
    pub fn is_urgent(&self) -> bool {
        let id = self.batch.commands.first_chunk().copied().map(u16::from_le_bytes);
        id.is_some_and(|id| [Id::StopScript as u16, Id::LibraryStats as u16].contains(&id))
    }

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

    /// Takes those batches out that are not to wait; the first `seen` have been looked at before.
    pub fn take_urgent(&self, seen: &mut usize) -> Vec<Incoming> {
        let mut queue = self.queue.lock();
        let from = (*seen).min(queue.0.len());
        let urgent: Vec<_> = queue.0.extract_if(from.., |incoming| incoming.is_urgent()).collect();
        queue.1 -= urgent.iter().map(|incoming| incoming.batch.commands.len()).sum::<usize>();
        *seen = queue.0.len();
        urgent
    }

    /// Adds the streams of those who wait, each once.
    pub fn add_sinks(&self, sinks: &mut Vec<Arc<ReplyQueue>>) {
        self.queue.lock().0.iter().for_each(|incoming| add_sink(sinks, &incoming.sink));
    }
}

/// Adds a stream unless it is there.
pub fn add_sink(sinks: &mut Vec<Arc<ReplyQueue>>, sink: &Arc<ReplyQueue>) {
    if !sinks.iter().any(|known| Arc::ptr_eq(known, sink)) {
        sinks.push(sink.clone());
    }
}

/// What waits for one stream.
#[derive(Default)]
struct Waiting {
    replies: Vec<BatchReply>,
    /// Of what was read through the stream; told behind the replies.
    changes: Vec<Changed>,
    changes_bytes: usize,
    running: Vec<RunningScript>,
}

/// Replies of all groups for one stream; whatever gathered since the last message becomes the next.
#[derive(Default)]
pub struct ReplyQueue {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
    closed: AtomicBool,
}

impl ReplyQueue {
    pub fn push(&self, reply: BatchReply) {
        self.waiting.lock().replies.push(reply);
        self.waker.wake();
    }

    /// Tells of a script that keeps others waiting.
    pub fn tell(&self, running: RunningScript) {
        self.waiting.lock().running.push(running);
        self.waker.wake();
    }

    /// A key that was read through the stream was changed by `writer`, who is not to be told (0: all are).
    pub fn tell_changed(&self, group: u64, key: Bytes, writer: u64) {
        if self.is_closed() {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.changes_bytes += key.len() + CHANGE_OVERHEAD_BYTES;
        match waiting.changes.last_mut() {
            Some(last) if last.group == group && !last.everything => {
                last.keys.push(key);
                last.writers.push(writer);
            }
            _ => {
                let changed = Changed { group, keys: vec![key], writers: vec![writer], everything: false };
                waiting.changes.push(changed);
            }
        }
        if waiting.changes_bytes > CHANGES_BYTES_MAX {
            waiting.give_up_keys();
        }
        drop(waiting);
        self.waker.wake();
    }

    /// Nothing that was read of `group` through the stream is remembered any more.
    pub fn tell_everything(&self, group: u64) {
        if !self.is_closed() {
            self.waiting.lock().changes.push(Changed { group, everything: true, ..Changed::default() });
            self.waker.wake();
        }
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
        std::mem::take(&mut self.waiting.lock().replies)
    }

    #[cfg(test)]
    pub fn take_changes(&self) -> Vec<Changed> {
        std::mem::take(&mut self.waiting.lock().changes)
    }

    /// The next message of the stream.
    pub fn poll_message(&self, cx: &mut Context<'_>) -> Poll<DataReply> {
        self.waker.register(cx.waker());
        let Waiting { replies, changes, running, .. } = std::mem::take(&mut *self.waiting.lock());
        match replies.is_empty() && changes.is_empty() && running.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(DataReply { replies, changes, running }),
        }
    }
}

impl Waiting {
    /// Too many keys: their groups as a whole stand for them.
    fn give_up_keys(&mut self) {
        let groups: BTreeSet<u64> = self.changes.drain(..).map(|changed| changed.group).collect();
        let everything = |group| Changed { group, everything: true, ..Changed::default() };
        self.changes.extend(groups.into_iter().map(everything));
        self.changes_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_group_travel_together_and_are_bounded() {
        let queue = ReplyQueue::default();
        queue.tell_changed(1, Bytes::from_static(b"a"), 0);
        queue.tell_changed(1, Bytes::from_static(b"b"), 7);
        queue.tell_everything(2);
        let changes = queue.take_changes();
        assert_eq!((changes.len(), changes[0].keys.len(), &changes[0].writers[..]), (2, 2, &[0, 7][..]));
        let large = Bytes::from(vec![b'x'; 1 << 20]);
        (0..20).for_each(|_| queue.tell_changed(1, large.clone(), 0));
        let changes = queue.take_changes();
        assert!(changes[0].everything && changes.iter().map(|c| c.keys.len()).sum::<usize>() < 20);
        queue.close();
        queue.tell_changed(1, large, 0);
        assert!(queue.take_changes().is_empty());
    }
}
