//! MULTI, EXEC, DISCARD. Commands are checked and encoded when they are queued. At EXEC those on keys
//! go to their group as one; what the proxy answers itself is put between their replies. Changes of the
//! topology go to meta as one step and do not mix with others.

mod exec;
mod queue;
mod run;

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use commands::{
    ProxyCommand, Spec,
    wire::{self, WireCommand},
};
use resp::Reply;
use topology::Slot;

pub use self::{
    exec::{abort, exec},
    queue::queue,
};
use super::{Outcome, watch};
use crate::{cluster::Wish, execute::Front};

/// Commands between MULTI and EXEC.
const QUEUED_MAX: usize = 1 << 20;
/// Bytes of them.
const QUEUED_BYTES_MAX: usize = 512 << 20;

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub struct Transaction {
    queued: Vec<Queued>,
    /// Commands that were queued, as the client is shown.
    count: usize,
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
    /// A command was refused: EXEC runs nothing, and nothing is kept for it.
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

    /// A command is refused: what was queued will not be executed.
    pub fn refuse(&mut self) {
        let Self { count, replicates, db, .. } = *self;
        *self = Self { count, replicates, db, dirty: true, ..Self::default() };
    }

    fn push_later(&mut self, spec: &'static Spec, command: Option<ProxyCommand>, args: &[&[u8]]) -> Outcome {
        self.push(copied_bytes(args), |transaction| {
            transaction.has_questions = true;
            Queued::Later { spec, command, db: transaction.db, args: copied(args) }
        })
    }

    /// Queues what `keep` makes of a command that takes so many bytes, if there is room for it. Where EXEC
    /// runs nothing, nothing is kept.
    fn push(&mut self, bytes: usize, keep: impl FnOnce(&mut Self) -> Queued) -> Outcome {
        let answer = Reply::Simple("QUEUED");
        if self.dirty {
            return Ok(answer);
        }
        if self.queued.len() >= QUEUED_MAX || self.bytes + bytes > QUEUED_BYTES_MAX {
            return Err(Reply::error("ERR too many commands inside MULTI"));
        }
        let encoded = self.commands.len();
        let queued = keep(self);
        self.queued.push(queued);
        self.count += 1;
        // With a script goes its user.
        self.bytes += bytes.max(self.commands.len() - encoded);
        Ok(answer)
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

/// The arguments as the client gave them: without the user for whom a script runs.
pub fn own_args<'a, 'b>(command: &'b WireCommand<'a>) -> &'b [&'a [u8]] {
    let with_user = usize::from(command.flags & wire::FLAG_USER != 0);
    &command.args[..command.args.len().saturating_sub(with_user)]
}

fn copied(args: &[&[u8]]) -> Vec<Bytes> {
    args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect()
}

/// Bytes that a command takes whose arguments are copied one by one.
fn copied_bytes(args: &[&[u8]]) -> usize {
    args.iter().map(|arg| arg.len() + size_of::<Bytes>()).sum::<usize>() + size_of::<Queued>()
}

fn borrowed(args: &[Bytes]) -> Vec<&[u8]> {
    args.iter().map(|arg| &arg[..]).collect()
}

#[cfg(test)]
mod tests {
    use commands::Id;

    use super::*;

    /// Whether a command is answered that it is queued.
    fn queues(transaction: &mut Transaction, bytes: usize) -> bool {
        let keep = |transaction: &mut Transaction| {
            transaction.commands.push(0);
            transaction.digests.push(Bytes::new());
            Queued::Keyed(Id::Get.spec())
        };
        transaction.push(bytes, keep) == Ok(Reply::Simple("QUEUED"))
    }

    #[test]
    fn past_its_limit_a_transaction_keeps_nothing() {
        let mut transaction = Transaction::default();
        assert!(queues(&mut transaction, QUEUED_BYTES_MAX - 1));
        assert!(queues(&mut transaction, 1));
        assert!(!queues(&mut transaction, 1));
        assert_eq!((transaction.queued.len(), transaction.commands.len(), transaction.count), (2, 2, 2));
        transaction.refuse();
        assert!(queues(&mut transaction, 1), "as Redis says");
        let Transaction { queued, commands, digests, bytes, count, .. } = transaction;
        assert!(queued.is_empty() && commands.capacity() == 0 && digests.is_empty());
        assert_eq!((bytes, count), (0, 2));
    }

    #[test]
    fn users_that_go_with_scripts_count() {
        let mut transaction = Transaction::default();
        let with_user = |transaction: &mut Transaction| {
            transaction.commands.extend([0; 100]);
            Queued::Keyed(Id::Eval.spec())
        };
        assert!(transaction.push(10, with_user).is_ok());
        assert_eq!(transaction.bytes, 100);
    }
}
