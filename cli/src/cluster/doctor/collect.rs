//! Everything that the checks look at, asked for at once and then only looked at.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use topology::{ClusterState, ProxyId, StoreId};

use super::{
    finding::Unknown,
    probe::{self, Reached},
};
use crate::{
    admin::{Admin, Asked, Health, Members, Snapshot, best_view},
    cluster::names,
    target::Target,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Collected {
    /// Every meta node, asked by itself.
    pub metas: Vec<Asked>,
    /// What meta's leader says; none: nobody leads, or nobody answers.
    pub snapshot: Option<Snapshot>,
    pub health: Option<Health>,
    /// Of live proxies, at the addresses they announce.
    pub probes: Vec<Probe>,
    /// Whether storage nodes accept connections at their addresses.
    pub stores: BTreeMap<StoreId, Result<(), String>>,
}

/// What was found at an announced address.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// None: the address is known from elsewhere, as meta does not tell.
    pub proxy: Option<ProxyId>,
    pub address: String,
    pub reached: Reached,
}

const NO_STATE: Unknown = Unknown("meta does not tell the cluster state");
const NO_HEALTH: Unknown = Unknown("meta does not tell the health of its nodes");

impl Collected {
    /// Health last: what lags then has had time.
    pub async fn ask(admin: &Admin, target: &Target, password: Option<&str>) -> Self {
        let (metas, snapshot) = tokio::join!(admin.ask_each(), admin.snapshot());
        let snapshot = snapshot.ok();
        let addresses = announced(snapshot.as_ref(), target);
        let (probes, stores) = tokio::join!(
            probe_all(addresses, password),
            reach_all(snapshot.as_ref().map(|snapshot| &snapshot.state))
        );
        let health = match snapshot {
            Some(_) => admin.health().await.ok().flatten(),
            None => None,
        };
        Self { metas, snapshot, health, probes, stores }
    }

    pub fn snapshot(&self) -> Result<&Snapshot, Unknown> {
        self.snapshot.as_ref().ok_or(NO_STATE)
    }

    pub fn state(&self) -> Result<&ClusterState, Unknown> {
        self.snapshot().map(|snapshot| &snapshot.state)
    }

    pub fn health(&self) -> Result<&Health, Unknown> {
        self.snapshot()?;
        self.health.as_ref().ok_or(NO_HEALTH)
    }

    /// The members of meta as the node sees them that knows best.
    pub fn members(&self) -> Option<&Members> {
        best_view(&self.metas)
    }
}

fn announced(snapshot: Option<&Snapshot>, target: &Target) -> Vec<(Option<ProxyId>, String)> {
    match snapshot {
        Some(snapshot) => {
            let live = snapshot.state.live_proxies();
            live.map(|(id, proxy)| (Some(id.clone()), names::address(proxy))).collect()
        }
        None => target.proxies().into_iter().map(|address| (None, address)).collect(),
    }
}

async fn probe_all(addresses: Vec<(Option<ProxyId>, String)>, password: Option<&str>) -> Vec<Probe> {
    let start = |(proxy, address): (Option<ProxyId>, String)| {
        let password = password.map(str::to_owned);
        tokio::spawn(async move {
            let reached = probe::proxy(&address, password.as_deref()).await;
            Probe { proxy, address, reached }
        })
    };
    joined(addresses.into_iter().map(start).collect()).await
}

async fn reach_all(state: Option<&ClusterState>) -> BTreeMap<StoreId, Result<(), String>> {
    let stores = state.into_iter().flat_map(|state| &state.stores).filter(|(_, store)| !store.gone);
    let start = |(&id, store): (&StoreId, &topology::StorageNode)| {
        let address = store.rpc_addr.clone();
        tokio::spawn(async move { (id, probe::listener(&address).await) })
    };
    joined(stores.map(start).collect()).await.into_iter().collect()
}

/// Nothing cancels the tasks, so none is missing.
async fn joined<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.extend(task.await);
    }
    results
}
