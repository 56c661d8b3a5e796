//! Commands of a transaction that need an answer from elsewhere and are not executed by the group of its
//! keys. They run one after another behind those on keys, and see what these left.

use std::rc::Rc;

use commands::{Kind, Merge, ProxyCommand, Spec, args::cursor};
use resp::Reply;
use topology::GroupId;

use super::{
    cluster, config,
    function::{self, Librarian},
    info::Inquiry,
    pubsub,
    replication::{self, Asking},
    script,
};
use crate::{
    ask::{Asker, ask_all},
    clients::Side,
    cluster::Cluster,
    connection::Connection,
    execute::Front,
    scan,
    worker::Worker,
};

/// Whether the command is one of them; without a command of the proxy, it is SCAN.
pub fn waits(command: Option<ProxyCommand>) -> bool {
    use ProxyCommand as P;
    command.is_none_or(|command| {
        pubsub::waits(command)
            || cluster::is_question(command)
            || replication::waits(command)
            || script::is_about_all(command)
            || function::executes(command)
            || matches!(command, P::Info | P::ConfigRewrite)
    })
}

/// Executes them for one client.
pub struct Later {
    /// Present if the transaction is about messages.
    messages: Option<pubsub::Client>,
    conn: Rc<Connection>,
    inquiry: Inquiry,
    replicas: Asking,
    asker: Asker,
    side: Side,
    view: Vec<GroupId>,
    cluster: Cluster,
    librarian: Librarian,
    worker: Rc<Worker>,
}

impl Later {
    pub fn of(front: &mut Front, has_messages: bool) -> Self {
        let worker = front.conn.worker.clone();
        Self {
            conn: front.conn.clone(),
            messages: has_messages.then(|| pubsub::Client::of(front, true)),
            inquiry: Inquiry::of(front),
            replicas: Asking::of(front),
            asker: front.asker(),
            side: front.session.side,
            view: front.view(false),
            cluster: worker.cluster.clone(),
            librarian: Librarian::of(front),
            worker,
        }
    }

    /// Executes one; `db` is the database that the transaction has selected by then.
    pub async fn execute(&self, spec: &Spec, command: Option<ProxyCommand>, db: u8, args: &[&[u8]]) -> Reply {
        let asker = Asker { db, ..self.asker };
        if let Kind::Broadcast { merge, .. } = spec.kind
            && merge != Merge::Scan
        {
            let answer = ask_all(&*self.worker.backend, asker, &self.view, spec, args, merge).await;
            return answer.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw);
        }
        match (command, &self.messages) {
            (None, _) => {
                let cursor = match cursor(args[0]) {
                    Ok(cursor) => cursor,
                    Err(error) => return error.into(),
                };
                let backend = self.worker.backend.clone();
                scan::keys(backend, asker, self.view.clone(), cursor, &args[1..]).await
            }
            (Some(ProxyCommand::Info), _) => self.inquiry.answer(args).await,
            (Some(ProxyCommand::ConfigRewrite), _) => config::rewritten(self.worker.shared.clone()).await,
            // It has left what it subscribed to already.
            (Some(command), _) if self.conn.has_left() && pubsub::subscribes(command) => Reply::Null,
            (Some(command), Some(messages)) if pubsub::waits(command) => {
                messages.execute(command, args).await
            }
            (Some(command), _) if replication::waits(command) => self.replicas.at_once(command, args).await,
            (Some(command), _) if script::is_about_all(command) => {
                script::answered(self.worker.clone(), asker, command, args).await
            }
            (Some(command), _) if function::executes(command) => self.librarian.execute(command, args).await,
            _ => cluster::answered(&self.cluster, self.worker.backend.clone(), self.side, asker, args).await,
        }
    }
}
