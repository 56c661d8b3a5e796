//! EXEC: what was queued is checked once more, and where it is to run is decided.

use bytes::Bytes;
use commands::{CommandError, ProxyCommand, Spec, wire};
use resp::Reply;
use topology::{GroupId, Slot, slot_of};

use super::{
    Queued, Transaction, borrowed, own_args,
    queue::put_keyed,
    run::{Executed, assemble, execute},
    take,
};
use crate::{
    backend_api::{RouteError, Submit, Target},
    connection::Call,
    execute::Front,
    local::{cluster::Changer, tracking, watch},
};

/// EXEC is refused: the transaction is gone.
pub fn abort(front: &mut Front, why: &[u8]) {
    take(front);
    let _ = watch::unwatch(front);
    let why = why.strip_prefix(b"ERR ").unwrap_or(why);
    let text = [b"EXECABORT Transaction discarded because of: ", why].concat();
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
    let (view, groups) = (front.view(transaction.writes), front.conn.worker.backend.groups().len());
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
