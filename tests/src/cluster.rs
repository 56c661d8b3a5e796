//! A cluster in a temporary directory, each member a child process.
//!
//! One at a time in a test binary: the machine is small, and faults need quiet around them.

pub mod metrics;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::{Deref, DerefMut},
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::Context as _;
use local_cluster::{Config, Listener, LocalCluster, MemberId, Mode, Role};
use proto::v1::{GetStateRequest, MembersRequest};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use topology::{GroupId, StoreId};

use crate::{resp::Connection, wait};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Dropping it kills every member and deletes the data, but for a test that failed: then the
/// directory stays, for its logs.
pub struct TestCluster {
    cluster: LocalCluster,
    dir: Option<TempDir>,
    _only: MutexGuard<'static, ()>,
}

impl TestCluster {
    /// Three of each, ready.
    pub async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    /// As [`TestCluster::start`], with changes.
    pub async fn start_with(change: impl FnOnce(Config) -> Config) -> Self {
        Self::start_prepared(change, |_| ()).await
    }

    /// As [`TestCluster::start_with`]; `prepare` is called between launching and waiting.
    pub async fn start_prepared(
        change: impl FnOnce(Config) -> Config,
        prepare: impl FnOnce(&LocalCluster),
    ) -> Self {
        let only = ONE_AT_A_TIME.lock().await;
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mode = Mode::processes().expect("the servers are built");
        let config = Config { mode, ..Config::on_free_ports(dir.path().join("cluster")) };
        let config = Config { start_timeout: Duration::from_secs(60), ..change(config) };
        let kept = dir.path().to_owned();
        let ready = async {
            let mut cluster = LocalCluster::launch(config).await?;
            prepare(&cluster);
            cluster.wait_ready(|_| ()).await?;
            anyhow::Ok(cluster)
        };
        match ready.await {
            Ok(cluster) => Self { cluster, dir: Some(dir), _only: only },
            Err(error) => {
                let _kept_for_its_logs = dir.keep();
                panic!("the cluster does not start: {error:#}; see {}", kept.display())
            }
        }
    }

    /// Where the first proxy serves plain clients.
    pub fn plain(&self) -> String {
        self.plain_addresses().swap_remove(0)
    }

    /// Listeners of one proxy.
    pub fn proxy_address(&self, number: u32, listener: Listener) -> String {
        self.addresses(Role::Proxy, listener).swap_remove(number as usize - 1)
    }

    /// A connection to the first proxy's plain listener.
    pub async fn connect(&self) -> Connection {
        Connection::open(&self.plain()).await.expect("the proxy accepts connections")
    }

    /// Who leads each group, as meta knows it.
    pub async fn leaders(&self) -> anyhow::Result<Vec<(GroupId, MemberId)>> {
        self.state_and_leaders().await.map(|(_, leaders)| leaders)
    }

    /// The storage node that leads the group of `key`.
    pub async fn leader_of(&self, key: &str) -> MemberId {
        let slot = topology::slot_of(key.as_bytes());
        let ask = || async {
            let (state, leaders) = self.state_and_leaders().await?;
            let serves = |group: &GroupId| state.groups.get(group).is_some_and(|g| g.slots.contains(slot));
            let leader = leaders.iter().find(|(group, _)| serves(group));
            leader.map(|&(_, member)| member).context("no leader is known")
        };
        wait::until("the leader of a key", Duration::from_secs(10), ask).await
    }

    async fn state_and_leaders(&self) -> anyhow::Result<(topology::ClusterState, Vec<(GroupId, MemberId)>)> {
        let answer =
            self.meta_client().admin(async |mut admin| admin.get_state(GetStateRequest {}).await).await?;
        let state: topology::ClusterState = serde_json::from_slice(&answer.state)?;
        let member = |hint: &proto::v1::LeaderHint| {
            let store =
                state.stores.get(&StoreId(hint.store_id)).context("a leader that meta does not know")?;
            let found = self
                .members()
                .iter()
                .find(|member| member.address(Listener::Rpc).as_deref() == Some(store.rpc_addr.as_str()));
            Ok((GroupId(hint.group), found.context("a leader at an unknown address")?.id))
        };
        let leaders = answer.leaders.iter().map(member).collect::<anyhow::Result<_>>()?;
        Ok((state, leaders))
    }

    /// A storage node that leads a group.
    pub async fn a_leader(&self) -> MemberId {
        let ask = || async {
            let leaders = self.leaders().await?;
            leaders.first().map(|&(_, member)| member).context("no leader is known")
        };
        wait::until("a leader of a group", Duration::from_secs(10), ask).await
    }

    /// The meta node that leads.
    pub async fn meta_leader(&self) -> MemberId {
        let ask = || async {
            let client = self.meta_client();
            let leader = client.admin(async |mut admin| admin.members(MembersRequest {}).await).await?.leader;
            anyhow::ensure!(leader > 0, "meta has no leader");
            anyhow::Ok(MemberId::meta(u32::try_from(leader)?))
        };
        wait::until("a meta leader", Duration::from_secs(10), ask).await
    }

    /// Waits until every storage node that runs has a voting replica of each group, and the replicas
    /// of a group have applied the same. Nothing may be written meanwhile.
    pub async fn wait_replicated(&self, patience: Duration) {
        wait::until("all replicas are level", patience, || async {
            let mut seen = BTreeMap::<u64, Vec<metrics::Replica>>::new();
            let running = self.members().iter().filter(|member| member.id.role == Role::Storage);
            let running: Vec<_> = running.filter(|member| self.pid(member.id).is_some()).collect();
            for node in &running {
                let address = node.address(Listener::Http).unwrap_or_default();
                for (group, replica) in metrics::replicas(&address).await? {
                    seen.entry(group).or_default().push(replica);
                }
            }
            let groups: BTreeSet<u64> = self.state().await?.groups.keys().map(|group| group.0).collect();
            let level = |replicas: &Vec<metrics::Replica>| {
                replicas.len() == running.len()
                    && replicas.iter().all(|replica| replica.votes && *replica == replicas[0])
            };
            let all = seen.keys().copied().eq(groups) && seen.values().all(level);
            anyhow::ensure!(all, "{seen:?}");
            anyhow::Ok(())
        })
        .await;
    }
}

impl Deref for TestCluster {
    type Target = LocalCluster;

    fn deref(&self) -> &LocalCluster {
        &self.cluster
    }
}

impl DerefMut for TestCluster {
    fn deref_mut(&mut self) -> &mut LocalCluster {
        &mut self.cluster
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("data and logs stay in {}", dir.keep().display());
        }
    }
}

/// One cluster for all tests of a binary that do it no harm. It lives while any of them runs.
pub async fn shared() -> Arc<TestCluster> {
    static SHARED: Mutex<Weak<TestCluster>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(TestCluster::start().await);
    *shared = Arc::downgrade(&started);
    started
}

/// A field of `INFO` or `CLUSTER INFO`.
pub async fn info_field(connection: &mut Connection, command: &str, name: &str) -> io::Result<String> {
    let text = connection.run(command).await?.text();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.map(str::to_owned).ok_or_else(|| io::Error::other(format!("{command} has no {name}")))
}
