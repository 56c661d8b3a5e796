//! One run: the cluster forms, clients ask while faults strike, everything heals, and the verdict.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use storage_node::Faults;
use turmoil::Sim;

use super::{
    client::{self, Phase, Shared},
    cluster::{Cluster, Role},
    determinism,
    nemesis::{LATENCY_MAX, Menu, Nemesis},
    rng::Rng,
    trace::Trace,
};

const CLIENTS: u32 = 6;
const FORMING_MS: u64 = 30_000;
const HEALING_MS: u64 = 60_000;
/// After the last command: followers learn what is committed with the next heartbeats.
const QUIET_MS: u64 = 3_000;
const STOPPING_MS: u64 = 10_000;
/// Segments and SYNs that a simulated socket holds.
const SOCKET_CAPACITY: usize = 16_384;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Simulated time under faults, ms.
    pub storm_ms: u64,
    pub menu: Menu,
    /// Planted bugs.
    pub faults: Faults,
    /// A line per event, to compare two runs that diverged.
    pub trace_file: Option<PathBuf>,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub seed: u64,
    /// Hash over everything that was written to the network, and what the clients saw of it.
    pub trace: u64,
    pub events: u64,
    pub operations: usize,
    pub unknown: usize,
    pub faults: u64,
    pub simulated_ms: u64,
    /// What no correct cluster does.
    pub violation: Option<String>,
}

/// Why a run ended early: a verdict as well.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("at {at_ms} ms: {error}")]
    Process { at_ms: u64, error: String },
    #[error("at {at_ms} ms: {what} takes too long")]
    TooLong { at_ms: u64, what: &'static str },
    #[error("{0}")]
    NotLinearizable(Box<crate::history::Violation>),
    #[error(
        "counter {key}: reads {value}, but {done} increments were acknowledged and {unknown} more are possible"
    )]
    Miscounted { key: String, value: i64, done: i64, unknown: i64 },
    #[error("replicas differ: {0}")]
    Diverged(String),
    #[error("state of {store} cannot be read: {error:#}")]
    Unreadable { store: String, error: anyhow::Error },
}

/// Runs `plan` with all data below `root`. The calling thread is the simulation's own, and entered
/// [`determinism`] before it did anything else.
pub fn run(plan: &Plan, root: &Path) -> std::io::Result<Report> {
    let trace = match &plan.trace_file {
        Some(path) => Trace::logged(path)?,
        None => Trace::default(),
    };
    let mut world = World::new(plan, root, trace.clone());
    let lived = world.live();
    let (simulated_ms, remains) = (world.now_ms(), world.end());
    determinism::leave();
    let verdict = lived.and_then(|()| remains.judge());
    let (trace, events) = trace.summary();
    let history = remains.shared.history.borrow();
    Ok(Report {
        seed: plan.seed,
        trace,
        events,
        operations: history.len(),
        unknown: history.unknown(),
        faults: remains.faults,
        simulated_ms,
        violation: verdict.err().map(|wrong| wrong.to_string()),
    })
}

struct World<'a> {
    storm_ms: u64,
    sim: Sim<'a>,
    cluster: Cluster,
    nemesis: Nemesis,
    shared: Rc<Shared>,
}

impl World<'_> {
    fn new(plan: &Plan, root: &Path, trace: Trace) -> Self {
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(determinism::EPOCH_MS))
            .simulation_duration(Duration::MAX)
            .max_message_latency(LATENCY_MAX)
            .tcp_capacity(SOCKET_CAPACITY)
            .enable_random_order()
            .build();
        let metas = if Rng::new(plan.seed, "metas").one_in(3) { 3 } else { 1 };
        let cluster = Cluster::start(&mut sim, plan.seed, metas, plan.faults, &trace, root);
        let shared = Shared::new(plan.seed, trace.clone());
        sim.client("client-0", client::warden(shared.clone()));
        for id in 1..=CLIENTS {
            sim.client(format!("client-{id}"), client::storm(id, shared.clone()));
        }
        let nemesis = Nemesis::new(plan.seed, plan.menu, trace);
        Self { storm_ms: plan.storm_ms, sim, cluster, nemesis, shared }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// One millisecond. True when all clients are done.
    fn step(&mut self) -> Result<bool, Wrong> {
        let at_ms = self.now_ms();
        determinism::advance(at_ms);
        self.sim.step().map_err(|error| Wrong::Process { at_ms, error: error.to_string() })
    }

    fn step_until(
        &mut self,
        what: &'static str,
        within_ms: u64,
        mut done: impl FnMut(&mut Self, bool) -> bool,
    ) -> Result<(), Wrong> {
        let deadline = self.now_ms() + within_ms;
        loop {
            let clients_done = self.step()?;
            if done(self, clients_done) {
                return Ok(());
            }
            if self.now_ms() >= deadline {
                return Err(Wrong::TooLong { at_ms: self.now_ms(), what });
            }
        }
    }

    fn live(&mut self) -> Result<(), Wrong> {
        self.step_until("forming the cluster", FORMING_MS, |world, _| world.shared.formed.get())?;
        self.shared.phase.set(Phase::Storm);
        let end = self.now_ms() + self.storm_ms;
        while self.now_ms() < end {
            self.nemesis.step(self.now_ms(), &mut self.sim, &self.cluster);
            self.step()?;
        }
        self.nemesis.heal(self.now_ms(), &mut self.sim, &self.cluster);
        self.shared.phase.set(Phase::Healed);
        self.step_until("recovery", HEALING_MS, |_, clients_done| clients_done)?;
        let end = self.now_ms() + QUIET_MS;
        while self.now_ms() < end {
            self.step()?;
        }
        self.cluster.of(Role::Store).for_each(|store| store.stop());
        self.step_until("stopping the storage nodes", STOPPING_MS, |world, _| {
            world.cluster.of(Role::Store).all(|store| !world.sim.is_host_running(store.name.as_str()))
        })
    }

    /// Every process gone, its files closed.
    fn end(self) -> Remains {
        Remains { cluster: self.cluster, shared: self.shared, faults: self.nemesis.faults() }
    }
}

/// What is left to look at when nothing runs any more.
struct Remains {
    cluster: Cluster,
    shared: Rc<Shared>,
    faults: u64,
}

impl Remains {
    fn judge(&self) -> Result<(), Wrong> {
        let history = self.shared.history.borrow();
        self.count()?;
        history.check().map_err(|violation| Wrong::NotLinearizable(Box::new(violation)))?;
        self.compare()
    }

    /// Every counter shows each acknowledged increment once.
    fn count(&self) -> Result<(), Wrong> {
        let tallies = self.shared.history.borrow().tallies();
        for (key, value) in self.shared.finals.borrow().iter() {
            let Some(tally) = tallies.get(key) else { continue };
            let (value, done, unknown) = (value.unwrap_or(0), tally.done, tally.unknown);
            if value < done || value > done + unknown {
                return Err(Wrong::Miscounted { key: key.clone(), value, done, unknown });
            }
        }
        Ok(())
    }

    /// The replicas of each group hold the same.
    fn compare(&self) -> Result<(), Wrong> {
        let mut first = None;
        for store in self.cluster.of(Role::Store) {
            let contents = storage_node::contents(store.dir())
                .map_err(|error| Wrong::Unreadable { store: store.name.clone(), error })?;
            let (name, expected) = first.get_or_insert_with(|| (store.name.clone(), contents.clone()));
            let alike = expected.len() == contents.len()
                && expected.iter().zip(&contents).all(|(expected, found)| expected.holds_what(found));
            if !alike {
                return Err(Wrong::Diverged(format!("{name} {expected:?}, {} {contents:?}", store.name)));
            }
        }
        Ok(())
    }
}
