//! The layers together behave like one map, whatever is in which layer, and across crashes.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use commands::CommandError;
use datatypes::kv::{Kv, KvMut, Savepoints};
use proptest::prelude::*;
use resp::Reply;

use super::{
    effects::EffectsBuilder,
    state::{FlushJob, GroupState, stored_applied},
    view::{Extent, Overlay, View, Written},
};
use crate::engine::Engine;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    DeleteRange(u8, u8),
    /// A command that writes and then fails.
    Fail(u8, u8),
    /// Propose, commit and apply what was gathered. Nobody knows of it yet.
    Apply,
    /// Learn of what was applied.
    Settle,
    /// Hand the delta to RocksDB.
    Flush(Flush),
    /// Lose everything that is not in RocksDB, and replay the log.
    Crash,
    /// Keep what RocksDB has of a slot in memory.
    Keep,
}

#[derive(Debug, Clone, Copy)]
enum Flush {
    AtOnce,
    /// The batch is written before the next flush begins.
    Later,
    /// RocksDB refuses the batch.
    Fails,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(k, v)| Step::Put(k % 16, v)),
        3 => any::<u8>().prop_map(|k| Step::Delete(k % 16)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::DeleteRange(a % 16, b % 16)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(k, v)| Step::Fail(k % 16, v)),
        3 => Just(Step::Apply),
        2 => Just(Step::Settle),
        3 => prop::sample::select(vec![Flush::AtOnce, Flush::Later, Flush::Fails]).prop_map(Step::Flush),
        1 => Just(Step::Crash),
        2 => Just(Step::Keep),
    ];
    proptest::collection::vec(step, 1..60)
}

fn key(k: u8) -> Bytes {
    // Both kinds of keys: in a slot, and records outside.
    if k.is_multiple_of(4) { Bytes::from(vec![0xFF, 3, k]) } else { Bytes::from(vec![0, k]) }
}

struct World {
    engine: Engine,
    state: GroupState,
    overlay: Overlay,
    effects: EffectsBuilder,
    written: Written,
    eid: u64,
    unsettled: Option<Written>,
    log: Vec<Bytes>,
    model: BTreeMap<Bytes, Bytes>,
    flushing: Option<Arc<FlushJob>>,
}

impl World {
    fn new(dir: &std::path::Path) -> Self {
        let engine = Engine::new(dir.to_owned(), 1 << 20, 1 << 20, "none").unwrap();
        let state = GroupState::open(engine.open(1).unwrap()).unwrap();
        Self {
            engine,
            state,
            overlay: Overlay::default(),
            effects: EffectsBuilder::default(),
            written: Written::default(),
            eid: 1,
            unsettled: None,
            log: Vec::new(),
            model: BTreeMap::new(),
            flushing: None,
        }
    }

    fn view(&mut self) -> View<'_> {
        View::new(&self.state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(k, v) => {
                let is_new = self.model.insert(key(k), Bytes::from(vec![v])).is_none();
                let mut view = self.view();
                view.put(key(k), Bytes::from(vec![v]));
                view.add_key_count(0, i64::from(is_new));
                view.commit();
            }
            Step::Delete(k) => {
                let was_there = self.model.remove(&key(k)).is_some();
                let mut view = self.view();
                view.delete(key(k));
                view.add_key_count(0, -i64::from(was_there));
                view.commit();
            }
            Step::DeleteRange(a, b) => {
                let (from, to) = (key(a.min(b)), key(a.max(b)));
                let before = self.model.len();
                self.model.retain(|k, _| !(*k >= from && *k < to));
                let removed = (before - self.model.len()) as i64;
                let mut view = self.view();
                view.delete_range(from, to);
                view.add_key_count(0, -removed);
                view.commit();
            }
            Step::Fail(k, v) => {
                let mut view = self.view();
                view.put(key(k), Bytes::from(vec![v]));
                view.delete_range(key(k), Bytes::from_static(&[0, 9]));
                view.put(key(v % 16), Bytes::from(vec![v]));
                view.delete_range(Bytes::from(vec![0, v % 16]), Bytes::from(vec![0, k + 2]));
                view.delete_range(Bytes::from_static(&[0]), Bytes::from_static(&[1]));
                view.delete(key(k));
                view.discard();
            }
            Step::Apply => self.apply(),
            Step::Settle => self.settle(),
            Step::Flush(how) => self.flush(how),
            Step::Crash => self.crash(),
            Step::Keep => {
                for _ in 0..10 {
                    self.view().expect_walk(&[0], &[1]).unwrap();
                }
            }
        }
    }

    fn apply(&mut self) {
        self.settle();
        let entry = self.effects.finish(1, 0);
        self.log.push(entry.clone());
        let index = self.log.len() as u64;
        self.state.apply(log_id(index), &entry).unwrap();
        self.unsettled = Some(std::mem::take(&mut self.written));
        self.eid += 1;
    }

    fn settle(&mut self) {
        if let Some(written) = self.unsettled.take() {
            self.overlay.settle(self.eid - 1, &written);
        }
    }

    fn flush(&mut self, how: Flush) {
        self.finish_flush();
        let job = self.state.start_flush();
        match how {
            Flush::Fails => {}
            Flush::Later => self.flushing = Some(job),
            Flush::AtOnce => {
                self.flushing = Some(job);
                self.finish_flush();
            }
        }
    }

    /// What a flush answers is what a restart finds.
    fn finish_flush(&mut self) {
        if let Some(job) = self.flushing.take() {
            job.run().unwrap();
            self.state.finish_flush();
            let stored = stored_applied(self.state.db()).unwrap();
            assert_eq!(stored.index(), job.applied.index());
        }
    }

    fn crash(&mut self) {
        // What was evaluated and not committed is gone with the leader; here it commits first, so
        // that the model stays simple.
        self.apply();
        self.settle();
        self.flushing = None;
        // Closing the database keeps its memtable or not; either way it holds one applied index.
        let empty = self.engine.open(2).unwrap();
        drop(std::mem::replace(&mut self.state, GroupState::open(empty).unwrap()));
        self.state = GroupState::open(self.engine.open(1).unwrap()).unwrap();
        let applied = self.state.applied.index() as usize;
        for (at, entry) in self.log.iter().enumerate().skip(applied) {
            self.state.apply(log_id(at as u64 + 1), entry).unwrap();
        }
    }

    fn check(&mut self) {
        let view = self.view();
        let keys = view.key_count(0);
        view.discard();
        assert_eq!(keys, self.model.len() as u64);
        for k in 0..16 {
            let expected = self.model.get(&key(k)).cloned();
            let mut view = self.view();
            let found = view.get(&key(k)).unwrap();
            view.discard();
            assert_eq!(found, expected, "key {k}");
        }
        for (from, to) in [(vec![0u8], vec![1u8]), (vec![0xFF, 3], vec![0xFF, 4]), (vec![0, 5], vec![0, 11])]
        {
            let mut found = Vec::new();
            let mut view = self.view();
            view.scan(&from, &to, &mut |k, v| {
                found.push((Bytes::copy_from_slice(k), Bytes::copy_from_slice(v)));
                ControlFlow::Continue(())
            })
            .unwrap();
            view.discard();
            let range = self.model.range(Bytes::copy_from_slice(&from)..Bytes::copy_from_slice(&to));
            let expected: Vec<_> = range.map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(found, expected);
            let mut found = Vec::new();
            let mut view = self.view();
            view.scan_back(&from, &to, &mut |k, v| {
                found.insert(0, (Bytes::copy_from_slice(k), Bytes::copy_from_slice(v)));
                ControlFlow::Continue(())
            })
            .unwrap();
            view.discard();
            assert_eq!(found, expected, "backwards");
        }
    }
}

fn log_id(index: u64) -> raft_rocks::LogId {
    raft_rocks::LogId::new(raft_rocks::committed_leader_id(1, 1), index)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn layers_behave_like_one_map(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(dir.path());
        for step in steps {
            world.step(step);
            world.check();
        }
    }
}

/// A command that writes or answers more than an entry holds leaves nothing, and the next one has room.
#[test]
fn what_does_not_fit_into_an_entry_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.effects.bytes_max = Some(1000);
    let text = |bytes: usize| Bytes::from(vec![b'x'; bytes]);
    let conclude = |world: &mut World, writes: &[usize], reply: usize| {
        let mut view = world.view();
        for (at, &bytes) in writes.iter().enumerate() {
            view.put(key(at as u8), text(bytes));
            // Whoever loops until nothing is left comes to an end.
            view.delete(key(9));
        }
        view.conclude(Ok(Reply::Bulk(text(reply)))).0
    };
    for (writes, reply) in [(&[400, 400, 400][..], 0), (&[2000], 0), (&[10], 1000)] {
        assert!(matches!(conclude(&mut world, writes, reply), Err(CommandError::TooMuchAtOnce)));
        assert!(world.effects.is_empty() && world.overlay.layer.is_empty());
    }
    assert!(conclude(&mut world, &[400], 100).is_ok());
    assert!(conclude(&mut world, &[200], 100).is_ok());
    assert!(conclude(&mut world, &[10], 100).is_err(), "replies of the batch count");
    world.effects.begin_batch();
    assert!(conclude(&mut world, &[10], 100).is_ok());
    // A part of a command may fail alone.
    let mut view = world.view();
    view.mark();
    view.put(key(3), text(500));
    assert!(view.is_overfull());
    view.roll_back();
    view.put(key(3), text(5));
    assert!(view.conclude(Ok(Reply::OK)).0.is_ok());
}

/// A view that is left and entered again, while what was in flight settles.
#[test]
fn a_view_may_pause_while_an_entry_settles() {
    for (clears, keeps) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::new(dir.path().to_owned(), 1 << 20, 1 << 20, "none").unwrap();
        let state = GroupState::open(engine.open(1).unwrap()).unwrap();
        let (mut overlay, mut effects) = (Overlay::default(), EffectsBuilder::default());
        let text = Bytes::from_static;
        // In flight, as entry 1: three keys. Gathered for entry 2: one of them again.
        let mut first = Written::default();
        let mut view = View::new(&state, &mut overlay, &mut effects, &mut first, 1);
        [key(1), key(2), key(5)].into_iter().for_each(|key| view.put(key, text(b"in flight")));
        view.commit();
        effects.finish(1, 1);
        let mut written = Written::default();
        let mut view = View::new(&state, &mut overlay, &mut effects, &mut written, 2);
        view.put(key(5), text(b"gathered"));
        view.add_key_count(0, 1);
        view.commit();
        let extent = Extent { effects: effects.mark(), keys: written.keys.len(), events: 0 };
        let mut view = View::new(&state, &mut overlay, &mut effects, &mut written, 3);
        view.put(key(1), text(b"mine"));
        if clears {
            view.delete_range(key(1), key(3));
        }
        view.put(key(6), text(b"mine"));
        let mut paused = view.pause();
        // What was gathered becomes an entry of its own, and the first one is applied.
        effects.split(&extent.effects);
        let second = written.split(&extent);
        assert_eq!(second.keys, [key(5)]);
        paused.shift(&extent);
        overlay.settle(1, &first);
        paused.settle(1);
        let mut view = View::resume(paused, &state, &mut overlay, &mut effects, &mut written);
        view.put(key(2), text(b"mine too"));
        assert_eq!(view.get(&key(6)).unwrap(), Some(text(b"mine")));
        assert_eq!(view.get(&key(5)).unwrap(), Some(text(b"gathered")));
        if keeps {
            assert_eq!(view.commit(), 3);
            overlay.settle(2, &second);
            overlay.settle(3, &written);
        } else {
            view.discard();
            assert!(effects.is_empty() && written.keys.is_empty());
            overlay.settle(2, &second);
        }
        assert!(overlay.layer.is_empty(), "cleared {clears}, kept {keeps}");
    }
}

/// An entry that cannot be read to its end changes nothing: a later build may read it.
#[test]
fn a_malformed_entry_leaves_the_state_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path());
    world.step(Step::Put(1, 1));
    world.apply();
    world.settle();
    let mut builder = EffectsBuilder::default();
    builder.put(&key(2), b"2");
    builder.count(0, 1);
    builder.session(7, 1, 0, b"reply");
    let whole = builder.finish(1, 9);
    for len in 0..whole.len() {
        assert!(world.state.apply(log_id(2), &whole.slice(..len)).is_err(), "{len} bytes");
        assert_eq!((world.state.applied.index(), world.state.applied.time_ms), (1, 0));
        assert!(world.state.sessions.get(7).is_none());
        world.check();
    }
    world.state.apply(log_id(2), &whole).unwrap();
    assert_eq!((world.state.applied.index(), world.state.applied.time_ms), (2, 9));
}
