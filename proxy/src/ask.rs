//! Commands that the proxy itself sends to storage nodes, awaited.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use commands::{Id, Spec, wire};
use resp::{Protocol, Reply};
use tokio::sync::oneshot;

use crate::{
    backend_api::{Outgoing, ReplyTarget, RouteError, Sink, Submit, Target},
    gather::{Gather, Positions},
};

/// Hands one reply to whoever awaits it.
pub struct Once(RefCell<Option<oneshot::Sender<Result<Bytes, RouteError>>>>);

impl ReplyTarget for Once {
    fn reply(&self, _token: u64, result: Result<Bytes, RouteError>) -> bool {
        if let Some(sender) = self.0.borrow_mut().take() {
            // Nobody waits any more: the client left.
            let _ = sender.send(result);
        }
        false
    }

    fn flush(self: Rc<Self>) {}
}

/// For whom a question is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    pub origin: u64,
    pub protocol: Protocol,
    pub db: u8,
    /// Of `commands::wire`, for the client's own command.
    pub flags: u8,
    /// See [`Outgoing`].
    pub writer: u64,
}

impl Asker {
    fn asks<'a>(self, target: Target, spec: &Spec, args: &'a [&'a [u8]]) -> Outgoing<'a> {
        Outgoing {
            target,
            id: spec.id as u16,
            flags: wire::flags(self.protocol) | if spec.internal { 0 } else { self.flags },
            db: self.db,
            args,
            write: spec.is_write(),
            writer: self.writer,
        }
    }
}

/// Sends one command and awaits its reply.
pub async fn ask(
    backend: &dyn Submit,
    asker: Asker,
    target: Target,
    id: Id,
    args: &[&[u8]],
) -> Result<Bytes, RouteError> {
    let (to, reply) = once();
    backend.submit(asker.asks(target, id.spec(), args), Sink { to, token: 0, origin: asker.origin });
    received(reply).await
}

/// One command that is kept, to be sent.
pub struct Question {
    pub asker: Asker,
    pub target: Target,
    pub spec: &'static Spec,
    pub args: Vec<Bytes>,
    /// It may write.
    pub writes: bool,
}

/// Sends a command now, with additional `flags` of [`wire`]; its reply is awaited later.
pub fn ask_this(
    backend: &dyn Submit,
    question: &Question,
    flags: u8,
) -> impl Future<Output = Result<Bytes, RouteError>> + use<> {
    let Question { asker, target, spec, args, writes } = question;
    let (to, reply) = once();
    let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
    let mut command = asker.asks(*target, spec, &args);
    command.flags |= flags;
    command.write = *writes;
    backend.submit(command, Sink { to, token: 0, origin: asker.origin });
    received(reply)
}

/// Sends one command to all of `groups` and awaits the merged reply.
pub async fn ask_all(
    backend: &dyn Submit,
    asker: Asker,
    groups: &[topology::GroupId],
    spec: &Spec,
    args: &[&[u8]],
    merge: commands::Merge,
) -> Result<Bytes, RouteError> {
    let (to, reply) = once();
    let parts = groups.iter().map(|_| Positions::new());
    let gather = Gather::new(to, 0, merge, asker.protocol, parts, 0);
    for (at, &group) in groups.iter().enumerate() {
        let sink = Sink { to: gather.clone(), token: at as u64, origin: asker.origin };
        backend.submit(asker.asks(Target::Group(group), spec, args), sink);
    }
    received(reply).await
}

/// What a client is told of an answer that cannot be read.
pub fn malformed() -> Reply {
    Reply::error("ERR malformed answer of a storage node")
}

/// Somewhere to send a reply to, and where it comes out.
pub fn once() -> (Rc<Once>, oneshot::Receiver<Result<Bytes, RouteError>>) {
    let (sender, receiver) = oneshot::channel();
    (Rc::new(Once(RefCell::new(Some(sender)))), receiver)
}

/// The reply, when it is there.
pub async fn received(reply: oneshot::Receiver<Result<Bytes, RouteError>>) -> Result<Bytes, RouteError> {
    // The sender is dropped unused only when the worker stops.
    reply.await.unwrap_or(Err(RouteError::ClusterDown("The proxy is stopping")))
}
