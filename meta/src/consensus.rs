//! Meta's Raft group as the rest of meta sees it: propose, confirm leadership, know the leader,
//! change the members.

use std::{collections::BTreeMap, time::Duration};

use proto::v1::{MembersResponse, MetaMember};
use raft_rocks::{ChangeMembers, Member, Payload, Raft, RaftMetrics};
use tokio::time::timeout;

use crate::{
    machine::{MetaMachine, Rosters},
    membership::View,
    proposal::{Answer, Proposal},
};

/// Group id of meta's own Raft in the log store and on the wire.
pub(crate) const META_GROUP: u64 = 0;

/// Leadership that takes longer to confirm is not worth much.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(1_500);
/// A hand-over takes milliseconds; without one there is an election.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Consensus {
    pub id: u64,
    pub raft: Raft<MetaMachine>,
    pub rosters: Rosters,
    /// A member unheard for so long does not answer, and nor does the leader.
    pub silence_max: Duration,
}

/// Why a proposal has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposeError {
    /// It was not even appended: ask the leader.
    #[error("this node does not lead")]
    NotLeader,
    /// It may be committed now, later, or never.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl Consensus {
    /// Returns when the proposal is applied here.
    pub async fn propose(&self, proposal: &Proposal, wait: Duration) -> Result<Answer, ProposeError> {
        let unknown = |error: &dyn std::fmt::Display| ProposeError::Unknown(error.to_string());
        let json = serde_json::to_vec(proposal).map_err(|error| unknown(&error))?;
        match timeout(wait, self.raft.client_write(Payload(json.into()))).await {
            Ok(Ok(written)) => serde_json::from_slice(&written.data.0).map_err(|error| unknown(&error)),
            Ok(Err(error)) if error.forward_to_leader().is_some() => Err(ProposeError::NotLeader),
            Ok(Err(error)) => Err(unknown(&error)),
            Err(_) => Err(unknown(&"not committed in time")),
        }
    }

    /// Whether this node leads: a quorum said so after this was called, and everything committed
    /// before is applied here.
    pub async fn confirm(&self) -> bool {
        let confirmed = self.raft.ensure_linearizable(raft_rocks::ReadPolicy::ReadIndex);
        matches!(timeout(CONFIRM_TIMEOUT, confirmed).await, Ok(Ok(_)))
    }

    /// The term it leads in, as far as it knows by itself.
    pub fn leading_term(&self) -> Option<u64> {
        let metrics = raft_rocks::metrics(&self.raft);
        self.leads(&metrics).then_some(metrics.current_term)
    }

    fn leads(&self, metrics: &RaftMetrics) -> bool {
        metrics.current_leader == Some(self.id) && metrics.state.is_leader()
    }

    /// Waits until this node leads, as far as it knows by itself. None: Raft has stopped.
    pub async fn elected(&self) -> Option<u64> {
        let wait = self.raft.wait(None);
        let elected = wait.metrics(|metrics| self.leads(metrics), "this node leads").await;
        elected.ok().map(|metrics| metrics.current_term)
    }

    pub fn leader_addr(&self) -> Option<String> {
        raft_rocks::leader_member(&self.raft).map(|member| member.addr)
    }

    /// The group as this node sees it.
    pub fn members(&self) -> MembersResponse {
        let metrics = raft_rocks::metrics(&self.raft);
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let applied = metrics.last_applied.as_ref().map_or(0, |log_id| log_id.index);
        let matched = |id: &u64| match &metrics.replication {
            Some(replication) => replication.get(id).and_then(|log_id| log_id.as_ref().map(|l| l.index)),
            None if *id == self.id => Some(applied),
            None => None,
        };
        let members = membership.nodes().map(|(id, member)| MetaMember {
            id: *id,
            addr: member.addr.clone(),
            voter: voters.contains(id),
            matched_index: matched(id).unwrap_or(0),
        });
        MembersResponse {
            members: members.collect(),
            leader: metrics.current_leader.unwrap_or(0),
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: applied,
        }
    }

    /// The group as its leader sees it.
    pub fn view(&self) -> View {
        let metrics = raft_rocks::metrics(&self.raft);
        let membership = metrics.membership_config.membership();
        let replication = metrics.replication.iter().flatten();
        let answering = raft_rocks::answering(&metrics, self.silence_max);
        View {
            own: self.id,
            members: membership.nodes().map(|(id, member)| (*id, member.addr.clone())).collect(),
            voters: membership.voter_ids().collect(),
            is_joint: membership.get_joint_config().len() > 1,
            last_index: metrics.last_log_index.unwrap_or(0),
            matched: replication.filter_map(|(id, log_id)| Some((*id, log_id.as_ref()?.index))).collect(),
            answering: answering.chain([self.id]).collect(),
            voted: self.rosters.borrow().voted.clone(),
        }
    }

    /// Returns when the change is committed and [`view`](Self::view) shows it. Not to be dropped
    /// half-way: a change of voters is two entries.
    pub async fn change_members(
        &self,
        change: ChangeMembers<u64, Member>,
        keep_as_learners: bool,
    ) -> Result<(), ProposeError> {
        let written = match self.raft.change_membership(change, keep_as_learners).await {
            Ok(written) => written,
            Err(error) if error.forward_to_leader().is_some() => return Err(ProposeError::NotLeader),
            Err(error) => return Err(ProposeError::Unknown(error.to_string())),
        };
        let changed = Some(written.log_id);
        let shown = self.raft.wait(None);
        let shown = shown.metrics(|metrics| *metrics.membership_config.log_id() >= changed, "shown").await;
        shown.map(|_| ()).map_err(|error| ProposeError::Unknown(error.to_string()))
    }

    /// As leader: lets every member answer.
    pub async fn greet(&self) -> Result<(), ProposeError> {
        self.raft.trigger().heartbeat().await.map_err(|error| ProposeError::Unknown(error.to_string()))
    }

    /// Lets `to` lead instead of this node. Returns when another leads, or it takes too long.
    pub async fn hand_over(&self, to: u64) {
        if self.raft.trigger().transfer_leader(to).await.is_ok() {
            let another = |metrics: &RaftMetrics| metrics.current_leader.is_some_and(|id| id != self.id);
            // Whoever waits for it asks who leads now.
            let _ = self.raft.wait(Some(HAND_OVER_TIMEOUT)).metrics(another, "another leads").await;
        }
    }

    /// About to stop: lets another node lead.
    pub async fn leave(&self) {
        // Without leases there is nothing to give up.
        raft_rocks::hand_over(&self.raft, CONFIRM_TIMEOUT, HAND_OVER_TIMEOUT, || ()).await;
    }

    /// Gives an empty log its first membership.
    pub async fn initialize(&self, members: BTreeMap<u64, Member>) -> anyhow::Result<()> {
        self.raft.initialize(members).await.map_err(|error| anyhow::anyhow!("first membership: {error}"))
    }
}
