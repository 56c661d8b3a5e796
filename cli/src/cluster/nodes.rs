//! `miraft cluster nodes`: every process of the cluster.

use serde::Serialize;
use topology::{ClusterState, GroupId, Proxy, ProxyId, StorageNode, StoreId};

use super::{Outcome, Seen, Target, names};
use crate::{
    paint::{Paint, Tone},
    table::{Cell, Table},
};

pub(super) async fn run(target: &Target) -> anyhow::Result<Outcome> {
    let report = Report::of(&Seen::ask(target).await?);
    super::print(target, &report, |paint| report.text(paint))?;
    Ok(Outcome::Fine)
}

/// `--json`. What meta does not tell is null.
#[derive(Debug, Serialize)]
struct Report {
    meta: Vec<MetaNode>,
    storage: Vec<StorageRow>,
    proxies: Vec<ProxyRow>,
}

/// A member of meta's Raft group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MetaNode {
    pub id: u64,
    pub addr: String,
    pub voter: bool,
    pub leader: bool,
    /// It answered when asked by itself.
    pub reachable: bool,
    pub matched_index: u64,
    /// Entries behind the leader.
    pub lag: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StorageRow {
    /// Decimal, as text: it may not fit the numbers of a JSON reader.
    id: String,
    name: String,
    addr: String,
    gone: bool,
    replicas: usize,
    leads: usize,
    connected: Option<bool>,
    heard_ms_ago: Option<u64>,
    clock_skew_ms: Option<i64>,
    disk_free_bytes: Option<u64>,
    disk_total_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ProxyRow {
    /// As cluster clients see it.
    id: ProxyId,
    addr: String,
    hostname: String,
    /// `master`, `replica`, or `idle`: without slots and without a master.
    role: &'static str,
    /// Of a replica: the id of its master as cluster clients see it.
    master: Option<ProxyId>,
    slots: usize,
    fronts: Vec<GroupId>,
    /// Proxies with the same number know each other.
    realm: u64,
    live: bool,
    connected: Option<bool>,
    heard_ms_ago: Option<u64>,
    clock_skew_ms: Option<i64>,
    acked_version: Option<u64>,
    /// Versions of the cluster state that it has not put in force yet.
    lag: Option<u64>,
}

impl Report {
    fn of(seen: &Seen) -> Self {
        let state = &seen.snapshot.state;
        Self {
            meta: MetaNode::all(seen),
            storage: state.stores.iter().map(|(&id, store)| StorageRow::of(seen, id, store)).collect(),
            proxies: state.proxies.iter().map(|(id, proxy)| ProxyRow::of(seen, id, proxy)).collect(),
        }
    }

    fn text(&self, paint: Paint) -> String {
        [meta_table(&self.meta), self.storage(), self.proxies()].map(|table| table.render(paint)).join("\n")
    }

    fn storage(&self) -> Table {
        let header = ["STORAGE", "ADDRESS", "STATE", "HEARD", "DISK FREE", "REPLICAS", "LEADS", "STORE ID"];
        let mut table = Table::new(header);
        for row in &self.storage {
            table.row([
                Cell::of(&row.name),
                Cell::of(&row.addr),
                row.state(),
                Cell::known(row.heard_ms_ago.map(names::duration)),
                Cell::known(row.disk_free_bytes.map(names::bytes)),
                Cell::of(row.replicas),
                Cell::of(row.leads),
                Cell::of(&row.id),
            ]);
        }
        table
    }

    fn proxies(&self) -> Table {
        let mut table =
            Table::new(["PROXY", "STATE", "ROLE", "SLOTS", "GROUPS", "REALM", "HEARD", "LAG", "NODE ID"]);
        for row in &self.proxies {
            let groups: Vec<String> = row.fronts.iter().map(GroupId::to_string).collect();
            table.row([
                Cell::of(&row.addr),
                row.state(),
                Cell::of(row.role),
                Cell::of(row.slots),
                Cell::of(groups.join(" ")),
                Cell::of(row.realm),
                Cell::known(row.heard_ms_ago.map(names::duration)),
                Cell::known(row.lag),
                Cell::of(&row.id),
            ]);
        }
        table
    }
}

pub(super) fn meta_table(nodes: &[MetaNode]) -> Table {
    let mut table = Table::new(["META", "ADDRESS", "ROLE", "STATE", "LAG"]);
    for node in nodes {
        let state = match node.reachable {
            true => Cell::toned(Tone::Good, "answers"),
            false => Cell::toned(Tone::Bad, "silent"),
        };
        table.row([
            Cell::of(node.id),
            Cell::of(&node.addr),
            Cell::of(node.role()),
            state,
            Cell::known(node.lag),
        ]);
    }
    table
}

impl MetaNode {
    pub fn all(seen: &Seen) -> Vec<Self> {
        let members = &seen.members;
        let node = |member: &crate::admin::Member| Self {
            id: member.id,
            addr: member.address.clone(),
            voter: member.voter,
            leader: members.leader == Some(member.id),
            reachable: seen.reached(&member.address),
            matched_index: member.matched_index,
            lag: members.lag(member),
        };
        members.members.iter().map(node).collect()
    }

    fn role(&self) -> &'static str {
        match (self.voter, self.leader) {
            (_, true) => "leader",
            (true, false) => "voter",
            (false, false) => "learner",
        }
    }
}

impl StorageRow {
    fn of(seen: &Seen, id: StoreId, store: &StorageNode) -> Self {
        let state = &seen.snapshot.state;
        let hosts = |group: &&topology::Group| group.replicas.iter().any(|replica| replica.store == id);
        let health = seen.health.as_ref().and_then(|health| health.stores.get(&id));
        let with_disk = health.filter(|health| health.disk_total_bytes > 0);
        Self {
            id: id.to_string(),
            name: store.name.clone(),
            addr: store.rpc_addr.clone(),
            gone: store.gone,
            replicas: state.groups.values().filter(hosts).count(),
            leads: seen.snapshot.leaders.values().filter(|&&leader| leader == id).count(),
            connected: health.map(|health| health.connected),
            heard_ms_ago: health.and_then(|health| health.heard_ms_ago),
            clock_skew_ms: health.map(|health| health.clock_skew_ms),
            disk_free_bytes: with_disk.map(|health| health.disk_free_bytes),
            disk_total_bytes: with_disk.map(|health| health.disk_total_bytes),
        }
    }

    fn state(&self) -> Cell {
        match (self.gone, self.connected) {
            (true, _) => Cell::toned(Tone::Bad, "gone"),
            (false, Some(true)) => Cell::toned(Tone::Good, "connected"),
            (false, Some(false)) => Cell::toned(Tone::Bad, "silent"),
            (false, None) => Cell::of("known"),
        }
    }
}

impl ProxyRow {
    fn of(seen: &Seen, id: &ProxyId, proxy: &Proxy) -> Self {
        let state = &seen.snapshot.state;
        let slots = state.announced_slots(id).len();
        let health = seen.health.as_ref().and_then(|health| health.proxies.get(id));
        let acked_version =
            health.filter(|health| health.acked_version > 0).map(|health| health.acked_version);
        Self {
            id: names::shown(id, proxy).clone(),
            addr: names::address(proxy),
            hostname: proxy.announce_hostname.clone(),
            role: role(proxy, slots),
            master: proxy.master_id.as_ref().map(|master| shown_of(state, master)),
            slots,
            fronts: proxy.fronts.clone(),
            realm: proxy.realm,
            live: proxy.live,
            connected: health.map(|health| health.connected),
            heard_ms_ago: health.and_then(|health| health.heard_ms_ago),
            clock_skew_ms: health.map(|health| health.clock_skew_ms),
            acked_version,
            lag: acked_version.map(|acked| state.version.0.saturating_sub(acked)),
        }
    }

    fn state(&self) -> Cell {
        match self.live {
            true => Cell::toned(Tone::Good, "live"),
            false => Cell::toned(Tone::Bad, "dead"),
        }
    }
}

fn role(proxy: &Proxy, slots: usize) -> &'static str {
    match (slots, &proxy.master_id) {
        (0, None) => "idle",
        (0, Some(_)) => "replica",
        _ => "master",
    }
}

fn shown_of(state: &ClusterState, id: &ProxyId) -> ProxyId {
    state.proxies.get(id).map_or(id, |proxy| names::shown(id, proxy)).clone()
}
