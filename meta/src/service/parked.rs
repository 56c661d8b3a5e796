//! Changes of slots that wait for a group's leader to look through what it no longer serves. The
//! leader does so by itself as soon as it has the topology that parks them; the reconciler then
//! proposes what follows.

use tokio::time::{Instant, timeout_at};
use topology::{Change, ClusterState, Command, Refused, Slot, SlotMark};

use crate::{machine::States, proposal::Answer};

/// The deadline passed.
pub(super) struct NotYet;

/// Returns when `command` would not be refused because parked slots are yet to be looked through, or
/// at the deadline.
pub(super) async fn looked_through(states: &States, command: &Command, deadline: Instant) {
    if !matches!(command, Command::Cluster { .. }) {
        return;
    }
    let mut states = states.clone();
    loop {
        let published = states.borrow_and_update().clone();
        if !is_unchecked(&published.state, command) {
            return;
        }
        if !matches!(timeout_at(deadline, states.changed()).await, Ok(Ok(()))) {
            return;
        }
    }
}

fn is_unchecked(state: &ClusterState, command: &Command) -> bool {
    let tried = state.clone().apply(command);
    let replies = tried.map(|outcome| outcome.replies).unwrap_or_default();
    replies.iter().any(|reply| matches!(reply, Err(Refused::SlotUnchecked(_))))
}

/// Waits until slots that were given to another node have reached it. Those that turned out to hold
/// keys are with the old one again: their answer becomes an error.
pub(super) async fn arrived(
    states: &States,
    changes: &[Change],
    answer: &mut Answer,
    deadline: Instant,
) -> Result<(), NotYet> {
    for (change, reply) in changes.iter().zip(&mut answer.replies) {
        let Change::SetSlot { slot: number, to: SlotMark::Owner(node) } = change else { continue };
        let (true, Some(slot)) = (reply.is_ok(), Slot::new(*number)) else { continue };
        let state = settled(states, *number, deadline).await?;
        let target = state.by_shown_id(node).map(|(id, _)| id.clone());
        if !target.is_some_and(|id| state.announced_slots(&id).contains(slot)) {
            *reply = Err(format!(
                "ERR Can't assign hashslot {number} to a different node while I still hold keys for this hash slot."
            ));
        }
        answer.version = state.version.max(answer.version);
    }
    Ok(())
}

/// The state once `slot` is not on its way any more.
async fn settled(states: &States, slot: u16, deadline: Instant) -> Result<ClusterState, NotYet> {
    let mut states = states.clone();
    let settled = states.wait_for(|published| !published.state.moving.contains_key(&slot));
    match timeout_at(deadline, settled).await {
        Ok(Ok(published)) => Ok(published.state.clone()),
        _ => Err(NotYet),
    }
}
