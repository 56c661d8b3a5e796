//! CLUSTER: what this proxy says about the cluster it pretends to be a node of.
//!
//! Invariant: whatever depends on the topology is answered from one that is under a lease of meta,
//! so no answer is older than a change that was acknowledged to anyone. Past the lease the answer
//! waits for a new one, up to a deadline.
//!
//! On the cluster listener a node knows the keys of its own slots only: COUNTKEYSINSLOT and
//! GETKEYSINSLOT of other slots answer as a Redis node that does not hold them.
//!
//! A change of the topology is meta's to make. Its OK is passed on only when no proxy answers from an
//! older topology any more.

mod changes;
mod meet;
mod meta;
mod metaraft;
mod render;
mod role;
#[cfg(test)]
mod tests;
mod unanswered;

use std::{future::Future, pin::Pin, rc::Rc, time::Duration};

use bytes::Bytes;
use daemon::{env::Env, meta_client::MetaClient};
use resp::{Reply, number::parse_i64};
use tokio::time::{Instant, timeout_at};
use topology::{
    Change, Classes, ClusterState, Command, LibraryChange, Proxy, ProxyId, Slot, UsersChange, Version,
    slot_of, view::View,
};

use self::meta::MetaAccess;
pub use self::{
    changes::Wish,
    meet::address_of,
    metaraft::{Action as MetaRaftAction, parse as parse_meta_raft},
    role::Role,
};
use crate::{
    backend::{LinkOptions, Topologies},
    clients::Side,
};

/// How long an answer waits for a lease.
const LEASE_WAIT: Duration = Duration::from_secs(5);

/// How a CLUSTER command is answered.
pub enum Answer {
    Ready(Reply),
    /// The group that serves the slot answers: send it this.
    Ask(Question),
    /// Once the topology is under a lease again.
    Wait(Pin<Box<dyn Future<Output = Answer>>>),
}

/// What only the group that serves a slot knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    CountKeysInSlot { slot: Slot },
    GetKeysInSlot { slot: Slot, count: u64 },
}

/// Answers CLUSTER commands; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    topologies: Topologies,
    myself: Rc<Myself>,
    meta: MetaAccess,
    env: Env,
}

struct Myself {
    id: ProxyId,
    /// As announced while the topology does not list this proxy yet.
    proxy: Proxy,
}

/// A subcommand that the topology answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Topic {
    Info,
    Nodes,
    Slots,
    Shards,
    MyId,
    MyShardId,
    Replicas(Bytes),
    FailureReports(Bytes),
    Keys(Question),
}

impl Cluster {
    /// `host`, `port` and `hostname` as announced.
    pub fn new(env: Env, topologies: Topologies, identity: &LinkOptions, meta: MetaClient) -> Self {
        let LinkOptions { announce_host: host, announce_port, announce_hostname: hostname } = identity;
        let (port, meta) = (*announce_port, MetaAccess::new(&env, meta));
        let proxy = Proxy {
            announce_host: host.to_owned(),
            announce_port: port,
            announce_hostname: hostname.to_owned(),
            live: true,
            ..Proxy::default()
        };
        let id = ProxyId::of_address(host, port);
        Self { topologies, myself: Rc::new(Myself { id, proxy }), meta, env }
    }

    /// What `args` (the subcommand and its arguments) are to change.
    pub fn parse_change(args: &[&[u8]]) -> Result<Wish, Reply> {
        changes::parse(args)
    }

    /// Makes changes in the name of this proxy, all in one step, and answers each.
    pub async fn change(&self, changes: Vec<Change>) -> Result<Vec<Reply>, Reply> {
        self.meta.change(&self.myself.id, changes).await
    }

    /// Changes the libraries of functions, everywhere.
    pub async fn change_libraries(&self, change: LibraryChange) -> Result<(), Reply> {
        self.meta.change_libraries(change).await
    }

    /// Which keyspace events are announced, by the newest topology known.
    pub fn notifications(&self) -> Classes {
        self.topologies.newest().routes.state.notifications
    }

    /// Changes which ones are, everywhere.
    pub async fn set_notifications(&self, classes: Classes) -> Result<(), Reply> {
        self.meta.set(&Command::SetNotifications { classes }).await
    }

    /// The change that makes this proxy and the one at `host:port` know each other.
    pub async fn meeting(&self, host: &str, port: u16) -> Result<Change, Reply> {
        let routes = self.topologies.fresh_until(Instant::now() + LEASE_WAIT).await;
        let routes = routes.map_err(|error| Reply::error(error.to_string()))?;
        let node = match meet::announced_at(&routes.state, host, port) {
            Some(node) => node,
            None => meet::ask(&self.env, &routes.state, host, port).await?,
        };
        Ok(Change::Meet { node })
    }

    /// Answers once the topology is under a lease of meta, where every change is durable.
    pub async fn confirm(&self) -> Reply {
        match self.topologies.fresh_until(Instant::now() + LEASE_WAIT).await {
            Ok(_) => Reply::OK,
            Err(error) => Reply::error(error.to_string()),
        }
    }

    /// Whether the topology is under a lease of meta. Before meta was heard there is none to be sure of.
    pub fn is_sure(&self) -> bool {
        self.topologies.fresh().is_some() || !self.topologies.newest().routes.is_known()
    }

    /// Waits until the topology is under a lease again.
    pub async fn sure(&self) -> Result<(), Reply> {
        let fresh = self.topologies.fresh_until(Instant::now() + LEASE_WAIT).await;
        fresh.map(|_| ()).map_err(|error| Reply::error(error.to_string()))
    }

    /// Changes users, as [`MetaAccess::change_users`] says.
    pub async fn change_users(&self, change: UsersChange) -> Result<Option<Version>, Reply> {
        self.meta.change_users(change).await
    }

    /// Waits until this proxy itself has a version in force.
    pub async fn reached(&self, version: Version, deadline: Instant) -> Result<(), Reply> {
        let mut news = self.topologies.clone();
        while news.newest().routes.version < version {
            if !matches!(timeout_at(deadline, news.changed()).await, Ok(true)) {
                return Err(Reply::error("ERR The change is made, but this node has not heard of it yet"));
            }
        }
        Ok(())
    }

    /// CLUSTER METARAFT.
    pub async fn meta_raft(self, args: Result<MetaRaftAction, Reply>) -> Reply {
        match args {
            Ok(action) => metaraft::run(action, self.meta).await,
            Err(reply) => reply,
        }
    }

    /// Every slot is served, by the newest topology known (fresh or not): INFO.
    pub fn is_ok(&self) -> bool {
        let newest = self.topologies.newest();
        self.myself.view(&newest.routes.state).is_ok()
    }

    /// Whether this proxy is announced as a master, likewise: HELLO.
    pub fn is_master(&self) -> bool {
        let newest = self.topologies.newest();
        self.myself.view(&newest.routes.state).myself().is_master()
    }

    /// What this proxy is announced as, likewise: ROLE, INFO. Clients of the plain side know of no other nodes.
    pub fn role(&self, side: Side) -> Role {
        let newest = self.topologies.newest();
        let role = Role::of(&self.myself.view(&newest.routes.state));
        if side == Side::Plain { role.alone() } else { role }
    }

    /// Answers CLUSTER `args`: the subcommand and its arguments.
    pub fn answer(&self, args: &[&[u8]]) -> Answer {
        let topic = match self.parse(args) {
            Ok(topic) => topic,
            Err(reply) => return Answer::Ready(reply),
        };
        match self.topologies.fresh() {
            Some(routes) => self.myself.tell(&routes.state, &topic),
            None => self.wait(topic),
        }
    }

    fn wait(&self, topic: Topic) -> Answer {
        let Self { topologies, myself, .. } = self.clone();
        Answer::Wait(Box::pin(async move {
            match topologies.fresh_until(Instant::now() + LEASE_WAIT).await {
                Ok(routes) => myself.tell(&routes.state, &topic),
                Err(error) => Answer::Ready(Reply::error(error.to_string())),
            }
        }))
    }

    /// What the topology is asked, or the answer where it is not needed.
    fn parse(&self, args: &[&[u8]]) -> Result<Topic, Reply> {
        let Some((name, rest)) = args.split_first() else {
            return Err(Reply::error("ERR wrong number of arguments for 'cluster' command"));
        };
        let lower = name.to_ascii_lowercase();
        Ok(match (lower.as_slice(), rest) {
            (b"info", []) => Topic::Info,
            (b"nodes", []) => Topic::Nodes,
            (b"slots", []) => Topic::Slots,
            (b"shards", []) => Topic::Shards,
            (b"myshardid", []) => Topic::MyShardId,
            (b"replicas" | b"slaves", [id]) => Topic::Replicas(Bytes::copy_from_slice(id)),
            (b"count-failure-reports", [id]) => Topic::FailureReports(Bytes::copy_from_slice(id)),
            (b"countkeysinslot", [slot]) => Topic::Keys(count_keys(slot)?),
            (b"getkeysinslot", [slot, count]) => Topic::Keys(get_keys(slot, count)?),
            (b"myid", []) => Topic::MyId,
            (b"keyslot", [key]) => return Err(Reply::Int(i64::from(slot_of(key).number()))),
            // There is no cluster bus.
            (b"links", []) => return Err(Reply::Array(Vec::new())),
            _ => return Err(refuse(name)),
        })
    }
}

impl Myself {
    fn view<'a>(&'a self, state: &'a ClusterState) -> View<'a> {
        View::new(state, &self.id, &self.proxy)
    }

    fn tell(&self, state: &ClusterState, topic: &Topic) -> Answer {
        let view = self.view(state);
        Answer::Ready(match topic {
            Topic::Info => render::text(view.info_text()),
            Topic::Nodes => render::text(view.nodes_text()),
            Topic::Slots => render::slots(&view),
            Topic::Shards => render::shards(&view),
            Topic::MyId => Reply::bulk(view.myself().id.as_str()),
            Topic::MyShardId => Reply::bulk(view.my_shard_id()),
            Topic::Replicas(id) => render::replicas(&view, id),
            Topic::FailureReports(id) => match view.node(id) {
                Ok(_) => Reply::Int(0),
                Err(error) => Reply::error(format!("ERR {error}")),
            },
            Topic::Keys(question) => match (view.my_slots().contains(question.slot()), question) {
                (true, question) => return Answer::Ask(*question),
                (false, Question::CountKeysInSlot { .. }) => Reply::Int(0),
                (false, Question::GetKeysInSlot { .. }) => Reply::Array(Vec::new()),
            },
        })
    }
}

impl Question {
    pub fn slot(self) -> Slot {
        match self {
            Self::CountKeysInSlot { slot } | Self::GetKeysInSlot { slot, .. } => slot,
        }
    }
}

fn integer(text: &[u8]) -> Result<i64, Reply> {
    parse_i64(text).ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}

fn slot(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}

fn count_keys(number: &[u8]) -> Result<Question, Reply> {
    let slot = slot(integer(number)?).ok_or_else(|| Reply::error("ERR Invalid slot"))?;
    Ok(Question::CountKeysInSlot { slot })
}

fn get_keys(number: &[u8], count: &[u8]) -> Result<Question, Reply> {
    let (number, count) = (integer(number)?, integer(count)?);
    match (slot(number), u64::try_from(count)) {
        (Some(slot), Ok(count)) => Ok(Question::GetKeysInSlot { slot, count }),
        _ => Err(Reply::error("ERR Invalid slot or number of keys")),
    }
}

fn refuse(name: &[u8]) -> Reply {
    let shown = String::from_utf8_lossy(&name[..name.len().min(128)]).replace(['\r', '\n'], " ");
    Reply::error(format!(
        "ERR wrong number of arguments for 'cluster|{}' command",
        shown.to_ascii_lowercase()
    ))
}
