//! Where the log is written: on the runtime while syncs are fast, on a thread of its own while slow.

mod common;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{entry, id};
use parking_lot::Mutex;
use raft_rocks::{
    log::{Disk, DiskFile, RealDisk},
    *,
};

/// A disk whose syncs may be slow, and that knows which threads synced.
struct Watched {
    disk: RealDisk,
    watch: Arc<Watch>,
}

#[derive(Default)]
struct Watch {
    slow: AtomicBool,
    /// A sync takes as long as this is set.
    stuck: AtomicBool,
    /// Whether each sync ran on the writer's own thread.
    syncs: Mutex<Vec<bool>>,
}

struct WatchedFile(Arc<dyn DiskFile>, Arc<Watch>);

impl Disk for Watched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(WatchedFile(self.disk.create(name, bytes)?, self.watch.clone())))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(name)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }
    fn reset_tail(&self, keep: u64, bytes: u64) -> io::Result<()> {
        self.0.reset_tail(keep, bytes)
    }
    #[allow(clippy::disallowed_methods, reason = "it stands for a disk that takes its time")]
    fn sync(&self) -> io::Result<()> {
        let own_thread = std::thread::current().name() == Some("raft-log");
        self.1.syncs.lock().push(own_thread);
        if self.1.slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(40));
        }
        while self.1.stuck.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn open(dir: &Path, watch: &Arc<Watch>) -> LogStore {
    let disk = Watched { disk: RealDisk::open(dir).expect("opened"), watch: watch.clone() };
    LogStore::open_on(Arc::new(disk), LogOptions::default(), AdaptiveExecutor).expect("opened")
}

async fn vote(log: &mut GroupLog, term: u64) {
    use openraft::storage::RaftLogStorage;
    log.save_vote(&Vote::new(term, 1)).await.expect("durable");
}

/// How many of the syncs since the last call ran on the writer's own thread, and how many there were.
fn taken(watch: &Watch) -> (usize, usize) {
    let syncs = std::mem::take(&mut *watch.syncs.lock());
    (syncs.iter().filter(|own| **own).count(), syncs.len())
}

#[tokio::test]
async fn slow_syncs_leave_the_runtime_and_fast_ones_return() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let watch = Arc::new(Watch::default());
    let store = open(dir.path(), &watch);
    let mut log = store.group(1);
    taken(&watch);
    for term in 1..=5 {
        vote(&mut log, term).await;
    }
    assert_eq!(taken(&watch), (0, 5), "fast: on the runtime");
    watch.slow.store(true, Ordering::Relaxed);
    vote(&mut log, 6).await;
    taken(&watch);
    for term in 7..=10 {
        vote(&mut log, term).await;
    }
    assert_eq!(taken(&watch), (4, 4), "slow: on a thread");
    watch.slow.store(false, Ordering::Relaxed);
    // The average comes down.
    let mut term = 10;
    loop {
        term += 1;
        vote(&mut log, term).await;
        if taken(&watch).0 == 0 {
            break;
        }
        assert!(term < 100_000, "fast again: back on the runtime");
    }
    drop((log, store));
    let mut again =
        LogStore::open(dir.path(), LogOptions::default(), AdaptiveExecutor).expect("opened").group(1);
    use openraft::RaftLogReader;
    assert_eq!(again.read_vote().await.expect("read"), Some(Vote::new(term, 1)));
}

#[tokio::test]
async fn what_is_ready_together_shares_a_sync_also_on_a_slow_disk() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let watch = Arc::new(Watch::default());
    let store = open(dir.path(), &watch);
    watch.slow.store(true, Ordering::Relaxed);
    let mut log = store.group(1);
    vote(&mut log, 1).await;
    vote(&mut log, 2).await;
    taken(&watch);
    for term in 1..=5 {
        let voting = (2..=5).map(|group| {
            let mut log = store.group(group);
            tokio::spawn(async move { vote(&mut log, term).await })
        });
        for voted in voting.collect::<Vec<_>>() {
            voted.await.expect("voted");
        }
        assert_eq!(taken(&watch), (1, 1), "four groups, one sync");
    }
}

#[tokio::test]
async fn the_runtime_goes_on_while_a_sync_takes_long_and_others_wait_for_the_next() {
    use openraft::{storage::RaftLogStorage, type_config::TypeConfigExt};
    let dir = tempfile::tempdir().expect("temporary directory");
    let watch = Arc::new(Watch::default());
    let store = open(dir.path(), &watch);
    watch.slow.store(true, Ordering::Relaxed);
    let (mut log, mut other) = (store.group(1).of_replica(1), store.group(2));
    vote(&mut other, 1).await;
    vote(&mut other, 2).await;
    // Until the writer leaves syncs for later.
    let mut told = Vec::new();
    for index in 0..50 {
        let (tx, rx) = TypeConfig::oneshot();
        log.append(vec![entry(1, index, b"a proposal")], IOFlushed::signal(tx)).await.expect("appended");
        told.push(rx);
        log.save_committed(Some(id(1, index))).await.expect("saved");
        taken(&watch);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    watch.stuck.store(true, Ordering::Relaxed);
    let voted = tokio::spawn(async move { vote(&mut other, 3).await });
    let rescue = {
        let watch = watch.clone();
        std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_secs(10));
            watch.stuck.swap(false, Ordering::Relaxed)
        })
    };
    // Long enough to look at what was left.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let goes_on = watch.stuck.swap(false, Ordering::Relaxed);
    rescue.thread().unpark();
    voted.await.expect("voted");
    for rx in told {
        rx.await.expect("told").expect("synced");
    }
    rescue.join().expect("joined");
    assert!(goes_on, "the runtime waited for the disk");
}
