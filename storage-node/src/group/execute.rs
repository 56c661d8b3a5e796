//! Executing the commands of one batch, one after the other, and whatever waited for their effects.

mod scripts;
mod waiting;

use std::sync::Arc;

use bytes::Bytes;
use commands::{
    Args, CommandError, Cx, GroupCommand, Handler, Kind, Spec,
    flags::flag,
    handler::stream,
    wire::{self, WireCommand},
};
use daemon::env::Clock;
use datatypes::{Limits, Reader, key};
use proto::v1::{Batch, Refusal};
use resp::{Protocol, Reply};
use topology::SlotSet;

pub use self::waiting::Served;
use super::{
    effects::EffectsBuilder,
    state::{DATABASES, GroupState},
    view::{EntryId, Overlay, View, Written},
    waiters::Waiters,
    watch::Watches,
};

/// What became of a batch.
pub enum Executed {
    /// Replies in `commands::wire` form, and the latest entry in flight that they depend on (0: none).
    Done { replies: Vec<u8>, seen: EntryId },
    /// It waits for one of these head records.
    Waits(Vec<Bytes>),
    /// Nothing was executed.
    Refused(Refusal),
}

/// What one leadership remembers about its clients.
pub struct Clients {
    pub watches: Watches,
    pub waiters: Waiters,
}

impl Clients {
    /// `period` as for [`Watches::new`].
    pub fn new(period: u64) -> Self {
        Self { watches: Watches::new(period), waiters: Waiters::default() }
    }

    /// Someone wants to know which keys change.
    pub fn observe(&self) -> bool {
        !self.watches.is_empty() || !self.waiters.is_empty()
    }
}

/// What the commands of a batch run against.
pub struct Execution<'a> {
    pub state: &'a GroupState,
    pub overlay: &'a mut Overlay,
    pub effects: &'a mut EffectsBuilder,
    pub written: &'a mut Written,
    pub clients: &'a mut Clients,
    /// Commands that waited and were served.
    pub served: &'a mut Vec<Served>,
    pub eid: EntryId,
    pub time_ms: u64,
    pub seed: &'a mut u64,
    /// Served as of this point of the log.
    pub slots: &'a SlotSet,
    /// The sender routed by the very slots that this group has: no key needs a check.
    pub routed_right: bool,
    /// Up to where collections stay small.
    pub limits: Limits,
    /// The disk is nearly full: commands that write are refused.
    pub read_only: bool,
    pub clock: &'a Arc<dyn Clock>,
}

type Outcome = (Result<Reply, CommandError>, EntryId);

impl Execution<'_> {
    pub fn run(mut self, batch: &Batch) -> Executed {
        if let Err(refusal) = self.check(&batch.commands) {
            return Executed::Refused(refusal);
        }
        self.overlay.observed = self.clients.observe();
        let mut replies = Vec::with_capacity(batch.commands.len() / 4 + 16);
        let mut scratch = Vec::new();
        let mut seen = 0;
        for command in wire::commands(&batch.commands) {
            let Ok(command) = command else { break };
            let before = self.written.keys.len();
            let (reply, saw) = self.run_one(batch.session, &command);
            seen = seen.max(saw);
            scratch.clear();
            match reply {
                Err(CommandError::WouldBlock(_)) if command.flags & wire::FLAG_WAIT != 0 => {
                    return Executed::Waits(heads(&command));
                }
                // It is sent again to wait.
                Err(CommandError::WouldBlock(_)) if command.flags & wire::FLAG_TRY != 0 => {
                    self.pin(&command, &mut scratch);
                }
                reply => resp::encode(&reply_of(reply), protocol(&command), &mut scratch),
            }
            wire::put_bytes(&mut replies, &scratch);
            if self.overlay.observed {
                self.tell(before);
            }
        }
        Executed::Done { replies, seen }
    }

    /// How a command that could not be served is to be sent again: nothing, or zero and the arguments
    /// that say from now on what they say now (XREAD from `$` on).
    fn pin(&mut self, command: &WireCommand<'_>, out: &mut Vec<u8>) {
        if command.id != commands::Id::Xread as u16 {
            return;
        }
        let cx = self.circumstances(command);
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let pinned = stream::resolve_last_ids(&mut view, &Args::new(&command.args), &cx);
        view.discard();
        if let Ok(Some(args)) = pinned {
            out.push(0);
            args.iter().for_each(|arg| wire::put_bytes(out, arg));
        }
    }

    /// A batch runs as a whole or not at all, so what can be refused is refused before.
    fn check(&self, commands: &[u8]) -> Result<(), Refusal> {
        if self.routed_right && !self.read_only {
            return Ok(());
        }
        for command in wire::commands(commands) {
            let Ok(command) = command else { break };
            let Some(spec) = commands::by_id(command.id) else { continue };
            if self.read_only && spec.is_write() && spec.flags.has(flag::DENYOOM) {
                return Err(Refusal::StorageFailed);
            }
            if !self.routed_right && !self.owns_keys(spec, &command) {
                return Err(Refusal::WrongGroup);
            }
            if let (Some(GroupCommand::Transaction), [watched, commands]) =
                (spec.group_command(), &*command.args)
            {
                self.check(commands)?;
                let mut watched = wire::watched(watched).filter_map(Result::ok);
                if !self.routed_right && !watched.all(|w| self.slots.contains(topology::slot_of(w.key))) {
                    return Err(Refusal::WrongGroup);
                }
            }
        }
        Ok(())
    }

    fn owns_keys(&self, spec: &Spec, command: &WireCommand<'_>) -> bool {
        spec.key_positions(&command.args).all(|at| self.slots.contains(topology::slot_of(command.args[at])))
    }

    fn run_one(&mut self, session: u64, command: &WireCommand<'_>) -> Outcome {
        let Some(spec) = commands::by_id(command.id) else {
            return (Ok(Reply::error("ERR unknown command id: the proxy is newer than this node")), 0);
        };
        if usize::from(command.db) >= DATABASES {
            return (Err(CommandError::DatabaseOutOfRange), 0);
        }
        match spec.kind {
            Kind::Group { command: GroupCommand::Watch, .. } => self.watch(command),
            Kind::Group { command: GroupCommand::Transaction, .. } => self.transact(command),
            Kind::Group { command: GroupCommand::StopWaiting, .. } => {
                self.clients.waiters.remove_session(session);
                (Ok(Reply::OK), 0)
            }
            Kind::Group { command: GroupCommand::Script(what), .. } => self.script(what, spec, command),
            _ => self.call(spec, command),
        }
    }

    /// Those of one command; draws from the seed.
    fn circumstances(&mut self, command: &WireCommand<'_>) -> Cx {
        *self.seed =
            self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Cx {
            now_ms: self.time_ms,
            db: command.db,
            seed: *self.seed,
            protocol: protocol(command),
            limits: self.limits,
        }
    }

    /// One command of the table, as a whole or not at all.
    fn call(&mut self, spec: &Spec, command: &WireCommand<'_>) -> Outcome {
        let cx = self.circumstances(command);
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let args = Args::new(&command.args);
        let result = match spec.handler() {
            Some(Handler::Read(run)) => run(&mut view, &args, &cx),
            Some(Handler::Write(run)) => run(&mut view, &args, &cx),
            None => Ok(Reply::error("ERR the command is not for storage nodes")),
        };
        let seen = if result.is_ok() { view.commit() } else { view.discard() };
        (result, seen)
    }

    /// Whether a key is there, and the latest entry in flight that says so.
    fn exists(&mut self, db: u8, key: &[u8]) -> (Result<bool, CommandError>, EntryId) {
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let found = Reader::new(&mut view, db, self.time_ms).lookup(key);
        (found.map(|record| record.is_some()).map_err(CommandError::Store), view.discard())
    }

    fn watch(&mut self, command: &WireCommand<'_>) -> Outcome {
        self.overlay.observed = true;
        let mut tokens = Vec::with_capacity(command.args.len());
        for name in &command.args {
            match self.exists(command.db, name).0 {
                Ok(exists) => {
                    let token = self.clients.watches.watch(key::head(command.db, name), exists);
                    tokens.push(Reply::bulk(token));
                }
                Err(error) => return (Err(error), 0),
            }
        }
        (Ok(Reply::Array(tokens)), 0)
    }

    /// MULTI … EXEC: nothing comes between its commands, and all their effects are in one entry. What
    /// one of them fails with is its reply; the others are executed all the same, as in Redis.
    fn transact(&mut self, command: &WireCommand<'_>) -> Outcome {
        let [watched, commands] = &*command.args else { return (Err(CommandError::Syntax), 0) };
        for watched in wire::watched(watched) {
            let Ok(watched) = watched else { return (Err(CommandError::Syntax), 0) };
            match self.exists(watched.db, watched.key) {
                (Ok(exists), seen) => {
                    let head = key::head(watched.db, watched.key);
                    if !self.clients.watches.holds(&head, watched.token, exists) {
                        return (Ok(Reply::NullArray), seen);
                    }
                }
                (Err(error), seen) => return (Err(error), seen),
            }
        }
        let mut latest = 0;
        let mut replies = Vec::new();
        for command in wire::commands(commands) {
            let Ok(command) = command else { break };
            let (result, seen) = match commands::by_id(command.id).and_then(Spec::group_command) {
                Some(GroupCommand::Script(_)) | None => self.run_one(0, &command),
                Some(_) => (Err(CommandError::Syntax), 0),
            };
            latest = latest.max(seen);
            replies.push(reply_of(result));
        }
        (Ok(Reply::Array(replies)), latest)
    }
}

/// The reply of a command that may not wait.
fn reply_of(result: Result<Reply, CommandError>) -> Reply {
    match result {
        Ok(reply) => reply,
        Err(CommandError::WouldBlock(null)) => null.into(),
        Err(error) => error.into(),
    }
}

fn protocol(command: &WireCommand<'_>) -> Protocol {
    if command.flags & wire::FLAG_RESP3 != 0 { Protocol::Resp3 } else { Protocol::Resp2 }
}

/// Head records of a command's keys.
fn heads(command: &WireCommand<'_>) -> Vec<Bytes> {
    let Some(spec) = commands::by_id(command.id) else { return Vec::new() };
    spec.key_positions(&command.args).map(|at| key::head(command.db, command.args[at])).collect()
}
