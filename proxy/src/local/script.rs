//! SCRIPT LOAD, EXISTS, FLUSH: every group has its own copy of the scripts.

use std::rc::Rc;

use bytes::Bytes;
use commands::{Id, ProxyCommand};
use resp::{Protocol, Reply};

use super::{is, syntax_error};
use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{RouteError, Submit, Target},
    connection::Call,
    execute::Front,
};

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let id = match command {
        ProxyCommand::ScriptLoad => Id::StoreScript,
        ProxyCommand::ScriptExists => Id::KnowScripts,
        _ => Id::DropScripts,
    };
    let args = match (id, &args[1..]) {
        (Id::DropScripts, []) => Vec::new(),
        (Id::DropScripts, [mode]) if is(mode, "SYNC") || is(mode, "ASYNC") => Vec::new(),
        (Id::DropScripts, _) => {
            let text = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
            return front.reply(&if args.len() > 2 { syntax_error() } else { Reply::error(text) });
        }
        (_, args) => args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
    };
    let backend = front.conn.worker.backend.clone();
    let asker = Asker { protocol: Protocol::Resp2, db: 0, ..front.asker() };
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        let replies = ask_groups(backend, asker, id, args).await;
        replies.map_or_else(|error| Reply::error(error.to_string()), |replies| merged(id, replies))
    });
}

/// The answers of all groups.
async fn ask_groups(
    backend: Rc<dyn Submit>,
    asker: Asker,
    id: Id,
    args: Vec<Bytes>,
) -> Result<Vec<Reply>, RouteError> {
    let spec = commands::by_id(id as u16).expect("every id has a row");
    let asked: Vec<_> = backend
        .groups()
        .into_iter()
        .map(|group| {
            let target = Target::Group(group);
            let question = Question { asker, target, spec, args: args.clone(), writes: spec.is_write() };
            ask_this(&*backend, &question, 0)
        })
        .collect();
    if asked.is_empty() {
        return Err(RouteError::ClusterDown("The cluster is down"));
    }
    let mut replies = Vec::with_capacity(asked.len());
    for answer in asked {
        let bytes = answer.await?;
        let reply = resp::parse(&bytes, Protocol::Resp2).ok().flatten();
        replies
            .push(reply.map_or_else(|| Reply::error("ERR malformed answer of a storage node"), |(r, _)| r));
    }
    Ok(replies)
}

/// A script exists where every group knows it; the other answers are alike, or one is an error.
fn merged(id: Id, replies: Vec<Reply>) -> Reply {
    if let Some(error) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        return error.clone();
    }
    if !matches!(id, Id::KnowScripts) {
        return replies.into_iter().next().unwrap_or(Reply::OK);
    }
    let known = |reply: &Reply, at: usize| match reply {
        Reply::Array(flags) => matches!(flags.get(at), Some(Reply::Int(1))),
        _ => false,
    };
    let count = match replies.first() {
        Some(Reply::Array(flags)) => flags.len(),
        _ => 0,
    };
    let all = |at: usize| Reply::Int(i64::from(replies.iter().all(|reply| known(reply, at))));
    Reply::Array((0..count).map(all).collect())
}
