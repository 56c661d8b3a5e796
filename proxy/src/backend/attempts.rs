//! Batches that are sent once, each in a session of its own, and awaited: for commands that wait on
//! the storage side longer than any deadline. What becomes of a refusal or a broken stream is for the
//! sender to decide ([`super::waiting`]).

use std::collections::{BTreeMap, HashMap};

use proto::v1::{Batch, BatchReply};
use tokio::sync::oneshot;
use topology::StoreId;

/// Marks the ids of these batches; those of the session's queues never get there.
const MARK: u64 = 1 << 63;

/// The stream broke, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

type Answer = Result<BatchReply, Lost>;

struct Sent {
    store: StoreId,
    answer: oneshot::Sender<Answer>,
}

/// Those of one worker.
#[derive(Default)]
pub struct Attempts {
    last_id: u64,
    /// To be sent with the next message, in order.
    waiting: BTreeMap<StoreId, Vec<Batch>>,
    sent: HashMap<u64, Sent>,
}

impl Attempts {
    /// Queues a batch; its id is chosen here.
    pub fn send(&mut self, store: StoreId, mut batch: Batch) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.last_id += 1;
        batch.id = MARK | self.last_id;
        self.sent.insert(batch.id, Sent { store, answer });
        self.waiting.entry(store).or_default().push(batch);
        receiver
    }

    pub fn wants(&self, store: StoreId) -> bool {
        self.waiting.contains_key(&store)
    }

    /// What is to be sent to `store` now.
    pub fn collect(&mut self, store: StoreId) -> Vec<Batch> {
        self.waiting.remove(&store).unwrap_or_default()
    }

    /// Hands over an answer; gives it back if it belongs to somebody else.
    pub fn reply(&mut self, reply: BatchReply) -> Option<BatchReply> {
        if reply.id & MARK == 0 {
            return Some(reply);
        }
        if let Some(sent) = self.sent.remove(&reply.id) {
            // Nobody waits any more: the command was ended by a later batch.
            let _ = sent.answer.send(Ok(reply));
        }
        None
    }

    /// The stream to `store` broke.
    pub fn disconnected(&mut self, store: StoreId) {
        self.waiting.remove(&store);
        let lost: Vec<u64> = self.sent.iter().filter(|(_, s)| s.store == store).map(|(&id, _)| id).collect();
        for id in lost {
            if let Some(sent) = self.sent.remove(&id) {
                let _ = sent.answer.send(Err(Lost));
            }
        }
    }

    /// Forgets what nobody awaits.
    pub fn forget_abandoned(&mut self) {
        self.sent.retain(|_, sent| !sent.answer.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_who_awaits_them() {
        let mut attempts = Attempts::default();
        let mut first = attempts.send(StoreId(1), Batch::default());
        let mut second = attempts.send(StoreId(2), Batch::default());
        assert!(attempts.wants(StoreId(1)) && !attempts.wants(StoreId(3)));
        let sent = attempts.collect(StoreId(1));
        assert!(!attempts.wants(StoreId(1)));
        let reply = |id| BatchReply { id, ..BatchReply::default() };
        assert_eq!(attempts.reply(reply(7)).unwrap().id, 7, "of a queue");
        assert!(attempts.reply(reply(sent[0].id)).is_none());
        assert_eq!(first.try_recv().unwrap().unwrap().id, sent[0].id);
        attempts.disconnected(StoreId(2));
        assert_eq!(second.try_recv().unwrap(), Err(Lost));
        assert!(attempts.sent.is_empty() && attempts.waiting.is_empty());
    }

    #[test]
    fn the_abandoned_are_forgotten() {
        let mut attempts = Attempts::default();
        drop(attempts.send(StoreId(1), Batch::default()));
        attempts.forget_abandoned();
        assert!(attempts.sent.is_empty());
    }
}
