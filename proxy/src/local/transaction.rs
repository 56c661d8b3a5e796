//! MULTI, EXEC, DISCARD. Commands are checked and encoded when they are queued. At EXEC those on keys
//! go to their group as one; what the proxy answers itself is put between their replies. Changes of the
//! topology go to meta as one step and do not mix with others.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use commands::{CommandError, Id, Kind, Merge, ProxyCommand, Spec, flags::flag, wire};
use resp::Reply;
use smallvec::SmallVec;
use topology::{GroupId, Slot, slot_of};

use super::{Outcome, cluster::Changer, connection, immediate, is_immediate, pubsub, watch};
use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{RouteError, Submit, Target},
    clients::Side,
    cluster::{Cluster, Wish},
    connection::{Call, Rest},
    execute::Front,
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
    /// Slots of their keys, each once.
    slots: Vec<Slot>,
    writes: bool,
    /// A command means all keys: it can be executed only where one group has them all.
    whole: bool,
    /// Bytes that are kept.
    bytes: usize,
    /// As SELECT leaves it.
    db: u8,
    /// Something is published or subscribed to.
    has_messages: bool,
    /// A command was refused: EXEC runs nothing.
    dirty: bool,
}

#[derive(Debug)]
enum Queued {
    /// Encoded in `commands`.
    Keyed,
    Local {
        spec: &'static Spec,
        command: ProxyCommand,
        args: Vec<Bytes>,
    },
    Topology(Wish),
}

impl Transaction {
    pub fn refuse(&mut self) {
        self.dirty = true;
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
    front.session.transaction = Some(Transaction { db: front.session.db, ..Transaction::default() });
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
    let bytes = args.iter().map(|arg| arg.len()).sum::<usize>() + size_of::<Queued>();
    match spec.kind {
        Kind::Read(_) | Kind::Write(_) | Kind::Group { .. } | Kind::Broadcast { .. } => {
            if let Some(refusal) = front.elsewhere(args, spec) {
                return Err(refusal);
            }
            if let Kind::Broadcast { merge, .. } = spec.kind {
                // A cursor leads from group to group.
                if merge == Merge::Scan {
                    return Err(unavailable(spec));
                }
                transaction.whole = true;
            }
            let slots: SmallVec<[Slot; 8]> = spec.key_positions(args).map(|at| slot_of(args[at])).collect();
            for slot in slots {
                if !transaction.slots.contains(&slot) {
                    transaction.slots.push(slot);
                }
            }
            transaction.writes |= spec.is_write();
            let flags = wire::flags(front.session.protocol);
            wire::put_command(&mut transaction.commands, spec.id as u16, flags, transaction.db, args);
            transaction.push(Queued::Keyed, bytes)
        }
        Kind::Local(ProxyCommand::ClusterChange) if front.session.side == Side::Cluster => {
            transaction.push(Queued::Topology(Cluster::parse_change(args)?), bytes)
        }
        Kind::Local(command) if pubsub::waits(command) => {
            if let Some(refusal) = pubsub::elsewhere(front, args, spec) {
                return Err(refusal);
            }
            transaction.has_messages = true;
            let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
            transaction.push(Queued::Local { spec, command, args }, bytes)
        }
        Kind::Local(command) if is_immediate(command) => {
            if command == ProxyCommand::Select {
                transaction.db = connection::database(front.session.side, args[0])?;
            }
            let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
            transaction.push(Queued::Local { spec, command, args }, bytes)
        }
        _ => Err(unavailable(spec)),
    }
}

fn unavailable(spec: &Spec) -> Reply {
    Reply::error(format!("ERR '{}' inside MULTI is not available", spec.full_name.replace('|', " ")))
}

pub fn exec(front: &mut Front, call: Call) {
    let Some(transaction) = take(front) else {
        return front.reply(&Reply::error("ERR EXEC without MULTI"));
    };
    if transaction.dirty {
        let _ = watch::unwatch(front);
        return front.reply(&Reply::error("EXECABORT Transaction discarded because of previous errors."));
    }
    if transaction.queued.iter().any(|queued| matches!(queued, Queued::Topology(_))) {
        return change_topology(front, transaction.queued, call);
    }
    match plan(front, &transaction) {
        Err(refusal) => {
            let _ = watch::unwatch(front);
            front.reply(&refusal);
        }
        Ok(None) if !transaction.has_messages => {
            let reply = assemble(front, transaction.queued, Vec::new(), Vec::new());
            front.reply(&reply);
        }
        Ok(target) => execute(front, transaction, target, call),
    }
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
    let spec = commands::by_id(Id::Transaction as u16).expect("every id has a row");
    let args = vec![Bytes::from(watched), Bytes::from(transaction.commands)];
    let answer = target.map(|target| {
        let question = Question { asker, target, spec, args, writes: transaction.writes };
        ask_this(&*front.conn.worker.backend, &question, 0)
    });
    let token = front.open(call);
    let client = transaction.has_messages.then(|| pubsub::Client::of(front, true));
    if client.is_some() {
        front.conn.hold_messages(token);
    }
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
        if let (Ok(_), Some(client)) = (&replies, client) {
            for queued in &transaction.queued {
                if let Queued::Local { command, args, .. } = queued
                    && pubsub::waits(*command)
                {
                    let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
                    told.push(client.execute(*command, &args).await);
                }
            }
        }
        let rest: Rest = Box::new(move |front| match replies {
            Ok(replies) => assemble(front, transaction.queued, replies, told),
            Err(reply) => reply,
        });
        rest
    });
}

/// Puts the replies of commands on keys, of those about messages (`told`) and of the proxy's own in
/// order.
fn assemble(front: &mut Front, queued: Vec<Queued>, replies: Vec<Reply>, told: Vec<Reply>) -> Reply {
    let (mut replies, mut told) = (replies.into_iter(), told.into_iter());
    let mut all = Vec::with_capacity(queued.len());
    for command in queued {
        all.push(match command {
            Queued::Local { command, .. } if pubsub::waits(command) => told.next().unwrap_or(Reply::Null),
            Queued::Local { spec, command, args } => {
                let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
                immediate(front, command, &args, spec).unwrap_or_else(|error| error)
            }
            _ => replies.next().unwrap_or(Reply::Null),
        });
    }
    Reply::Array(all)
}

fn change_topology(front: &mut Front, queued: Vec<Queued>, call: Call) {
    let mut wishes = Vec::with_capacity(queued.len());
    for command in queued {
        match command {
            Queued::Topology(wish) => wishes.push(wish),
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
