//! What happens to commands whose time is up.
//!
//! A command that certainly was not executed is taken out of its batch, and the client is told so.
//! One of a batch that may have been executed keeps its place (the batch is repeated as it was), but
//! nobody waits for it any more; a batch that nobody waits for is withdrawn: it only uses up its
//! sequence number, so that nothing is executed long after its client was answered. Its commands go at
//! once: however long a group does not answer, what it was asked counts for nothing.

use bytes::Bytes;

use super::{
    Origin, Session,
    batch::{Closed, Commands, Entry, Filling, Flight, Payload, Unanswered},
};
use crate::backend_api::RouteError;

type Replies<S> = Vec<(S, Result<Bytes, RouteError>)>;

impl<S: Origin> Session<S> {
    /// Answers the commands of a queue whose time is up.
    pub(super) fn expire(&mut self, now_ms: u64, at: usize) {
        let queue = &mut self.queues[at];
        let replies = &mut self.effects.replies;
        let mut freed = 0;
        for batch in queue.unanswered.iter_mut().filter(|b| b.commands.deadline_min_ms <= now_ms) {
            freed += expire_batch(batch, now_ms, replies);
        }
        queue.unanswered.retain(|b| {
            let keep = b.in_flight() || b.has_sink() || (b.seq > 0 && b.flight != Flight::Withdrawn);
            freed += if keep { 0 } else { b.commands.weight() };
            keep
        });
        for window in &mut queue.windows {
            for lane in [&mut window.reads, &mut window.writes] {
                if lane.deadline_min_ms <= now_ms {
                    let before = lane.weight();
                    *lane = take_expired(std::mem::take(lane), now_ms, replies);
                    freed += before - lane.weight();
                }
            }
        }
        queue.windows.retain(|w| !w.is_empty());
        self.waiting_bytes -= freed;
    }
}

/// Returns the weight freed.
fn expire_batch<S: Origin>(batch: &mut Unanswered<S>, now_ms: u64, replies: &mut Replies<S>) -> usize {
    let not_executed = !batch.unknown && !batch.in_flight();
    let freed = if not_executed || batch.flight == Flight::Withdrawn {
        let before = batch.commands.weight();
        let commands = std::mem::replace(&mut batch.commands, Filling::default().close());
        batch.commands = take_expired(commands, now_ms, replies).close();
        before - batch.commands.weight()
    } else {
        let Commands { bytes, entries, ends, .. } = &mut batch.commands;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let encoded = starts.zip(&*ends).map(|(start, &end)| &bytes[start..end]);
        for (entry, command) in entries.iter_mut().zip(encoded).filter(|(e, _)| e.deadline_ms <= now_ms) {
            let error = if entry.write { RouteError::Unknown } else { RouteError::Timeout };
            let sink = entry.sink.take();
            sink.iter().for_each(|sink| sink.late(command));
            replies.extend(sink.map(|sink| (sink, Err(error))));
        }
        batch.commands.deadline_min_ms = earliest_deadline(&batch.commands);
        0
    };
    freed + batch.withdraw_unwanted()
}

/// The commands without those whose time is up; these are answered. None of them was executed.
fn take_expired<S: Origin, B: AsRef<[u8]>>(
    commands: Commands<S, B>,
    now_ms: u64,
    replies: &mut Replies<S>,
) -> Filling<S> {
    let mut rest = Filling::default();
    commands.each(|mut entry, bytes| {
        if entry.deadline_ms <= now_ms {
            let sink = entry.sink.take();
            sink.iter().for_each(|sink| sink.late(bytes));
            replies.extend(sink.map(|sink| (sink, Err(RouteError::Timeout))));
        } else if entry.sink.is_some() {
            rest.push(entry, &Payload::Encoded(bytes));
        }
    });
    rest
}

fn earliest_deadline<S>(commands: &Closed<S>) -> u64 {
    let waiting = |e: &&Entry<S>| e.sink.is_some();
    commands.entries.iter().filter(waiting).map(|e| e.deadline_ms).min().unwrap_or(u64::MAX)
}
