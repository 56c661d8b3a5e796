//! A meta node from start to stop.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use daemon::{
    env::Env,
    grpc,
    http::{self, Readiness},
};
use proto::v1::{
    meta_admin_server::MetaAdminServer, meta_server::MetaServer, raft_peer_server::RaftPeerServer,
};
use raft_rocks::{
    AdaptiveExecutor, Durability, InlineExecutor, LogOptions, LogStore, Member, PeerService, Peers, Raft,
    RaftMetrics, SimDisk,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Router;

use crate::{
    consensus::{Consensus, META_GROUP},
    core::Core,
    formation,
    machine::{MetaMachine, Watches},
    membership::Membership,
    metrics,
    options::{Bootstrap, Options},
    reign::Ruler,
    service::Service,
    standing,
    tracker::Tracker,
};

/// Entries between two checkpoints.
const CHECKPOINT_ENTRIES: u64 = 1_000;
const LOG_SEGMENT_BYTES: u64 = 4 << 20;

/// Where a started node is reached.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub rpc: SocketAddr,
    pub http: Option<SocketAddr>,
}

/// A simulated disk for the log, written on the caller's runtime.
pub type LogDisk = (SimDisk, InlineExecutor);

/// Runs a node until `stop`. `started` is called once it serves.
pub async fn run(
    options: Options,
    env: Env,
    started: impl FnOnce(Addresses),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    run_with(options, env, None, started, stop).await
}

/// [`run`] for the simulation. No `log_disk`: the log is in the data directory.
pub async fn run_with(
    options: Options,
    env: Env,
    log_disk: Option<LogDisk>,
    started: impl FnOnce(Addresses),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener =
        env.net.bind(&options.listen).await.with_context(|| format!("listen: {}", options.listen))?;
    let rpc = listener.local_addr()?;
    let advertised = if options.advertise.is_empty() { rpc.to_string() } else { options.advertise.clone() };
    let founders = options.founders(&advertised)?;

    let peer_service = PeerService::new();
    let (consensus, watches) = start_raft(&options, &env, &peer_service, log_disk).await?;
    let pulse = raft_rocks::keep_pulse(peer_service.registry().clone(), options.timings().heartbeat);
    let lease = Duration::from_millis(options.proxy_lease_ms);
    let tracker = Tracker::new(lease, Duration::from_millis(options.store_silence_ms));
    let apply_timeout = Duration::from_millis(options.apply_timeout_ms);
    let manual = options.bootstrap == Bootstrap::Manual;
    let core = Arc::new(Core::new(env.clone(), consensus, watches, tracker, apply_timeout, manual));

    // Ends with this function, whichever way it ends, and after another node leads.
    let tasks = CancellationToken::new();
    let _end = tasks.clone().drop_guard();
    let readiness = Readiness::default();
    let http = start_http(&options, &env, &core, &readiness, &tasks).await?;
    let shutdown = tasks.clone().cancelled_owned();
    let membership = Membership::new(core.clone());
    let service = Service::new(core.clone(), membership.clone());
    let mut serving = tokio::spawn(grpc::serve(listener, router(service, peer_service)?, shutdown));
    started(Addresses { rpc, http });

    tokio::spawn(tasks.clone().run_until_cancelled_owned(pulse));
    let ruling = tokio::spawn(Ruler::new(core.clone(), options.policy()).run(tasks.clone()));
    tokio::spawn(membership.finish_what_was_begun(tasks.clone()));
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        lived = live(&core, &env, founders) => lived?,
        stood = standing::watch(&core.consensus, &env, &readiness) => match stood? {},
        served = &mut serving => anyhow::bail!("the gRPC listener ended: {served:?}"),
    }
    readiness.set(false);
    core.consensus.leave().await;
    tasks.cancel();
    ruling.await?;
    core.consensus.raft.shutdown().await?;
    serving.await??;
    Ok(())
}

/// Forms the group if that is this node's to do; then makes checkpoints. Ends only when Raft does,
/// which is a failure.
async fn live(core: &Core, env: &Env, founders: Option<BTreeMap<u64, Member>>) -> anyhow::Result<()> {
    if let Some(founders) = founders {
        formation::form(&core.consensus, env, founders).await?;
    }
    let raft = &core.consensus.raft;
    let mut next = applied_index(&raft_rocks::metrics(raft)) + CHECKPOINT_ENTRIES;
    loop {
        let due = |metrics: &RaftMetrics| metrics.running_state.is_err() || applied_index(metrics) >= next;
        let metrics = raft.wait(None).metrics(due, "a checkpoint is due").await?;
        metrics.running_state.clone().context("Raft stopped")?;
        raft.trigger().snapshot().await?;
        next = applied_index(&metrics) + CHECKPOINT_ENTRIES;
    }
}

fn applied_index(metrics: &RaftMetrics) -> u64 {
    metrics.last_applied.as_ref().map_or(0, |id| id.index)
}

async fn start_raft(
    options: &Options,
    env: &Env,
    peer_service: &PeerService,
    log_disk: Option<LogDisk>,
) -> anyhow::Result<(Consensus, Watches)> {
    let directory = &options.data_dir;
    std::fs::create_dir_all(directory).with_context(|| format!("data_dir: {}", directory.display()))?;
    let durability = if options.fsync { Durability::Fsync } else { Durability::Os };
    let log_options = LogOptions { durability, segment_bytes: LOG_SEGMENT_BYTES, ..LogOptions::default() };
    let log = match log_disk {
        Some((disk, executor)) => LogStore::open_on(Arc::new(disk), log_options, executor)?,
        None => LogStore::open(directory.join("log"), log_options, AdaptiveExecutor)?,
    };
    let (machine, watches) = MetaMachine::open(directory.join("checkpoint"))?;
    let dial_env = env.clone();
    let peers = Peers::new(Arc::new(move |addr: &str| grpc::channel(&dial_env, addr)));
    let config = raft_rocks::raft_config(options.timings());
    let network = peers.network(META_GROUP);
    let raft = Raft::new(options.id, config, network, log.group(META_GROUP), machine).await?;
    // At once: meta reads by quorum, so a restart forgets no lease it granted.
    raft.runtime_config().elect(true);
    peer_service.insert(META_GROUP, options.id, raft_rocks::raft_handle(raft.clone()), None);
    let (rosters, silence_max) = (watches.rosters.clone(), options.silence_max());
    Ok((Consensus { id: options.id, raft, rosters, silence_max }, watches))
}

fn router(service: Service, peer_service: PeerService) -> anyhow::Result<Router> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(grpc::server()
        .add_service(MetaServer::new(service.clone()).max_encoding_message_size(grpc::MESSAGE_BYTES_MAX))
        .add_service(
            MetaAdminServer::new(service)
                .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX),
        )
        .add_service(
            RaftPeerServer::new(peer_service)
                .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX),
        )
        .add_service(reflection))
}

async fn start_http(
    options: &Options,
    env: &Env,
    core: &Arc<Core>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(addr) = &options.http_listen else { return Ok(None) };
    let mut registry = prometheus_client::registry::Registry::default();
    metrics::register(&mut registry, core.clone());
    let bound = http::start(env, addr, registry, readiness.clone(), stop.clone()).await;
    bound.map(Some).with_context(|| format!("http_listen: {addr}"))
}
