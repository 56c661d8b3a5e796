//! Blocking commands that wait for a key: in memory of the leader, for one leadership.
//!
//! A command that waits is alone in its batch, which has a session of its own and the number 1. The
//! batch is answered when the command is served, in the entry of the write that served it; until then
//! nothing of it is in the log. When leadership ends the batch is refused and its proxy sends it to
//! the next leader under the same session: what was served answers from the session's table.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use proto::v1::{Batch, Refusal};

use super::inbox::{Incoming, ReplyQueue};

/// Commands that may wait in one group.
const WAITERS_MAX: usize = 100_000;

/// Place in the order in which commands began to wait.
pub type Place = u64;

/// A command that waits.
pub struct Waiter {
    pub batch: Batch,
    pub sink: Arc<ReplyQueue>,
    /// Keys of the head records that it waits for.
    heads: Vec<Bytes>,
}

/// All that wait.
#[derive(Default)]
pub struct Waiters {
    begun: Place,
    waiting: BTreeMap<Place, Waiter>,
    by_head: HashMap<Bytes, BTreeSet<Place>>,
    by_session: HashMap<u64, Place>,
}

impl Waiters {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a command wait. One that was sent again keeps its place.
    pub fn wait(&mut self, incoming: Incoming, heads: Vec<Bytes>) {
        let Incoming { batch, sink, .. } = incoming;
        if let Some(waiter) = self.by_session.get(&batch.session).and_then(|at| self.waiting.get_mut(at)) {
            waiter.batch.id = batch.id;
            waiter.sink = sink;
            return;
        }
        if self.waiting.len() >= WAITERS_MAX {
            return Incoming::new(batch, sink).refuse(Refusal::Overloaded, 0, 0);
        }
        let place = self.begun;
        self.begun += 1;
        self.by_session.insert(batch.session, place);
        for head in &heads {
            self.by_head.entry(head.clone()).or_default().insert(place);
        }
        self.waiting.insert(place, Waiter { batch, sink, heads });
    }

    pub fn waits_for(&self, head: &[u8]) -> bool {
        self.by_head.contains_key(head)
    }

    /// All keys that are waited for.
    pub fn heads(&self) -> Vec<Bytes> {
        self.by_head.keys().cloned().collect()
    }

    /// Who waits for a key, those first who began first.
    pub fn of(&self, head: &[u8]) -> Vec<Place> {
        self.by_head.get(head).map(|places| places.iter().copied().collect()).unwrap_or_default()
    }

    /// The command at `place`, if its proxy is still there.
    pub fn get(&mut self, place: Place) -> Option<&Waiter> {
        if self.waiting.get(&place)?.sink.is_closed() {
            self.remove(place);
            return None;
        }
        self.waiting.get(&place)
    }

    pub fn remove(&mut self, place: Place) -> Option<Waiter> {
        let waiter = self.waiting.remove(&place)?;
        self.by_session.remove(&waiter.batch.session);
        for head in &waiter.heads {
            if let Some(places) = self.by_head.get_mut(head) {
                places.remove(&place);
                if places.is_empty() {
                    self.by_head.remove(head);
                }
            }
        }
        Some(waiter)
    }

    /// The command of a session waits no more. It gets no answer: whoever ended it gets one.
    pub fn remove_session(&mut self, session: u64) {
        if let Some(&place) = self.by_session.get(&session) {
            self.remove(place);
        }
    }

    /// Refuses those for which `refusal` has a reason.
    pub fn refuse_where(&mut self, refusal: impl Fn(&[Bytes]) -> Option<Refusal>, hint: u64, version: u64) {
        let doomed: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|(&place, waiter)| refusal(&waiter.heads).map(|why| (place, why)))
            .collect();
        for (place, why) in doomed {
            if let Some(Waiter { batch, sink, .. }) = self.remove(place) {
                Incoming::new(batch, sink).refuse(why, hint, version);
            }
        }
    }

    /// Forgets those whose proxy is gone.
    pub fn forget_closed(&mut self) {
        let closed = self.waiting.iter().filter(|(_, waiter)| waiter.sink.is_closed());
        for place in closed.map(|(&place, _)| place).collect::<Vec<_>>() {
            self.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(session: u64, id: u64) -> Incoming {
        let batch = Batch { session, id, seq: 1, ..Batch::default() };
        Incoming::new(batch, Arc::default())
    }

    fn heads(names: &[&'static str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
    }

    #[test]
    fn who_began_first_is_first_also_when_sent_again() {
        let mut waiters = Waiters::default();
        waiters.wait(incoming(1, 10), heads(&["a", "b"]));
        waiters.wait(incoming(2, 20), heads(&["a"]));
        waiters.wait(incoming(1, 11), heads(&["a", "b"]));
        let places = waiters.of(b"a");
        let ids: Vec<_> = places.iter().map(|&place| waiters.get(place).unwrap().batch.id).collect();
        assert_eq!(ids, [11, 20]);
        waiters.remove(places[0]);
        assert!(!waiters.waits_for(b"b") && waiters.waits_for(b"a"));
        waiters.remove_session(2);
        assert!(waiters.is_empty() && waiters.by_head.is_empty() && waiters.by_session.is_empty());
    }

    #[test]
    fn those_whose_proxy_is_gone_are_forgotten() {
        let mut waiters = Waiters::default();
        let (gone, here) = (incoming(1, 1), incoming(2, 2));
        let sink = gone.sink.clone();
        waiters.wait(gone, heads(&["a"]));
        waiters.wait(here, heads(&["b"]));
        sink.close();
        assert!(waiters.get(0).is_none());
        assert_eq!(waiters.len(), 1);
        waiters.forget_closed();
        assert_eq!(waiters.len(), 1);
    }

    #[test]
    fn the_refused_leave() {
        let mut waiters = Waiters::default();
        let refused = incoming(1, 1);
        let sink = refused.sink.clone();
        waiters.wait(refused, heads(&["a"]));
        waiters.wait(incoming(2, 2), heads(&["b"]));
        waiters.refuse_where(|heads| (heads[0] == "a").then_some(Refusal::WrongGroup), 0, 3);
        assert_eq!(waiters.len(), 1);
        assert_eq!(sink.take()[0].topology_version, 3);
    }
}
