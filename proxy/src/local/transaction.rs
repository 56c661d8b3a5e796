//! MULTI, EXEC, DISCARD. Commands are checked and encoded when they are queued. At EXEC those on keys
//! go to their group as one; what the proxy answers itself is put between their replies. Changes of the
//! topology go to meta as one step and do not mix with others.

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use commands::{
    CommandError, GroupCommand, Id, Kind, Merge, ProxyCommand, ScriptCommand, Spec,
    flags::flag,
    wire::{self, WireCommand},
};
use resp::Reply;
use smallvec::SmallVec;
use topology::{GroupId, Slot, slot_of};

use super::{
    Outcome,
    cluster::Changer,
    connection, immediate, is_immediate,
    later::{self, Later},
    pubsub, tracking, watch,
};
use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{RouteError, Submit, Target},
    clients::Side,
    cluster::{Cluster, Wish},
    connection::{Call, Rest},
    execute::Front,
    namespaces,
    pause::replicates,
    scripts::digest,
    slowlog::{self, Words},
    stats::error_of,
};

/// Commands between MULTI and EXEC.
const QUEUED_MAX: usize = 1 << 20;
/// Bytes of them.
const QUEUED_BYTES_MAX: usize = 512 << 20;

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub struct Transaction {
    queued: Vec<Queued>,
    /// The commands on keys, in the form of a batch.
    commands: Vec<u8>,
    /// Slots of their keys.
    slots: BTreeSet<Slot>,
    writes: bool,
    /// CLIENT PAUSE WRITE holds one of the commands back.
    replicates: bool,
    /// A command means all keys: it can be executed only where one group has them all.
    whole: bool,
    /// Bytes that are kept.
    bytes: usize,
    /// As SELECT leaves it.
    db: u8,
    /// Digests of scripts that are called.
    digests: Vec<Bytes>,
    /// Something is published or subscribed to.
    has_messages: bool,
    /// There is something for [`Later`].
    has_questions: bool,
    /// A command was refused: EXEC runs nothing.
    dirty: bool,
    /// Of the users by whose rights commands were queued.
    generation: u64,
}

#[derive(Debug)]
enum Queued {
    /// Encoded in `commands`.
    Keyed(&'static Spec),
    Local {
        spec: &'static Spec,
        command: ProxyCommand,
        args: Vec<Bytes>,
    },
    /// Executed by [`Later`], in this database; one on all keys if it is none of the proxy's.
    Later {
        spec: &'static Spec,
        command: Option<ProxyCommand>,
        db: u8,
        args: Vec<Bytes>,
    },
    Topology(&'static Spec, Wish),
    /// It was answered before the others, for it is about what they read.
    Answered(&'static Spec, Reply),
    /// The user lost the right to it before EXEC.
    Denied(Reply),
}

impl Transaction {
    pub fn replicates(&self) -> bool {
        self.replicates
    }

    pub fn refuse(&mut self) {
        self.dirty = true;
    }

    fn push_later(
        &mut self,
        spec: &'static Spec,
        command: Option<ProxyCommand>,
        args: &[&[u8]],
        bytes: usize,
    ) -> Outcome {
        let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
        self.has_questions = true;
        self.push(Queued::Later { spec, command, db: self.db, args }, bytes)
    }

    fn push(&mut self, queued: Queued, bytes: usize) -> Outcome {
        self.bytes += bytes;
        if self.queued.len() >= QUEUED_MAX || self.bytes > QUEUED_BYTES_MAX {
            return Err(Reply::error("ERR too many commands inside MULTI"));
        }
        self.queued.push(queued);
        Ok(Reply::Simple("QUEUED"))
    }
}

pub fn multi(front: &mut Front) -> Outcome {
    if front.session.transaction.is_some() {
        return Err(Reply::error("ERR MULTI calls can not be nested"));
    }
    let generation = front.session.access.generation();
    front.session.transaction =
        Some(Transaction { db: front.session.db, generation, ..Transaction::default() });
    front.conn.info.queued.store(0, Relaxed);
    Ok(Reply::OK)
}

pub fn discard(front: &mut Front) -> Outcome {
    match take(front) {
        Some(_) => watch::unwatch(front),
        None => Err(Reply::error("ERR DISCARD without MULTI")),
    }
}

fn take(front: &mut Front) -> Option<Transaction> {
    front.conn.info.queued.store(-1, Relaxed);
    front.session.transaction.take()
}

/// Whether `spec` waits for EXEC; then it has its reply.
pub fn queue(front: &mut Front, spec: &'static Spec, args: &[&[u8]]) -> bool {
    use ProxyCommand::{Discard, Exec, Multi, Quit, Reset, Watch};
    if matches!(spec.kind, Kind::Local(Discard | Exec | Multi | Quit | Reset | Watch)) {
        return false;
    }
    let Some(mut transaction) = front.session.transaction.take() else { return false };
    let reply = admit(front, &mut transaction, spec, args).unwrap_or_else(|refusal| {
        transaction.dirty = true;
        front.conn.worker.stats().rejected(spec);
        refusal
    });
    front.conn.info.queued.store(transaction.queued.len() as i64, Relaxed);
    front.session.transaction = Some(transaction);
    front.reply(&reply);
    true
}

fn admit(front: &Front, transaction: &mut Transaction, spec: &'static Spec, args: &[&[u8]]) -> Outcome {
    if spec.flags.has(flag::NO_MULTI) {
        return Err(Reply::error("ERR Command not allowed inside a transaction"));
    }
    transaction.replicates |= replicates(spec, args);
    let bytes = args.iter().map(|arg| arg.len()).sum::<usize>() + size_of::<Queued>();
    match spec.kind {
        Kind::Read(_) | Kind::Write(_) | Kind::Group { .. } | Kind::Broadcast { .. } => {
            if let Some(refusal) = front.elsewhere(args, spec) {
                return Err(refusal);
            }
            if let Kind::Broadcast { merge, .. } = spec.kind {
                // A cursor leads from group to group.
                if merge == Merge::Scan {
                    return transaction.push_later(spec, None, args, bytes);
                }
                transaction.whole = true;
            }
            let shard = namespaces::in_transaction(front, args, spec)?;
            let mut args: SmallVec<[&[u8]; 8]> = SmallVec::from_slice(args);
            let no_touch = front.session.wire_flags & wire::FLAG_NO_TOUCH;
            let mut flags = wire::flags(front.session.protocol) | no_touch;
            if let Some((_, key)) = &shard {
                args[0] = key;
                flags |= wire::FLAG_SHARD;
            }
            transaction.slots.extend(spec.key_positions(&args).map(|at| slot_of(args[at])));
            transaction.writes |= spec.is_write();
            if spec.group_command() == Some(GroupCommand::Script(ScriptCommand::EvalSha)) {
                transaction.digests.extend(digest(args[0]));
            }
            put_keyed(front, &mut transaction.commands, spec, transaction.db, flags, &args);
            transaction.push(Queued::Keyed(spec), bytes)
        }
        Kind::Local(ProxyCommand::ClusterChange) if front.session.side == Side::Cluster => {
            transaction.push(Queued::Topology(spec, Cluster::parse_change(args)?), bytes)
        }
        Kind::Local(command) if pubsub::waits(command) => {
            if let Some(refusal) = pubsub::elsewhere(front, args, spec) {
                return Err(refusal);
            }
            transaction.has_messages = true;
            transaction.push_later(spec, Some(command), args, bytes)
        }
        Kind::Local(command) if later::waits(Some(command)) => {
            transaction.push_later(spec, Some(command), args, bytes)
        }
        Kind::Local(command) if is_immediate(command) || command == ProxyCommand::ClientCaching => {
            if command == ProxyCommand::Select {
                transaction.db = connection::database(front.session.side, args[0])?;
            }
            let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
            transaction.push(Queued::Local { spec, command, args }, bytes)
        }
        _ => Err(unavailable(spec)),
    }
}

/// Encodes a command; a script goes with the user for whom it runs.
fn put_keyed(front: &Front, out: &mut Vec<u8>, spec: &Spec, db: u8, flags: u8, args: &[&[u8]]) {
    match front.script_rights(spec) {
        None => wire::put_command(out, spec.id as u16, flags, db, args),
        Some(user) => {
            let args: SmallVec<[&[u8]; 8]> = args.iter().copied().chain([&user[..]]).collect();
            wire::put_command(out, spec.id as u16, flags | wire::FLAG_USER, db, &args);
        }
    }
}

/// The arguments as the client gave them: without the user for whom a script runs.
fn own_args<'a, 'b>(command: &'b WireCommand<'a>) -> &'b [&'a [u8]] {
    let with_user = usize::from(command.flags & wire::FLAG_USER != 0);
    &command.args[..command.args.len().saturating_sub(with_user)]
}

fn unavailable(spec: &Spec) -> Reply {
    Reply::error(format!("ERR '{}' inside MULTI is not available", spec.full_name.replace('|', " ")))
}

/// EXEC cannot be executed: the transaction is gone.
pub fn abort(front: &mut Front, why: &CommandError) {
    take(front);
    let _ = watch::unwatch(front);
    let text = [b"EXECABORT Transaction discarded because of: ", &why.text()[..]].concat();
    front.reply(&Reply::Error(text.into()));
}

pub fn exec(front: &mut Front, call: Call) {
    let Some(mut transaction) = take(front) else {
        front.show(call.spec, front.session.db, &[]);
        return front.reply(&Reply::error("ERR EXEC without MULTI"));
    };
    if transaction.dirty {
        front.show(call.spec, front.session.db, &[]);
        let _ = watch::unwatch(front);
        return front.reply(&Reply::error("EXECABORT Transaction discarded because of previous errors."));
    }
    recheck(front, &mut transaction);
    show(front, &transaction, call.spec);
    if transaction.queued.iter().any(|queued| matches!(queued, Queued::Topology(..))) {
        return change_topology(front, transaction.queued, call);
    }
    say_what_is_cached(front, &mut transaction, call.spec);
    set_apart(front, &mut transaction);
    match plan(front, &transaction) {
        Err(refusal) => {
            let _ = watch::unwatch(front);
            front.reply(&refusal);
        }
        Ok(None) if !transaction.has_questions => {
            let Transaction { queued, commands, .. } = transaction;
            let (commands, replies, told) = (commands.into(), Vec::new(), Vec::new());
            let reply = assemble(front, Executed { queued, commands, replies, told, exec: call });
            front.reply(&reply);
        }
        Ok(target) => execute(front, transaction, target, call),
    }
}

/// Users have changed since commands were queued: what is not allowed any more is answered with an error.
fn recheck(front: &Front, transaction: &mut Transaction) {
    if front.session.access.generation() == transaction.generation {
        return;
    }
    *front.conn.info.last_command.lock() = "exec";
    let encoded = std::mem::take(&mut transaction.commands);
    let mut keyed = wire::commands(&encoded).filter_map(Result::ok);
    for queued in &mut transaction.queued {
        let denied = match queued {
            Queued::Keyed(_) => {
                let Some(command) = keyed.next() else { continue };
                let Some(spec) = commands::by_id(command.id) else { continue };
                let args = own_args(&command);
                let denied = front.recheck_rights(spec, args);
                if denied.is_none() {
                    let flags = command.flags & !wire::FLAG_USER;
                    put_keyed(front, &mut transaction.commands, spec, command.db, flags, args);
                }
                denied
            }
            Queued::Local { spec, args, .. } | Queued::Later { spec, args, .. } => {
                let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
                front.recheck_rights(spec, &args)
            }
            // It names no keys.
            Queued::Topology(spec, _) => front.recheck_rights(spec, &[spec.name().as_bytes()]),
            Queued::Answered(..) | Queued::Denied(_) => None,
        };
        if let Some(reply) = denied {
            *queued = Queued::Denied(reply);
        }
    }
}

/// CLIENT CACHING is about what the group of the keys reads as one, so it is executed before that. Reads before
/// it are treated like those behind it, unless those are not to be remembered.
fn say_what_is_cached(front: &mut Front, transaction: &mut Transaction, exec: &'static Spec) {
    let mut has_read = false;
    for queued in &mut transaction.queued {
        match queued {
            Queued::Keyed(_) => has_read = true,
            Queued::Local { spec, command: ProxyCommand::ClientCaching, args } => {
                let reply = tracking::caching_in_transaction(front, &args[1], has_read);
                *queued = Queued::Answered(spec, reply.unwrap_or_else(|error| error));
            }
            _ => {}
        }
    }
    front.session.wire_flags &= !wire::FLAG_TRACKED;
    front.session.track(exec);
}

/// A command on all keys that has no other on keys beside it is executed as outside of a transaction: no
/// group has to have them all.
fn set_apart(front: &mut Front, transaction: &mut Transaction) {
    let keyed = transaction.queued.iter().filter(|queued| matches!(queued, Queued::Keyed(_))).count();
    let (view, groups) = (front.view(), front.conn.worker.backend.groups().len());
    let is_alone = keyed == 1 && front.session.watching.len() == 0;
    if !transaction.whole || !is_alone || view.is_empty() || groups == 1 {
        return;
    }
    let encoded = std::mem::take(&mut transaction.commands);
    let Some(Ok(command)) = wire::commands(&encoded).next() else { return };
    for queued in &mut transaction.queued {
        if let Queued::Keyed(spec) = queued {
            let args = own_args(&command).iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
            *queued = Queued::Later { spec, command: None, db: command.db, args };
        }
    }
    if transaction.writes {
        view.into_iter().for_each(|group| front.session.written.note(Target::Group(group)));
    }
    transaction.whole = false;
    transaction.has_questions = true;
}

/// Where the commands on keys are executed; `None`: there are none, and nothing is watched.
fn plan(front: &Front, transaction: &Transaction) -> Result<Option<Target>, Reply> {
    let backend = &front.conn.worker.backend;
    let watching = &front.session.watching;
    let mut slots = transaction.slots.iter().copied().chain(watching.slots());
    if transaction.whole {
        let [group] = backend.groups()[..] else { return Err(CommandError::CrossSlot.into()) };
        return Ok(Some(Target::Group(group)));
    }
    let Some(first) = slots.next() else {
        let keyed = !transaction.commands.is_empty();
        // A command without keys may run anywhere.
        return Ok(keyed.then(|| Target::Slot(slot_of(b""))));
    };
    let group = served_by(&**backend, first)?;
    for slot in slots {
        if served_by(&**backend, slot)? != group {
            return Err(CommandError::CrossSlot.into());
        }
    }
    Ok(Some(Target::Slot(first)))
}

fn served_by(backend: &dyn Submit, slot: Slot) -> Result<GroupId, Reply> {
    let nobody = || Reply::error(RouteError::ClusterDown("Hash slot not served").to_string());
    backend.group_of(slot).ok_or_else(nobody)
}

fn execute(front: &mut Front, transaction: Transaction, target: Option<Target>, call: Call) {
    let watched = front.session.watching.encode();
    let _ = watch::unwatch(front);
    let protocol = front.session.protocol;
    let asker = Asker { db: 0, ..front.asker() };
    let spec = Id::Transaction.spec();
    let commands = Bytes::from(transaction.commands);
    let args = vec![Bytes::from(watched), commands.clone()];
    let worker = front.conn.worker.clone();
    let needed = target.and_then(|target| missing(front, target, transaction.digests));
    if transaction.writes {
        transaction.slots.iter().for_each(|&slot| front.session.written.note(Target::Slot(slot)));
        if transaction.whole {
            target.iter().for_each(|&target| front.session.written.note(target));
        }
    }
    let answer = target.map(|target| {
        let question = Question { asker, target, spec, args, writes: transaction.writes };
        // What nothing has to be brought for goes now.
        let flags = asker.flags & wire::FLAG_TRACKED;
        let asked = needed.is_none().then(|| ask_this(&*front.conn.worker.backend, &question, flags));
        async move {
            if let Some(asked) = asked {
                return asked.await;
            }
            if let Some((group, digests)) = needed {
                worker.scripts.bring(&*worker.backend, asker, group, digests).await;
            }
            ask_this(&*worker.backend, &question, flags).await
        }
    });
    let token = front.open(call);
    let later = transaction.has_questions.then(|| Later::of(front, transaction.has_messages));
    if transaction.has_messages {
        front.conn.hold_messages(token);
    }
    front.hold_changes(token);
    front.conn.run_then(token, async move {
        let bytes = match answer {
            None => Ok(None),
            Some(answer) => answer.await.map(Some),
        };
        let replies = match bytes {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(bytes)) => match resp::parse(&bytes, protocol) {
                Ok(Some((Reply::Array(replies), _))) => Ok(replies),
                // A key that is watched was changed, or the whole failed.
                _ => Err(Reply::Raw(bytes)),
            },
            Err(error) => Err(Reply::error(error.to_string())),
        };
        let mut told = Vec::new();
        if let (Ok(_), Some(later)) = (&replies, later) {
            for queued in &transaction.queued {
                if let Queued::Later { spec, command, db, args } = queued {
                    told.push(later.execute(spec, *command, *db, &borrowed(args)).await);
                }
            }
        }
        let rest: Rest = Box::new(move |front| match replies {
            Ok(replies) => {
                let queued = transaction.queued;
                assemble(front, Executed { queued, commands, replies, told, exec: call })
            }
            Err(reply) => reply,
        });
        rest
    });
}

/// The group that executes the transaction, and the scripts that it may not have.
fn missing(front: &Front, target: Target, mut digests: Vec<Bytes>) -> Option<(GroupId, Vec<Bytes>)> {
    let worker = &front.conn.worker;
    let group = match target {
        Target::Slot(slot) => worker.backend.group_of(slot)?,
        Target::Group(group) => group,
    };
    digests.retain(|digest| !worker.scripts.has(group, digest));
    digests.sort_unstable();
    digests.dedup();
    (!digests.is_empty()).then_some((group, digests))
}

/// What there is when a transaction was executed.
struct Executed {
    queued: Vec<Queued>,
    /// The commands on keys, in the form of a batch.
    commands: Bytes,
    /// Replies to them.
    replies: Vec<Reply>,
    /// Replies to those that [`Later`] executed.
    told: Vec<Reply>,
    exec: Call,
}

/// Executes the proxy's own commands, and puts all replies in order. Each command took as long as the
/// whole.
fn assemble(front: &mut Front, executed: Executed) -> Reply {
    let Executed { queued, commands, replies, told, exec } = executed;
    let (mut replies, mut told) = (replies.into_iter(), told.into_iter());
    let mut keyed = wire::commands(&commands);
    let worker = front.conn.worker.clone();
    let duration_us = worker.shared.now_us().saturating_sub(exec.started_us);
    let is_slow = worker.is_slow(duration_us);
    let mut all = Vec::with_capacity(queued.len());
    for queued in queued {
        let (spec, args, reply) = match &queued {
            Queued::Later { spec, args, .. } => (*spec, borrowed(args), told.next()),
            Queued::Local { spec, command, args } => {
                let args = borrowed(args);
                let reply = immediate(front, *command, &args, spec).unwrap_or_else(|error| error);
                (*spec, args, Some(reply))
            }
            Queued::Keyed(spec) => {
                let command = if is_slow { keyed.next() } else { None };
                (
                    *spec,
                    command.and_then(Result::ok).map(|c| own_args(&c).to_vec()).unwrap_or_default(),
                    replies.next(),
                )
            }
            Queued::Answered(spec, reply) => (*spec, Vec::new(), Some(reply.clone())),
            // Executed by `change_topology`.
            Queued::Topology(..) => continue,
            Queued::Denied(reply) => {
                all.push(reply.clone());
                continue;
            }
        };
        let reply = reply.unwrap_or(Reply::Null);
        worker.executed(spec, duration_us, error_of(&reply));
        if is_slow {
            let words = || slowlog::words(spec, exec.in_capitals, Some(&Words::of(spec, &args)));
            worker.note_slow(&front.conn.info, spec, duration_us, words);
        }
        all.push(reply);
    }
    Reply::Array(all)
}

fn borrowed(args: &[Bytes]) -> Vec<&[u8]> {
    args.iter().map(|arg| &arg[..]).collect()
}

/// Shows the commands to those who monitor: the client sends EXEC once, and they run now.
fn show(front: &Front, transaction: &Transaction, exec: &Spec) {
    if !front.conn.worker.shared.monitors.any() {
        return;
    }
    let mut keyed = wire::commands(&transaction.commands);
    for queued in &transaction.queued {
        match queued {
            Queued::Keyed(spec) => {
                if let Some(Ok(command)) = keyed.next() {
                    front.show(spec, command.db, own_args(&command));
                }
            }
            Queued::Local { spec, args, .. } | Queued::Later { spec, args, .. } => {
                front.show(spec, front.session.db, &borrowed(args));
            }
            Queued::Topology(..) | Queued::Answered(..) | Queued::Denied(_) => {}
        }
    }
    front.show(exec, front.session.db, &[]);
}

fn change_topology(front: &mut Front, queued: Vec<Queued>, call: Call) {
    let mut wishes = Vec::with_capacity(queued.len());
    for command in queued {
        match command {
            Queued::Topology(_, wish) => wishes.push(wish),
            // All of it is one change.
            Queued::Denied(reply) => return front.reply(&reply),
            _ => {
                return front.reply(&Reply::error(
                    "EXECABORT Changes of the topology and other commands cannot share a transaction.",
                ));
            }
        }
    }
    let changer = Changer::new(front);
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        changer.run(wishes).await.map_or_else(|error| error, Reply::Array)
    });
}
