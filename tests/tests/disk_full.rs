//! A disk that fills up, on file systems of a few megabytes.

use std::{path::Path, process::Command, time::Duration};

use local_cluster::{MemberId, Role};
use miraft_tests::{
    cluster::TestCluster,
    resp::{Connection, Value},
    wait,
};

const DISK_BYTES: u64 = 160 << 20;
const RESERVE_BYTES: u64 = 48 << 20;
const VALUE_BYTES: usize = 256 << 10;
/// More than fits.
const WRITES_MAX: usize = 2 * (DISK_BYTES as usize / VALUE_BYTES);

/// A small file system, mounted until dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where mounting is not permitted.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "miraft-test"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            Ok(output) => skip(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skip(&error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn skip<T>(reason: &str) -> Option<T> {
    eprintln!("skipped: no small file system can be mounted here: {}", reason.trim());
    None
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}", self.0.path().display());
        }
    }
}

fn value(number: usize) -> Vec<u8> {
    let mut bytes = format!("{number:010}").into_bytes();
    // Not compressible.
    let mut state = number as u64 + 1;
    while bytes.len() < VALUE_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes
}

/// Writes until a write is refused; answers how many were acknowledged.
async fn fill(connection: &mut Connection) -> (usize, String) {
    for number in 0..WRITES_MAX {
        let key = format!("full:{number}");
        match connection.call([b"SET".as_slice(), key.as_bytes(), &value(number)]).await.unwrap() {
            Value::Status(ok) if ok == "OK" => {}
            refused => return (number, refused.to_string()),
        }
    }
    panic!("{WRITES_MAX} writes fitted on a disk half that size");
}

async fn assert_readable(connection: &mut Connection, count: usize) {
    for number in 0..count {
        let reply = connection.call(["GET", &format!("full:{number}")]).await.unwrap();
        let is_same = reply.bytes() == Some(value(number).as_slice());
        let shown = reply.to_string();
        assert!(is_same, "full:{number}: {}", shown.get(..200).unwrap_or(&shown));
    }
}

/// All disks of the cluster are full: the promise that a majority alone could not keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disks_refuse_writes_and_serve_reads() {
    let disks: Vec<Disk> = (0..3).map_while(|_| Disk::mount()).collect();
    if disks.len() < 3 {
        return;
    }
    let mut cluster = TestCluster::start_with(|config| {
        for (number, disk) in (1..).zip(&disks) {
            let place = config.dir.join(MemberId::storage(number).to_string());
            std::fs::create_dir_all(&config.dir).unwrap();
            std::os::unix::fs::symlink(disk.path(), place).unwrap();
        }
        config
            .option(Role::Storage, "disk_reserve_bytes", RESERVE_BYTES)
            .option(Role::Storage, "log_segment_bytes", 4 << 20)
            .option(Role::Storage, "checkpoint_log_bytes", 8 << 20)
            .option(Role::Storage, "log_keep_entries", 10)
            .option(Role::Storage, "memtable_bytes", 4 << 20)
    })
    .await;
    let mut connection = cluster.connect().await;
    let (acknowledged, error) = fill(&mut connection).await;
    eprintln!("refused after {acknowledged} writes: {error}");
    assert_eq!(
        error,
        "-MISCONF The storage of this key's group failed: the disk of its leader is full or failing"
    );
    assert!(acknowledged > 20, "{acknowledged} writes fitted");

    assert_readable(&mut connection, acknowledged).await;
    for member in 1..=3 {
        assert!(cluster.pid(MemberId::storage(member)).is_some());
    }
    assert_eq!(cluster.take_dead(), Vec::new(), "nobody dies of a full disk");

    // An operator makes the disks larger.
    for disk in &disks {
        let remount = format!("remount,size={}", 4 * DISK_BYTES);
        let status = Command::new("mount").args(["-o", &remount]).arg(disk.path()).status().unwrap();
        assert!(status.success());
    }
    let address = cluster.plain();
    wait::until("writes are accepted again", Duration::from_secs(20), || async {
        let reply = Connection::open(&address).await?.run("SET full:after 1").await?;
        anyhow::ensure!(reply.to_string() == "OK", "{reply}");
        anyhow::Ok(())
    })
    .await;
    assert_readable(&mut connection, acknowledged).await;
    let members: Vec<MemberId> = (1..=3).map(MemberId::storage).collect();
    for &member in &members {
        cluster.kill(member).unwrap();
    }
    for member in members {
        cluster.restart(member).unwrap();
    }
    cluster.wait_ready(|_| ()).await.unwrap();
    assert_readable(&mut connection, acknowledged).await;
}
