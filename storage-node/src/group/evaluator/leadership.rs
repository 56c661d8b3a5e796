//! Taking up and laying down leadership, and what is known of it at a moment.

use futures::stream::FuturesOrdered;
use proto::v1::Refusal;
use raft_rocks::ReadPolicy;

use super::{Evaluator, Role, past::Past};
use crate::{
    group::{
        effects::EffectsBuilder,
        execute::Clients,
        view::{Overlay, Written},
    },
    options::Reads,
};

impl Evaluator {
    /// Gives up everything evaluated and not applied. Its outcome is for the sessions to find out.
    pub(super) fn step_down(&mut self, refusal: Refusal) {
        let refusal = if refusal == Refusal::StorageFailed { refusal } else { Refusal::UnknownOutcome };
        let hint = self.shared.leader_hint(&self.raft);
        self.drop_suspended(hint);
        self.in_flight.extend(self.ahead.take().map(|ahead| ahead.entry));
        let entries = self.in_flight.iter_mut().flat_map(|entry| entry.waiting.drain(..));
        entries.chain(self.waiting.drain(..)).for_each(|mut waiting| waiting.refuse(refusal, hint));
        for incoming in self.backlog.drain(..) {
            incoming.refuse(Refusal::NotLeader, hint, 0);
        }
        self.lose_readers();
        self.in_flight.clear();
        self.proposals = FuturesOrdered::new();
        self.overlay = Overlay::default();
        self.effects = EffectsBuilder::default();
        self.written = Written::default();
        self.commands = 0;
        self.evaluated_seq.clear();
        self.past = Past::new(self.shared.session_idle);
        self.settled = self.eid;
        self.eid += 1;
        self.slots_proposed = None;
        self.libraries = (0, None);
        self.namespaces_proposed = None;
        self.search = None;
        self.served.clear();
        self.clients.waiters.refuse_where(|_| Some(refusal), hint, 0);
        self.clients = Clients::new(self.shared.entropy.next_u64());
        self.role = Role::Follower;
    }

    /// Takes up or lays down the role that Raft says this replica has.
    pub(super) fn follow_leadership(&mut self) {
        let leader = raft_rocks::leads_as(&self.raft);
        match (&self.role, leader) {
            (Role::Serving(current) | Role::CatchingUp(current), Some(new)) if *current == new => {}
            (_, new) => {
                if !matches!(self.role, Role::Follower) {
                    self.step_down(Refusal::UnknownOutcome);
                }
                if let Some(new) = new {
                    self.role = Role::CatchingUp(new);
                    self.serve_if_caught_up();
                }
            }
        }
    }

    pub(super) fn serve_if_caught_up(&mut self) {
        let Role::CatchingUp(leader) = &self.role else { return };
        let applied = self.shared.state.lock().applied.log_id;
        if applied.is_some_and(|id| id.committed_leader_id() == leader) {
            tracing::info!(group = self.shared.group, term = leader.term, "leads");
            self.role = Role::Serving(*leader);
            self.advance_time();
            self.adopt();
        }
    }

    /// Whether this replica is known to lead at this moment.
    pub(super) async fn may_read(&mut self) -> bool {
        if self.shared.faults.stale_read {
            return true;
        }
        if self.shared.reads == Reads::Lease && self.lease_holds() {
            return true;
        }
        if self.backlog.iter().all(|incoming| incoming.batch.seq > 0) {
            // Its reads are answered with its writes; their commit confirms leadership.
            return true;
        }
        self.confirm().await
    }

    /// Asks the other replicas.
    pub(super) async fn confirm(&mut self) -> bool {
        let confirm = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match tokio::time::timeout(self.shared.lease, confirm).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!(group = self.shared.group, %error, "leadership not confirmed");
                false
            }
            Err(_) => false,
        }
    }

    pub(super) fn lease_holds(&self) -> bool {
        let Role::Serving(serving) = &self.role else { return false };
        self.shared.holds_lease(&self.raft, serving)
    }
}
