//! `miraft-proxy`: see the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    daemon::process::main(|options, env, stop| {
        proxy::run(
            options,
            env,
            |at| tracing::info!(cluster = %at.cluster, plain = ?at.plain, http = ?at.http, "serves"),
            stop,
        )
    })
}
