//! What can be set, and what follows from it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use raft_rocks::{Member, RaftTimings};
use serde::{Deserialize, Serialize};
use topology::reconcile::Policy;

/// Whether groups are created without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bootstrap {
    Auto,
    Manual,
}

daemon::options! {
    /// Options of a meta node.
    pub struct Options("miraft-meta", "meta", check = problems) {
        /// Number of this node, unique among the peers and for good.
        pub id: u64 = 1,
        /// Directory of its log and checkpoints.
        pub data_dir: PathBuf = "data/meta".into(),
        /// host:port of the gRPC listener; port 0 picks a free one.
        pub listen: String = "127.0.0.1:7300".to_owned(),
        /// host:port under which others reach it; empty: as bound.
        pub advertise: String = String::new(),
        /// All meta nodes at the first start, this one too, as id=host:port; the same on each. Empty:
        /// this node alone. Later the group itself knows its members.
        pub peers: Vec<String> = Vec::new(),
        /// Form no group, whatever the peers are: wait to be added to one that runs.
        pub join: bool = false,
        /// Health, metrics, log level over HTTP; off when absent.
        pub http_listen: Option<String> = None,
        /// Create groups once the expected storage nodes are there: auto or manual.
        pub bootstrap: Bootstrap = Bootstrap::Auto,
        /// How many storage nodes an automatic bootstrap waits for.
        pub expected_nodes: u32 = 3,
        /// Replicas of each group, as far as there are storage nodes.
        pub replication: u32 = 3,
        /// Groups that an automatic bootstrap creates; 0: one per storage node.
        pub groups: u32 = 0,
        /// How long a proxy may answer topology questions after a heartbeat.
        pub proxy_lease_ms: u64 = 3_000,
        /// A storage node unheard for so long is not used for new replicas.
        pub store_silence_ms: u64 = 2_000,
        /// Longest wait for a change to be committed and in force, unless the caller says.
        pub apply_timeout_ms: u64 = 4_000,
        /// Interval of Raft heartbeats.
        pub raft_heartbeat_ms: u64 = 250,
        /// Shortest election timeout.
        pub raft_election_min_ms: u64 = 300,
        /// Longest election timeout. An election starts when a leader was silent for this and a
        /// random election timeout.
        pub raft_election_max_ms: u64 = 600,
        /// Wait for the disk before a change counts: false loses changes in a power cut.
        pub fsync: bool = true,
    }
}

impl Options {
    /// The first members of the meta group; none if there is one to join.
    pub(crate) fn founders(&self, own_addr: &str) -> anyhow::Result<Option<BTreeMap<u64, Member>>> {
        if self.join {
            return Ok(None);
        }
        if self.peers.is_empty() {
            return Ok(Some(BTreeMap::from([member(self.id, own_addr)])));
        }
        let members: Option<BTreeMap<u64, Member>> = self.peers.iter().map(|text| parse_peer(text)).collect();
        let members = members.ok_or_else(|| anyhow::anyhow!("peers: id=host:port each"))?;
        anyhow::ensure!(members.contains_key(&self.id), "peers: this node, {}, is missing", self.id);
        Ok(Some(members))
    }

    /// Who is silent for longer than any election takes does not answer.
    pub(crate) fn silence_max(&self) -> Duration {
        Duration::from_millis(self.raft_election_max_ms) * 4
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            auto_bootstrap: self.bootstrap == Bootstrap::Auto,
            expected_stores: self.expected_nodes,
            groups: self.groups,
            replication: self.replication,
        }
    }

    pub(crate) fn timings(&self) -> RaftTimings {
        RaftTimings {
            heartbeat: Duration::from_millis(self.raft_heartbeat_ms),
            election_min: Duration::from_millis(self.raft_election_min_ms),
            election_max: Duration::from_millis(self.raft_election_max_ms),
            log_keep_entries: 1_000,
        }
    }
}

fn member(id: u64, addr: &str) -> (u64, Member) {
    (id, Member { store: id, addr: addr.to_owned() })
}

fn parse_peer(text: &str) -> Option<(u64, Member)> {
    let (id, addr) = text.split_once('=')?;
    addr.rsplit_once(':')?.1.parse::<u16>().ok()?;
    Some(member(id.trim().parse().ok()?, addr.trim()))
}

fn problems(options: &Options) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    for peer in options.peers.iter().filter(|peer| parse_peer(peer).is_none()) {
        problems.push(("peers", format!("`{peer}` is not of the form id=host:port")));
    }
    let ids: Vec<u64> = options.peers.iter().filter_map(|peer| parse_peer(peer)).map(|(id, _)| id).collect();
    if !options.join && !ids.is_empty() && !ids.contains(&options.id) {
        problems.push(("peers", format!("this node, id {}, is not among them", options.id)));
    }
    if ids.iter().any(|id| ids.iter().filter(|other| *other == id).count() > 1) {
        problems.push(("peers", "an id is named twice".to_owned()));
    }
    if options.replication == 0 {
        problems.push(("replication", "must be at least 1".to_owned()));
    }
    if options.proxy_lease_ms < 500 || u32::try_from(options.proxy_lease_ms).is_err() {
        problems.push(("proxy_lease_ms", "must be at least 500, and fit 32 bits".to_owned()));
    }
    let (heartbeat, min, max) =
        (options.raft_heartbeat_ms, options.raft_election_min_ms, options.raft_election_max_ms);
    if heartbeat == 0 || min <= heartbeat || max <= min {
        let text = "0 < raft_heartbeat_ms < raft_election_min_ms < raft_election_max_ms must hold";
        problems.push(("raft_election_max_ms", text.to_owned()));
    }
    if options.id == 0 {
        problems.push(("id", "must be at least 1".to_owned()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_alone() {
        let options = Options::default();
        assert_eq!(problems(&options), []);
        assert_eq!(options.founders("h:1").unwrap(), Some(BTreeMap::from([member(1, "h:1")])));
    }

    #[test]
    fn who_joins_founds_nothing() {
        let options = Options { id: 4, join: true, peers: vec!["1=a:1".into()], ..Options::default() };
        assert_eq!(problems(&options), []);
        assert_eq!(options.founders("h:1").unwrap(), None);
    }

    #[test]
    fn every_problem_is_found() {
        let options = Options {
            peers: vec!["2=a:1".into(), "x=b:2".into(), "2=c:3".into()],
            replication: 0,
            proxy_lease_ms: 1,
            raft_heartbeat_ms: 900,
            ..Options::default()
        };
        assert_eq!(problems(&options).len(), 6);
    }
}
