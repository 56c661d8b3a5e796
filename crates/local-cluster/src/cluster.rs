//! The running cluster.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use daemon::{env::Env, meta_client::MetaClient};
use proto::v1::GetStateRequest;
use tokio::time::{Instant, sleep};
use topology::ClusterState;

use crate::{
    arguments,
    config::{Bootstrap, Config, Mode},
    layout::{Layout, Listener, Member, MemberId, Role},
    manifest::Manifest,
    os::Signal,
    ports::Ports,
    process::Process,
    readiness::{self, Progress},
    thread::Thread,
};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const PORT_PATIENCE: Duration = Duration::from_secs(3);
const META_PATIENCE: Duration = Duration::from_secs(10);

/// Dropping it stops every thread and kills every child process.
pub struct LocalCluster {
    config: Config,
    /// `config.dir`, absolute.
    dir: PathBuf,
    layout: Layout,
    /// Parallel to `layout.members`.
    running: Vec<Running>,
    /// Held for the life of the cluster.
    _ports: Ports,
    _lock: File,
}

enum Running {
    Not,
    Thread(Thread),
    Process(Process),
}

impl LocalCluster {
    /// Starts a cluster and waits until it is ready.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let mut cluster = Self::launch(config).await?;
        cluster.wait_ready(|_| ()).await?;
        Ok(cluster)
    }

    /// Starts every member; none is ready yet.
    pub async fn launch(config: Config) -> anyhow::Result<Self> {
        let (dir, lock) = open_dir(&config.dir)?;
        Manifest::remove(&dir)?;
        let (layout, ports) = lay_out(&config, &dir).await?;
        layout.save(&dir)?;
        let running = layout.members.iter().map(|_| Running::Not).collect();
        let mut cluster = Self { config, dir, layout, running, _ports: ports, _lock: lock };
        for at in 0..cluster.running.len() {
            cluster.start_at(at)?;
        }
        Ok(cluster)
    }

    pub fn members(&self) -> &[Member] {
        &self.layout.members
    }

    /// Where the cluster keeps everything, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Addresses of all listeners of one kind: every proxy's plain listener, say.
    pub fn addresses(&self, role: Role, listener: Listener) -> Vec<String> {
        self.layout.of_role(role).filter_map(|member| member.address(listener)).collect()
    }

    pub fn cluster_addresses(&self) -> Vec<String> {
        self.addresses(Role::Proxy, Listener::Cluster)
    }

    pub fn plain_addresses(&self) -> Vec<String> {
        self.addresses(Role::Proxy, Listener::Plain)
    }

    pub fn meta_addresses(&self) -> Vec<String> {
        arguments::meta_addresses(&self.layout)
    }

    /// A client of this cluster's meta group.
    pub fn meta_client(&self) -> MetaClient {
        MetaClient::new(Env::real(), self.meta_addresses())
    }

    /// The replicated state, read linearizably.
    pub async fn state(&self) -> anyhow::Result<ClusterState> {
        let client = self.meta_client();
        let asked = client.admin(async |mut admin| admin.get_state(GetStateRequest {}).await);
        let answer = tokio::time::timeout(META_PATIENCE, asked).await.context("meta did not answer")??;
        serde_json::from_slice(&answer.state).context("meta's state cannot be read")
    }

    /// Where the member keeps its data; proxies keep none.
    pub fn data_dir(&self, id: MemberId) -> Option<PathBuf> {
        (id.role != Role::Proxy).then(|| self.dir.join(id.to_string()))
    }

    /// Where a cluster in `dir` keeps its logs.
    pub fn log_dir(dir: &Path) -> PathBuf {
        dir.join("logs")
    }

    /// Where the member's log lines go. Threads share this process's log, wherever it is; `miraft
    /// dev` puts it here.
    pub fn log(&self, id: MemberId) -> PathBuf {
        let name = match self.config.mode {
            Mode::Processes { .. } => id.to_string(),
            Mode::Threads => "miraft".to_owned(),
        };
        Self::log_dir(&self.dir).join(format!("{name}.log"))
    }

    /// Process id, while it runs. Threads have that of this process.
    pub fn pid(&self, id: MemberId) -> Option<u32> {
        match self.running.get(self.position(id).ok()?)? {
            Running::Not => None,
            Running::Thread(_) => Some(std::process::id()),
            Running::Process(process) => Some(process.pid()),
        }
    }

    /// SIGKILL. Only child processes can be killed.
    pub fn kill(&mut self, id: MemberId) -> anyhow::Result<()> {
        self.process(id)?.kill().with_context(|| format!("cannot kill {id}"))?;
        let at = self.position(id)?;
        self.running[at] = Running::Not;
        Ok(())
    }

    /// SIGSTOP: frozen until [`LocalCluster::resume`].
    pub fn pause(&mut self, id: MemberId) -> anyhow::Result<()> {
        self.process(id)?.signal(Signal::Pause).with_context(|| format!("cannot pause {id}"))
    }

    /// SIGCONT.
    pub fn resume(&mut self, id: MemberId) -> anyhow::Result<()> {
        self.process(id)?.signal(Signal::Resume).with_context(|| format!("cannot resume {id}"))
    }

    /// Starts a member that does not run, with the data it left.
    pub fn restart(&mut self, id: MemberId) -> anyhow::Result<()> {
        let at = self.position(id)?;
        ensure!(matches!(self.running[at], Running::Not), "{id} runs already");
        self.start_at(at)
    }

    /// Deletes the data of a member that does not run.
    pub fn wipe(&mut self, id: MemberId) -> anyhow::Result<()> {
        let at = self.position(id)?;
        ensure!(matches!(self.running[at], Running::Not), "{id} still runs");
        let Some(dir) = self.data_dir(id) else { return Ok(()) };
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot delete {}", dir.display()))
    }

    /// Stops one member gracefully and waits until it has ended.
    pub async fn terminate(&mut self, id: MemberId) -> anyhow::Result<()> {
        let at = self.position(id)?;
        self.signal_stop(at)?;
        self.wait_ended(at, Instant::now() + STOP_PATIENCE).await
    }

    /// Members that ended by themselves since the last call, and how.
    pub fn take_dead(&mut self) -> Vec<(MemberId, String)> {
        let mut dead = Vec::new();
        for (member, running) in self.layout.members.iter().zip(&mut self.running) {
            if let Some(how) = ended(running) {
                *running = Running::Not;
                dead.push((member.id, how));
            }
        }
        dead
    }

    /// Waits until every member is ready, and tells `progress` on the way. Fails when a member
    /// ends, or at `config.start_timeout`.
    pub async fn wait_ready(&mut self, mut progress: impl FnMut(&Progress)) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.config.start_timeout;
        loop {
            if let Some((id, how)) = self.take_dead().into_iter().next() {
                bail!("{id} ended: {how}; its log is {}", self.log(id).display());
            }
            let mut seen = readiness::look(&self.layout.members, self.config.bootstrap).await;
            if seen.is_complete() && self.config.bootstrap == Bootstrap::Auto {
                seen.await_groups(&self.state().await);
            }
            progress(&seen);
            if seen.is_complete() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not ready in time: {}", seen.waiting_for);
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Stops everything gracefully: proxies, then storage nodes, then meta.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Manifest::remove(&self.dir)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        for role in Role::ALL.into_iter().rev() {
            let of_role = |at: &usize| self.layout.members[*at].id.role == role;
            let positions: Vec<usize> = (0..self.running.len()).filter(of_role).collect();
            for &at in &positions {
                self.signal_stop(at)?;
            }
            for at in positions {
                self.wait_ended(at, deadline).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn mode(&self) -> &Mode {
        &self.config.mode
    }

    pub(crate) fn announced(&self) -> &str {
        &self.config.announce
    }

    fn position(&self, id: MemberId) -> anyhow::Result<usize> {
        let found = self.layout.members.iter().position(|member| member.id == id);
        found.with_context(|| format!("there is no {id}"))
    }

    fn process(&mut self, id: MemberId) -> anyhow::Result<&mut Process> {
        let at = self.position(id)?;
        match &mut self.running[at] {
            Running::Process(process) => Ok(process),
            Running::Thread(_) => bail!("{id} is a thread; start the cluster in child processes"),
            Running::Not => bail!("{id} does not run"),
        }
    }

    fn start_at(&mut self, at: usize) -> anyhow::Result<()> {
        let member = &self.layout.members[at];
        let arguments = arguments::of(member, &self.layout, &self.config, &self.dir);
        self.running[at] = match self.mode() {
            Mode::Threads => Running::Thread(Thread::start(member.id, arguments)?),
            Mode::Processes { binaries } => {
                let binary = binaries.join(member.id.role.binary());
                Running::Process(Process::start(&binary, &arguments, &self.log(member.id))?)
            }
        };
        Ok(())
    }

    fn signal_stop(&mut self, at: usize) -> anyhow::Result<()> {
        match &mut self.running[at] {
            Running::Not => {}
            Running::Thread(thread) => thread.stop(),
            Running::Process(process) => {
                if process.ended()?.is_none() {
                    process.signal(Signal::Terminate)?;
                }
            }
        }
        Ok(())
    }

    async fn wait_ended(&mut self, at: usize, deadline: Instant) -> anyhow::Result<()> {
        let id = self.layout.members[at].id;
        while !matches!(self.running[at], Running::Not) {
            if let Some(how) = ended(&mut self.running[at]) {
                self.running[at] = Running::Not;
                tracing::info!(member = %id, how, "stopped");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{id} did not stop in time");
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}

/// How it ended, if it did.
fn ended(running: &mut Running) -> Option<String> {
    match running {
        Running::Not => None,
        Running::Thread(thread) => Some(match thread.ended()? {
            Ok(()) => "ended".to_owned(),
            Err(error) => format!("{error:#}"),
        }),
        Running::Process(process) => match process.ended() {
            Ok(status) => Some(status?.to_string()),
            Err(error) => Some(error.to_string()),
        },
    }
}

/// The layout, with its ports claimed. Children of a cluster that was killed in this directory may
/// be about to die: their ports are waited for.
async fn lay_out(config: &Config, dir: &Path) -> anyhow::Result<(Layout, Ports)> {
    let known = Layout::load(dir)?;
    known.check_counts(config)?;
    let patience = if known.members.is_empty() { Duration::ZERO } else { PORT_PATIENCE };
    let deadline = Instant::now() + patience;
    loop {
        let (mut layout, mut ports) = (known.clone(), Ports::new());
        match layout.grow(config, &mut ports) {
            Ok(()) => return Ok((layout, ports)),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(POLL_INTERVAL).await,
        }
    }
}

/// Creates the directory and takes its lock.
fn open_dir(dir: &Path) -> anyhow::Result<(PathBuf, File)> {
    let create = |dir: &Path| {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create the directory {}", dir.display()))
    };
    create(&LocalCluster::log_dir(dir))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot open {}", dir.display()))?;
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok((dir, file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another cluster already runs in {}; stop it, or use another --dir", dir.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("cannot lock the directory"),
    }
}
