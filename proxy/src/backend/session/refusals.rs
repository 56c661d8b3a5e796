//! What follows each refusal.

use proto::v1::{BatchReply, Refusal};
use topology::{StoreId, Version};

use super::{Moving, Origin, Session, backoff};
use crate::backend_api::RouteError;

/// A session whose oldest batch is out of order so often in a row counts as lost.
const OUT_OF_ORDER_MAX: u32 = 8;

impl<S: Origin> Session<S> {
    pub(super) fn refused(
        &mut self,
        now_ms: u64,
        at: usize,
        position: usize,
        refusal: Refusal,
        reply: BatchReply,
    ) {
        self.effects.rearm = true;
        let queue = &mut self.queues[at];
        queue.refuse(position, refusal != Refusal::UnknownOutcome);
        let first = queue.recover(now_ms, &mut self.rng);
        match refusal {
            Refusal::None | Refusal::Overloaded => {}
            Refusal::NotLeader | Refusal::UnknownGroup | Refusal::UnknownOutcome => {
                let hint = (reply.leader_hint != 0).then_some(StoreId(reply.leader_hint));
                if first {
                    queue.redirect(hint.filter(|h| self.routes.address(*h).is_some()), now_ms);
                }
            }
            Refusal::OutOfOrder => {
                if queue.attempts() > OUT_OF_ORDER_MAX && position == 0 {
                    queue.lose_session();
                }
                queue.retry_at_once(now_ms);
            }
            Refusal::SessionExpired => {
                queue.lose_session();
                queue.retry_at_once(now_ms);
            }
            Refusal::WrongGroup => self.wrong_group(now_ms, at, Version(reply.topology_version)),
            Refusal::StorageFailed => self.storage_failed(at, position, reply.detail),
        }
    }

    /// Nothing of the batch was executed, nor of those behind it: their commands are withdrawn, and
    /// routed again by a newer topology, or after a while (a slot may be closed for a moment).
    fn wrong_group(&mut self, now_ms: u64, at: usize, known: Version) {
        let queue = &mut self.queues[at];
        queue.retry_at_once(now_ms);
        if queue.moving.is_none_or(|m| m.retry_at_ms == 0) {
            queue.reroutes += 1;
            let pause_ms = backoff::delay_ms(queue.reroutes, &mut self.rng);
            let newer = Version(self.routes.version.0 + 1);
            queue.moving = Some(Moving { version: known.max(newer), retry_at_ms: now_ms + pause_ms });
        }
    }

    /// The group can execute no more: the clients learn it, the sequence number is used up.
    fn storage_failed(&mut self, at: usize, position: usize, detail: String) {
        let batch = &mut self.queues[at].unanswered[position];
        for entry in &mut batch.commands.entries {
            let unknown = batch.unknown && entry.write;
            let error = if unknown { RouteError::Unknown } else { RouteError::Storage(detail.clone()) };
            self.effects.replies.extend(entry.sink.take().map(|sink| (sink, Err(error))));
        }
        batch.withdraw = true;
    }
}
