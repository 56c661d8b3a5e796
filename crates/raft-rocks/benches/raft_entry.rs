//! CPU that one Raft entry costs over its three replicas: all of them in this process, over
//! loopback, one entry in flight for each group. Prints a table.
#![allow(unsafe_code)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{
    MemoryMachine,
    cluster::{Cluster, Node, WAIT, until},
};
use raft_rocks::*;

/// As in the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// An entry of 50 commands of 120 bytes.
const PAYLOAD_BYTES: usize = 50 * 120;
/// Fills up while warming up: then its memory is used anew, as in a node that has run for a while.
const CACHE_BYTES: usize = 1 << 20;
const WARM_UP: u64 = 480;
const ENTRIES: u64 = 4800;

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

/// One entry in flight for each group; all have written `entries` between them.
async fn write(rafts: Vec<Raft<MemoryMachine>>, entries: u64) {
    let each = entries / rafts.len() as u64;
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    let writers = rafts.into_iter().map(|raft| {
        let payload = payload.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                raft.client_write(Payload(payload.clone())).await.expect("written");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("written");
    }
}

/// A new leader accepts nothing before it has heard of the others.
async fn first_write(raft: &Raft<MemoryMachine>) {
    let deadline = Instant::now() + WAIT;
    while let Err(error) = raft.client_write(Payload(Bytes::from_static(b"first"))).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn measure(durability: Durability, groups: u64) {
    let options = LogOptions { durability, cache_bytes: CACHE_BYTES, ..LogOptions::default() };
    let cluster = Cluster::start_with(3, groups, options).await;
    cluster.nodes.iter().flat_map(Node::machines).for_each(MemoryMachine::forget);
    let leader = &cluster.nodes[0];
    let rafts: Vec<_> = leader.rafts().cloned().collect();
    let leads = |raft: &Raft<MemoryMachine>| metrics(raft).current_leader == Some(leader.id);
    until("one leader of all groups", || rafts.iter().all(leads).then_some(())).await;
    for raft in &rafts {
        first_write(raft).await;
    }
    leader.spawn(write(rafts.clone(), WARM_UP)).await.expect("warm");
    let (cpu_before, begin) = (cpu(), Instant::now());
    leader.spawn(write(rafts, ENTRIES)).await.expect("measured");
    let (used, elapsed) = (cpu() - cpu_before, begin.elapsed());
    let micros = |time: Duration, count: u64| time.as_secs_f64() * 1e6 / count as f64;
    let (cpu, latency) = (micros(used, ENTRIES), micros(elapsed, ENTRIES / groups));
    println!("| {durability:?} | {groups} | {cpu:.1} | {latency:.1} |");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    println!("{ENTRIES} entries of {PAYLOAD_BYTES} bytes, 3 replicas, one in flight for each group");
    println!("| durability | groups led by one node | CPU µs per entry | latency µs |");
    println!("|---|---|---|---|");
    runtime.block_on(async {
        for durability in [Durability::Os, Durability::Fsync] {
            for groups in [1, 3, 16] {
                measure(durability, groups).await;
            }
        }
    });
}
