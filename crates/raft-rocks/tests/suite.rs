//! openraft's own test suite on the log, on a real disk and on a simulated one.

mod common;

use std::sync::Arc;

use common::MemoryMachine;
use openraft::{
    AsyncRuntime, StorageError,
    testing::log::{StoreBuilder, Suite},
};
use raft_rocks::*;
use tempfile::TempDir;

struct OnDisk;

impl StoreBuilder<TypeConfig, GroupLog, MemoryMachine, (TempDir, LogStore)> for OnDisk {
    async fn build(
        &self,
    ) -> Result<((TempDir, LogStore), GroupLog, MemoryMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let options = LogOptions { segment_bytes: 1 << 16, ..LogOptions::default() };
        let store = LogStore::open(dir.path(), options, AdaptiveExecutor).expect("opened");
        let log = store.group(7);
        Ok(((dir, store), log, MemoryMachine::default()))
    }
}

struct Simulated;

impl StoreBuilder<TypeConfig, GroupLog, MemoryMachine> for Simulated {
    async fn build(&self) -> Result<((), GroupLog, MemoryMachine), StorageError<TypeConfig>> {
        let options = LogOptions { segment_bytes: 1 << 12, cache_bytes: 0, ..LogOptions::default() };
        let store = LogStore::open_on(Arc::new(SimDisk::default()), options, InlineExecutor::immediate());
        Ok(((), store.expect("opened").group(7), MemoryMachine::default()))
    }
}

#[test]
fn passes_on_a_real_disk() {
    openraft_rt_tokio::TokioRuntime::run(Suite::test_all(OnDisk)).expect("the suite passes");
}

#[test]
fn passes_on_a_simulated_disk() {
    openraft_rt_tokio::TokioRuntime::run(Suite::test_all(Simulated)).expect("the suite passes");
}
