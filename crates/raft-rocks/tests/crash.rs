//! What the log recovers after crashes, power losses, damage and failing disks.

mod common;

use std::{io, sync::Arc};

use common::{append, entry, id};
use openraft::{RaftLogReader, storage::RaftLogStorage};
use raft_rocks::*;

fn open_with(disk: &SimDisk, options: LogOptions) -> io::Result<LogStore> {
    LogStore::open_on(Arc::new(disk.clone()), options, InlineExecutor::immediate())
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 4 << 10, ..LogOptions::default() }
}

fn open(disk: &SimDisk) -> LogStore {
    open_with(disk, small()).expect("opened")
}

async fn entries(log: &mut GroupLog) -> Vec<Entry> {
    log.try_get_log_entries(..).await.expect("read")
}

const FIRST: &str = "00000001.log";

#[tokio::test]
async fn a_log_cut_anywhere_recovers_a_prefix() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1);
    log.save_vote(&Vote::new_committed(3, 1)).await.expect("saved");
    append(&mut log, vec![entry(3, 0, b"zero")]).await.expect("appended");
    let intact = disk.contents(FIRST).expect("a segment").len();
    let batch = (1..8).map(|n| entry(3, n, format!("value {n}").as_bytes())).collect();
    append(&mut log, batch).await.expect("appended");
    drop((log, store));

    let full = disk.contents(FIRST).expect("a segment");
    let mut counts = Vec::new();
    for cut in intact..=full.len() {
        let disk = disk.copy();
        disk.set_contents(FIRST, &full[..cut]);
        let store = open(&disk);
        let mut log = store.group(1);
        let found = entries(&mut log).await;
        for (n, entry) in found.iter().enumerate() {
            assert_eq!(entry.log_id.index, n as u64);
        }
        assert_eq!(log.read_vote().await.expect("read"), Some(Vote::new_committed(3, 1)));
        counts.push(found.len());
        // What was cut does not come back, and the log goes on.
        let next = found.len() as u64;
        append(&mut log, vec![entry(4, next, b"new")]).await.expect("appended");
        drop((log, store));
        let mut log = open(&disk).group(1);
        assert_eq!(entries(&mut log).await.last().map(|entry| entry.log_id), Some(id(4, next)));
    }
    assert!(counts.is_sorted());
    assert_eq!((counts[0], counts[counts.len() - 1]), (1, 8));
}

#[tokio::test]
async fn damage_before_synced_records_is_reported_with_file_and_offset() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1);
    let mut starts = Vec::new();
    for n in 0..4 {
        starts.push(disk.contents(FIRST).expect("a segment").len());
        append(&mut log, vec![entry(1, n, &[b'x'; 100])]).await.expect("appended");
    }
    drop((log, store));
    let full = disk.contents(FIRST).expect("a segment");
    let damaged = starts[1].next_multiple_of(8);
    for at in [damaged, damaged + 5, damaged + 40, damaged + 120] {
        let disk = disk.copy();
        let mut bytes = full.clone();
        bytes[at] ^= 0x40;
        disk.set_contents(FIRST, &bytes);
        let error = open_with(&disk, small()).err().expect("corruption is an error");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let text = error.to_string();
        assert!(text.contains(FIRST) && text.contains(&damaged.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_damaged_entry_is_not_served() {
    let disk = SimDisk::default();
    let store = open_with(&disk, LogOptions { cache_bytes: 0, ..small() }).expect("opened");
    let mut log = store.group(1);
    append(&mut log, vec![entry(1, 0, &[b'x'; 300_000])]).await.expect("appended");
    append(&mut log, vec![entry(1, 1, b"next")]).await.expect("appended");
    let segment = "00000002.log";
    let mut bytes = disk.contents(segment).expect("the large entry's segment");
    bytes[100_000] ^= 1;
    disk.set_contents(segment, &bytes);
    let error = log.try_get_log_entries(0..1).await.expect_err("damaged");
    assert!(error.to_string().contains(segment), "{error}");
}

#[tokio::test]
async fn truncation_survives_a_power_loss_right_after_it() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1);
    append(&mut log, (0..10).map(|n| entry(1, n, b"old")).collect()).await.expect("appended");
    log.truncate_after(Some(id(1, 4))).await.expect("truncated");
    disk.power_loss();
    drop((log, store));

    let store = open(&disk);
    let mut log = store.group(1);
    assert_eq!(log.get_log_state().await.expect("state").last_log_id, Some(id(1, 4)));
    append(&mut log, (5..8).map(|n| entry(2, n, b"new")).collect()).await.expect("appended");
    disk.power_loss();
    drop((log, store));

    let mut log = open(&disk).group(1);
    let found = entries(&mut log).await;
    let terms: Vec<u64> = found.iter().map(|entry| entry.log_id.leader_id.term).collect();
    assert_eq!(terms, [1, 1, 1, 1, 1, 2, 2, 2]);
}

#[tokio::test]
async fn power_loss_keeps_what_was_acknowledged_unless_syncs_lie() {
    for lie in [false, true] {
        let disk = SimDisk::default();
        let store = open(&disk);
        disk.lie_about_sync(lie);
        let mut log = store.group(1);
        append(&mut log, vec![entry(1, 0, b"acknowledged")]).await.expect("appended");
        disk.power_loss();
        drop((log, store));
        let mut log = open(&disk).group(1);
        assert_eq!(entries(&mut log).await.len(), usize::from(!lie));
    }
}

#[tokio::test]
async fn a_torn_write_of_any_length_is_cut() {
    for torn in 0..700 {
        let disk = SimDisk::default();
        let store = open(&disk);
        let mut log = store.group(1);
        append(&mut log, vec![entry(1, 0, b"acknowledged")]).await.expect("appended");
        // Written and not synced; some of it reaches the disk.
        disk.lie_about_sync(true);
        append(&mut log, (1..5).map(|n| entry(1, n, &[n as u8; 90])).collect()).await.expect("a lie");
        disk.power_loss_keeping(torn);
        disk.lie_about_sync(false);
        drop((log, store));
        let mut log = open(&disk).group(1);
        let found = entries(&mut log).await;
        assert!(!found.is_empty() && found.len() <= 5);
    }
}

#[tokio::test]
async fn a_failed_sync_fails_the_store_for_good() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let (mut log, mut other) = (store.group(1), store.group(2));
    append(&mut log, vec![entry(1, 0, b"acknowledged")]).await.expect("appended");
    disk.fail_next_sync(io::ErrorKind::Other);
    assert!(append(&mut log, vec![entry(1, 1, b"lost")]).await.is_err());
    assert!(store.is_failed());
    assert!(append(&mut log, vec![entry(1, 2, b"refused")]).await.is_err());
    assert!(append(&mut other, vec![entry(1, 0, b"refused")]).await.is_err());
    assert!(other.save_vote(&Vote::new(9, 1)).await.is_err());
    assert_eq!(entries(&mut log).await[0].log_id, id(1, 0));
    disk.power_loss();
    drop((log, other, store));
    let mut log = open(&disk).group(1);
    assert_eq!(entries(&mut log).await.len(), 1);
}

#[tokio::test]
async fn a_full_disk_fails_the_append_and_keeps_what_was_acknowledged() {
    let disk = SimDisk::default();
    let store = open(&disk);
    disk.set_capacity(Some(10 << 10));
    let mut log = store.group(1);
    let mut acknowledged = 0;
    let error = loop {
        match append(&mut log, vec![entry(1, acknowledged, &[7; 500])]).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(store.is_failed() && acknowledged > 3);
    disk.power_loss();
    disk.set_capacity(None);
    drop((log, store));
    let mut log = open(&disk).group(1);
    assert_eq!(entries(&mut log).await.len() as u64, acknowledged);
}

#[tokio::test]
async fn a_failed_write_is_told_to_the_caller() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1);
    disk.fail_next_write(io::ErrorKind::Other);
    assert!(log.save_vote(&Vote::new(1, 1)).await.is_err());
    assert!(store.is_failed());
}

#[tokio::test]
async fn segments_are_freed_when_no_group_needs_them() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let (mut busy, mut lagging) = (store.group(1), store.group(2));
    lagging.save_vote(&Vote::new_committed(5, 1)).await.expect("saved");
    append(&mut lagging, vec![entry(5, 0, b"pins the first segment")]).await.expect("appended");
    for n in 0..100 {
        append(&mut busy, vec![entry(1, n, &[1; 200])]).await.expect("appended");
        if n % 10 == 9 {
            busy.save_committed(Some(id(1, n))).await.expect("saved");
            busy.purge(id(1, n)).await.expect("purged");
        }
    }
    let pinned = store.oldest_needed().expect("a laggard");
    assert_eq!((pinned.group, pinned.first_index), (2, 0));
    assert!(pinned.held_bytes >= store.usage().bytes && store.usage().segments > 4);
    assert!(store.group_bytes(2) > 0 && store.group_bytes(1) == 0);

    lagging.purge(id(5, 0)).await.expect("purged");
    append(&mut busy, vec![entry(1, 100, b"last")]).await.expect("appended");
    assert_eq!(store.usage().segments, 1);
    assert_eq!(store.oldest_needed(), None);
    disk.power_loss();
    drop((busy, lagging, store));

    // Vote and purge state outlive the segments they were first written to.
    let store = open(&disk);
    let (mut busy, mut lagging) = (store.group(1), store.group(2));
    assert_eq!(lagging.read_vote().await.expect("read"), Some(Vote::new_committed(5, 1)));
    assert_eq!(lagging.get_log_state().await.expect("state").last_purged_log_id, Some(id(5, 0)));
    let state = busy.get_log_state().await.expect("state");
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(1, 99)), Some(id(1, 100))));
    assert_eq!(busy.read_committed().await.expect("read"), Some(id(1, 99)));
}

#[tokio::test]
async fn a_removed_group_is_forgotten() {
    let disk = SimDisk::default();
    let store = open(&disk);
    let mut log = store.group(1);
    append(&mut log, vec![entry(1, 0, b"gone")]).await.expect("appended");
    append(&mut store.group(2), vec![entry(1, 0, b"stays")]).await.expect("appended");
    log.save_committed(Some(id(1, 0))).await.expect("saved");
    drop(log);
    store.remove_group(1).await.expect("removed");
    append(&mut store.group(2), vec![entry(1, 1, b"stays")]).await.expect("appended");
    drop(store);
    let store = open(&disk);
    assert_eq!(store.recovered_groups(), [2]);
    let mut log = store.group(1);
    assert!(!has_history(&mut log).await.expect("state"));
    assert!(entries(&mut log).await.is_empty());
}

#[tokio::test]
async fn one_sync_covers_all_groups() {
    let disk = SimDisk::default();
    let store = open_with(&disk, LogOptions::default()).expect("opened");
    let before = disk.syncs();
    let appends = (1..=50).map(|group| {
        let mut log = store.group(group);
        async move { append(&mut log, vec![entry(1, 0, b"one of many")]).await }
    });
    for result in futures::future::join_all(appends).await {
        result.expect("appended");
    }
    assert_eq!(disk.syncs() - before, 1);
}

#[tokio::test]
async fn a_real_directory_is_reopened_and_locked() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let open = || LogStore::open(dir.path(), small(), AdaptiveExecutor);
    for round in 0..5 {
        let store = open().expect("opened");
        assert_eq!(open().err().map(|error| error.kind()), Some(io::ErrorKind::ResourceBusy));
        let mut log = store.group(1);
        assert_eq!(entries(&mut log).await.len(), round * 20);
        for n in 0..20 {
            append(&mut log, vec![entry(1, (round * 20 + n) as u64, &[9; 300])]).await.expect("appended");
        }
    }
}
