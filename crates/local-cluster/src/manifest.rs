//! `cluster.json`: what runs, for tools. Exists only while the cluster is ready.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};

use topology::{ClusterState, ProxyId};

use crate::{
    LocalCluster,
    layout::{Listener, Member, Role},
};

const FILE: &str = "cluster.json";

/// The whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub cluster_id: String,
    pub nodes: Vec<ManifestNode>,
}

/// One running member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestNode {
    pub role: Role,
    /// `storage-2`.
    pub name: String,
    /// Meta: its number. Storage: its store id. Proxy: its 40-digit node id.
    pub id: String,
    pub pid: u32,
    /// host:port by listener: `cluster`, `plain`, `rpc`, `http`.
    pub addresses: BTreeMap<Listener, String>,
    /// Absent for proxies, which keep no data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_dir: Option<String>,
    pub log: String,
}

impl Manifest {
    pub fn read(dir: &Path) -> io::Result<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE))?).map_err(io::Error::other)
    }

    /// A reader sees all of it or none.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        crate::os::write_atomically(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    pub(crate) fn remove(dir: &Path) -> io::Result<()> {
        match std::fs::remove_file(dir.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl LocalCluster {
    /// Describes the running cluster; asks meta for what only it knows.
    pub async fn manifest(&self) -> anyhow::Result<Manifest> {
        let state = self.state().await?;
        let nodes = self.members().iter().map(|member| self.describe(member, &state)).collect();
        Ok(Manifest { cluster_id: state.cluster_id, nodes })
    }

    /// Writes `cluster.json` into the directory.
    pub async fn write_manifest(&self) -> anyhow::Result<()> {
        Ok(self.manifest().await?.write(self.dir())?)
    }

    fn describe(&self, member: &Member, state: &ClusterState) -> ManifestNode {
        let address = |&listener| Some((listener, member.address(listener)?));
        ManifestNode {
            role: member.id.role,
            name: member.id.to_string(),
            id: self.public_id(member, state),
            pid: self.pid(member.id).unwrap_or_default(),
            addresses: member.ports.keys().filter_map(address).collect(),
            data_dir: self.data_dir(member.id).map(|dir| dir.display().to_string()),
            log: self.log(member.id).display().to_string(),
        }
    }

    fn public_id(&self, member: &Member, state: &ClusterState) -> String {
        match member.id.role {
            Role::Meta => member.id.number.to_string(),
            Role::Storage => {
                let address = member.address(Listener::Rpc).unwrap_or_default();
                let mut stores = state.stores.iter();
                let found = stores.find(|(_, store)| store.rpc_addr == address && !store.gone);
                found.map(|(id, _)| id.to_string()).unwrap_or_default()
            }
            Role::Proxy => {
                let port = member.ports.get(&Listener::Cluster).copied().unwrap_or_default();
                ProxyId::of_address(self.announced(), port).to_string()
            }
        }
    }
}
