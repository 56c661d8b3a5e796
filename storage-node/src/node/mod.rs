//! The storage node: identity, listeners, and the replicas that meta placed here.

mod disk;
mod identity;
mod reconcile;

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use daemon::{
    env::Env,
    grpc,
    http::{self, Readiness},
    meta_client::{HeartbeatSender, MetaClient},
};
use futures::StreamExt;
use proto::v1::{
    Heartbeat, RegisterStorageRequest, ReplicaReport, data_server::DataServer, events_server::EventsServer,
    heartbeat,
};
use raft_rocks::{LogOptions, LogStore, PeerService, Peers, Registry};
use tokio_util::sync::CancellationToken;

use crate::{
    data_service::DataService,
    engine::Engine,
    events::{EventsService, Hub, watch_leadership},
    faults::Faults,
    group::{Blocking, Budget, Pacer, Replica, ReplicaConfig},
    options::{Durability, Options},
};
use identity::Identity;
use reconcile::Reconciler;

const HOUSEKEEPING: Duration = Duration::from_millis(500);
const DISK_WATCH: Duration = Duration::from_millis(100);
/// The same while there is so little room that it could be written meanwhile.
const DISK_WATCH_CLOSELY: Duration = Duration::from_millis(5);
const LITTLE_ROOM_BYTES: u64 = 512 << 20;

/// The replicas that run here, by group. Reading costs no lock.
#[derive(Clone, Default)]
pub struct Replicas(Arc<ArcSwap<BTreeMap<u64, Arc<Replica>>>>);

impl Replicas {
    pub fn get(&self, group: u64) -> Option<Arc<Replica>> {
        self.0.load().get(&group).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Replica>> {
        self.0.load().values().cloned().collect()
    }

    fn insert(&self, group: u64, replica: Arc<Replica>) {
        self.0.rcu(|map| {
            let mut map = BTreeMap::clone(map);
            map.insert(group, replica.clone());
            map
        });
    }
}

/// Where a started node listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub rpc: SocketAddr,
    pub http: Option<SocketAddr>,
}

/// What only tests set.
pub struct TestSwitches {
    pub faults: Faults,
    pub blocking: Blocking,
    /// A simulated disk for the log, written on the caller's runtime; None: the real one.
    pub log_disk: Option<(raft_rocks::SimDisk, raft_rocks::InlineExecutor)>,
}

impl Default for TestSwitches {
    fn default() -> Self {
        Self { faults: Faults::default(), blocking: Blocking::Threads, log_disk: None }
    }
}

/// Runs a storage node until `stop`.
pub async fn run(
    options: Options,
    env: Env,
    started: impl FnOnce(Addresses),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    run_with(options, env, TestSwitches::default(), started, stop).await
}

/// [`run`], with the switches of the simulation.
pub async fn run_with(
    options: Options,
    env: Env,
    switches: TestSwitches,
    started: impl FnOnce(Addresses),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let dir = options.data_dir.clone();
    fs::create_dir_all(&dir).with_context(|| format!("create data_dir {}", dir.display()))?;
    let _lock = lock_directory(&dir)?;
    let identity = Identity::load_or_create(&dir, &*env.entropy)?;
    let listener =
        env.net.bind(&options.listen).await.with_context(|| format!("listen on {}", options.listen))?;
    let rpc = listener.local_addr()?;
    let advertise = if options.advertise.is_empty() { rpc.to_string() } else { options.advertise.clone() };

    let config = replica_config(options, &env, switches)?;
    let replicas = Replicas::default();
    let readiness = Readiness::default();
    let router = grpc::server()
        .add_service(
            DataServer::new(DataService::new(replicas.clone()))
                .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX),
        )
        .add_service(
            EventsServer::new(EventsService::new(replicas.clone(), config.events.clone()))
                .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX),
        )
        .add_service(PeerService::server(config.service.registry().clone()));
    // Proxies and peers are served until the leaders have handed over.
    let serving = CancellationToken::new();
    let _end = serving.clone().drop_guard();
    let ended = serving.clone().cancelled_owned();
    let server = tokio::spawn(async move { grpc::serve(listener, router, ended).await });
    let heartbeat = config.options.timings().heartbeat;
    let pulse = raft_rocks::keep_pulse(config.service.registry().clone(), heartbeat);
    tokio::spawn(serving.clone().run_until_cancelled_owned(pulse));
    let watching = watch_leadership(config.events.clone(), replicas.clone());
    tokio::spawn(serving.clone().run_until_cancelled_owned(watching));
    let http = match &config.options.http_listen {
        Some(addr) => {
            let registry = crate::metrics::registry(replicas.clone(), config.log.clone());
            Some(http::start(&env, addr, registry, readiness.clone(), serving.clone()).await?)
        }
        None => None,
    };
    let node = Node { config, env, identity, advertise, replicas, readiness };
    started(Addresses { rpc, http });
    let result = node.live(stop.clone()).await;
    serving.cancel();
    let _ = server.await;
    result
}

fn replica_config(options: Options, env: &Env, switches: TestSwitches) -> anyhow::Result<ReplicaConfig> {
    let engine = Engine::new(
        options.data_dir.join("groups"),
        options.block_cache_bytes,
        options.memtable_bytes,
        &options.compression,
    )?;
    let fsync = options.durability == Durability::Fsync && !switches.faults.fsync_lie;
    let log_options = LogOptions {
        durability: if fsync { raft_rocks::Durability::Fsync } else { raft_rocks::Durability::Os },
        segment_bytes: options.log_segment_bytes,
        ..LogOptions::default()
    };
    let log = match switches.log_disk {
        Some((disk, executor)) => LogStore::open_on(Arc::new(disk), log_options, executor),
        None => LogStore::open(options.data_dir.join("log"), log_options, raft_rocks::AdaptiveExecutor),
    };
    let log = log.context("open the log")?;
    let dial = env.clone();
    let peers = Peers::new(Arc::new(move |addr: &str| grpc::channel(&dial, addr)));
    let service = PeerService::with_registry(Registry::spooling_in(&options.data_dir));
    Ok(ReplicaConfig {
        delta: Budget::new(options.delta_bytes),
        options,
        env: env.clone(),
        engine,
        log,
        peers,
        service,
        blocking: switches.blocking,
        read_only: Arc::new(AtomicBool::new(false)),
        report: Arc::default(),
        events: Arc::new(Hub::default()),
        pacer: Arc::new(Pacer::new()),
        faults: switches.faults,
    })
}

struct Node {
    config: ReplicaConfig,
    env: Env,
    identity: Identity,
    advertise: String,
    replicas: Replicas,
    readiness: Readiness,
}

impl Node {
    async fn live(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        self.start_known_replicas().await?;
        let meta = MetaClient::new(self.env.clone(), self.config.options.meta.clone());
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                registered = self.register(&meta) => registered?,
            }
            self.readiness.set(true);
            tokio::select! {
                done = self.follow_meta(&meta, &stop) => done?,
                () = self.guard_disk() => {}
            }
        }
        self.readiness.set(false);
        let replicas = self.replicas.all();
        futures::future::join_all(replicas.iter().map(|replica| replica.hand_over())).await;
        for replica in self.replicas.all() {
            if let Err(error) = replica.stop(true).await {
                tracing::error!(%error, "state not flushed; the log has it");
            }
        }
        Ok(())
    }

    /// Replicas found on disk run before, and without, meta. One that cannot is that group's affair.
    async fn start_known_replicas(&self) -> anyhow::Result<()> {
        for group in self.config.engine.groups()? {
            let Some(replica) = self.config.engine.replica_of(group)? else { continue };
            match Replica::start(&self.config, group, replica).await {
                Ok(started) => self.replicas.insert(group, Arc::new(started)),
                Err(error) => {
                    tracing::error!(group, error = format!("{error:#}"), "replica not started");
                }
            }
        }
        Ok(())
    }

    async fn register(&mut self, meta: &MetaClient) -> anyhow::Result<()> {
        let options = &self.config.options;
        let name = if options.name.is_empty() { self.advertise.clone() } else { options.name.clone() };
        let response = meta
            .register_storage(RegisterStorageRequest {
                store_id: self.identity.store_id,
                name,
                rpc_addr: self.advertise.clone(),
                cluster_id: self.identity.cluster_id.clone(),
                build_version: env!("CARGO_PKG_VERSION").to_owned(),
            })
            .await?;
        self.identity.join(&options.data_dir, &response.cluster_id)
    }

    /// Returns when meta forgot this node, or at `stop`.
    async fn follow_meta(&self, meta: &MetaClient, stop: &CancellationToken) -> anyhow::Result<()> {
        let (heartbeat, mut updates) = meta.watch(self.heartbeat());
        let mut reconciler =
            Reconciler::new(self.config.clone(), self.replicas.clone(), self.identity.store_id);
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                update = updates.next() => {
                    let Some(update) = update else { return Ok(()) };
                    reconciler.take_update(&update).await;
                    heartbeat.update(|h| h.acked_version = reconciler.version());
                }
                () = self.config.report.notified() => self.report(&heartbeat),
                _ = tick.tick() => {
                    reconciler.tick().await;
                    self.report(&heartbeat);
                }
            }
        }
    }

    fn report(&self, sender: &HeartbeatSender) {
        let now = self.heartbeat();
        sender.update(|h| {
            h.replicas = now.replicas;
            h.disk_free_bytes = now.disk_free_bytes;
            h.disk_total_bytes = now.disk_total_bytes;
        });
    }

    fn heartbeat(&self) -> Heartbeat {
        let space = disk::space(&self.config.options.data_dir).unwrap_or_default();
        Heartbeat {
            node: Some(heartbeat::Node::StoreId(self.identity.store_id)),
            replicas: self.replicas.all().iter().map(|replica| report_of(replica)).collect(),
            disk_free_bytes: space.free,
            disk_total_bytes: space.total,
            ..Heartbeat::default()
        }
    }

    /// For ever: also while the reconciler is busy, and often enough that the reserve is not written
    /// between two looks.
    async fn guard_disk(&self) {
        loop {
            let room = self.watch_disk();
            tokio::time::sleep(if room < LITTLE_ROOM_BYTES { DISK_WATCH_CLOSELY } else { DISK_WATCH }).await;
        }
    }

    /// Refuses writes before the disk is full: a log that cannot be written ends a replica. What was accepted
    /// and is in memory still has to go there. Answers how much more there is room for.
    fn watch_disk(&self) -> u64 {
        let Ok(space) = disk::space(&self.config.options.data_dir) else { return u64::MAX };
        let to_flush = |replica: Arc<Replica>| replica.shared().state.lock().bytes_to_flush();
        let taken: u64 = self.replicas.all().into_iter().map(to_flush).sum();
        let room = space.free.saturating_sub(taken).saturating_sub(self.config.options.disk_reserve_bytes);
        let low = room == 0;
        if self.config.read_only.swap(low, Ordering::Relaxed) != low {
            tracing::warn!(
                free_bytes = space.free,
                to_flush_bytes = taken,
                "{}",
                if low { "disk nearly full: writes are refused" } else { "disk has room again" }
            );
        }
        room
    }
}

fn report_of(replica: &Replica) -> ReplicaReport {
    let metrics = raft_rocks::metrics(replica.raft());
    let shared = replica.shared();
    let state = shared.state.lock();
    let membership = metrics.membership_config.membership();
    let leads = replica.is_serving();
    let parked = shared.parked.lock().clone();
    let namespaces = shared.namespaces.lock().clone();
    ReplicaReport {
        group: shared.group,
        replica: shared.replica,
        is_leader: leads,
        term: metrics.current_term,
        last_index: metrics.last_log_index.unwrap_or(0),
        applied_index: state.applied.index(),
        voters: if leads { membership.voter_ids().collect() } else { Vec::new() },
        learners: if leads { membership.learner_ids().collect() } else { Vec::new() },
        keys: state.applied.key_counts.sum(),
        slots_version: state.applied.slots_version,
        libraries_version: shared.libraries_version(&state),
        failed: metrics.running_state.is_err(),
        parked_version: if leads { parked.version } else { 0 },
        parked_in_use: parked
            .in_use
            .ranges()
            .iter()
            .flat_map(|&(a, b)| [u32::from(a), u32::from(b)])
            .collect(),
        namespaces_version: if leads { namespaces.version.0 } else { 0 },
        namespaces_in_use: namespaces.in_use.into_iter().collect(),
    }
}

/// One process per data directory.
fn lock_directory(dir: &Path) -> anyhow::Result<fs::File> {
    let path = dir.join("LOCK");
    let file = fs::File::options().create(true).truncate(false).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            anyhow::bail!("data_dir {} is in use by another process", dir.display())
        }
        Err(fs::TryLockError::Error(e)) => Err(io::Error::other(e)).context("lock data_dir"),
    }
}
