//! EVALSHA, and SCRIPT LOAD, EXISTS, FLUSH. Scripts are known to groups: LOAD gives them to all, EVAL to the
//! one that it runs in, and [`Scripts`](crate::scripts::Scripts) brings them to others when they are called
//! there.

use std::rc::Rc;

use bytes::Bytes;
use commands::{CommandError, Id, ProxyCommand, wire};
use resp::{Protocol, Reply};
use topology::{GroupId, slot_of};

use super::{Outcome, is};
use crate::{
    ask::{Asker, Question, ask_this, malformed},
    backend_api::{RouteError, Submit, Target},
    connection::Call,
    execute::Front,
    scripts::{Doubt, digest, question},
    worker::Worker,
};

/// EVALSHA and EVALSHA_RO.
pub fn eval_sha(front: &mut Front, args: &[&[u8]], call: Call) {
    if let Some(refusal) = front.elsewhere(args, call.spec) {
        return front.reply(&refusal);
    }
    let Ok(slot) = call.spec.slot(args) else { return front.reply(&CommandError::CrossSlot.into()) };
    let slot = slot.unwrap_or_else(|| slot_of(b""));
    let (worker, target) = (front.conn.worker.clone(), Target::Slot(slot));
    let group = worker.backend.group_of(slot);
    let (Some(group), Some(digest)) = (group, digest(args[0])) else {
        return front.submit(target, args, call);
    };
    let token = front.open(call);
    if worker.scripts.has(group, &digest) {
        let Some(sink) = front.conn.sink(token) else { return };
        let sink = Doubt::over(sink, move || worker.scripts.forget());
        return front.send(target, args, call.spec, sink);
    }
    let asker = front.asker();
    let question = Question {
        asker,
        target,
        spec: call.spec,
        args: args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
        writes: call.spec.is_write(),
    };
    // Later commands of the client wait meanwhile.
    front.conn.run_later(token, front.session.protocol, async move {
        worker.scripts.bring(&*worker.backend, asker, group, vec![digest]).await;
        let answer = ask_this(&*worker.backend, &question, 0).await;
        answer.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw)
    });
}

/// SCRIPT LOAD, EXISTS and FLUSH.
pub fn is_about_all(command: ProxyCommand) -> bool {
    matches!(command, ProxyCommand::ScriptExists | ProxyCommand::ScriptFlush | ProxyCommand::ScriptLoad)
}

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let request = match request(command, args) {
        Ok(request) => request,
        Err(reply) => return front.reply(&reply),
    };
    let (worker, asker) = (front.conn.worker.clone(), front.asker());
    worker.scripts.forget();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, fulfilled(worker.backend.clone(), asker, request));
}

/// Executes them behind the other commands of a transaction.
pub async fn answered(worker: Rc<Worker>, asker: Asker, command: ProxyCommand, args: &[&[u8]]) -> Reply {
    match request(command, args) {
        Ok(request) => {
            worker.scripts.forget();
            fulfilled(worker.backend.clone(), asker, request).await
        }
        Err(reply) => reply,
    }
}

/// What every group is asked.
type Request = (Id, Vec<Bytes>);

fn request(command: ProxyCommand, args: &[&[u8]]) -> Result<Request, Reply> {
    let id = match command {
        ProxyCommand::ScriptLoad => Id::StoreScript,
        ProxyCommand::ScriptExists => Id::KnowScripts,
        _ => Id::DropScripts,
    };
    match (id, &args[1..]) {
        (Id::DropScripts, []) => Ok((id, Vec::new())),
        (Id::DropScripts, [mode]) if is(mode, "SYNC") || is(mode, "ASYNC") => Ok((id, Vec::new())),
        (Id::DropScripts, _) => Err(Reply::error("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
        (_, args) => Ok((id, args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect())),
    }
}

async fn fulfilled(backend: Rc<dyn Submit>, asker: Asker, (id, args): Request) -> Reply {
    let asker = Asker { protocol: Protocol::Resp2, db: 0, ..asker };
    let replies = ask_groups(backend, asker, id, args).await;
    let replies = replies.map(|replies| replies.into_iter().map(|(_, reply)| reply).collect());
    replies.map_or_else(|error| Reply::error(error.to_string()), |replies| merged(id, replies))
}

/// SCRIPT DEBUG: scripts cannot be debugged.
pub fn debug(args: &[&[u8]]) -> Outcome {
    match args[1] {
        mode if is(mode, "NO") => Ok(Reply::OK),
        mode if is(mode, "YES") || is(mode, "SYNC") => {
            Err(Reply::error("ERR scripts cannot be debugged here"))
        }
        _ => Err(Reply::error("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    }
}

/// SCRIPT KILL and FUNCTION KILL, of whichever group runs one.
pub fn kill(front: &mut Front, kind: &'static [u8], call: Call) {
    let backend = front.conn.worker.backend.clone();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        let replies = ask_urgently(&*backend, Id::StopScript, &[kind], Protocol::Resp2).await;
        let is = |wanted: &[u8]| replies.iter().flatten().find(|reply| reply.starts_with(wanted));
        // A script that is of the other kind is told of only if nothing was stopped.
        let told = is(b"+OK").or_else(|| is(b"-BUSY")).or_else(|| is(b"-"));
        match (told, replies.iter().find_map(|reply| reply.as_ref().err())) {
            (Some(told), _) => Reply::Raw(told.clone()),
            (None, Some(error)) => Reply::error(error.to_string()),
            (None, None) => CommandError::NotBusy.into(),
        }
    });
}

/// The answers of all groups to what does not wait for a script to end.
pub async fn ask_urgently(
    backend: &dyn Submit,
    id: Id,
    args: &[&[u8]],
    protocol: Protocol,
) -> Vec<Result<Bytes, RouteError>> {
    let mut command = Vec::new();
    wire::put_command(&mut command, id as u16, wire::flags(protocol), 0, args);
    let command = Bytes::from(command);
    let asked = backend.groups().into_iter().map(|group| backend.ask_urgently(group, command.clone()));
    futures::future::join_all(asked).await
}

/// The answers of all groups.
pub async fn ask_groups(
    backend: Rc<dyn Submit>,
    asker: Asker,
    id: Id,
    args: Vec<Bytes>,
) -> Result<Vec<(GroupId, Reply)>, RouteError> {
    let ask = |group| (group, question(&*backend, asker, group, id, args.clone()));
    let asked: Vec<_> = backend.groups().into_iter().map(ask).collect();
    if asked.is_empty() {
        return Err(RouteError::ClusterDown("The cluster is down"));
    }
    let mut replies = Vec::with_capacity(asked.len());
    for (group, answer) in asked {
        let bytes = answer.await?;
        let reply = resp::parse(&bytes, Protocol::Resp2).ok().flatten();
        replies.push((group, reply.map_or_else(malformed, |(reply, _)| reply)));
    }
    Ok(replies)
}

/// A script exists where any group has it; the other answers are alike, or one is an error.
fn merged(id: Id, replies: Vec<Reply>) -> Reply {
    if let Some(error) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        return error.clone();
    }
    if !matches!(id, Id::KnowScripts) {
        return replies.into_iter().next().unwrap_or(Reply::OK);
    }
    let has = |reply: &Reply, at: usize| match reply {
        Reply::Array(scripts) => matches!(scripts.get(at), Some(Reply::Bulk(_))),
        _ => false,
    };
    let count = match replies.first() {
        Some(Reply::Array(scripts)) => scripts.len(),
        _ => 0,
    };
    let any = |at: usize| Reply::Int(i64::from(replies.iter().any(|reply| has(reply, at))));
    Reply::Array((0..count).map(any).collect())
}
