//! One replica from opening to closing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use daemon::env::Env;
use parking_lot::Mutex;
use raft_rocks::{ChangeMembers, LogStore, Member, PeerService, Peers, Raft, raft_config, raft_handle};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Blocking, Budget, Desired, GroupStats, Incoming, Pacer, Shared, StateMachine, evaluator::Evaluator,
    inbox::Inbox, state::GroupState,
};
use crate::{
    engine::Engine,
    events::Hub,
    faults::Faults,
    options::{Durability, Options, Reads},
};

/// Entries a learner may lag behind and still become a voter.
const PROMOTION_LAG_MAX: u64 = 1000;
/// A hand-over takes a round trip; without one the group waits for an election.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(1);
const CHECKPOINT_TICK: Duration = Duration::from_secs(1);

/// What all replicas of a node share.
#[derive(Clone)]
pub struct ReplicaConfig {
    pub options: Options,
    pub env: Env,
    pub engine: Engine,
    /// Memory for changes that RocksDB does not have yet.
    pub delta: Arc<Budget>,
    pub log: LogStore,
    pub peers: Peers,
    pub service: PeerService,
    pub blocking: Blocking,
    pub read_only: Arc<AtomicBool>,
    /// Signalled when a replica has something to tell meta.
    pub report: Arc<Notify>,
    pub events: Arc<Hub>,
    pub pacer: Arc<Pacer>,
    pub faults: Faults,
}

/// A running replica.
pub struct Replica {
    shared: Arc<Shared>,
    raft: Raft<StateMachine>,
    machine: StateMachine,
    service: PeerService,
    stop: CancellationToken,
    /// One membership change at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl Replica {
    /// Opens the replica's state and starts its Raft and its evaluator on the current runtime.
    pub async fn start(config: &ReplicaConfig, group: u64, replica: u64) -> anyhow::Result<Self> {
        let options = &config.options;
        let db = config.engine.open(group).context("open the group's database")?;
        let state = GroupState::open(db)?;
        let shared = Arc::new(Shared {
            group,
            replica,
            state: Mutex::new(state),
            delta_share: config.delta.share(),
            applied: Notify::new(),
            inbox: Inbox::default(),
            desired: Arc::new(Desired::default()).into(),
            assigned: Notify::new(),
            parked: Mutex::default(),
            namespaces: Mutex::default(),
            report: config.report.clone(),
            clock: config.env.clock.clone(),
            entropy: config.env.entropy.clone(),
            reads: options.reads,
            durable: options.durability == Durability::Fsync,
            lease: Duration::from_millis(options.election_max_ms * 2 / 3),
            session_idle: Duration::from_secs(options.session_idle_s),
            script_limit: Duration::from_millis(options.script_limit_ms),
            read_only: config.read_only.clone(),
            faults: config.faults,
            stats: GroupStats::default(),
            events: config.events.clone(),
            pacer: config.pacer.clone(),
            serving: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        });
        let stop = CancellationToken::new();
        let machine = StateMachine::new(shared.clone(), config.engine.clone(), config.blocking, stop.clone());
        let mut log = config.log.group(group).of_replica(replica);
        let voted_before = raft_rocks::has_history(&mut log).await?;
        let timings = options.timings();
        let raft_config = raft_config(timings);
        let raft = Raft::new(replica, raft_config, config.peers.network(group), log, machine.clone())
            .await
            .context("start Raft")?;
        let quiet = timings.election_max;
        let refuse_votes_until = voted_before.then(|| Instant::now() + quiet);
        config.service.insert(group, replica, raft_handle(raft.clone()), refuse_votes_until);
        let quiet = if voted_before { quiet } else { Duration::ZERO };
        let elections = raft_rocks::elect_after(raft.clone(), quiet);
        tokio::spawn(stop.clone().run_until_cancelled_owned(elections));
        tokio::spawn(Evaluator::new(shared.clone(), raft.clone()).run(stop.clone()));
        let checkpoints = Checkpoints {
            machine: machine.clone(),
            raft: raft.clone(),
            log: config.log.clone(),
            group,
            log_bytes: options.checkpoint_log_bytes,
        };
        tokio::spawn(checkpoints.run(stop.clone()));
        let service = config.service.clone();
        Ok(Self { shared, raft, machine, service, stop, changing: Arc::default() })
    }

    pub fn id(&self) -> u64 {
        self.shared.replica
    }

    pub fn submit(&self, incoming: Incoming) {
        self.shared.inbox.push(incoming);
    }

    pub fn set_desired(&self, desired: Desired) {
        self.shared.desired.store(Arc::new(desired));
        self.shared.assigned.notify_one();
    }

    /// Leads and answers.
    pub fn is_serving(&self) -> bool {
        self.shared.is_serving()
    }

    /// Leads, and as far as clocks can be trusted nobody else does yet.
    pub fn leads_alone(&self) -> bool {
        let holds_lease = || {
            let leader = raft_rocks::leads_as(&self.raft);
            leader.is_some_and(|leader| self.shared.holds_lease(&self.raft, &leader))
        };
        self.is_serving() && (self.shared.reads == Reads::Quorum || holds_lease())
    }

    /// The store that leads, where known; else 0.
    pub fn leader_hint(&self) -> u64 {
        self.shared.leader_hint(&self.raft)
    }

    /// Whether the group serves the slot, by its own log.
    pub fn owns(&self, slot: topology::Slot) -> bool {
        self.shared.state.lock().applied.slots.contains(slot)
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub fn raft(&self) -> &Raft<StateMachine> {
        &self.raft
    }

    /// Forms the group, unless this replica has a history already.
    pub async fn initialize(&self, members: BTreeMap<u64, Member>) -> anyhow::Result<()> {
        if self.raft.is_initialized().await? {
            return Ok(());
        }
        tracing::info!(group = self.shared.group, members = members.len(), "forms the group");
        self.raft.initialize(members).await?;
        Ok(())
    }

    /// As leader: one step from the present membership towards `desired`. Idempotent.
    pub async fn drive_membership(&self, desired: &BTreeMap<u64, Member>) -> anyhow::Result<()> {
        let Ok(_one) = self.changing.try_lock() else { return Ok(()) };
        let metrics = raft_rocks::metrics(&self.raft);
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let joint = membership.get_joint_config().len() > 1;
        let known: BTreeSet<u64> = membership.nodes().map(|(id, _)| *id).collect();
        for (id, member) in desired.iter().filter(|(id, _)| !known.contains(id)) {
            tracing::info!(group = self.shared.group, replica = id, "adds a learner");
            self.raft.add_learner(*id, member.clone(), false).await?;
        }
        let wanted: BTreeSet<u64> = desired.keys().copied().collect();
        if wanted == voters && wanted == known && !joint {
            return Ok(());
        }
        let matched = metrics.replication.clone().unwrap_or_default();
        let last = metrics.last_log_index.unwrap_or(0);
        let caught_up = |id: &u64| {
            let at = matched.get(id).and_then(|id| id.as_ref()).map_or(0, |id| id.index);
            voters.contains(id) || at + PROMOTION_LAG_MAX >= last && at > 0
        };
        if wanted.iter().all(caught_up) && !wanted.is_empty() {
            tracing::info!(group = self.shared.group, ?voters, ?wanted, "changes the voters");
            self.raft.change_membership(ChangeMembers::ReplaceAllVoters(wanted), false).await?;
        }
        Ok(())
    }

    /// As leader: lets another replica lead.
    pub async fn hand_over(&self) {
        let leaving = || self.shared.leaving.store(true, Ordering::Relaxed);
        raft_rocks::hand_over(&self.raft, self.shared.lease, HAND_OVER_PATIENCE, leaving).await;
    }

    /// Stops Raft and the evaluator; makes the state durable when `checkpoint`.
    pub async fn stop(&self, checkpoint: bool) -> io::Result<()> {
        self.stop.cancel();
        self.service.remove(self.shared.group);
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(group = self.shared.group, %error, "Raft did not stop cleanly");
        }
        if checkpoint { self.machine.checkpoint().await } else { Ok(()) }
    }
}

/// Flushes the state every so many log bytes, so that the log can be purged.
struct Checkpoints {
    machine: StateMachine,
    raft: Raft<StateMachine>,
    log: LogStore,
    group: u64,
    log_bytes: u64,
}

impl Checkpoints {
    async fn run(self, stop: CancellationToken) {
        // Not what the log holds: what it keeps for followers that lag is no reason for a checkpoint.
        let mut covered = 0;
        let mut tick = tokio::time::interval(CHECKPOINT_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let written = self.log.group_written_bytes(self.group);
            if written.saturating_sub(covered) < self.log_bytes {
                continue;
            }
            match self.checkpoint().await {
                Ok(()) => covered = written,
                Err(error) => tracing::error!(group = self.group, %error, "checkpoint failed"),
            }
        }
    }

    async fn checkpoint(&self) -> anyhow::Result<()> {
        self.machine.checkpoint().await?;
        self.raft.trigger().snapshot().await?;
        Ok(())
    }
}
