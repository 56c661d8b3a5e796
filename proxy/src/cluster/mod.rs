//! CLUSTER: what this proxy says about the cluster it pretends to be a node of.
//!
//! Invariant: whatever depends on the topology is answered from one that is under a lease of meta,
//! so no answer is older than a change that was acknowledged to anyone. Past the lease the answer
//! waits for a new one, up to a deadline.
//!
//! On the cluster listener a node knows the keys of its own slots only: COUNTKEYSINSLOT and
//! GETKEYSINSLOT of other slots answer as a Redis node that does not hold them. Changes of the
//! topology are refused here: meta makes them.

mod render;
#[cfg(test)]
mod tests;

use std::{future::Future, pin::Pin, rc::Rc, time::Duration};

use bytes::Bytes;
use resp::{Reply, number::parse_i64};
use tokio::time::Instant;
use topology::{ClusterState, Proxy, ProxyId, Slot, slot_of, view::View};

use crate::backend::Topologies;

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
    MyShardId,
    Replicas(Bytes),
    FailureReports(Bytes),
    Keys(Question),
}

impl Cluster {
    /// `host`, `port` and `hostname` as announced.
    pub fn new(topologies: Topologies, host: &str, port: u16, hostname: &str) -> Self {
        let proxy = Proxy {
            announce_host: host.to_owned(),
            announce_port: port,
            announce_hostname: hostname.to_owned(),
            live: true,
            ..Proxy::default()
        };
        let id = ProxyId::of_address(host, port);
        Self { topologies, myself: Rc::new(Myself { id, proxy }) }
    }

    /// Every slot is served, by the newest topology known (fresh or not): INFO.
    pub fn is_ok(&self) -> bool {
        let newest = self.topologies.newest();
        self.myself.view(&newest.routes.state).is_ok()
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
        let Self { topologies, myself } = self.clone();
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
            (b"myid", []) => return Err(Reply::bulk(self.myself.id.as_str())),
            (b"keyslot", [key]) => return Err(Reply::Int(i64::from(slot_of(key).number()))),
            // There is no cluster bus.
            (b"links", []) => return Err(Reply::Array(Vec::new())),
            (b"help", []) => return Err(render::help()),
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

/// Subcommands that change the topology of a Redis Cluster.
const CHANGES: [&str; 15] = [
    "ADDSLOTS",
    "ADDSLOTSRANGE",
    "BUMPEPOCH",
    "DELSLOTS",
    "DELSLOTSRANGE",
    "FAILOVER",
    "FLUSHSLOTS",
    "FORGET",
    "MEET",
    "REPLICATE",
    "RESET",
    "SAVECONFIG",
    "SET-CONFIG-EPOCH",
    "SETSLOT",
    "METARAFT",
];

/// Subcommands answered here, for the difference between a wrong name and wrong arguments.
const ANSWERED: [&str; 14] = [
    "COUNT-FAILURE-REPORTS",
    "COUNTKEYSINSLOT",
    "GETKEYSINSLOT",
    "HELP",
    "INFO",
    "KEYSLOT",
    "LINKS",
    "MYID",
    "MYSHARDID",
    "NODES",
    "REPLICAS",
    "SHARDS",
    "SLAVES",
    "SLOTS",
];

fn refuse(name: &[u8]) -> Reply {
    let is = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name);
    if let Some(change) = CHANGES.iter().find(|c| is(c)) {
        return Reply::error(format!(
            "ERR CLUSTER {change} is not available: the topology is managed by the meta service"
        ));
    }
    let shown = String::from_utf8_lossy(&name[..name.len().min(128)]).into_owned();
    if let Some(known) = ANSWERED.iter().find(|a| is(a)) {
        let known = known.to_ascii_lowercase();
        return Reply::error(format!("ERR wrong number of arguments for 'cluster|{known}' command"));
    }
    Reply::error(format!("ERR unknown subcommand '{}'. Try CLUSTER HELP.", shown.replace(['\r', '\n'], " ")))
}
