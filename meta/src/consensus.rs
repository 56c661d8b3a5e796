//! Meta's Raft group as the rest of meta sees it: propose, confirm leadership, know the leader.

use std::{collections::BTreeMap, time::Duration};

use proto::v1::MetaMember;
use raft_rocks::{Member, Payload, Raft, RaftMetrics};
use tokio::time::timeout;

use crate::{
    machine::MetaMachine,
    proposal::{Answer, Proposal},
};

/// Group id of meta's own Raft in the log store and on the wire.
pub(crate) const META_GROUP: u64 = 0;

/// Leadership that takes longer to confirm is not worth much.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(1_500);

pub(crate) struct Consensus {
    pub id: u64,
    pub raft: Raft<MetaMachine>,
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

    /// This node's view of the group: members, leader (0 if unknown), term.
    pub fn members(&self) -> (Vec<MetaMember>, u64, u64) {
        let metrics = raft_rocks::metrics(&self.raft);
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let matched = |id: &u64| match &metrics.replication {
            Some(replication) => replication.get(id).and_then(|log_id| log_id.as_ref().map(|l| l.index)),
            None if *id == self.id => metrics.last_applied.as_ref().map(|l| l.index),
            None => None,
        };
        let members = membership.nodes().map(|(id, member)| MetaMember {
            id: *id,
            addr: member.addr.clone(),
            voter: voters.contains(id),
            matched_index: matched(id).unwrap_or(0),
        });
        (members.collect(), metrics.current_leader.unwrap_or(0), metrics.current_term)
    }

    /// Gives an empty log its first membership.
    pub async fn initialize(&self, members: BTreeMap<u64, Member>) -> anyhow::Result<()> {
        self.raft.initialize(members).await.map_err(|error| anyhow::anyhow!("first membership: {error}"))
    }
}
