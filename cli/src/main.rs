//! `miraft`: starts clusters and looks after them.

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match miraft_cli::run(miraft_cli::Cli::parse()) {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("miraft: {error:#}");
            ExitCode::FAILURE
        }
    }
}
