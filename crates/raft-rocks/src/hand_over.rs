//! A leader that is about to stop makes another voter lead, so that nobody waits for an election
//! timeout.

use std::time::Duration;

use openraft::storage::RaftStateMachine;

use crate::types::{Raft, RaftMetrics, TypeConfig, answering, metrics};

/// Entries that the next leader may lack: it must get them before it is elected.
const LAG_MAX: u64 = 1_000;

/// Returns at once unless this replica leads and a voter that answered less than `fresh` ago can take
/// over; then when another leads, or after `patience`. This replica proposes nothing any more, and has no
/// lease: others vote for the next leader though they heard from this one just now. `leaving` is called
/// before anybody is told.
pub async fn hand_over<SM: RaftStateMachine<TypeConfig>>(
    raft: &Raft<SM>,
    fresh: Duration,
    patience: Duration,
    leaving: impl FnOnce(),
) {
    let now = metrics(raft);
    let Some(to) = successor(&now, fresh) else { return };
    tracing::info!(from = now.id, to, "hands leadership over");
    leaving();
    if raft.trigger().transfer_leader(to).await.is_ok() {
        let another = |metrics: &RaftMetrics| metrics.current_leader.is_some_and(|id| id != metrics.id);
        // Whoever takes over later does so by an election.
        let _ = raft.wait(Some(patience)).metrics(another, "another leads").await;
    }
}

/// The voter that has most of the log.
fn successor(metrics: &RaftMetrics, fresh: Duration) -> Option<u64> {
    if metrics.current_leader != Some(metrics.id) || !metrics.state.is_leader() {
        return None;
    }
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let matched = |id: u64| metrics.replication.as_ref()?.get(&id)?.as_ref().map(|log_id| log_id.index);
    let last = metrics.last_log_index.unwrap_or(0);
    answering(metrics, fresh)
        .filter(|id| *id != metrics.id && voters.contains(id))
        .filter_map(|id| Some((matched(id)?, id)))
        .filter(|(index, _)| index + LAG_MAX >= last)
        .max()
        .map(|(_, id)| id)
}
