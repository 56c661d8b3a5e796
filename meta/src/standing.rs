//! Whether this node belongs to meta's group, and so whether it is ready. Nobody sends anything to a
//! node that was removed, so its own log does not tell it: when the leader has been silent, it asks
//! the members it knows of.
//!
//! That does not touch elections. A removed node that believes to have a vote asks for a pre-vote
//! first: that changes nobody's term, and nobody who follows a leader, or knows more of the log,
//! grants it.

use std::{convert::Infallible, time::Duration};

use daemon::{env::Env, http::Readiness};
use proto::v1::MembersResponse;
use tokio::time::sleep;

use crate::{consensus::Consensus, peers};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// While it is not known to be a member.
const LOOK_SOON: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It knows of no group yet.
    Waiting,
    /// It does not yet know who leads, or that it belongs to the group.
    CatchingUp,
    Member,
    Removed,
}

/// Keeps `readiness` true: a node is ready once it follows a leader or leads, and stays so, whether or
/// not there is a leader, until it is removed. Ends only when Raft does, which is a failure.
pub(crate) async fn watch(
    consensus: &Consensus,
    env: &Env,
    readiness: &Readiness,
) -> anyhow::Result<Infallible> {
    let mut known = None;
    loop {
        let standing = find_out(consensus, env, readiness.get()).await?;
        readiness.set(standing == Standing::Member);
        if known.replace(standing) != Some(standing) {
            announce(standing, consensus.id);
        }
        match standing {
            Standing::Member | Standing::Removed => sleep(LOOK_INTERVAL).await,
            Standing::Waiting | Standing::CatchingUp => sleep(LOOK_SOON).await,
        }
    }
}

fn announce(standing: Standing, id: u64) {
    match standing {
        Standing::Waiting => tracing::info!(id, "waits for a meta group"),
        Standing::CatchingUp => tracing::info!(id, "looks for the leader of meta"),
        Standing::Member => tracing::info!(id, "is a member of meta"),
        Standing::Removed => tracing::warn!(id, "this node was removed from meta: stop it for good"),
    }
}

async fn find_out(consensus: &Consensus, env: &Env, was_member: bool) -> anyhow::Result<Standing> {
    let metrics = raft_rocks::metrics(&consensus.raft);
    let membership = metrics.membership_config.membership();
    if membership.nodes().next().is_none() {
        return Ok(Standing::Waiting);
    }
    if consensus.leading_term().is_some() {
        return Ok(Standing::Member);
    }
    let follows = raft_rocks::follows(&consensus.raft, consensus.silence_max).await?;
    // As its own log says, which may go on, or end before it was removed.
    let listed = membership.get_node(&consensus.id).is_some();
    // Raft takes its own start for a sign of the leader: that is not enough to begin with.
    if listed && follows && was_member {
        return Ok(Standing::Member);
    }
    if others_say_removed(consensus, env).await {
        return Ok(Standing::Removed);
    }
    match listed && (follows || was_member) {
        true => Ok(Standing::Member),
        false => Ok(Standing::CatchingUp),
    }
}

async fn others_say_removed(consensus: &Consensus, env: &Env) -> bool {
    let own = consensus.members();
    for other in own.members.iter().filter(|member| member.id != consensus.id) {
        if let Some(answer) = peers::ask(env, &other.addr).await
            && knows_better(&answer, &own)
        {
            return !answer.members.iter().any(|member| member.id == consensus.id);
        }
    }
    false
}

/// It has a leader, and every membership that we know of, so no older one.
fn knows_better(answer: &MembersResponse, own: &MembersResponse) -> bool {
    answer.leader != 0 && answer.term >= own.term && answer.last_index >= own.last_index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_less_is_not_believed() {
        let at =
            |leader, term, last_index| MembersResponse { leader, term, last_index, ..Default::default() };
        let own = at(0, 5, 100);
        assert!(knows_better(&at(2, 5, 100), &own));
        assert!(knows_better(&at(2, 6, 180), &own));
        assert!(!knows_better(&at(0, 6, 180), &own), "not settled itself");
        assert!(!knows_better(&at(2, 4, 180), &own));
        assert!(!knows_better(&at(2, 6, 99), &own));
    }
}
