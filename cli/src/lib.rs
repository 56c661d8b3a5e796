//! The `miraft` command line: one module a subcommand.

mod dev;
mod status;
mod table;

use clap::{Parser, Subcommand};

/// Miraft: a Redis-compatible store on many Raft groups.
#[derive(Debug, Parser)]
#[command(name = "miraft", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole cluster on this machine.
    Dev(dev::Args),
    /// Show what meta knows of a cluster.
    Status(status::Args),
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    daemon::process::block_on(async {
        match cli.command {
            Command::Dev(args) => dev::run(args).await,
            Command::Status(args) => status::run(args).await,
        }
    })?
}
