//! The queued commands run: first those on keys, as one, then what is asked of others, then the proxy's own.

use bytes::Bytes;
use commands::{Id, wire};
use resp::Reply;
use topology::GroupId;

use super::{Queued, Transaction, borrowed, own_args};
use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::Target,
    connection::{Call, Rest},
    execute::Front,
    local::{immediate, later::Later, watch},
    slowlog::{self, Words},
    stats::error_of,
};

pub(super) fn execute(front: &mut Front, transaction: Transaction, target: Option<Target>, call: Call) {
    let watched = front.session.watching.encode();
    let _ = watch::unwatch(front);
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
            // Without items: a key that is watched was changed, or the whole failed.
            Ok(Some(bytes)) => resp::items(&bytes).ok_or(Reply::Raw(bytes)),
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
pub(super) struct Executed {
    pub queued: Vec<Queued>,
    /// The commands on keys, in the form of a batch.
    pub commands: Bytes,
    /// Replies to them.
    pub replies: Vec<Bytes>,
    /// Replies to those that [`Later`] executed.
    pub told: Vec<Reply>,
    pub exec: Call,
}

/// Executes the proxy's own commands, and puts all replies in order. Each command took as long as the
/// whole.
pub(super) fn assemble(front: &mut Front, executed: Executed) -> Reply {
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
                    replies.next().map(Reply::Raw),
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
