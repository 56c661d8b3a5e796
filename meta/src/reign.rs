//! What the leader of meta does besides answering: it confirms its leadership at intervals, so that
//! leases can be renewed, and proposes what the reconciler asks for.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use topology::{
    Command,
    reconcile::{Policy, next_step},
};

use crate::{
    consensus::ProposeError,
    core::{Core, Reign},
    machine::States,
    proposal::Proposal,
};

const PROPOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts to have a leadership confirmed.
const CONFIRM_PAUSE: Duration = Duration::from_millis(50);

/// The reign of this node is over.
struct Deposed;

pub(crate) struct Ruler {
    core: Arc<Core>,
    states: States,
    policy: Policy,
    /// Between two confirmations.
    confirm_interval: Duration,
    reigns: u64,
}

impl Ruler {
    pub fn new(core: Arc<Core>, policy: Policy) -> Self {
        let confirm_interval = core.tracker.lock().lease() / 4;
        let states = core.states.clone();
        Self { core, states, policy, confirm_interval, reigns: 0 }
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = self.rule_when_elected() => {}
            () = stop.cancelled() => {}
        }
        self.core.reign.send_replace(None);
    }

    async fn rule_when_elected(&mut self) {
        let core = self.core.clone();
        while let Some(term) = core.consensus.elected().await {
            let Err(Deposed) = self.reign(term).await;
            core.reign.send_replace(None);
            sleep(CONFIRM_PAUSE).await;
        }
    }

    async fn reign(&mut self, term: u64) -> Result<Infallible, Deposed> {
        let asked = Instant::now();
        if !self.core.consensus.confirm().await {
            return Err(Deposed);
        }
        self.begin(term, asked);
        tracing::info!(term, "this node leads meta");
        let ended = self.rule(term).await;
        tracing::info!(term, "this node no longer leads meta");
        ended
    }

    /// Everything committed before is applied here by now. The grace of proxies starts now, after
    /// the election: no lease of an earlier leader outlasts it.
    fn begin(&mut self, term: u64, confirmed: Instant) {
        self.reigns += 1;
        let published = self.states.borrow_and_update().clone();
        self.core.tracker.lock().begin(&published.state, Instant::now());
        self.core.hints.send_replace(Arc::default());
        self.core.reign.send_replace(Some(Reign { term, number: self.reigns, confirmed }));
    }

    async fn rule(&mut self, term: u64) -> Result<Infallible, Deposed> {
        let core = self.core.clone();
        let mut ticks = interval(self.confirm_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.reconcile().await?;
            tokio::select! {
                _ = self.states.changed() => {}
                () = core.look.notified() => {}
                () = core.confirm.notified() => self.confirm(term).await?,
                _ = ticks.tick() => self.confirm(term).await?,
            }
        }
    }

    async fn confirm(&self, term: u64) -> Result<(), Deposed> {
        let asked = Instant::now();
        let consensus = &self.core.consensus;
        if !consensus.confirm().await || consensus.leading_term() != Some(term) {
            return Err(Deposed);
        }
        self.core.reign.send_modify(|reign| {
            if let Some(reign) = reign {
                reign.confirmed = asked;
            }
        });
        Ok(())
    }

    /// Proposes what is to be done now. A refusal or an unknown outcome is tried again when the
    /// next change or tick comes.
    async fn reconcile(&mut self) -> Result<(), Deposed> {
        for command in self.next_step() {
            tracing::info!(?command, "reconciling");
            let proposal = Proposal { operation: String::new(), command };
            match self.core.consensus.propose(&proposal, PROPOSE_TIMEOUT).await {
                Ok(answer) if answer.error.is_empty() => {}
                Ok(answer) => tracing::warn!(error = answer.error, command = ?proposal.command, "refused"),
                Err(ProposeError::NotLeader) => return Err(Deposed),
                Err(ProposeError::Unknown(error)) => {
                    tracing::warn!(error, "a change of the reconciler has an unknown outcome");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn next_step(&mut self) -> Vec<Command> {
        let published = self.states.borrow_and_update().clone();
        let mut seen = self.core.tracker.lock().observe(&published.state, Instant::now());
        if published.state.cluster_id.is_empty() {
            let entropy = &self.core.env.entropy;
            seen.fresh_cluster_id = format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64());
        }
        next_step(&published.state, &seen, &self.policy)
    }
}
