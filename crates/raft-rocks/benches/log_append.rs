//! What an append costs: from the call to its callback, and per entry when many groups append at
//! once.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use common::{append, entry};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openraft::storage::RaftLogStorage;
use raft_rocks::*;

/// An entry of 50 commands of 120 bytes.
const PAYLOAD_BYTES: usize = 50 * 120;
const GROUPS: u64 = 16;

async fn round(store: &LogStore, groups: u64, index: u64) {
    let payload = [7u8; PAYLOAD_BYTES];
    let appends = (1..=groups).map(|group| {
        let mut log = store.group(group);
        async move {
            append(&mut log, vec![entry(1, index, &payload)]).await.expect("appended");
            if index % 1000 == 999 {
                log.purge(common::id(1, index - 100)).await.expect("purged");
            }
        }
    });
    futures::future::join_all(appends).await;
}

fn log_append(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut bench = c.benchmark_group("log_append");
    bench.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    for durability in [Durability::Os, Durability::Fsync] {
        for groups in [1, GROUPS] {
            let dir = tempfile::tempdir().expect("temporary directory");
            let options = LogOptions { durability, ..LogOptions::default() };
            let store = LogStore::open(dir.path(), options, AdaptiveExecutor).expect("opened");
            let index = AtomicU64::new(0);
            bench.throughput(Throughput::Elements(groups));
            bench.bench_function(BenchmarkId::new(format!("{durability:?}"), groups), |b| {
                b.iter(|| runtime.block_on(round(&store, groups, index.fetch_add(1, Ordering::Relaxed))));
            });
        }
    }
}

criterion_group!(benches, log_append);
criterion_main!(benches);
