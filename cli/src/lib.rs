//! The `miraft` command line: one module a subcommand.
//!
//! Invariants: what a command was asked for goes to stdout, everything else to stderr; colours and
//! bars appear on terminals only; the exit status is 0 if all is well, 1 for findings, refusals and
//! failures, 2 for a command line that makes no sense (clap's).

mod admin;
mod cluster;
mod dev;
mod paint;
mod table;
mod target;

use std::process::ExitCode;

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
    /// Set up, look at and check a cluster.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Short for `cluster status`.
    Status(cluster::status::Args),
    /// Short for `cluster doctor`.
    Doctor(cluster::doctor::Args),
}

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Fine,
    /// It found something wrong, or was refused, and has said so.
    Findings,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::Findings => Self::FAILURE,
        }
    }
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> anyhow::Result<Outcome> {
    daemon::process::block_on(async {
        match cli.command {
            Command::Dev(args) => dev::run(args).await.map(|()| Outcome::Fine),
            Command::Cluster(command) => cluster::run(command).await,
            Command::Status(args) => cluster::run(cluster::Command::Status(args)).await,
            Command::Doctor(args) => cluster::run(cluster::Command::Doctor(args)).await,
        }
    })?
}
