//! What a command sees and changes: committed state under the overlay of writes in flight.

use std::cell::Cell;

use bytes::Bytes;
use commands::CommandError;
use datatypes::Event;
use datatypes::kv::{Kv, KvMut, Savepoints, StoreError, Visit};
use resp::Reply;
use topology::Classes;

use super::{
    effects::{EffectsBuilder, Mark},
    idle::LastUses,
    memory::{Found, Hidden, Layer, Value},
    state::{Counts, Direction, GroupState, count_of, counted},
    tracking::Told,
};
use crate::events::{Announced, ChangedKeys};

/// Number of an entry of this leadership, counted from 1; 0 stands for committed state.
pub type EntryId = u64;

/// What wrote something in the overlay.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    eid: EntryId,
    /// Where the operation is ([`EffectsBuilder::place`]).
    place: u64,
}

/// Writes evaluated but not applied yet, tagged with the entry that carries them.
#[derive(Default)]
pub struct Overlay {
    pub layer: Layer<Tag>,
    /// Numbers of keys as the entry has left them that changed each of them last, and which entry that was. In
    /// force until it is settled. (A difference to the committed state would be counted twice once the entry is
    /// applied and nobody here knows yet.)
    counts: Counts<u64>,
    counted_by: Counts<EntryId>,
    settled: EntryId,
    /// The latest entry that wrote anything here.
    latest: EntryId,
    /// Someone wants to know of keys that change without a write of their head record.
    pub observed: bool,
    /// Which keyspace events are announced.
    pub announced: Classes,
    last_uses: LastUses,
    /// The command that is executed uses no key, for [`LastUses`].
    pub spares_uses: bool,
    /// Keys that commands were to read, since this replica leads.
    pub lookups: Lookups,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookups {
    pub hits: u64,
    pub misses: u64,
}

impl Overlay {
    /// Forgets what entries up to `eid` wrote: it is in the committed state now.
    pub fn settle(&mut self, eid: EntryId, written: &Written) {
        for key in &written.keys {
            self.layer.forget(key, |tag| tag.eid <= eid);
        }
        self.layer.forget_cleared(|tag| tag.eid <= eid);
        self.settled = eid;
    }

    /// Keys of the database that is counted at `at`.
    fn count(&self, state: &GroupState, at: usize) -> u64 {
        if self.counted_by[at] > self.settled {
            self.counts[at]
        } else {
            state.applied.key_counts.of(counted(at))
        }
    }
}

/// What one entry wrote, for settling it.
#[derive(Default)]
pub struct Written {
    pub keys: Vec<Bytes>,
    /// Head records of keys that changed otherwise; kept while [`Overlay::observed`], until someone looks.
    touched: Vec<Bytes>,
    /// Keys were removed by the range.
    flushed: bool,
    /// Keyspace events, to be told once it is settled.
    pub events: Vec<Announced>,
    /// Likewise, to streams that have read what changed.
    pub told: Vec<Told>,
    /// Likewise, to those who are told of all keys with a prefix; kept while there are any.
    pub changed: ChangedKeys,
}

/// Which keys the last commands changed.
#[derive(Default)]
pub struct Changes {
    /// Keys of their head records.
    pub heads: Vec<Bytes>,
    /// And an unknown number of others.
    pub flushed: bool,
}

impl Written {
    /// Splits off what belongs to an entry that ends at `end`.
    pub fn split(&mut self, end: &Extent) -> Self {
        let keys = self.keys.drain(..end.keys).collect();
        let events = self.events.drain(..end.events).collect();
        // Told early, readers read again, which waits until all of it is evaluated.
        let (told, changed) = (std::mem::take(&mut self.told), std::mem::take(&mut self.changed));
        Self { keys, events, told, changed, ..Self::default() }
    }

    /// What was written since there were `from` keys here.
    pub fn changes_since(&mut self, from: usize) -> Changes {
        let heads = self.keys[from..].iter().filter(|stored| datatypes::key::parse_head(stored).is_some());
        let mut changes = Changes { heads: heads.cloned().collect(), flushed: self.flushed };
        changes.heads.append(&mut self.touched);
        self.flushed = false;
        changes
    }
}

/// The view of one command. Dropped without [`commit`](View::commit), it leaves no trace.
pub struct View<'a> {
    state: &'a GroupState,
    overlay: &'a mut Overlay,
    effects: &'a mut EffectsBuilder,
    written: &'a mut Written,
    /// The entry that this command's writes will travel in.
    eid: EntryId,
    /// Latest entry in flight whose writes the command has seen.
    seen: Cell<EntryId>,
    undo: Vec<Undo>,
    counts: Counts<i64>,
    mark: (Mark, usize),
    latest_before: EntryId,
    touched_before: usize,
    events_before: usize,
    /// What was not kept yet, the latest last.
    marks: Vec<Moment>,
    /// A write did not fit into the entry and is missing.
    overfull: bool,
}

/// A view that nobody holds: what its command has done so far. Meanwhile nothing else is evaluated; what is
/// in flight may settle, and what was gathered before its batch may go on its way.
pub struct Paused {
    eid: EntryId,
    seen: EntryId,
    undo: Vec<Undo>,
    counts: Counts<i64>,
    mark: (Mark, usize),
    latest_before: EntryId,
    touched_before: usize,
    events_before: usize,
}

impl Paused {
    /// Entries up to `eid` are part of the committed state: undoing must not bring back what the overlay
    /// knew of them.
    pub fn settle(&mut self, eid: EntryId) {
        for undo in &mut self.undo {
            match undo {
                Undo::Point(_, previous) if previous.as_ref().is_some_and(|(_, tag)| tag.eid <= eid) => {
                    *previous = None;
                }
                Undo::Point(..) => {}
                Undo::Range(_, _, hidden) => hidden.forget(|tag| tag.eid <= eid),
            }
        }
    }

    /// So much of what was gathered is gone from the front.
    pub fn shift(&mut self, by: &Extent) {
        self.mark = (self.mark.0.less(&by.effects), self.mark.1 - by.keys);
        self.events_before -= by.events;
    }
}

/// How much has been gathered for an entry.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub effects: Mark,
    pub keys: usize,
    pub events: usize,
}

/// A moment of a command.
struct Moment {
    undo: usize,
    effects: Mark,
    keys: usize,
    touched: usize,
    events: usize,
    counts: Counts<i64>,
}

enum Undo {
    Point(Bytes, Option<(Value, Tag)>),
    /// A cleared range, and what it has hidden.
    Range(Bytes, Bytes, Hidden<Tag>),
}

impl<'a> View<'a> {
    pub fn new(
        state: &'a GroupState,
        overlay: &'a mut Overlay,
        effects: &'a mut EffectsBuilder,
        written: &'a mut Written,
        eid: EntryId,
    ) -> Self {
        Self {
            eid,
            seen: Cell::new(0),
            undo: Vec::new(),
            counts: Counts::default(),
            mark: (effects.mark(), written.keys.len()),
            latest_before: overlay.latest,
            touched_before: written.touched.len(),
            events_before: written.events.len(),
            marks: Vec::new(),
            overfull: false,
            state,
            overlay,
            effects,
            written,
        }
    }

    /// Between two commands of a script.
    pub fn pause(self) -> Paused {
        debug_assert!(self.marks.is_empty(), "within a command");
        let Self { eid, undo, counts, mark, latest_before, touched_before, events_before, .. } = self;
        let seen = self.seen.get();
        Paused { eid, seen, undo, counts, mark, latest_before, touched_before, events_before }
    }

    pub fn resume(
        paused: Paused,
        state: &'a GroupState,
        overlay: &'a mut Overlay,
        effects: &'a mut EffectsBuilder,
        written: &'a mut Written,
    ) -> Self {
        let Paused { eid, seen, undo, counts, mark, latest_before, touched_before, events_before } = paused;
        Self {
            undo,
            counts,
            mark,
            latest_before,
            touched_before,
            events_before,
            seen: Cell::new(seen),
            ..Self::new(state, overlay, effects, written, eid)
        }
    }

    /// Keeps the writes if the command succeeded, and it and its reply fit into the entry.
    pub fn conclude(mut self, result: Result<Reply, CommandError>) -> (Result<Reply, CommandError>, EntryId) {
        let result = result.and_then(|reply| self.admit(reply));
        let seen = if result.is_ok() { self.commit() } else { self.discard() };
        (result, seen)
    }

    fn admit(&mut self, reply: Reply) -> Result<Reply, CommandError> {
        let bytes = reply.weight();
        if self.overfull || !self.effects.has_room(bytes) {
            return Err(CommandError::TooMuchAtOnce);
        }
        self.effects.expect_reply(bytes);
        Ok(reply)
    }

    /// Keeps the writes. Answers the latest entry whose writes this command saw or made, 0: none.
    pub fn commit(mut self) -> EntryId {
        for (at, &delta) in self.counts.iter().enumerate().filter(|(_, d)| **d != 0) {
            self.effects.count(counted(at), delta);
            self.overlay.counts[at] = self.overlay.count(self.state, at).saturating_add_signed(delta);
            self.overlay.counted_by[at] = self.eid;
        }
        let wrote = self.effects.mark() != self.mark.0;
        self.undo.clear();
        if wrote { self.eid } else { self.seen.get() }
    }

    /// Takes the writes back. Answers the latest entry whose writes this command saw.
    pub fn discard(mut self) -> EntryId {
        self.undo_from(0);
        self.effects.rewind(self.mark.0);
        self.written.keys.truncate(self.mark.1);
        self.written.touched.truncate(self.touched_before);
        self.written.events.truncate(self.events_before);
        self.overlay.latest = self.latest_before;
        self.seen.get()
    }

    fn undo_from(&mut self, moment: usize) {
        for undo in self.undo.drain(moment..).rev() {
            match undo {
                Undo::Point(key, previous) => self.overlay.layer.restore(&key, previous),
                Undo::Range(from, to, hidden) => self.overlay.layer.restore_range(&from, &to, hidden),
            }
        }
    }

    fn walk(
        &mut self,
        direction: Direction,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if !self.overlay.layer.is_empty() {
            // Whatever is in flight may belong to the range.
            self.saw(self.overlay.latest);
        }
        let scanned = self.state.scan(&self.overlay.layer, direction, from, to, visit);
        scanned.map_err(|error| StoreError(error.to_string()))
    }

    fn tag(&self) -> Tag {
        Tag { eid: self.eid, place: self.effects.place() }
    }

    fn saw(&self, eid: EntryId) {
        self.seen.set(self.seen.get().max(eid));
    }

    fn set(&mut self, key: Bytes, value: Value, tag: Tag) {
        self.overlay.latest = self.eid;
        let previous = self.overlay.layer.set(&key, value, tag);
        if let Some((_, tag)) = &previous {
            self.effects.supersede(tag.place);
        }
        self.undo.push(Undo::Point(key.clone(), previous));
        self.written.keys.push(key);
    }
}

impl Kv for View<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.overlay.layer.get(key) {
            Found::Here(value, tag) => {
                // Its own writes of this command count as seen: they commit together.
                self.saw(tag.eid);
                Ok(value)
            }
            Found::Below => self.state.get(key).map_err(|e| StoreError(e.to_string())),
        }
    }

    fn scan(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.walk(Direction::Forward, from, to, visit)
    }

    fn scan_back(&mut self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.walk(Direction::Backward, from, to, visit)
    }

    fn expect_walk(&mut self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.state.expect_walk(from, to).map_err(|error| StoreError(error.to_string()))
    }

    fn key_count(&self, db: u8) -> u64 {
        let at = count_of(db);
        self.saw(self.overlay.counted_by[at]);
        self.overlay.count(self.state, at).saturating_add_signed(self.counts[at])
    }

    fn announce(&mut self, db: u8, key: &[u8], event: Event) {
        if self.overlay.announced.announces() {
            self.written.events.extend(Announced::new(self.overlay.announced, db, key, event));
        }
    }

    fn touch(&mut self, head: &[u8], now_ms: u64) {
        if !self.overlay.spares_uses {
            self.overlay.last_uses.note(head, now_ms);
        }
    }

    fn looked_up(&mut self, found: bool) {
        let Lookups { hits, misses } = &mut self.overlay.lookups;
        *(if found { hits } else { misses }) += 1;
    }

    fn idle_ms(&self, head: &[u8], now_ms: u64) -> u64 {
        self.overlay.last_uses.idle_ms(head, now_ms)
    }

    fn announces(&self) -> bool {
        self.overlay.announced.announces()
    }
}

impl KvMut for View<'_> {
    fn put(&mut self, key: Bytes, value: Bytes) {
        // Deletions are small, and what loops until nothing is left must see them.
        if !self.effects.has_room(key.len() + value.len()) {
            self.overfull = true;
            return;
        }
        let tag = self.tag();
        self.effects.put(&key, &value);
        self.set(key, value.into(), tag);
    }

    fn delete(&mut self, key: Bytes) {
        let tag = self.tag();
        self.effects.delete(&key);
        self.set(key, Value::DELETED, tag);
    }

    fn delete_range(&mut self, from: Bytes, to: Bytes) {
        if from >= to {
            return;
        }
        let tag = self.tag();
        self.effects.delete_range(&from, &to);
        self.written.flushed |= datatypes::key::spans_heads(&from);
        self.overlay.latest = self.eid;
        let hidden = self.overlay.layer.clear_range(from.clone(), to.clone(), tag);
        self.undo.push(Undo::Range(from, to, hidden));
    }

    fn modified(&mut self, head: &[u8]) {
        if self.overlay.observed {
            self.written.touched.push(Bytes::copy_from_slice(head));
        }
    }

    fn add_key_count(&mut self, db: u8, delta: i64) {
        self.counts[count_of(db)] += delta;
    }

    fn as_kv(&mut self) -> &mut dyn Kv {
        self
    }
}

impl Savepoints for View<'_> {
    fn mark(&mut self) {
        self.marks.push(Moment {
            undo: self.undo.len(),
            effects: self.effects.mark(),
            keys: self.written.keys.len(),
            touched: self.written.touched.len(),
            events: self.written.events.len(),
            counts: self.counts,
        });
    }

    fn keep(&mut self) {
        self.marks.pop().expect("a mark was set");
    }

    fn roll_back(&mut self) {
        let moment = self.marks.pop().expect("a mark was set");
        self.undo_from(moment.undo);
        self.effects.rewind(moment.effects);
        self.written.keys.truncate(moment.keys);
        self.written.touched.truncate(moment.touched);
        self.written.events.truncate(moment.events);
        self.counts = moment.counts;
        self.overfull = false;
    }

    fn is_overfull(&self) -> bool {
        self.overfull
    }

    fn as_kv_mut(&mut self) -> &mut dyn KvMut {
        self
    }
}
