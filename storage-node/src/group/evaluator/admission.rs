//! Which batches are evaluated: each one of a session once, in order.

use proto::v1::{BatchReply, Refusal};

use super::{Evaluator, Waiting};
use crate::group::{inbox::Incoming, state::GroupState};

impl Evaluator {
    /// Lets a batch in if it is the next of its session; answers it otherwise.
    pub(super) fn admit(&mut self, state: &GroupState, incoming: Incoming) {
        let (session, seq) = (incoming.batch.session, incoming.batch.seq);
        if seq == 0 {
            // What is left of a batch that had answers is not refused: it would be read from its beginning.
            if incoming.done == 0 && incoming.sink.is_crowded() {
                return incoming.refuse(Refusal::Overloaded, 0, 0);
            }
            return self.evaluate(state, incoming);
        }
        let committed = state.sessions.get(session);
        let last_committed = committed.map_or(0, |s| s.last_seq);
        let last = self.evaluated_seq.get(&session).copied().unwrap_or(0).max(last_committed);
        if seq == last + 1 {
            self.evaluated_seq.insert(session, seq);
            self.evaluate(state, incoming);
        } else if seq > last {
            // An acknowledged batch means that the session was here, and was dropped since.
            let expired = last == 0 && incoming.batch.acked_seq > 0;
            match expired {
                true => self.refuse_expired(incoming),
                false => incoming.refuse(Refusal::OutOfOrder, 0, 0),
            }
        } else if self.shared.faults.lost_session {
            self.evaluate(state, incoming);
        } else if seq <= last_committed {
            match committed.and_then(|s| s.replies_of(seq)) {
                Some(replies) => {
                    let id = incoming.batch.id;
                    incoming.sink.push(BatchReply { id, replies, ..BatchReply::default() });
                }
                None => self.refuse_expired(incoming),
            }
        } else {
            self.join_in_flight(incoming);
        }
    }

    /// Nothing is known of the session any more. Who is not known to lead may not know it yet.
    fn refuse_expired(&self, incoming: Incoming) {
        let refusal = if self.lease_holds() { Refusal::SessionExpired } else { Refusal::NotLeader };
        incoming.refuse(refusal, 0, 0);
    }

    /// A repeated batch whose first copy is in flight is answered with it.
    fn join_in_flight(&mut self, incoming: Incoming) {
        let (session, seq) = (incoming.batch.session, incoming.batch.seq);
        let ahead = self.ahead.iter_mut().map(|ahead| &mut ahead.entry);
        let entries = self.in_flight.iter_mut().chain(ahead).map(|entry| &mut entry.waiting);
        for waiting in entries.chain(std::iter::once(&mut self.waiting)) {
            if let Some(first) = waiting.iter_mut().find(|w| w.session == session && w.seq == seq) {
                let (sink, id) = (Some(incoming.sink), incoming.batch.id);
                if first.sink.is_none() {
                    (first.sink, first.id, first.reads) = (sink, id, None);
                } else {
                    let (replies, aside) = (first.replies.clone(), first.aside.clone());
                    waiting.push(Waiting {
                        sink,
                        id,
                        session,
                        seq,
                        replies,
                        reads: None,
                        aside,
                        more: false,
                    });
                }
                return;
            }
        }
        incoming.refuse(Refusal::OutOfOrder, 0, 0);
    }
}
