//! A storage node that does at once what the state asks of it, and a proxy that puts each topology
//! in force when told to.

use std::{sync::Arc, time::Duration};

use daemon::meta_client::{MetaClient, Update};
use parking_lot::Mutex;
use proto::v1::{Heartbeat, RegisterProxyRequest, RegisterStorageRequest, ReplicaReport, heartbeat::Node};
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};
use topology::{ClusterState, ProxyId, StoreId};

pub const DISK_FREE_BYTES: u64 = 30 << 30;
pub const DISK_TOTAL_BYTES: u64 = 100 << 30;

/// Dropping it is its death.
pub struct FakeStore {
    _end: DropGuard,
}

impl FakeStore {
    pub fn start(client: MetaClient, id: u64, name: &str) -> Self {
        let end = CancellationToken::new();
        let (ended, name) = (end.clone(), name.to_owned());
        tokio::spawn(async move {
            tokio::select! {
                () = live_as_store(client, id, name) => {}
                () = ended.cancelled() => {}
            }
        });
        Self { _end: end.drop_guard() }
    }
}

async fn live_as_store(client: MetaClient, id: u64, name: String) {
    loop {
        let request = RegisterStorageRequest {
            store_id: id,
            name: name.clone(),
            rpc_addr: format!("{name}:7100"),
            ..RegisterStorageRequest::default()
        };
        client.register_storage(request).await.expect("a store is welcome");
        let first = Heartbeat {
            node: Some(Node::StoreId(id)),
            disk_free_bytes: DISK_FREE_BYTES,
            disk_total_bytes: DISK_TOTAL_BYTES,
            ..Heartbeat::default()
        };
        let (heartbeat, mut updates) = client.watch(first);
        while let Some(update) = updates.next().await {
            if let Some(state) = state_of(&update) {
                let replicas = reports(&state, StoreId(id));
                heartbeat.update(|h| (h.replicas, h.acked_version) = (replicas, update.version));
            }
        }
    }
}

/// The first replica whose store is not gone leads; memberships change at once.
fn reports(state: &ClusterState, own: StoreId) -> Vec<ReplicaReport> {
    let report = |(group, entry): (&topology::GroupId, &topology::Group)| {
        let replica = entry.replicas.iter().find(|r| r.store == own)?;
        let leader = entry.replicas.iter().find(|r| !state.stores[&r.store].gone);
        let voters = entry.replicas.iter().map(|r| r.id.0).collect();
        let (term, is_leader) = (replica.id.0, leader == Some(replica));
        Some(ReplicaReport {
            group: group.0,
            replica: replica.id.0,
            is_leader,
            term,
            voters,
            // It holds no keys.
            parked_version: state.version.0,
            ..Default::default()
        })
    };
    state.groups.iter().filter_map(report).collect()
}

/// What a proxy would answer topology questions from.
#[derive(Debug, Default)]
pub struct ProxyView {
    pub version: u64,
    pub lease_until: Option<Instant>,
}

impl ProxyView {
    pub fn may_answer(&self) -> bool {
        self.lease_until.is_some_and(|until| Instant::now() < until)
    }
}

/// Dropping it is its death.
pub struct FakeProxy {
    pub id: ProxyId,
    view: Arc<Mutex<ProxyView>>,
    delay: Arc<Mutex<Option<Duration>>>,
    _end: DropGuard,
}

impl FakeProxy {
    pub fn start(client: MetaClient, port: u16) -> Self {
        let end = CancellationToken::new();
        let id = ProxyId::of_address("127.0.0.1", port);
        let view = Arc::<Mutex<ProxyView>>::default();
        let delay = Arc::new(Mutex::new(Some(Duration::ZERO)));
        let (ended, shown, delayed) = (end.clone(), view.clone(), delay.clone());
        let request = registration(&id, port);
        tokio::spawn(async move {
            tokio::select! {
                () = live_as_proxy(client, request, shown, delayed) => {}
                () = ended.cancelled() => {}
            }
        });
        Self { id, view, delay, _end: end.drop_guard() }
    }

    pub fn view<T>(&self, look: impl FnOnce(&ProxyView) -> T) -> T {
        look(&self.view.lock())
    }

    /// From now on topologies take so long to arrive; None: they never do.
    pub fn delay(&self, delay: Option<Duration>) {
        *self.delay.lock() = delay;
    }
}

fn registration(id: &ProxyId, port: u16) -> RegisterProxyRequest {
    RegisterProxyRequest {
        proxy_id: id.to_string(),
        announce_host: "127.0.0.1".to_owned(),
        announce_port: port.into(),
        incarnation: u64::from(port),
        ..RegisterProxyRequest::default()
    }
}

async fn live_as_proxy(
    client: MetaClient,
    request: RegisterProxyRequest,
    view: Arc<Mutex<ProxyView>>,
    delay: Arc<Mutex<Option<Duration>>>,
) {
    loop {
        client.register_proxy(request.clone()).await.expect("a proxy is welcome");
        let node = Some(Node::ProxyId(request.proxy_id.clone()));
        let first = Heartbeat { node, incarnation: request.incarnation, ..Heartbeat::default() };
        let (heartbeat, mut updates) = client.watch(first);
        while let Some(update) = updates.next().await {
            if state_of(&update).is_some() {
                let waiting = *delay.lock();
                match waiting {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => continue,
                }
                let mut view = view.lock();
                if update.version > view.version {
                    *view = ProxyView { version: update.version, lease_until: None };
                }
                heartbeat.update(|h| h.acked_version = view.version);
            }
            let mut view = view.lock();
            if update.version == view.version {
                view.lease_until = update.lease_until;
            }
        }
    }
}

fn state_of(update: &Update) -> Option<ClusterState> {
    (!update.state.is_empty()).then(|| serde_json::from_slice(&update.state).unwrap())
}
