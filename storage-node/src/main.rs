//! `miraft-storage`: see the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    daemon::process::main(|options: storage_node::Options, env, stop| {
        storage_node::run(options, env, |addresses| tracing::info!(rpc = %addresses.rpc, "serves"), stop)
    })
}
