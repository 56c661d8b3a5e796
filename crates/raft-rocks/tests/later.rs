//! What a replica proposed itself is synced later, and by one sync together, while others answer in time.

mod common;

use std::{io, sync::Arc, time::Duration};

use common::{append, entry, id};
use openraft::{RaftLogReader, storage::RaftLogStorage, type_config::TypeConfigExt};
use raft_rocks::*;
use tokio::time::timeout;

fn open(disk: &SimDisk) -> LogStore {
    let disk = Arc::new(disk.clone());
    LogStore::open_on(disk, LogOptions::default(), InlineExecutor::immediate()).expect("opened")
}

/// Appends an entry that replica 1 proposed, lets it be written, and returns what waits for the callback.
async fn propose(log: &mut GroupLog, index: u64) -> impl Future<Output = io::Result<()>> + use<> {
    let (tx, rx) = TypeConfig::oneshot();
    log.append(vec![entry(1, index, b"a proposal")], IOFlushed::signal(tx)).await.expect("appended");
    tokio::task::yield_now().await;
    async move { rx.await.map_err(io::Error::other)? }
}

#[tokio::test]
async fn proposals_that_others_commit_share_syncs() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1).of_replica(1);
    let before = disk.syncs();
    let mut flushed = Vec::new();
    for index in 0..1000 {
        flushed.push(propose(&mut log, index).await);
        log.save_committed(Some(id(1, index))).await.expect("saved");
    }
    let syncs = disk.syncs() - before;
    assert!(syncs < 100, "{syncs} syncs of 1000 proposals");
    for flushed in flushed {
        timeout(Duration::from_secs(20), flushed).await.expect("told in time").expect("synced");
    }
    disk.power_loss();
    drop((log, store));
    let found = open(&disk).group(1).try_get_log_entries(..).await.expect("read");
    assert_eq!(found.len(), 1000);
}

#[tokio::test]
async fn what_nobody_commits_is_synced_soon() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1).of_replica(1);
    for index in 0..100 {
        let flushed = propose(&mut log, index).await;
        timeout(Duration::from_secs(20), flushed).await.expect("told in time").expect("synced");
    }
    disk.power_loss();
    drop((log, store));
    assert_eq!(open(&disk).group(1).try_get_log_entries(..).await.expect("read").len(), 100);
}

#[tokio::test]
async fn what_power_loss_takes_was_not_acknowledged() {
    for count in [10, 30, 100] {
        let disk = SimDisk::default();
        let store = open(&disk);
        let mut log = store.group(1).of_replica(1);
        let mut flushed = Vec::new();
        for index in 0..count {
            flushed.push(Box::pin(propose(&mut log, index).await));
            log.save_committed(Some(id(1, index))).await.expect("saved");
        }
        disk.power_loss();
        let mut told = 0;
        for flushed in &mut flushed {
            told += usize::from(matches!(futures::poll!(flushed), std::task::Poll::Ready(Ok(()))));
        }
        drop((log, store));
        let found = open(&disk).group(1).try_get_log_entries(..).await.expect("read");
        assert!(told <= found.len() && found.len() < count as usize, "{told} {}", found.len());
    }
}

#[tokio::test]
async fn votes_and_what_others_proposed_are_synced_at_once() {
    let disk = SimDisk::default();
    let store = open(&disk);
    // The entries are those of replica 1.
    let (mut follower, mut other) = (store.group(1).of_replica(2), store.group(2).of_replica(1));
    for index in 0..100 {
        let before = disk.syncs();
        append(&mut follower, vec![entry(1, index, b"of another")]).await.expect("appended");
        other.save_vote(&Vote::new(index + 1, 1)).await.expect("saved");
        assert_eq!(disk.syncs() - before, 2);
    }
    let mut proposals = Vec::new();
    for index in 0..100 {
        proposals.push(propose(&mut other, index).await);
    }
    // A vote behind proposals takes them along.
    other.save_vote(&Vote::new(1000, 1)).await.expect("saved");
    for flushed in proposals {
        assert!(futures::poll!(Box::pin(flushed)).is_ready());
    }
}
