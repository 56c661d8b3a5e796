//! Changes of meta's own group: nodes join as learners, get a vote, and leave.
//!
//! Invariants:
//! - one change at a time, and each goes on to its end when whoever asked has gone: in the midst of
//!   a change of voters, anything needs majorities of the old and of the new ones;
//! - a change that an earlier leader left half done is finished when the next one begins;
//! - after each change a majority of the voters is there to commit the next (see [`plan`]);
//! - an id that ever had a vote and was removed is not used again.

mod plan;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use raft_rocks::{ChangeMembers, Member};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub(crate) use plan::{Refusal, View, Wish};
use plan::{Step, next_step};

use crate::{
    consensus::ProposeError,
    core::{Core, Reign},
    peers,
};

/// How long whoever asks waits for the change; it goes on.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a member that seems silent has to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
const ANSWER_PAUSE: Duration = Duration::from_millis(50);

/// Cheap to clone; clones take turns.
#[derive(Clone)]
pub(crate) struct Membership {
    core: Arc<Core>,
    /// Held while a change is carried out.
    turn: Arc<Mutex<()>>,
}

/// Why the group is not known to be as wished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotChanged {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Failed(#[from] ProposeError),
}

impl Membership {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core, turn: Arc::default() }
    }

    /// Returns when the group is as wished. Asking again does no harm.
    pub async fn change(&self, wish: Wish) -> Result<(), NotChanged> {
        let reign = self.core.reign().ok_or(ProposeError::NotLeader)?;
        let unknown = |why: &str| ProposeError::Unknown(why.to_owned());
        let deadline = Instant::now() + CHANGE_TIMEOUT;
        let turn = timeout_at(deadline, self.turn.clone().lock_owned()).await;
        let turn = turn.map_err(|_| unknown("another change of members takes its time"))?;
        let core = self.core.clone();
        let work = tokio::spawn(async move {
            let _turn = turn;
            carry_out(&core, &reign, &wish).await
        });
        match timeout_at(deadline, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(unknown(&error.to_string()).into()),
            Err(_) => Err(unknown("not committed in time").into()),
        }
    }

    /// At the beginning of each reign, until `stop`.
    pub async fn finish_what_was_begun(self, stop: CancellationToken) {
        let mut reigns = self.core.reign.subscribe();
        let finish = async {
            while let Ok(Some(begun)) = reigns.wait_for(Option::is_some).await.map(|reign| *reign) {
                if self.core.consensus.view().is_joint
                    && let Err(error) = self.change(Wish::Settled).await
                {
                    tracing::warn!(%error, "a change of meta's voters is half done");
                }
                if reigns.wait_for(|reign| !begun.is_same(reign)).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = finish => {}
            () = stop.cancelled() => {}
        }
    }
}

/// How it ends, if nothing fails.
enum End {
    AsWished,
    /// Somebody else has to go on.
    HandOver {
        to: u64,
    },
}

async fn carry_out(core: &Core, reign: &Reign, wish: &Wish) -> Result<(), NotChanged> {
    let mut reigns = core.reign.subscribe();
    // Without leadership a change may never be answered.
    let end = tokio::select! {
        end = take_steps(core, wish) => end?,
        _ = reigns.wait_for(|current| !reign.is_same(current)) => return Err(ProposeError::NotLeader.into()),
    };
    match end {
        End::AsWished => Ok(()),
        End::HandOver { to } => {
            tracing::info!(to, "hands over the leadership of meta");
            core.consensus.hand_over(to).await;
            Err(ProposeError::NotLeader.into())
        }
    }
}

async fn take_steps(core: &Core, wish: &Wish) -> Result<End, NotChanged> {
    let patient_until = Instant::now() + ANSWER_PATIENCE;
    loop {
        let view = core.consensus.view();
        let step = match next_step(&view, wish) {
            Err(refusal) if refusal.is_for_silence() && Instant::now() < patient_until => {
                core.consensus.greet().await?;
                sleep(ANSWER_PAUSE).await;
                continue;
            }
            step => step?,
        };
        if !matches!(step, Step::Done) {
            tracing::info!(?step, "changes meta's own group");
        }
        let (change, keep_as_learners) = match step {
            Step::Done => return Ok(End::AsWished),
            Step::HandOver { to } => return Ok(End::HandOver { to }),
            // Nothing more, and openraft does the second half.
            Step::Settle => (ChangeMembers::AddVoterIds([].into()), true),
            Step::AddLearner { id, addr } => {
                refuse_strangers(core, &view, &addr).await?;
                (ChangeMembers::AddNodes(BTreeMap::from([(id, Member { store: id, addr })])), true)
            }
            Step::AddVoters(ids) => (ChangeMembers::AddVoterIds(ids), true),
            Step::RemoveVoters { ids, keep_as_learners } => {
                (ChangeMembers::RemoveVoters(ids), keep_as_learners)
            }
            Step::RemoveLearners(ids) => (ChangeMembers::RemoveNodes(ids), true),
        };
        core.consensus.change_members(change, keep_as_learners).await?;
    }
}

/// A node that formed a group of its own has a history and a term that would disturb this one.
/// One that does not answer yet has none, as far as anybody knows.
async fn refuse_strangers(core: &Core, view: &View, addr: &str) -> Result<(), Refusal> {
    let Some(answer) = peers::ask(&core.env, addr).await else { return Ok(()) };
    let mut others = answer.members.iter();
    let is_ours = answer.members.is_empty() || others.any(|m| view.members.get(&m.id) == Some(&m.addr));
    is_ours.then_some(()).ok_or_else(|| Refusal::Stranger(addr.to_owned()))
}
