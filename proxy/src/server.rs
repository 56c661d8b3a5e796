//! A proxy process: binds, starts the link to meta and the workers, and stops them.
//!
//! The first worker runs on the caller's thread, each further one on its own; they share the
//! listening addresses (the system spreads the clients), the topology and [`Shared`], nothing else.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use anyhow::Context as _;
use daemon::{
    env::{Env, Listener},
    http::{self, Readiness},
    meta_client::MetaClient,
    process,
};
use prometheus_client::registry::Registry;
use tokio::{sync::mpsc, task::spawn_local, time::sleep};
use tokio_util::sync::CancellationToken;
use topology::ClusterState;

use crate::{
    accounts,
    backend::{Backend, Limits, LinkOptions, Topologies, link},
    clients::Side,
    cluster::Cluster,
    listener,
    metrics::ProxyMetrics,
    notices,
    options::Options,
    pubsub,
    settings::Number,
    shared::Shared,
    stats::rates,
    tracking,
    worker::Worker,
};

/// How long clients have at a stop to get the replies of what they sent.
const FAREWELL: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(1);

/// Where a proxy listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub cluster: SocketAddr,
    pub plain: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
}

/// Runs a proxy until `stop`, on a current-thread runtime inside a `LocalSet`. `started` is called
/// once it accepts clients.
pub async fn run(
    options: Options,
    env: Env,
    started: impl FnOnce(Addresses),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let shared = Arc::new(Shared::new(&options, env.clone()));
    if let (Some(file), Some(path)) = (&shared.settings_file, &options.settings_file) {
        file.load(&shared.settings).with_context(|| format!("settings_file: {path}"))?;
    }
    let listeners = Listeners::bind(&env, &options).await?;
    let mut addresses = listeners.addresses()?;
    let identity = identity(&options, addresses.cluster);
    // Shared with whoever asks meta for changes: the link learns where meta has moved to.
    let meta = MetaClient::new(env.clone(), options.meta.clone());
    let users = accounts::initial_users(options.aclfile.as_deref(), &shared.settings.initial_password())?;
    let has_users = !users.is_empty();
    shared.accounts.begin_with(users);
    let on_state = {
        let shared = shared.clone();
        Box::new(move |state: &ClusterState| accounts::update(&shared, &state.users))
    };
    let (keep_link, topologies) = link(&env, meta.clone(), identity.clone(), on_state);
    spawn_local(keep_link);
    let readiness = Readiness::default();
    if let Some(addr) = &options.http_listen {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProxyMetrics::new(shared.clone())));
        let bound = http::start(&env, addr, registry, readiness.clone(), stop.clone()).await;
        addresses.http = Some(bound.with_context(|| format!("http_listen: cannot bind {addr}"))?);
    }
    spawn_local(follow_readiness(readiness, topologies.clone()));
    spawn_local(close_idle(shared.clone()));
    spawn_local(keep_rates(shared.clone()));
    if has_users {
        let cluster = Cluster::new(env.clone(), topologies.clone(), &identity, meta.clone());
        spawn_local(accounts::begin(shared.clone(), cluster));
    }
    spawn_local(pubsub::run(shared.clone(), topologies.clone()));

    let plan = Plan { shared: shared.clone(), topologies, meta, identity, options, stop: stop.clone() };
    let (ended, mut endings) = mpsc::channel::<()>(1);
    for number in 1..plan.options.workers {
        plan.clone().spawn(number, addresses, ended.clone())?;
    }
    drop(ended);
    plan.serve(0, listeners);
    started(addresses);

    stop.cancelled().await;
    farewell(&shared).await;
    // Each worker holds a sender until it ends.
    while endings.recv().await.is_some() {}
    Ok(())
}

/// What a worker is made of.
#[derive(Clone)]
struct Plan {
    shared: Arc<Shared>,
    topologies: Topologies,
    meta: MetaClient,
    identity: LinkOptions,
    options: Options,
    stop: CancellationToken,
}

impl Plan {
    /// Starts a worker on the current `LocalSet`.
    fn serve(&self, number: usize, listeners: Listeners) {
        let limits = Limits {
            deadline_ms: self.options.deadline_ms,
            late_us: self.shared.settings.late_us.clone(),
            ..Limits::default()
        };
        let env = self.shared.env.clone();
        let caches = Rc::new(tracking::Reader { shared: self.shared.clone(), worker: number });
        let backend = Backend::start(
            env,
            self.topologies.clone(),
            self.identity.proxy_id(),
            limits,
            self.shared.settings.small.clone(),
            Some(caches),
            Rc::new(notices::Listener { shared: self.shared.clone(), number }),
        );
        let cluster =
            Cluster::new(self.shared.env.clone(), self.topologies.clone(), &self.identity, self.meta.clone());
        let worker = Worker::new(self.shared.clone(), Rc::new(backend.clone()), cluster, number);
        spawn_local(worker.clone().spread_relief(backend));
        spawn_local(listener::accept(worker.clone(), listeners.cluster, Side::Cluster, self.stop.clone()));
        if let Some(plain) = listeners.plain {
            spawn_local(listener::accept(worker, plain, Side::Plain, self.stop.clone()));
        }
    }

    /// Starts a worker on a thread of its own, which ends when all clients have left after `stop`.
    fn spawn(mut self, number: usize, addresses: Addresses, ended: mpsc::Sender<()>) -> io::Result<()> {
        self.options.listen = addresses.cluster.to_string();
        self.options.plain_listen = addresses.plain.map(|addr| addr.to_string());
        let name = format!("proxy-worker-{number}");
        let thread = std::thread::Builder::new().name(name);
        thread.spawn(move || {
            let work = process::block_on(async {
                match Listeners::bind(&self.shared.env, &self.options).await {
                    Ok(listeners) => self.serve(number, listeners),
                    Err(error) => {
                        tracing::error!(number, error = format!("{error:#}"), "worker cannot listen")
                    }
                }
                self.stop.cancelled().await;
                farewell(&self.shared).await;
            });
            if let Err(error) = work {
                tracing::error!(number, %error, "worker cannot run");
            }
            drop(ended);
        })?;
        Ok(())
    }
}

/// The listening sockets of one worker.
struct Listeners {
    cluster: Box<dyn Listener>,
    plain: Option<Box<dyn Listener>>,
}

impl Listeners {
    async fn bind(env: &Env, options: &Options) -> anyhow::Result<Self> {
        let shared = options.workers > 1;
        let bind = async |key: &str, addr: &str| {
            let bound = if shared { env.net.bind_shared(addr).await } else { env.net.bind(addr).await };
            bound.with_context(|| format!("{key}: cannot bind {addr}"))
        };
        let cluster = bind("listen", &options.listen).await?;
        let plain = match &options.plain_listen {
            Some(addr) => Some(bind("plain_listen", addr).await?),
            None => None,
        };
        Ok(Self { cluster, plain })
    }

    fn addresses(&self) -> io::Result<Addresses> {
        let plain = self.plain.as_ref().map(|listener| listener.local_addr()).transpose()?;
        Ok(Addresses { cluster: self.cluster.local_addr()?, plain, http: None })
    }
}

/// How this proxy is announced; what is not configured follows from where it listens.
fn identity(options: &Options, bound: SocketAddr) -> LinkOptions {
    let host = match options.announce_host.as_str() {
        "" if bound.ip().is_unspecified() => "127.0.0.1".to_owned(),
        "" => bound.ip().to_string(),
        configured => configured.to_owned(),
    };
    let port = if options.announce_port == 0 { bound.port() } else { options.announce_port };
    LinkOptions {
        announce_host: host,
        announce_port: port,
        announce_hostname: options.announce_hostname.clone(),
    }
}

/// Ready: the topology is known.
async fn follow_readiness(readiness: Readiness, mut topologies: Topologies) {
    loop {
        readiness.set(topologies.newest().routes.is_known());
        if !topologies.changed().await {
            return;
        }
    }
}

/// Closes clients that are idle for longer than `timeout`.
async fn close_idle(shared: Arc<Shared>) {
    loop {
        sleep(SWEEP).await;
        let timeout_ms = shared.settings.number(Number::TimeoutS).saturating_mul(1000);
        if timeout_ms <= 0 {
            continue;
        }
        let now_ms = shared.now_ms();
        for client in shared.clients.all() {
            if client.idle_ms(now_ms) > timeout_ms as u64 {
                client.kill();
            }
        }
    }
}

async fn keep_rates(shared: Arc<Shared>) {
    loop {
        shared.look_at_rates();
        sleep(rates::EVERY).await;
    }
}

/// Lets clients have the replies under way, then closes them.
async fn farewell(shared: &Shared) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let all_left = async || {
        while !shared.clients.is_empty() {
            sleep(LOOK_AGAIN).await;
        }
    };
    shared.clients.all().iter().for_each(|client| client.dismiss());
    if tokio::time::timeout(FAREWELL, all_left()).await.is_err() {
        shared.clients.all().iter().for_each(|client| client.kill());
    }
}
