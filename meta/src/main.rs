//! `miraft-meta`: one node of the meta group.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    daemon::process::main(|options, env, stop| {
        meta::run(options, env, |at| tracing::info!(rpc = %at.rpc, http = ?at.http, "meta node is up"), stop)
    })
}
