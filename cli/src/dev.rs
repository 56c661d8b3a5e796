//! `miraft dev`: a cluster on this machine, until a signal ends it.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::ValueEnum;
use daemon::{
    logging,
    process::{CancellationToken, stop_on_signals},
};
use indicatif::{ProgressBar, ProgressStyle};
use local_cluster::{Bootstrap, Config, LocalCluster, Mode, Progress, Role};

/// How often to look whether a member died.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep everything in this directory; what is there already is found again.
    #[arg(long, default_value = crate::target::DEFAULT_DIR)]
    dir: PathBuf,
    /// Meta nodes: 1, 3 or 5.
    #[arg(long, default_value_t = 3)]
    meta: u32,
    /// Storage nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u32,
    /// Proxies.
    #[arg(long, default_value_t = 3)]
    proxies: u32,
    /// Port of the first cluster listener; 0 picks free ones [default: as before, else 7000].
    #[arg(long)]
    port: Option<u16>,
    /// Port of the first plain listener; 0 picks free ones [default: as before, else 7100].
    #[arg(long)]
    plain_port: Option<u16>,
    /// Address that the proxies listen on.
    #[arg(long, default_value = "127.0.0.1")]
    bind: String,
    /// Address that cluster clients are told [default: that of --bind].
    #[arg(long)]
    announce: Option<String>,
    /// Run each node as a child process instead of a thread.
    #[arg(long)]
    processes: bool,
    /// Who creates groups and assigns slots.
    #[arg(long, value_enum, default_value_t = BootstrapArg::Auto)]
    bootstrap: BootstrapArg,
    /// Raft groups to create [default: meta decides].
    #[arg(long)]
    groups: Option<u32>,
    /// When a write counts as written.
    #[arg(long, value_enum, default_value_t = DurabilityArg::Fsync)]
    durability: DurabilityArg,
    /// Log filter: `info`, `debug`, `info,meta=debug`.
    #[arg(long, default_value = logging::DEFAULT_FILTER)]
    log_level: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BootstrapArg {
    /// Meta, once all storage nodes are there.
    Auto,
    /// You, with `redis-cli --cluster create`.
    Manual,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DurabilityArg {
    /// After fdatasync: survives a power cut.
    Fsync,
    /// After the write call: survives kill -9.
    Os,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let config = config(&args)?;
    start_log(&args)?;
    let mut cluster = LocalCluster::launch(config).await?;
    let outcome = tokio::select! {
        outcome = serve(&mut cluster, &args) => outcome,
        () = stop.cancelled() => Ok(()),
    };
    eprintln!("stopping");
    let stopped = cluster.stop().await;
    outcome.and(stopped)
}

fn config(args: &Args) -> anyhow::Result<Config> {
    let bootstrap = match args.bootstrap {
        BootstrapArg::Auto => Bootstrap::Auto,
        BootstrapArg::Manual => Bootstrap::Manual,
    };
    let durability = match args.durability {
        DurabilityArg::Fsync => "fsync",
        DurabilityArg::Os => "os",
    };
    let announce = args.announce.clone().unwrap_or_else(|| match args.bind.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        bind => bind.to_owned(),
    });
    let mode = if args.processes { Mode::processes()? } else { Mode::Threads };
    let mut config = Config {
        meta: args.meta,
        nodes: args.nodes,
        proxies: args.proxies,
        port: args.port,
        plain_port: args.plain_port,
        bind: args.bind.clone(),
        announce,
        mode,
        bootstrap,
        ..Config::new(&args.dir)
    };
    config = config.option(Role::Storage, "durability", durability);
    for role in Role::ALL {
        config = config.option(role, "log_level", &args.log_level);
    }
    Ok(match args.groups {
        Some(groups) => config.option(Role::Meta, "groups", groups),
        None => config,
    })
}

/// Members that are threads log through this process.
fn start_log(args: &Args) -> anyhow::Result<()> {
    let dir = LocalCluster::log_dir(&args.dir);
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("cannot create the directory {}", dir.display()))?;
    let options = logging::Options { log_level: args.log_level.clone(), ..logging::Options::default() };
    logging::init_file(&options, &dir.join("miraft.log")).context("cannot start the log")
}

async fn serve(cluster: &mut LocalCluster, args: &Args) -> anyhow::Result<()> {
    let display = Display::new(cluster.members().len());
    let ready = cluster.wait_ready(|progress| display.show(progress)).await;
    display.finish();
    ready?;
    cluster.write_manifest().await.context("cannot write cluster.json")?;
    announce(cluster, args)?;
    loop {
        for (id, how) in cluster.take_dead() {
            eprintln!("{id} ended: {how}; its log is {}", cluster.log(id).display());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn announce(cluster: &LocalCluster, args: &Args) -> anyhow::Result<()> {
    let first = |addresses: Vec<String>| addresses.into_iter().next().unwrap_or_default();
    let redis_cli = |address: &str, flag: &str| match address.rsplit_once(':') {
        Some((host, port)) => format!("redis-cli{flag} -h {host} -p {port}"),
        None => String::new(),
    };
    let state = match args.bootstrap {
        BootstrapArg::Auto => "ready",
        BootstrapArg::Manual => "ready for redis-cli --cluster create",
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{state}: {} (cluster) or {} (plain); data in {}; Ctrl-C stops it",
        redis_cli(&first(cluster.cluster_addresses()), " -c"),
        redis_cli(&first(cluster.plain_addresses()), ""),
        cluster.dir().display()
    )?;
    Ok(out.flush()?)
}

/// Shows the start: a bar on a terminal, a line per step elsewhere.
enum Display {
    Bar(ProgressBar),
    Lines(std::cell::Cell<Option<usize>>),
}

impl Display {
    fn new(members: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(std::cell::Cell::new(None));
        }
        let bar = ProgressBar::new(members as u64);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} ready {wide_msg}") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn show(&self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(progress.ready as u64);
                bar.set_message(progress.waiting_for.clone());
                bar.tick();
            }
            Self::Lines(shown) => {
                if shown.replace(Some(progress.ready)) != Some(progress.ready) {
                    eprintln!("{}/{} ready {}", progress.ready, progress.members, progress.waiting_for);
                }
            }
        }
    }

    fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
