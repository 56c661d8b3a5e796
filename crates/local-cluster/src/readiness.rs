//! When a cluster is ready: every member listens, every proxy says that the cluster is whole, and every
//! group has formed.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use topology::ClusterState;

use crate::{
    config::Bootstrap,
    layout::{Listener, Member, Role},
    probe,
};

const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// How far the start has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Members that are ready.
    pub ready: usize,
    pub members: usize,
    /// What the first of the others lacks; empty when all are ready.
    pub waiting_for: String,
}

impl Progress {
    pub(crate) fn is_complete(&self) -> bool {
        self.waiting_for.is_empty()
    }

    /// Complete only once every group has formed: until then a single store that dies may leave a group
    /// without anybody who forms it, for a while.
    pub(crate) fn await_groups(&mut self, state: &anyhow::Result<ClusterState>) {
        match state {
            Ok(state) => {
                let unformed = state.groups.iter().find(|(_, group)| !group.formed);
                self.waiting_for =
                    unformed.map_or(String::new(), |(id, _)| format!("group {id} has not formed"));
            }
            Err(error) => self.waiting_for = error.to_string(),
        }
    }
}

/// Looks at all members once.
pub(crate) async fn look(members: &[Member], bootstrap: Bootstrap) -> Progress {
    let proxies = members.iter().filter(|member| member.id.role == Role::Proxy).count();
    let (mut ready, mut waiting_for) = (0, String::new());
    for member in members {
        match lacks(member, proxies, bootstrap).await {
            None => ready += 1,
            Some(what) if waiting_for.is_empty() => waiting_for = format!("{}: {what}", member.id),
            Some(_) => {}
        }
    }
    Progress { ready, members: members.len(), waiting_for }
}

async fn lacks(member: &Member, proxies: usize, bootstrap: Bootstrap) -> Option<String> {
    let Some(cluster) = member.address(Listener::Cluster) else {
        let address = member.address(Listener::Rpc)?;
        let connected = timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await;
        return (!matches!(connected, Ok(Ok(_)))).then(|| "does not listen yet".to_owned());
    };
    for address in [Some(cluster.clone()), member.address(Listener::Plain)].into_iter().flatten() {
        match probe::ask(&address, "PING").await {
            Ok(answer) if answer == "PONG" => {}
            Ok(answer) => return Some(format!("answered {answer:?} to PING")),
            Err(error) => return Some(error.to_string()),
        }
    }
    let info = match probe::ask(&cluster, "CLUSTER INFO").await {
        Ok(info) => info,
        Err(error) => return Some(error.to_string()),
    };
    match bootstrap {
        Bootstrap::Auto => info_lacks(&info, proxies),
        // Whoever assigns the slots does it through these proxies.
        Bootstrap::Manual => None,
    }
}

/// What `CLUSTER INFO` lacks of a whole cluster with so many proxies.
fn info_lacks(info: &str, proxies: usize) -> Option<String> {
    let value = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let known: usize = value("cluster_known_nodes").and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    match value("cluster_state") {
        Some("ok") if known >= proxies => None,
        Some("ok") => Some(format!("knows {known} of {proxies} proxies")),
        state => Some(format!(
            "cluster_state:{}, {} of 16384 slots assigned",
            state.unwrap_or("unknown"),
            value("cluster_slots_assigned").unwrap_or("0")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::info_lacks;

    #[test]
    fn a_whole_cluster_lacks_nothing() {
        let info = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_known_nodes:3\r\n";
        assert_eq!(info_lacks(info, 3), None);
        assert_eq!(info_lacks(info, 4).as_deref(), Some("knows 3 of 4 proxies"));
    }

    #[test]
    fn an_open_slot_is_told() {
        let info = "cluster_state:fail\r\ncluster_slots_assigned:16383\r\ncluster_known_nodes:3\r\n";
        let lack = info_lacks(info, 3);
        assert_eq!(lack.as_deref(), Some("cluster_state:fail, 16383 of 16384 slots assigned"));
    }
}
