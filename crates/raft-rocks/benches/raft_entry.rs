//! CPU that one Raft entry costs over its three replicas: all of them in this process, over
//! loopback, one entry in flight. Prints a table.
#![allow(unsafe_code)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{MemoryMachine, cluster::Cluster};
use raft_rocks::*;

/// As in the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// An entry of 50 commands of 120 bytes.
const PAYLOAD_BYTES: usize = 50 * 120;
/// Fills up while warming up: then its memory is used anew, as in a node that has run for a while.
const CACHE_BYTES: usize = 1 << 20;
const WARM_UP: u64 = 500;
const ENTRIES: u64 = 4000;

/// User and system time of this process.
fn cpu() -> Duration {
    // SAFETY: all-zero is a valid value of this plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable struct of the type the call fills.
    let code = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(code, 0, "getrusage");
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

async fn write(raft: Raft<MemoryMachine>, entries: u64) {
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    for _ in 0..entries {
        raft.client_write(Payload(payload.clone())).await.expect("written");
    }
}

async fn measure(durability: Durability) {
    let options = LogOptions { durability, cache_bytes: CACHE_BYTES, ..LogOptions::default() };
    let cluster = Cluster::start_with(3, options).await;
    cluster.write("first").await;
    let leader = &cluster.nodes[cluster.leader().await as usize - 1];
    leader.spawn(write(leader.raft().clone(), WARM_UP)).await.expect("warm");
    let (cpu_before, begin) = (cpu(), Instant::now());
    leader.spawn(write(leader.raft().clone(), ENTRIES)).await.expect("measured");
    let (used, elapsed) = (cpu() - cpu_before, begin.elapsed());
    let per_entry = |time: Duration| time.as_secs_f64() * 1e6 / ENTRIES as f64;
    println!("| {durability:?} | {:.1} | {:.1} |", per_entry(used), per_entry(elapsed));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    println!("{ENTRIES} entries of {PAYLOAD_BYTES} bytes, 3 replicas, one in flight");
    println!("| durability | CPU µs per entry | latency µs |");
    println!("|---|---|---|");
    runtime.block_on(async {
        measure(Durability::Os).await;
        measure(Durability::Fsync).await;
    });
}
