//! The processes of the simulated cluster.

use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use raft_rocks::{InlineExecutor, SimDisk};
use storage_node::{Blocking, Faults, TestSwitches};
use tokio_util::sync::CancellationToken;
use turmoil::Sim;

use super::{
    env::{self, Skew},
    rng::Rng,
    trace::Trace,
};

const META_PORT: u16 = 7300;
const STORE_PORT: u16 = 7400;
/// The listener that answers CLUSTER commands.
pub const CLUSTER_PORT: u16 = 6379;
/// Where the clients connect.
pub const PLAIN_PORT: u16 = 6380;

pub const STORES: usize = 3;
pub const PROXIES: usize = 2;
const GROUPS: u32 = 2;

/// Small, so that a short run sees checkpoints, purged logs and snapshots.
const CHECKPOINT_LOG_BYTES: u64 = 64 << 10;
const LOG_SEGMENT_BYTES: u64 = 64 << 10;
const LOG_KEEP_ENTRIES: u64 = 50;
/// A proxy gives up on a command before its client does.
const PROXY_DEADLINE_MS: u64 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Meta,
    Store,
    Proxy,
}

/// One process, and what of its machine outlives it.
pub struct Process {
    pub name: String,
    pub role: Role,
    pub skew: Skew,
    number: usize,
    dir: PathBuf,
    disk: SimDisk,
    starts: Cell<u64>,
    stop: RefCell<CancellationToken>,
}

impl Process {
    fn new(role: Role, number: usize, root: &Path) -> Rc<Self> {
        let name = match role {
            Role::Meta => format!("meta-{number}"),
            Role::Store => format!("store-{number}"),
            Role::Proxy => format!("proxy-{number}"),
        };
        Rc::new(Self {
            dir: root.join(&name),
            name,
            role,
            number,
            skew: Skew::default(),
            disk: SimDisk::default(),
            starts: Cell::new(0),
            stop: RefCell::default(),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the log did not sync is gone, but for the first `kept_bytes` of each file.
    pub fn lose_power(&self, kept_bytes: usize) {
        self.disk.power_loss_keeping(kept_bytes);
    }

    /// Asks the process to end.
    pub fn stop(&self) {
        self.stop.borrow().cancel();
    }
}

/// What all processes share.
struct Common {
    seed: u64,
    trace: Trace,
    faults: Faults,
    metas: usize,
}

impl Common {
    fn meta_addrs(&self) -> Vec<String> {
        (1..=self.metas).map(|number| format!("meta-{number}:{META_PORT}")).collect()
    }
}

pub struct Cluster {
    pub processes: Vec<Rc<Process>>,
}

impl Cluster {
    /// Adds the processes to `sim` as hosts that run from its first step on.
    pub fn start(
        sim: &mut Sim<'_>,
        seed: u64,
        metas: usize,
        faults: Faults,
        trace: &Trace,
        root: &Path,
    ) -> Self {
        let common = Rc::new(Common { seed, trace: trace.clone(), faults, metas });
        let counts = [(Role::Meta, metas), (Role::Store, STORES), (Role::Proxy, PROXIES)];
        let mut processes = Vec::new();
        for (role, count) in counts {
            for number in 1..=count {
                let process = Process::new(role, number, root);
                processes.push(process.clone());
                let common = common.clone();
                sim.host(process.name.clone(), move || live(process.clone(), common.clone()));
            }
        }
        Self { processes }
    }

    pub fn of(&self, role: Role) -> impl Iterator<Item = &Rc<Process>> {
        self.processes.iter().filter(move |process| process.role == role)
    }

    pub fn names(&self) -> Vec<&str> {
        self.processes.iter().map(|process| process.name.as_str()).collect()
    }
}

/// One life of a process.
async fn live(process: Rc<Process>, common: Rc<Common>) -> turmoil::Result {
    let start = process.starts.get() + 1;
    process.starts.set(start);
    let stop = CancellationToken::new();
    process.stop.replace(stop.clone());
    let env = env::env(common.seed, &process.name, start, process.skew.clone(), common.trace.clone());
    let mut rng = Rng::new(common.seed, &format!("{}/{start}/disk", process.name));
    let log_disk = Some((process.disk.clone(), InlineExecutor::new(move || disk_delays(&mut rng))));
    let ended = match process.role {
        Role::Meta => {
            let options = meta_options(&process, &common);
            meta::run_with(options, env, log_disk, |_| (), stop.clone()).await
        }
        Role::Store => {
            let options = store_options(&process, &common);
            let switches = TestSwitches { faults: common.faults, blocking: Blocking::Inline, log_disk };
            storage_node::run_with(options, env, switches, |_| (), stop.clone()).await
        }
        Role::Proxy => proxy::run(proxy_options(&process, &common), env, |_| (), stop.clone()).await,
    };
    match ended {
        Ok(()) if stop.is_cancelled() => Ok(()),
        Ok(()) => Err(format!("{} ended by itself", process.name).into()),
        Err(error) => Err(format!("{} failed: {error:#}", process.name).into()),
    }
}

/// Mostly quick; now and then the disk is busy with something else.
fn disk_delays(rng: &mut Rng) -> (Duration, Duration) {
    let busy = if rng.one_in(200) { 60 } else { 3 };
    (Duration::from_millis(rng.range(0, busy)), Duration::from_millis(rng.range(0, 2)))
}

fn meta_options(process: &Process, common: &Common) -> meta::Options {
    let peers = (1..=common.metas).map(|number| format!("{number}=meta-{number}:{META_PORT}"));
    meta::Options {
        id: process.number as u64,
        data_dir: process.dir.clone(),
        listen: format!("0.0.0.0:{META_PORT}"),
        advertise: format!("{}:{META_PORT}", process.name),
        peers: peers.collect(),
        expected_nodes: STORES as u32,
        replication: STORES as u32,
        groups: GROUPS,
        ..meta::Options::default()
    }
}

fn store_options(process: &Process, common: &Common) -> storage_node::Options {
    storage_node::Options {
        data_dir: process.dir.clone(),
        listen: format!("0.0.0.0:{STORE_PORT}"),
        advertise: format!("{}:{STORE_PORT}", process.name),
        name: process.name.clone(),
        meta: common.meta_addrs(),
        block_cache_bytes: 8 << 20,
        memtable_bytes: 1 << 20,
        checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
        log_segment_bytes: LOG_SEGMENT_BYTES,
        log_keep_entries: LOG_KEEP_ENTRIES,
        compression: "none".to_owned(),
        ..storage_node::Options::default()
    }
}

fn proxy_options(process: &Process, common: &Common) -> proxy::Options {
    proxy::Options {
        listen: format!("0.0.0.0:{CLUSTER_PORT}"),
        plain_listen: Some(format!("0.0.0.0:{PLAIN_PORT}")),
        announce_host: process.name.clone(),
        announce_port: CLUSTER_PORT,
        meta: common.meta_addrs(),
        protected_mode: false,
        deadline_ms: PROXY_DEADLINE_MS,
        ..proxy::Options::default()
    }
}
