//! A command that comes between MULTI and EXEC: checked, encoded, kept.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use commands::{GroupCommand, Kind, Merge, ProxyCommand, ScriptCommand, Spec, flags::flag, wire};
use resp::Reply;
use smallvec::SmallVec;
use topology::slot_of;

use super::{Queued, Transaction};
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
