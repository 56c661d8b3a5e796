//! Random operations on the log against a model, with restarts and power losses between.

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{append, entry, id};
use openraft::{RaftLogReader, storage::RaftLogStorage};
use proptest::prelude::*;
use raft_rocks::*;

const GROUPS: u64 = 3;

#[derive(Debug, Clone)]
enum Op {
    Append { group: u64, count: u64, bytes: usize },
    Vote { group: u64 },
    Commit { group: u64 },
    Truncate { group: u64, back: u64 },
    Purge { group: u64, keep: i64 },
    Remove { group: u64 },
    Restart { power_loss: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let group = || 1..=GROUPS;
    prop_oneof![
        8 => (group(), 1u64..6, 0usize..700).prop_map(|(group, count, bytes)| Op::Append { group, count, bytes }),
        1 => group().prop_map(|group| Op::Vote { group }),
        2 => group().prop_map(|group| Op::Commit { group }),
        2 => (group(), 0u64..6).prop_map(|(group, back)| Op::Truncate { group, back }),
        2 => (group(), -3i64..10).prop_map(|(group, keep)| Op::Purge { group, keep }),
        1 => group().prop_map(|group| Op::Remove { group }),
        2 => any::<bool>().prop_map(|power_loss| Op::Restart { power_loss }),
    ]
}

#[derive(Default)]
struct Model {
    term: u64,
    vote: Option<Vote>,
    purged: Option<LogId>,
    committed: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

impl Model {
    fn last(&self) -> Option<LogId> {
        self.entries.values().next_back().map(|entry| entry.log_id).or(self.purged)
    }

    fn next(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }
}

fn open(disk: &SimDisk, cache_bytes: usize) -> LogStore {
    let options = LogOptions { segment_bytes: 4 << 10, cache_bytes, ..LogOptions::default() };
    LogStore::open_on(Arc::new(disk.clone()), options, InlineExecutor::immediate()).expect("opened")
}

async fn check(store: &LogStore, models: &BTreeMap<u64, Model>) {
    for (group, model) in models {
        let mut log = store.group(*group);
        let state = log.get_log_state().await.expect("state");
        assert_eq!(state.last_log_id, model.last(), "group {group}");
        assert_eq!(state.last_purged_log_id, model.purged, "group {group}");
        assert_eq!(log.read_vote().await.expect("read"), model.vote, "group {group}");
        let found = log.try_get_log_entries(..).await.expect("read");
        assert_eq!(found, model.entries.values().cloned().collect::<Vec<_>>(), "group {group}");
        assert!(log.read_committed().await.expect("read") <= model.last());
    }
}

async fn step(store: &LogStore, model: &mut Model, op: Op) {
    match op {
        Op::Append { group, count, bytes } => {
            let next = model.next();
            let new: Vec<Entry> = (next..next + count)
                .map(|index| entry(model.term, index, &vec![index as u8; bytes]))
                .collect();
            append(&mut store.group(group), new.clone()).await.expect("appended");
            model.entries.extend(new.into_iter().map(|entry| (entry.log_id.index, entry)));
        }
        Op::Vote { group } => {
            model.term += 1;
            model.vote = Some(Vote::new(model.term, 1));
            store.group(group).save_vote(&Vote::new(model.term, 1)).await.expect("saved");
        }
        Op::Commit { group } => {
            model.committed = model.last();
            store.group(group).save_committed(model.committed).await.expect("saved");
        }
        Op::Truncate { group, back } => {
            // What is committed or purged is never truncated.
            let fixed = model.committed.max(model.purged).map_or(0, |id| id.index + 1);
            let keep = model.next().saturating_sub(back).max(fixed);
            model.entries.split_off(&keep);
            model.term += 1;
            store.group(group).truncate_after(model.last()).await.expect("truncated");
        }
        Op::Purge { group, keep } => {
            let upto = model.next() as i64 - 1 - keep;
            if upto < 0 || model.purged.is_some_and(|purged| purged.index as i64 >= upto) {
                return;
            }
            let upto = upto as u64;
            let upto = model.entries.get(&upto).map_or(id(model.term, upto), |entry| entry.log_id);
            model.entries = model.entries.split_off(&(upto.index + 1));
            model.purged = Some(upto);
            let mut log = store.group(group);
            log.purge(upto).await.expect("purged");
            // Purges are not waited for; the next write behind them is.
            append(&mut log, Vec::new()).await.expect("written");
        }
        Op::Remove { group } => {
            store.remove_group(group).await.expect("removed");
            *model = Model::default();
        }
        Op::Restart { .. } => {}
    }
}

fn group_of(op: &Op) -> Option<u64> {
    match op {
        Op::Append { group, .. }
        | Op::Vote { group }
        | Op::Commit { group }
        | Op::Truncate { group, .. }
        | Op::Purge { group, .. }
        | Op::Remove { group } => Some(*group),
        Op::Restart { .. } => None,
    }
}

async fn run(ops: Vec<Op>, cache_bytes: usize) {
    let disk = SimDisk::default();
    let mut store = open(&disk, cache_bytes);
    let mut models: BTreeMap<u64, Model> = (1..=GROUPS).map(|group| (group, Model::default())).collect();
    for op in ops {
        if let Op::Restart { power_loss } = op {
            if power_loss {
                disk.power_loss();
            }
            drop(store);
            store = open(&disk, cache_bytes);
            check(&store, &models).await;
        }
        if let Some(model) = group_of(&op).and_then(|group| models.get_mut(&group)) {
            step(&store, model, op).await;
        }
    }
    check(&store, &models).await;
    disk.power_loss();
    drop(store);
    check(&open(&disk, cache_bytes), &models).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_what_the_model_is(ops in prop::collection::vec(op(), 1..80), cached in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(run(ops, if cached { 1 << 20 } else { 0 }));
    }
}
