//! The topology as it is announced to Redis clients: each live proxy is a node of a Redis Cluster,
//! master of the slots of the groups it fronts, or a replica of such a master.
//!
//! Pure rendering of a [`ClusterState`] as seen by one proxy. Equal states give equal text on every
//! proxy, but for the `myself` flag and the place of that line (the first), because clients compare
//! what different nodes say. Dead proxies are not announced; there is no node without an address.
//! There is no cluster bus: nothing listens on the bus port shown, and the figures about it are zero.

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, fmt::Write};

use sha1::{Digest, Sha1};

use crate::{ClusterState, Proxy, ProxyId, SLOT_COUNT, SlotSet, Version};

/// Redis's convention: the bus port is the client port and so much.
const BUS_PORT_OFFSET: u32 = 10_000;

/// A proxy as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    pub id: &'a ProxyId,
    pub host: &'a str,
    pub port: u16,
    /// Empty: none.
    pub hostname: &'a str,
    /// The master it replicates, if it is a replica.
    pub master: Option<&'a ProxyId>,
    /// A replica shows its master's.
    pub epoch: u64,
    /// Empty for replicas.
    pub slots: SlotSet,
    pub myself: bool,
    /// Slots that its clients called migrating or importing, as CLUSTER NODES shows them.
    pub marks: Vec<String>,
}

/// A maximal range of slots of one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRange<'v, 'a> {
    pub first: u16,
    pub last: u16,
    /// The master, then its replicas by id.
    pub nodes: Vec<&'v Node<'a>>,
}

/// A master and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard<'v, 'a> {
    pub slots: &'v SlotSet,
    /// The master, then its replicas by id.
    pub nodes: Vec<&'v Node<'a>>,
}

/// Why a question about a node has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("Unknown node {0}")]
    Unknown(String),
    #[error("The specified node is not a master")]
    NotMaster,
}

/// What one proxy announces.
#[derive(Debug)]
pub struct View<'a> {
    state: &'a ClusterState,
    /// This proxy first, the others by id.
    nodes: Vec<Node<'a>>,
    realm: u64,
}

impl<'a> View<'a> {
    /// The view of proxy `id`, which is announced as `myself` says while the state does not list it.
    pub fn new(state: &'a ClusterState, id: &'a ProxyId, myself: &'a Proxy) -> Self {
        let realm = state.proxies.get(id).unwrap_or(myself).realm;
        let known = |p: &ProxyId, proxy: &Proxy| p == id || (proxy.live && proxy.realm == realm);
        let mut shown: Vec<_> = state.proxies.iter().filter(|&(p, proxy)| known(p, proxy)).collect();
        if !state.proxies.contains_key(id) {
            shown.push((id, myself));
        }
        let is_shown = |p: &ProxyId| shown.iter().any(|&(s, _)| s == p);
        let mut nodes: Vec<_> =
            shown.iter().map(|&(p, proxy)| node(state, p, proxy, p == id, &is_shown)).collect();
        nodes.sort_by(|a, b| (!a.myself, a.id).cmp(&(!b.myself, b.id)));
        Self { state, nodes, realm }
    }

    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// This proxy.
    pub fn myself(&self) -> &Node<'a> {
        &self.nodes[0]
    }

    /// `id` in any letter case, as clients may have it.
    pub fn node(&self, id: &[u8]) -> Result<&Node<'a>, NodeError> {
        let found = self.nodes.iter().find(|n| n.id.as_str().as_bytes().eq_ignore_ascii_case(id));
        found.ok_or_else(|| NodeError::Unknown(String::from_utf8_lossy(id).into_owned()))
    }

    /// Every slot is served. Decided by the set of slots that groups own, never by a count.
    pub fn is_ok(&self) -> bool {
        self.owned() == SlotSet::all()
    }

    fn owned(&self) -> SlotSet {
        self.state.realm_slots(self.realm)
    }

    /// CLUSTER INFO.
    pub fn info_text(&self) -> String {
        let owned = self.owned();
        let size = self.nodes.iter().filter(|n| !n.slots.is_empty()).count();
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = write!(out, "{name}:{value}\r\n");
        };
        line("cluster_state", &if owned == SlotSet::all() { "ok" } else { "fail" });
        line("cluster_slots_assigned", &owned.len());
        line("cluster_slots_ok", &owned.len());
        line("cluster_slots_pfail", &0);
        line("cluster_slots_fail", &0);
        line("cluster_known_nodes", &self.nodes.len());
        line("cluster_size", &size);
        line("cluster_current_epoch", &self.state.current_epoch);
        line("cluster_my_epoch", &self.myself().epoch);
        line("cluster_stats_messages_sent", &0);
        line("cluster_stats_messages_received", &0);
        line("total_cluster_links_buffer_limit_exceeded", &0);
        out
    }

    /// CLUSTER NODES: one line a node, each with its end.
    pub fn nodes_text(&self) -> String {
        self.nodes.iter().map(|n| n.line() + "\n").collect()
    }

    /// CLUSTER SLOTS, ascending.
    pub fn slot_ranges(&self) -> Vec<SlotRange<'_, 'a>> {
        let mut ranges: Vec<_> = self
            .masters()
            .flat_map(|master| master.slots.ranges().iter().map(move |&range| (range, master)))
            .map(|((first, last), master)| SlotRange { first, last, nodes: self.members(master) })
            .collect();
        ranges.sort_by_key(|r| r.first);
        ranges
    }

    /// CLUSTER SHARDS: by first slot, masters without slots last, by id.
    pub fn shards(&self) -> Vec<Shard<'_, 'a>> {
        let mut shards: Vec<_> = self
            .masters()
            .map(|master| Shard { slots: &master.slots, nodes: self.members(master) })
            .collect();
        shards.sort_by_key(|s| (s.slots.ranges().first().map_or(SLOT_COUNT, |r| r.0), s.nodes[0].id));
        shards
    }

    /// CLUSTER REPLICAS: the lines of a master's replicas.
    pub fn replicas_of(&self, id: &[u8]) -> Result<Vec<String>, NodeError> {
        let master = self.node(id)?;
        if master.master.is_some() {
            return Err(NodeError::NotMaster);
        }
        Ok(self.members(master)[1..].iter().map(|n| n.line()).collect())
    }

    /// CLUSTER MYSHARDID: the same for a master and its replicas.
    pub fn my_shard_id(&self) -> String {
        let myself = self.myself();
        let digest = Sha1::digest(format!("miraft-shard/{}", myself.master.unwrap_or(myself.id)));
        digest.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The master that this proxy replicates, if it is a replica.
    pub fn my_master(&self) -> Option<&Node<'a>> {
        self.nodes.iter().find(|n| Some(n.id) == self.myself().master)
    }

    /// The replicas of this proxy, by id.
    pub fn my_replicas(&self) -> Vec<&Node<'a>> {
        self.members(self.myself()).split_off(1)
    }

    /// Slots of the shard that this proxy belongs to.
    pub fn my_slots(&self) -> &SlotSet {
        &self.my_master().unwrap_or(self.myself()).slots
    }

    /// What stands for Redis's replication offset: replicas here are never behind.
    pub fn version(&self) -> Version {
        self.state.version
    }

    fn masters(&self) -> impl Iterator<Item = &Node<'a>> {
        self.nodes.iter().filter(|n| n.master.is_none())
    }

    /// A master and its replicas, these by id.
    fn members<'v>(&'v self, master: &'v Node<'a>) -> Vec<&'v Node<'a>> {
        let mut members: Vec<_> =
            self.nodes.iter().filter(|n| n.id == master.id || n.master == Some(master.id)).collect();
        members.sort_by_key(|n| (Reverse(n.id == master.id), n.id));
        members
    }
}

/// A replica follows an announced master; without one it is a master that has no slots.
fn node<'a>(
    state: &'a ClusterState,
    id: &'a ProxyId,
    proxy: &'a Proxy,
    myself: bool,
    is_shown: &dyn Fn(&ProxyId) -> bool,
) -> Node<'a> {
    let follows = proxy.master_id.as_ref().filter(|m| proxy.fronts.is_empty() && *m != id && is_shown(m));
    let master = follows.filter(|m| state.proxies.get(m).is_some_and(|p| !is_replica(p)));
    let epoch = master.and_then(|m| state.proxies.get(m)).unwrap_or(proxy).config_epoch;
    let shown = |id: &'a ProxyId| state.proxies.get(id).and_then(|p| p.alias.as_ref()).unwrap_or(id);
    let mark = |arrow: &str, (slot, other): (&u16, &'a ProxyId)| format!("[{slot}-{arrow}-{}]", shown(other));
    let migrating = proxy.migrating.iter().map(|open| mark(">", open));
    let importing = proxy.importing.iter().map(|open| mark("<", open));
    Node {
        id: shown(id),
        marks: if myself { migrating.chain(importing).collect() } else { Vec::new() },
        host: &proxy.announce_host,
        port: proxy.announce_port,
        hostname: &proxy.announce_hostname,
        master: master.map(shown),
        epoch,
        slots: state.announced_slots(id),
        myself,
    }
}

fn is_replica(proxy: &Proxy) -> bool {
    proxy.fronts.is_empty() && proxy.master_id.is_some()
}

impl Node<'_> {
    pub fn is_master(&self) -> bool {
        self.master.is_none()
    }

    /// `<id> <host>:<port>@<bus port>[,hostname] <flags> <master|-> <ping> <pong> <epoch> <link> <slot>…`
    pub fn line(&self) -> String {
        let Self { id, host, port, epoch, .. } = self;
        let bus_port = u32::from(*port) + BUS_PORT_OFFSET;
        let mut line = format!("{id} {host}:{port}@{bus_port}");
        if !self.hostname.is_empty() {
            let _ = write!(line, ",{}", self.hostname);
        }
        let myself = if self.myself { "myself," } else { "" };
        let _ = match self.master {
            None => write!(line, " {myself}master - 0 0 {epoch} connected"),
            Some(master) => write!(line, " {myself}slave {master} 0 0 {epoch} connected"),
        };
        for &(first, last) in self.slots.ranges() {
            let _ = match first == last {
                true => write!(line, " {first}"),
                false => write!(line, " {first}-{last}"),
            };
        }
        for mark in &self.marks {
            line.push(' ');
            line.push_str(mark);
        }
        line
    }
}
