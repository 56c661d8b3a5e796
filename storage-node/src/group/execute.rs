//! Executing the commands of one batch, one after the other, and whatever waited for their effects.

mod namespaces;
mod replication;
mod rights;
pub mod scripts;
mod tracking;
mod waiting;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use commands::{
    Args, CommandError, Cx, GroupCommand, Handler, Id, Spec,
    error::NamespaceError,
    flags::flag,
    handler::stream,
    wire::{self, WireCommand},
};
use daemon::env::Clock;
use datatypes::{
    Kv as _, Limits, Reader, key,
    kv::{DATABASES, EXPIRING, SHARDS},
};
use proto::v1::{Aside, Batch, Refusal};
use raft_rocks::Raft;
use resp::{Protocol, Reply};
use topology::{Namespaces, SlotSet};

pub use self::waiting::Served;
use super::{
    GroupStats,
    effects::EffectsBuilder,
    inbox::ReplyQueue,
    machine::StateMachine,
    state::GroupState,
    tracking::Tracking,
    view::{EntryId, Extent, Lookups, Overlay, View, Written},
    waiters::Waiters,
    watch::Watches,
};
use crate::events::Hub;

/// Bytes of replies after which the rest of a batch of reads has to wait until others had their turn.
const SLICE_BYTES: usize = 4 << 20;

/// What became of a batch.
pub enum Executed {
    /// Replies in `commands::wire` form, the latest entry in flight that they depend on (0: none), how many
    /// commands have theirs by now, what was read for clients that track, and whether commands are left.
    Done { replies: Vec<u8>, seen: EntryId, commands: u64, reads: Option<Vec<u8>>, aside: Aside, more: bool },
    /// It waits for one of these head records.
    Waits(Vec<Bytes>),
    /// Nothing was executed.
    Refused(Refusal),
    /// A script's slice is over.
    Suspended(Box<Suspended>),
}

/// What became of the commands of a batch so far.
#[derive(Default)]
struct Progress {
    replies: Vec<u8>,
    seen: EntryId,
    commands: u64,
}

/// A batch in the middle of a script. Nothing else is evaluated until it goes on; if it is dropped, what it
/// has gathered is to be dropped too.
pub struct Suspended {
    progress: Progress,
    /// Written keys when the present command began.
    before: usize,
    halt: Halt,
    aside: Aside,
    reads: Option<Vec<u8>>,
}

impl Suspended {
    /// Entries up to `eid` are part of the committed state.
    pub fn settle(&mut self, eid: EntryId) {
        self.halt.script.view.settle(eid);
    }

    /// What was gathered before this batch is on its way.
    pub fn shift(&mut self, by: &Extent) {
        self.before -= by.keys;
        self.halt.script.view.shift(by);
    }

    pub fn script(&self) -> &scripts::Paused {
        &self.halt.script
    }
}

/// A command in the middle of a script.
struct Halt {
    script: scripts::Paused,
    /// The script is one of the commands of a transaction.
    transaction: Option<Passed>,
}

/// The commands of a transaction so far.
#[derive(Default)]
struct Passed {
    replies: Vec<Reply>,
    latest: EntryId,
}

/// What became of one command, for now.
enum Step {
    Done(Outcome),
    Halted(Box<Halt>),
}

/// What one leadership remembers, of its clients and for them.
pub struct Clients {
    pub watches: Watches,
    pub waiters: Waiters,
    pub scripts: scripts::Scripts,
    pub tracking: Tracking,
}

impl Clients {
    /// `period` as for [`Watches::new`].
    pub fn new(period: u64) -> Self {
        Self {
            watches: Watches::new(period),
            waiters: Waiters::default(),
            scripts: scripts::Scripts::default(),
            tracking: Tracking::default(),
        }
    }

    /// Someone wants to know which keys change.
    pub fn observe(&self) -> bool {
        !self.watches.is_empty() || !self.waiters.is_empty() || !self.tracking.is_empty()
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
    /// Which keys are namespaces as of this point of the log, and the version of the topology that
    /// said so.
    pub namespaces: &'a Namespaces,
    pub namespaces_version: u64,
    /// Of the topology that the sender routed by.
    pub asked_version: u64,
    /// The sender routed by the very slots and namespaces that this group has: no key needs a check.
    pub routed_right: bool,
    /// Up to where collections stay small.
    pub limits: Limits,
    /// The disk is nearly full: commands that write are refused.
    pub read_only: bool,
    pub clock: &'a Arc<dyn Clock>,
    pub raft: &'a Raft<StateMachine>,
    /// What a replica has is synced to its disk.
    pub durable: bool,
    /// Where the batch came from.
    pub stream: &'a Arc<ReplyQueue>,
    /// Somebody is told of changes by the beginnings of keys.
    pub broadcasts: bool,
    /// What was read for clients that track.
    pub reads: Option<Vec<u8>>,
    /// Number of the command that is executed, if its client tracks.
    pub reader: Option<usize>,
    /// Who makes the changes and is not to be told of them.
    pub writer: u64,
    /// How long a script may run.
    pub script_limit: Duration,
    /// Somebody wants to see what scripts call.
    pub shows_calls: bool,
    pub stats: &'a GroupStats,
    pub group: u64,
    pub events: &'a Hub,
    /// What scripts of this batch do beside.
    pub aside: Aside,
}

type Outcome = (Result<Reply, CommandError>, EntryId);

impl Execution<'_> {
    /// Executes a batch, or goes on behind so many of its commands.
    pub fn run(self, batch: &Batch, commands: u64) -> Executed {
        if let Err(refusal) = self.check(&batch.commands) {
            return Executed::Refused(refusal);
        }
        self.overlay.observed = self.broadcasts || self.clients.observe();
        self.effects.begin_batch();
        let replies = Vec::with_capacity(batch.commands.len() / 4 + 16);
        self.go_on(batch, Progress { replies, commands, seen: 0 }, None)
    }

    /// The batch again, where it was suspended.
    pub fn resume(mut self, batch: &Batch, suspended: Suspended) -> Executed {
        let Suspended { progress, before, halt, aside, reads } = suspended;
        (self.aside, self.reads) = (aside, reads);
        self.go_on(batch, progress, Some((before, halt)))
    }

    fn go_on(mut self, batch: &Batch, mut done: Progress, mut halted: Option<(usize, Halt)>) -> Executed {
        let mut scratch = Vec::new();
        let mut more = false;
        // Nobody takes what was read before.
        let is_crowded = batch.seq == 0 && self.stream.is_crowded();
        for command in wire::commands(&batch.commands).skip(done.commands as usize) {
            let Ok(command) = command else { break };
            // What writes is executed as a whole: it has one number.
            if batch.seq == 0 && done.replies.len() >= SLICE_BYTES {
                more = true;
                break;
            }
            self.writer = command.writer;
            if command.flags & wire::FLAG_TRACKED != 0 {
                self.begin_reading(done.commands as usize);
            }
            let denied = self.aside.denied.len();
            let (before, step) = match halted.take() {
                None if is_crowded => {
                    (self.written.keys.len(), Step::Done((Err(CommandError::TooMuchAtOnce), 0)))
                }
                None => (self.written.keys.len(), self.run_one(batch.session, &command)),
                Some((before, halt)) => (before, self.resume_one(&command, halt)),
            };
            let (reply, saw) = match step {
                Step::Done(outcome) => outcome,
                Step::Halted(halt) => {
                    let (aside, reads) = (self.aside, self.reads);
                    let suspended = Suspended { progress: done, before, halt: *halt, aside, reads };
                    return Executed::Suspended(Box::new(suspended));
                }
            };
            self.reader = None;
            self.aside.denied[denied..].iter_mut().for_each(|call| call.command = done.commands);
            done.commands += 1;
            done.seen = done.seen.max(saw);
            scratch.clear();
            match reply {
                Err(error) if command.flags & wire::FLAG_WAIT != 0 && self.may_wait(&error, &command) => {
                    return Executed::Waits(heads(&command));
                }
                // It is sent again to wait.
                Err(CommandError::WouldBlock(_)) if command.flags & wire::FLAG_TRY != 0 => {
                    self.pin(&command, &mut scratch);
                }
                reply => resp::encode(&reply_of(reply), protocol(&command), &mut scratch),
            }
            wire::put_bytes(&mut done.replies, &scratch);
            if self.overlay.observed {
                self.tell(before);
            }
        }
        let Progress { replies, seen, commands } = done;
        Executed::Done { replies, seen, commands, reads: self.reads, aside: self.aside, more }
    }

    /// How a command that could not be served is to be sent again: nothing, or zero and the arguments
    /// that say from now on what they say now (XREAD from `$` on).
    fn pin(&mut self, command: &WireCommand<'_>, out: &mut Vec<u8>) {
        if command.id != Id::Xread as u16 {
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
            if !self.routed_right && (!self.owns_keys(spec, &command) || self.knows_less(spec, &command)) {
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

    /// Whether the keys of the command count as used.
    fn spare_uses(&mut self, command: &WireCommand<'_>) {
        let asked = command.flags & wire::FLAG_NO_TOUCH != 0;
        self.overlay.spares_uses = asked && command.id != Id::Touch as u16;
    }

    fn run_one(&mut self, session: u64, command: &WireCommand<'_>) -> Step {
        self.spare_uses(command);
        let Some(spec) = commands::by_id(command.id) else {
            let unknown = "ERR unknown command id: the proxy is newer than this node";
            return Step::Done((Ok(Reply::error(unknown)), 0));
        };
        if command.db >= DATABASES {
            return Step::Done((Err(CommandError::DatabaseOutOfRange), 0));
        }
        if self.is_misled(spec, command) {
            return Step::Done((Err(NamespaceError::Changing.into()), 0));
        }
        Step::Done(match spec.group_command() {
            None => self.call(spec, command),
            Some(GroupCommand::Script(what)) => return self.script(what, spec, command),
            Some(GroupCommand::Transaction) => return self.transact(command),
            Some(GroupCommand::Watch) => self.watch(command),
            Some(GroupCommand::StopWaiting) => {
                self.clients.waiters.remove_session(session);
                (Ok(Reply::OK), 0)
            }
            Some(GroupCommand::Replication) => self.replication(command),
            Some(GroupCommand::Spread) => self.spread(command),
            Some(GroupCommand::Figures) => self.figures(),
        })
    }

    fn resume_one(&mut self, command: &WireCommand<'_>, halt: Halt) -> Step {
        self.spare_uses(command);
        match (halt.transaction, &*command.args) {
            (Some(passed), [_, commands]) => self.go_through(commands, passed, Some(halt.script)),
            _ => self.resume_script(command, halt.script),
        }
    }

    /// Those of one command; draws from the seed.
    fn circumstances(&mut self, command: &WireCommand<'_>) -> Cx {
        *self.seed =
            self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Cx {
            now_ms: self.time_ms,
            db: if command.flags & wire::FLAG_SHARD == 0 { command.db } else { command.db | SHARDS },
            seed: *self.seed,
            protocol: protocol(command),
            limits: self.limits,
        }
    }

    /// One command of the table, as a whole or not at all.
    fn call(&mut self, spec: &Spec, command: &WireCommand<'_>) -> Outcome {
        if self.reader.is_some() {
            self.remember(spec, command);
        }
        let cx = self.circumstances(command);
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let args = Args::new(&command.args);
        let result = match spec.handler() {
            Some(Handler::Read(run)) => run(&mut view, &args, &cx),
            Some(Handler::Write(run)) => run(&mut view, &args, &cx),
            None => Ok(Reply::error("ERR the command is not for storage nodes")),
        };
        view.conclude(result)
    }

    /// Whether a key is there, and the latest entry in flight that says so.
    fn exists(&mut self, db: u8, key: &[u8]) -> (Result<bool, CommandError>, EntryId) {
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let found = Reader::new(&mut view, db, self.time_ms).peek(key);
        (found.map(|record| record.is_some()).map_err(CommandError::Store), view.discard())
    }

    fn figures(&mut self) -> Outcome {
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let scripts = scripts::stored_count(&mut view);
        let counts: Vec<u64> =
            (0..DATABASES).flat_map(|db| [db, db | EXPIRING].map(|db| view.key_count(db))).collect();
        let seen = view.discard();
        let expired = self.stats.expired_keys.load(Ordering::Relaxed);
        let Lookups { hits, misses } = self.overlay.lookups;
        let shown = |scripts| {
            let numbers = [scripts, expired, hits, misses].into_iter().chain(counts);
            Reply::Array(numbers.map(|number| Reply::Int(number as i64)).collect())
        };
        (scripts.map(shown).map_err(CommandError::Store), seen)
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
    fn transact(&mut self, command: &WireCommand<'_>) -> Step {
        let [watched, commands] = &*command.args else { return Step::Done((Err(CommandError::Syntax), 0)) };
        for watched in wire::watched(watched) {
            let Ok(watched) = watched else { return Step::Done((Err(CommandError::Syntax), 0)) };
            match self.exists(watched.db, watched.key) {
                (Ok(exists), seen) => {
                    let head = key::head(watched.db, watched.key);
                    if !self.clients.watches.holds(&head, watched.token, exists) {
                        return Step::Done((Ok(Reply::NullArray), seen));
                    }
                }
                (Err(error), seen) => return Step::Done((Err(error), seen)),
            }
        }
        let misled = |command: WireCommand<'_>| {
            commands::by_id(command.id).is_some_and(|spec| self.is_misled(spec, &command))
        };
        if !self.namespaces.is_empty() && wire::commands(commands).filter_map(Result::ok).any(misled) {
            return Step::Done((Err(NamespaceError::Changing.into()), 0));
        }
        self.go_through(commands, Passed::default(), None)
    }

    /// The commands of a transaction that are left, the first of which may be a halted script.
    fn go_through(
        &mut self,
        commands: &[u8],
        mut passed: Passed,
        mut halted: Option<scripts::Paused>,
    ) -> Step {
        for command in wire::commands(commands).skip(passed.replies.len()) {
            let Ok(command) = command else { break };
            let what = commands::by_id(command.id).and_then(Spec::group_command);
            let step = match (halted.take(), what) {
                (Some(script), _) => self.resume_script(&command, script),
                (None, Some(GroupCommand::Script(_)) | None) => self.run_one(0, &command),
                (None, Some(_)) => Step::Done((Err(CommandError::Syntax), 0)),
            };
            match step {
                Step::Done((result, seen)) => {
                    passed.latest = passed.latest.max(seen);
                    passed.replies.push(reply_of(result));
                }
                Step::Halted(mut halt) => {
                    halt.transaction = Some(passed);
                    return Step::Halted(halt);
                }
            }
        }
        Step::Done((Ok(Reply::Array(passed.replies)), passed.latest))
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
