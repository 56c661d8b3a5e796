//! `miraft status`: what meta knows of a cluster.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use daemon::{env::Env, meta_client::MetaClient};
use local_cluster::{Listener, Manifest, Role};
use proto::v1::{GetStateRequest, GetStateResponse, MembersRequest, MembersResponse};
use serde_json::json;
use topology::{ClusterState, Group, GroupId, StoreId};

use crate::table;

/// Where `miraft dev` keeps a cluster unless told otherwise.
pub const DEFAULT_DIR: &str = "miraft-data";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Meta nodes to ask, host:port, separated by commas [default: those of the cluster in --dir].
    #[arg(long, value_delimiter = ',')]
    meta: Vec<String>,
    /// Directory of a running `miraft dev`.
    #[arg(long, default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 5)]
    timeout_s: u64,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let addresses = meta_addresses(&args)?;
    let timeout = Duration::from_secs(args.timeout_s);
    let view = tokio::time::timeout(timeout, View::ask(addresses.clone()))
        .await
        .with_context(|| format!("no answer from meta at {}", addresses.join(", ")))??;
    match args.json {
        true => println!("{:#}", view.json()?),
        false => print!("{}", view.text()),
    }
    Ok(())
}

fn meta_addresses(args: &Args) -> anyhow::Result<Vec<String>> {
    if !args.meta.is_empty() {
        return Ok(args.meta.clone());
    }
    let dir = args.dir.display();
    let manifest = Manifest::read(&args.dir)
        .with_context(|| format!("no running cluster in {dir}; name its meta nodes with --meta"))?;
    let metas = manifest.nodes.iter().filter(|node| node.role == Role::Meta);
    let addresses: Vec<_> = metas.filter_map(|node| node.addresses.get(&Listener::Rpc).cloned()).collect();
    ensure!(!addresses.is_empty(), "cluster.json in {dir} names no meta node");
    Ok(addresses)
}

struct View {
    state: ClusterState,
    members: MembersResponse,
    leaders: BTreeMap<GroupId, StoreId>,
}

impl View {
    async fn ask(addresses: Vec<String>) -> anyhow::Result<Self> {
        let client = MetaClient::new(Env::real(), addresses);
        let GetStateResponse { state, leaders, .. } =
            client.admin(async |mut admin| admin.get_state(GetStateRequest {}).await).await?;
        let members = client.admin(async |mut admin| admin.members(MembersRequest {}).await).await?;
        let leaders = leaders.iter().map(|hint| (GroupId(hint.group), StoreId(hint.store_id))).collect();
        let state = serde_json::from_slice(&state).context("meta's state cannot be read")?;
        Ok(Self { state, members, leaders })
    }

    fn json(&self) -> anyhow::Result<serde_json::Value> {
        let member = |member: &proto::v1::MetaMember| {
            let leads = member.id == self.members.leader;
            json!({"id": member.id, "addr": member.addr, "voter": member.voter, "leader": leads,
                   "matched_index": member.matched_index})
        };
        let leaders: BTreeMap<String, String> =
            self.leaders.iter().map(|(group, store)| (group.to_string(), store.to_string())).collect();
        Ok(json!({
            "state": serde_json::to_value(&self.state)?,
            "leaders": leaders,
            "meta": self.members.members.iter().map(member).collect::<Vec<_>>(),
        }))
    }

    fn text(&self) -> String {
        let heading = format!("cluster {}  version {}\n", self.state.cluster_id, self.state.version);
        [heading, self.meta(), self.stores(), self.groups(), self.proxies()].join("\n")
    }

    fn meta(&self) -> String {
        let row = |member: &proto::v1::MetaMember| {
            let role = match (member.voter, member.id == self.members.leader) {
                (_, true) => "leader",
                (true, false) => "voter",
                (false, false) => "learner",
            };
            vec![member.id.to_string(), member.addr.clone(), role.to_owned()]
        };
        table::render(&["META", "ADDRESS", "ROLE"], &self.members.members.iter().map(row).collect::<Vec<_>>())
    }

    fn stores(&self) -> String {
        let row = |(&id, store): (&StoreId, &topology::StorageNode)| {
            let hosts = |group: &&Group| group.replicas.iter().any(|replica| replica.store == id);
            let replicas = self.state.groups.values().filter(hosts).count();
            let leads = self.leaders.values().filter(|&&leader| leader == id).count();
            let state = if store.gone { "gone" } else { "known" };
            vec![
                store.name.clone(),
                store.rpc_addr.clone(),
                state.to_owned(),
                replicas.to_string(),
                leads.to_string(),
                id.to_string(),
            ]
        };
        let header = ["STORAGE", "ADDRESS", "STATE", "REPLICAS", "LEADS", "STORE ID"];
        table::render(&header, &self.state.stores.iter().map(row).collect::<Vec<_>>())
    }

    fn groups(&self) -> String {
        let name = |store: StoreId| {
            self.state.stores.get(&store).map_or_else(|| store.to_string(), |s| s.name.clone())
        };
        let row = |(&id, group): (&GroupId, &Group)| {
            let leader = self.leaders.get(&id).map_or_else(|| "none".to_owned(), |&store| name(store));
            let replicas: Vec<_> = group.replicas.iter().map(|replica| name(replica.store)).collect();
            vec![id.to_string(), group.slots.len().to_string(), leader, replicas.join(" ")]
        };
        let header = ["GROUP", "SLOTS", "LEADER", "REPLICAS"];
        table::render(&header, &self.state.groups.iter().map(row).collect::<Vec<_>>())
    }

    fn proxies(&self) -> String {
        let row = |(id, proxy): (&topology::ProxyId, &topology::Proxy)| {
            let fronts: Vec<_> = proxy.fronts.iter().map(ToString::to_string).collect();
            vec![
                format!("{}:{}", proxy.announce_host, proxy.announce_port),
                if proxy.live { "live" } else { "gone" }.to_owned(),
                fronts.join(" "),
                id.to_string(),
            ]
        };
        let header = ["PROXY", "STATE", "FRONTS GROUPS", "NODE ID"];
        table::render(&header, &self.state.proxies.iter().map(row).collect::<Vec<_>>())
    }
}
