//! Batches on their way to a group's evaluator, and replies on their way back to a stream.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use commands::{Id, wire};
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

/// A message takes no further replies past this size, and longer ones are sent in pieces: whoever waits for
/// little on the same stream does not wait for much.
const PIECE_BYTES: usize = 1 << 20;
/// Replies that wait for one stream; past it nothing more is read for it.
const REPLIES_BYTES_MAX: usize = 1 << 30;

/// A batch and where its reply goes.
pub struct Incoming {
    pub batch: Batch,
    pub sink: Arc<ReplyQueue>,
    /// Commands that were executed already; only reads are executed in parts.
    pub done: u64,
}

impl Incoming {
    pub fn new(batch: Batch, sink: Arc<ReplyQueue>) -> Self {
        Self { batch, sink, done: 0 }
    }

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
    short: VecDeque<BatchReply>,
    /// Pieces of long ones.
    long: VecDeque<BatchReply>,
    /// Of both.
    bytes: usize,
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
        if self.is_closed() {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.bytes += reply.replies.len();
        match reply.replies.len() > PIECE_BYTES {
            true => waiting.long.extend(pieces(reply)),
            false => waiting.short.push_back(reply),
        }
        drop(waiting);
        self.waker.wake();
    }

    /// So much waits that nothing more should be read for the stream.
    pub fn is_crowded(&self) -> bool {
        self.waiting.lock().bytes > REPLIES_BYTES_MAX
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
        let mut waiting = self.waiting.lock();
        waiting.bytes = 0;
        let Waiting { short, long, .. } = &mut *waiting;
        short.drain(..).chain(long.drain(..)).collect()
    }

    #[cfg(test)]
    pub fn take_changes(&self) -> Vec<Changed> {
        std::mem::take(&mut self.waiting.lock().changes)
    }

    /// The next message of the stream.
    pub fn poll_message(&self, cx: &mut Context<'_>) -> Poll<DataReply> {
        self.waker.register(cx.waker());
        let mut waiting = self.waiting.lock();
        let replies = waiting.take_replies();
        // Whoever read something is told of its change behind the reply.
        let may_tell = waiting.short.is_empty() && waiting.long.is_empty();
        let changes = if may_tell { waiting.take_changes() } else { Vec::new() };
        let running = std::mem::take(&mut waiting.running);
        match replies.is_empty() && changes.is_empty() && running.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(DataReply { replies, changes, running }),
        }
    }
}

impl Waiting {
    /// What goes with the next message: the short ones first, and a piece of a long one at least.
    fn take_replies(&mut self) -> Vec<BatchReply> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE_BYTES
            && let Some(reply) = self.short.pop_front()
        {
            bytes += reply.replies.len();
            taken.push(reply);
        }
        if let Some(piece) = self.long.pop_front() {
            bytes += piece.replies.len();
            taken.push(piece);
        }
        self.bytes -= bytes;
        taken
    }

    fn take_changes(&mut self) -> Vec<Changed> {
        self.changes_bytes = 0;
        std::mem::take(&mut self.changes)
    }

    /// Too many keys: their groups as a whole stand for them.
    fn give_up_keys(&mut self) {
        let groups: BTreeSet<u64> = self.changes.drain(..).map(|changed| changed.group).collect();
        let everything = |group| Changed { group, everything: true, ..Changed::default() };
        self.changes.extend(groups.into_iter().map(everything));
        self.changes_bytes = 0;
    }
}

/// Cuts a long reply where the replies of its commands end. What else it says goes with the first piece.
fn pieces(reply: BatchReply) -> Vec<BatchReply> {
    let BatchReply { id, replies: whole, reads, mut aside, more: more_behind, .. } = reply;
    let mut pieces = Vec::new();
    let (mut rest, mut begin): (&[u8], usize) = (&whole, 0);
    while wire::take_bytes(&mut rest).is_ok() {
        let end = whole.len() - rest.len();
        if end - begin >= PIECE_BYTES || rest.is_empty() {
            let reads = reads.as_ref().map(|reads| if begin == 0 { reads.clone() } else { Bytes::new() });
            let (replies, aside) = (whole.slice(begin..end), aside.take());
            let more = more_behind || !rest.is_empty();
            pieces.push(BatchReply { id, replies, reads, aside, more, ..BatchReply::default() });
            begin = end;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(id: u64, sizes: &[usize]) -> BatchReply {
        let mut replies = Vec::new();
        sizes.iter().for_each(|&size| wire::put_bytes(&mut replies, &vec![id as u8; size]));
        BatchReply {
            id,
            replies: replies.into(),
            reads: Some(Bytes::from_static(b"r")),
            ..BatchReply::default()
        }
    }

    fn next(queue: &ReplyQueue) -> Option<DataReply> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match queue.poll_message(&mut cx) {
            Poll::Ready(message) => Some(message),
            Poll::Pending => None,
        }
    }

    #[test]
    fn short_replies_do_not_wait_for_long_ones_and_changes_wait_for_all() {
        let queue = ReplyQueue::default();
        let sizes = [PIECE_BYTES / 2; 9];
        queue.push(reply(1, &sizes));
        queue.push(reply(2, &[10]));
        queue.tell_changed(1, Bytes::from_static(b"a"), 0);
        let whole = reply(1, &sizes).replies;
        let (mut messages, mut long) = (0, Vec::new());
        while let Some(message) = next(&queue) {
            messages += 1;
            let ids: Vec<u64> = message.replies.iter().map(|reply| reply.id).collect();
            assert_eq!(ids, if messages == 1 { vec![2, 1] } else { vec![1] });
            let piece = message.replies.last().unwrap();
            assert_eq!(piece.reads.as_ref().unwrap().is_empty(), messages > 1, "told once");
            long.extend_from_slice(&piece.replies);
            assert_eq!(piece.more, long.len() < whole.len());
            assert_eq!(message.changes.len(), usize::from(!piece.more));
        }
        assert_eq!((messages, &long[..]), (5, &whole[..]));
        assert_eq!(queue.waiting.lock().bytes, 0);
    }

    #[test]
    fn a_message_is_not_much_longer_than_a_piece() {
        let queue = ReplyQueue::default();
        (0..100).for_each(|id| queue.push(reply(id, &[PIECE_BYTES / 10])));
        let mut seen = 0;
        while let Some(message) = next(&queue) {
            let bytes: usize = message.replies.iter().map(|reply| reply.replies.len()).sum();
            assert!(bytes < 2 * PIECE_BYTES);
            seen += message.replies.len();
        }
        assert_eq!(seen, 100);
    }

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
