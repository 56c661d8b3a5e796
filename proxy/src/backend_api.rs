//! The seam between the two halves of the proxy: the front (connections, RESP, local commands)
//! hands commands over, the back (routing, batching, retries) hands replies over. Both live on the
//! same worker thread, so everything here is `Rc` and synchronous.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use bytes::Bytes;
use proto::v1::{Aside, Changed, DeniedCall, RunningScript};
use topology::{GroupId, Namespaces, Slot};

use crate::backend::Announced;

/// Who executes a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The group that serves the slot, whichever that is at the time of sending.
    Slot(Slot),
    /// One particular group: a part of a broadcast.
    Group(GroupId),
}

/// One command on its way to a storage node. Everything is borrowed from the connection's read
/// buffer; whoever keeps it copies it (into the batch of its group).
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub target: Target,
    /// Id of the command in the command table.
    pub id: u16,
    /// `commands::wire` flags (bit 0: the client speaks RESP3).
    pub flags: u8,
    pub db: u8,
    /// Arguments without the command's name.
    pub args: &'a [&'a [u8]],
    /// It may write: its batch needs a sequence number.
    pub write: bool,
    /// The client, if it is not to be told what it changes itself (`commands::wire`); else 0.
    pub writer: u64,
}

/// Where the reply of one command goes.
pub struct Sink {
    pub to: Rc<dyn ReplyTarget>,
    /// Chosen by the target, meaningless to the backend; names the command at the target.
    pub token: u64,
    /// The client connection it comes from, also where `to` is a gatherer: commands of one origin
    /// for one slot are executed in the order of submission; those of different origins may
    /// overtake each other (reads do not wait for other clients' writes to be durable).
    pub origin: u64,
}

/// Receives replies: a client connection, or a gatherer of several parts.
///
/// Contract: `reply` is called exactly once per submitted command, in any order, possibly from
/// within `submit` (a command that fails at once). `flush` is never called from within `submit`:
/// whoever submits looks for replies that are already there by itself.
pub trait ReplyTarget {
    /// Hands the reply over: RESP bytes for the client, or why there are none. Returns true if the
    /// target now has something to write, and `flush` should be called when the backend has
    /// handed over everything it got with the same message.
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool;

    /// The reply of a command is late, and comes now: here is the command, in the form of `commands::wire`.
    fn late(&self, _token: u64, _command: &[u8]) {}

    /// Writes what can be written.
    fn flush(self: Rc<Self>);
}

/// The back half as the front sees it.
pub trait Submit {
    /// Sends a command; the reply goes to `sink`.
    fn submit(&self, command: Outgoing<'_>, sink: Sink);

    /// The group that serves `slot` by the newest topology known here.
    fn group_of(&self, slot: Slot) -> Option<GroupId>;

    /// Every group that serves slots, ascending by first slot. Empty while no topology is known.
    fn groups(&self) -> Vec<GroupId>;

    /// Groups this proxy is announced as the master of, ascending by first slot.
    fn fronted_groups(&self) -> Vec<GroupId>;

    /// Those whose keys are here for who reads on the cluster listener: of a replica, its master's.
    fn seen_groups(&self) -> Vec<GroupId> {
        self.fronted_groups()
    }

    /// Which keys are namespaces; `None`: none is.
    fn namespaces(&self) -> Option<Arc<Namespaces>> {
        None
    }

    /// What cluster clients of this proxy are told about slots; not called while no topology is known.
    fn with_announced(&self, _look: &mut dyn FnMut(&Announced)) {}

    /// Sends a command that waits on the storage side until it is served or `end` resolves. `command` is
    /// one command in `commands::wire` form, with [`commands::wire::FLAG_WAIT`].
    fn wait(&self, _slot: Slot, _command: Bytes, end: End) -> Wait {
        Box::pin(async move {
            end.await;
            Ok(Waited::Ended)
        })
    }

    /// Asks the leader of a group what does not wait behind its other commands; `command` is one command in
    /// `commands::wire` form.
    fn ask_urgently(&self, _group: GroupId, _command: Bytes) -> Answer {
        Box::pin(async { Err(RouteError::Timeout) })
    }

    /// So much waits that clients should not be read for now.
    fn is_congested(&self) -> bool {
        false
    }
}

/// Caches of clients, as the back half of one worker sees them.
pub trait Caches {
    /// The client gets what it has read of `key`, and changes of it will be told.
    fn has_read(&self, client: u64, key: &[u8]);

    /// The client got replies to reads that nobody may have remembered.
    fn is_unsure(&self, client: u64);

    /// A storage node tells what changed of that which was read through the stream to it.
    fn changed(&self, changed: Changed);

    /// A stream broke through which changes were told, or another storage node leads a group.
    fn stream_lost(&self);
}

/// Resolves to the reply of one command.
pub type Answer = Pin<Box<dyn Future<Output = Result<Bytes, RouteError>>>>;

/// What storage nodes tell beside replies.
pub trait Notices {
    /// What scripts did beside.
    fn aside(&self, aside: Aside);

    /// Whether anybody wants to see what scripts call.
    fn wants_calls(&self) -> bool {
        false
    }

    fn running(&self, script: &RunningScript);

    /// A script of the client was refused something.
    fn denied(&self, client: u64, call: &DeniedCall);
}

/// Nobody wants to know.
impl Notices for () {
    fn aside(&self, _: Aside) {}

    fn running(&self, _: &RunningScript) {}

    fn denied(&self, _: u64, _: &DeniedCall) {}
}

/// Resolves when a command is to wait no longer.
pub type End = Pin<Box<dyn Future<Output = ()>>>;

/// Resolves to what became of a command that waited.
pub type Wait = Pin<Box<dyn Future<Output = Result<Waited, RouteError>>>>;

/// What became of a command that waited.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// RESP bytes for the client.
    Served(Bytes),
    /// It was ended before it was served: it has changed nothing.
    Ended,
}

/// Why a command has no reply from a storage node. Displayed, it is the error text for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Nobody serves the slot (or the cluster is not up). Definitely not executed.
    #[error("CLUSTERDOWN {0}")]
    ClusterDown(&'static str),
    /// The deadline passed before the command was accepted anywhere. Definitely not executed.
    #[error("CLUSTERDOWN The cluster is down: no leader answered in time")]
    Timeout,
    /// The deadline passed after a write was sent: it may or may not have been executed.
    #[error("UNKNOWN The outcome of the command is unknown: the write was sent but not acknowledged in time")]
    Unknown,
    /// Queues are full. Definitely not executed.
    #[error("OVERLOADED Too many commands are waiting, try again later")]
    Overloaded,
    /// The storage below the group failed and refuses the command. Definitely not executed.
    #[error("MISCONF The storage of this key's group failed: {0}")]
    Storage(String),
}
