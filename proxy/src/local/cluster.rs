//! CLUSTER: answered by [`crate::cluster`], which may have to wait for the topology, to ask the group
//! that serves a slot, or to ask meta for a change.

use std::rc::Rc;

use commands::{Id, Merge, ProxyCommand, Spec, introspect};
use resp::{Protocol, Reply};

use super::Outcome;
use crate::{
    ask::{Asker, ask, ask_all},
    backend_api::{Submit, Target},
    clients::Side,
    cluster::{Answer, Cluster, Question, Wish, parse_meta_raft},
    connection::Call,
    execute::Front,
};

pub fn run(front: &mut Front, args: &[&[u8]], call: Call) {
    if front.session.side == Side::Plain {
        return front.reply(&disabled());
    }
    match front.conn.worker.cluster.answer(args) {
        Answer::Ready(reply) => front.reply(&reply),
        later => {
            let token = front.open(call);
            let backend = front.conn.worker.backend.clone();
            front.conn.run_later(token, front.session.protocol, resolve(later, backend, front.asker()));
        }
    }
}

/// Whether the command asks about the cluster as announced.
pub fn is_question(command: ProxyCommand) -> bool {
    use ProxyCommand as P;
    matches!(
        command,
        P::ClusterCountFailureReports
            | P::ClusterCountKeysInSlot
            | P::ClusterGetKeysInSlot
            | P::ClusterInfo
            | P::ClusterKeySlot
            | P::ClusterLinks
            | P::ClusterMyId
            | P::ClusterMyShardId
            | P::ClusterNodes
            | P::ClusterReplicas
            | P::ClusterShards
            | P::ClusterSlots
    )
}

/// The answer to such a command.
pub async fn answered(
    cluster: &Cluster,
    backend: Rc<dyn Submit>,
    side: Side,
    asker: Asker,
    args: &[&[u8]],
) -> Reply {
    match side {
        Side::Plain => disabled(),
        Side::Cluster => resolve(cluster.answer(args), backend, asker).await,
    }
}

fn disabled() -> Reply {
    Reply::error("ERR This instance has cluster support disabled")
}

/// CLUSTER HELP: Redis looks first whether there is a cluster.
pub fn help(front: &Front, spec: &Spec) -> Outcome {
    match front.session.side {
        Side::Plain => Err(disabled()),
        Side::Cluster => Ok(introspect::help(spec)),
    }
}

/// CLUSTER MEET and whatever else changes the topology.
pub fn change(front: &mut Front, args: &[&[u8]], call: Call) {
    let wish = match front.session.side {
        Side::Cluster => Cluster::parse_change(args),
        Side::Plain => Err(disabled()),
    };
    match wish {
        Err(reply) => front.reply(&reply),
        Ok(wish) => {
            let changer = Changer::new(front);
            let token = front.open(call);
            front.conn.run_later(token, front.session.protocol, async move {
                match changer.run(vec![wish]).await {
                    Ok(replies) => replies.into_iter().next().unwrap_or(Reply::OK),
                    Err(reply) => reply,
                }
            });
        }
    }
}

/// CLUSTER METARAFT: also on the plain listener, it is not about slots.
pub fn meta_raft(front: &mut Front, args: &[&[u8]], call: Call) {
    let action = parse_meta_raft(args.get(1..).unwrap_or_default());
    let cluster = front.conn.worker.cluster.clone();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, cluster.meta_raft(action));
}

/// Makes changes for a client.
pub struct Changer {
    cluster: Cluster,
    backend: Rc<dyn Submit>,
    asker: Asker,
}

impl Changer {
    pub fn new(front: &Front) -> Self {
        let worker = &front.conn.worker;
        Self { cluster: worker.cluster.clone(), backend: worker.backend.clone(), asker: front.asker() }
    }

    /// One reply for each wish; all that change something do so in one step.
    pub async fn run(self, wishes: Vec<Wish>) -> Result<Vec<Reply>, Reply> {
        let mut changes = Vec::new();
        // What is settled without meta; `None`: the reply of the next change.
        let mut settled = Vec::new();
        for wish in wishes {
            let change = match wish {
                Wish::Change(change) => Ok(change),
                Wish::Meet { host, port } => self.cluster.meeting(&host, port).await,
                Wish::IfEmpty(change, otherwise) => match self.is_empty().await? {
                    true => Ok(change),
                    false => Err(Reply::error(otherwise)),
                },
                Wish::Nothing => Err(self.cluster.confirm().await),
            };
            match change {
                Ok(change) => {
                    changes.push(change);
                    settled.push(None);
                }
                Err(reply) => settled.push(Some(reply)),
            }
        }
        let changed = if changes.is_empty() { Vec::new() } else { self.cluster.change(changes).await? };
        let mut changed = changed.into_iter();
        let next = |reply: Option<Reply>| reply.or_else(|| changed.next()).unwrap_or(Reply::OK);
        Ok(settled.into_iter().map(next).collect())
    }

    /// No key in any database of the slots that this proxy is the master of.
    async fn is_empty(&self) -> Result<bool, Reply> {
        let groups = self.backend.fronted_groups();
        if groups.is_empty() {
            return Ok(true);
        }
        for db in 0..commands::DATABASES {
            let asker = Asker { db, protocol: Protocol::Resp2, ..self.asker };
            let sum = ask_all(&*self.backend, asker, &groups, Id::Dbsize.spec(), &[], Merge::Sum).await;
            if sum.map_err(|error| Reply::error(error.to_string()))? != b":0\r\n".as_slice() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

async fn resolve(mut answer: Answer, backend: Rc<dyn Submit>, asker: Asker) -> Reply {
    loop {
        answer = match answer {
            Answer::Ready(reply) => return reply,
            Answer::Wait(later) => later.await,
            Answer::Ask(question) => return put(question, &*backend, asker).await,
        };
    }
}

async fn put(question: Question, backend: &dyn Submit, asker: Asker) -> Reply {
    let answer = match question {
        Question::CountKeysInSlot { slot } => {
            let number = slot.number().to_string();
            ask(backend, asker, Target::Slot(slot), Id::CountKeysInSlot, &[number.as_bytes()]).await
        }
        Question::GetKeysInSlot { slot, count } => {
            let (number, count) = (slot.number().to_string(), count.to_string());
            let args = [number.as_bytes(), count.as_bytes()];
            ask(backend, asker, Target::Slot(slot), Id::GetKeysInSlot, &args).await
        }
    };
    answer.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw)
}
