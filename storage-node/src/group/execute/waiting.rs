//! What happens after a command: transactions that watched its keys will fail, and commands that
//! waited for them are served, in the order in which they began to wait.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use commands::{
    CommandError, Id, Spec,
    wire::{self, WireCommand},
};
use datatypes::{Type, kv::Kv, record};
use resp::Reply;

use super::{Execution, heads, protocol, reply_of};
use crate::group::{
    inbox::ReplyQueue,
    view::{EntryId, View},
    waiters::Place,
};

/// A command that waited and has its answer, which is in the entry that is being gathered.
pub struct Served {
    pub sink: Arc<ReplyQueue>,
    /// Id of its batch.
    pub id: u64,
    pub session: u64,
    pub replies: Bytes,
}

/// What became of one attempt to serve a command that waits.
enum Attempt {
    Served,
    /// There is nothing for it, and may be something for others.
    NotThis,
    /// There is nothing for anybody, since the key is gone.
    Nothing,
}

impl Execution<'_> {
    /// Tells those who watch or wait what was written since there were `before` written keys.
    pub(super) fn tell(&mut self, before: usize) {
        let mut changed = self.note_changes(before);
        while let Some(head) = changed.pop_front() {
            let mut is_gone = false;
            for place in self.clients.waiters.of(&head) {
                // Only who reads for a group is told so.
                if is_gone && !self.reads_for_group(place) {
                    continue;
                }
                let before = self.written.keys.len();
                match self.attempt(place, &head) {
                    Attempt::Served => changed.extend(self.note_changes(before)),
                    Attempt::NotThis => {}
                    Attempt::Nothing => is_gone = true,
                }
            }
        }
    }

    /// Keys that changed and are waited for, each once.
    fn note_changes(&mut self, before: usize) -> VecDeque<Bytes> {
        let changes = self.written.changes_since(before);
        self.note_for_caches(&changes);
        if changes.flushed {
            self.clients.watches.flushed();
        }
        let mut known = HashSet::new();
        let mut waited_for = VecDeque::new();
        if changes.flushed {
            // Who reads for a group is told that it is gone.
            let mut heads = self.clients.waiters.heads();
            heads.sort_unstable();
            known.extend(heads.iter().cloned());
            waited_for.extend(heads);
        }
        for head in changes.heads {
            self.clients.watches.changed(&head);
            if self.clients.waiters.waits_for(&head) && known.insert(head.clone()) {
                waited_for.push_back(head);
            }
        }
        waited_for
    }

    fn reads_for_group(&mut self, place: Place) -> bool {
        let id = self.clients.waiters.get(place).and_then(|waiter| waiter.batch.commands.first_chunk());
        id == Some(&(Id::Xreadgroup as u16).to_le_bytes())
    }

    fn attempt(&mut self, place: Place, head: &[u8]) -> Attempt {
        let Some(waiter) = self.clients.waiters.get(place) else { return Attempt::NotThis };
        let encoded = waiter.batch.commands.clone();
        let Some(Ok(command)) = wire::commands(&encoded).next() else { return Attempt::NotThis };
        let Some(spec) = commands::by_id(command.id) else { return Attempt::NotThis };
        self.writer = command.writer;
        let (result, _) = self.call(spec, &command);
        match result {
            Err(CommandError::WouldBlock(_)) if !self.is_stored(head) => return Attempt::Nothing,
            Err(CommandError::WouldBlock(_)) => return Attempt::NotThis,
            Err(CommandError::WrongType) if self.is_of_another_type(spec, head) => return Attempt::NotThis,
            _ => {}
        }
        self.finish(place, &reply_of(result), protocol(&command));
        Attempt::Served
    }

    fn finish(&mut self, place: Place, reply: &Reply, protocol: resp::Protocol) {
        let Some(waiter) = self.clients.waiters.remove(place) else { return };
        let mut encoded = Vec::new();
        resp::encode(reply, protocol, &mut encoded);
        let mut replies = Vec::with_capacity(encoded.len() + 5);
        wire::put_bytes(&mut replies, &encoded);
        let (session, replies) = (waiter.batch.session, Bytes::from(replies));
        self.effects.session(session, waiter.batch.seq, 0, &replies);
        self.served.push(Served { sink: waiter.sink, id: waiter.batch.id, session, replies });
    }

    fn is_stored(&mut self, head: &[u8]) -> bool {
        self.stored(head).is_some()
    }

    /// Whether a command that comes to wait does so. It was tried before, and found no key of a wrong type.
    pub(super) fn may_wait(&mut self, error: &CommandError, command: &WireCommand<'_>) -> bool {
        match (error, commands::by_id(command.id)) {
            (CommandError::WouldBlock(_), _) => true,
            (CommandError::WrongType, Some(spec)) => {
                // These wait for the first of their keys.
                let is_move = matches!(spec.id, Id::Blmove | Id::Brpoplpush);
                let heads = heads(command);
                let awaited = if is_move { &heads[..1] } else { &heads[..] };
                awaited.iter().any(|head| self.is_of_another_type(spec, head))
            }
            _ => false,
        }
    }

    /// The key may be of another type now, and of the right one later. Who reads for a group is told; so is
    /// everyone who is refused for another key.
    fn is_of_another_type(&mut self, spec: &Spec, head: &[u8]) -> bool {
        let found = self.stored(head).and_then(|stored| Some(record::peek(&stored).ok()?.0));
        spec.id != Id::Xreadgroup && found != Some(type_for(spec))
    }

    fn stored(&mut self, head: &[u8]) -> Option<Bytes> {
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let stored = view.get(head).ok().flatten();
        let _: EntryId = view.discard();
        stored
    }
}

/// What has to come for a command that waits.
fn type_for(spec: &Spec) -> Type {
    match spec.id {
        Id::Bzpopmin | Id::Bzpopmax | Id::Bzmpop => Type::SortedSet,
        Id::Xread | Id::Xreadgroup => Type::Stream,
        _ => Type::List,
    }
}
