//! A command that comes between MULTI and EXEC: checked, encoded, kept.

use std::sync::atomic::Ordering::Relaxed;

use commands::{GroupCommand, Kind, Merge, ProxyCommand, ScriptCommand, Spec, flags::flag, wire};
use resp::Reply;
use smallvec::SmallVec;
use topology::slot_of;

use super::{Queued, Transaction, copied, copied_bytes};
use crate::{
    clients::Side,
    cluster::Cluster,
    execute::Front,
    local::{Outcome, connection, is_immediate, later, pubsub},
    namespaces,
    pause::replicates,
    scripts::digest,
};

/// Whether `spec` waits for EXEC; then it has its reply.
pub fn queue(front: &mut Front, spec: &'static Spec, args: &[&[u8]]) -> bool {
    use ProxyCommand::{Discard, Exec, Multi, Quit, Reset, Watch};
    if matches!(spec.kind, Kind::Local(Discard | Exec | Multi | Quit | Reset | Watch)) {
        return false;
    }
    let Some(mut transaction) = front.session.transaction.take() else { return false };
    let reply = admit(front, &mut transaction, spec, args).unwrap_or_else(|refusal| {
        transaction.refuse();
        front.conn.worker.stats().rejected(spec);
        refusal
    });
    front.conn.info.queued.store(transaction.count as i64, Relaxed);
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
            // A cursor leads from group to group.
            if matches!(spec.kind, Kind::Broadcast { merge: Merge::Scan, .. }) {
                return transaction.push_later(spec, None, args);
            }
            let shard = namespaces::in_transaction(front, args, spec)?;
            transaction.push(bytes, |transaction| {
                keep_keyed(front, transaction, spec, args, shard.as_ref().map(|(_, key)| &key[..]));
                Queued::Keyed(spec)
            })
        }
        Kind::Local(ProxyCommand::ClusterChange) if front.session.side == Side::Cluster => {
            let wish = Cluster::parse_change(args)?;
            transaction.push(bytes, |_| Queued::Topology(spec, wish))
        }
        Kind::Local(command) if pubsub::waits(command) => {
            if let Some(refusal) = pubsub::elsewhere(front, args, spec) {
                return Err(refusal);
            }
            transaction.has_messages = true;
            transaction.push_later(spec, Some(command), args)
        }
        Kind::Local(command) if later::waits(Some(command)) => {
            transaction.push_later(spec, Some(command), args)
        }
        Kind::Local(command) if is_immediate(command) || command == ProxyCommand::ClientCaching => {
            if command == ProxyCommand::Select {
                // One that is not there is refused when it is executed.
                transaction.db = connection::database(front.session.side, args[0]).unwrap_or(transaction.db);
            }
            transaction.push(copied_bytes(args), |_| Queued::Local { spec, command, args: copied(args) })
        }
        _ => Err(unavailable(spec)),
    }
}

/// Encodes a command on keys, the one of a namespace's shard instead of its own if there is one.
fn keep_keyed(
    front: &Front,
    transaction: &mut Transaction,
    spec: &'static Spec,
    args: &[&[u8]],
    shard: Option<&[u8]>,
) {
    let mut args: SmallVec<[&[u8]; 8]> = SmallVec::from_slice(args);
    let no_touch = front.session.wire_flags & wire::FLAG_NO_TOUCH;
    let mut flags = wire::flags(front.session.protocol) | no_touch;
    if let Some(key) = shard {
        args[0] = key;
        flags |= wire::FLAG_SHARD;
    }
    transaction.whole |= matches!(spec.kind, Kind::Broadcast { .. });
    transaction.writes |= spec.is_write();
    transaction.slots.extend(spec.key_positions(&args).map(|at| slot_of(args[at])));
    if spec.group_command() == Some(GroupCommand::Script(ScriptCommand::EvalSha)) {
        transaction.digests.extend(digest(args[0]));
    }
    put_keyed(front, &mut transaction.commands, spec, transaction.db, flags, &args);
}

/// Encodes a command; a script goes with the user for whom it runs.
pub(super) fn put_keyed(front: &Front, out: &mut Vec<u8>, spec: &Spec, db: u8, flags: u8, args: &[&[u8]]) {
    match front.script_rights(spec) {
        None => wire::put_command(out, spec.id as u16, flags, db, args),
        Some(user) => {
            let args: SmallVec<[&[u8]; 8]> = args.iter().copied().chain([&user[..]]).collect();
            wire::put_command(out, spec.id as u16, flags | wire::FLAG_USER, db, &args);
        }
    }
}

fn unavailable(spec: &Spec) -> Reply {
    Reply::error(format!("ERR '{}' inside MULTI is not available", spec.full_name.replace('|', " ")))
}
