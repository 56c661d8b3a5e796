//! `miraft cluster`: sets a cluster up, shows it, checks it. Everything is asked of meta, and
//! changed through meta; only the doctor speaks to other processes too.

pub(crate) mod doctor;
mod groups;
mod metaraft;
mod names;
mod namespaces;
mod nodes;
mod setup;
mod slots;
pub(crate) mod status;

use clap::Subcommand;
use serde::Serialize;

use crate::{
    Outcome,
    admin::{Admin, AskError, Asked, Health, Members, Snapshot},
    paint::Paint,
    target::Target,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a cluster of proxies that know nobody: meet, assign all slots, make replicas. Does only
    /// what is missing.
    #[command(visible_alias = "create")]
    Setup(setup::Args),
    /// Show how the cluster is.
    #[command(visible_alias = "info")]
    Status(status::Args),
    /// Look for what is wrong, and say what to do about it.
    #[command(visible_alias = "check")]
    Doctor(doctor::Args),
    /// Show every process: meta nodes, storage nodes, proxies.
    Nodes(Target),
    /// Show the Raft groups: slots, replicas, leaders.
    Groups(Target),
    /// Show who serves which slots.
    Slots(Target),
    /// Show and change which hashes have their fields spread over all groups.
    #[command(subcommand, visible_alias = "ns")]
    Namespaces(namespaces::Command),
    /// Show and change the members of meta's own Raft group.
    #[command(subcommand, visible_alias = "meta")]
    Metaraft(metaraft::Command),
}

pub(crate) async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Setup(args) => setup::run(args).await,
        Command::Status(args) => status::run(&args.target).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Nodes(target) => nodes::run(&target).await,
        Command::Groups(target) => groups::run(&target).await,
        Command::Slots(target) => slots::run(&target).await,
        Command::Namespaces(command) => namespaces::run(command).await,
        Command::Metaraft(command) => metaraft::run(command).await,
    }
}

/// What meta tells, for tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub snapshot: Snapshot,
    /// None: this meta does not tell.
    pub health: Option<Health>,
    pub members: Members,
    /// Every meta node, asked by itself.
    pub metas: Vec<Asked>,
}

impl Seen {
    async fn ask(target: &Target) -> anyhow::Result<Self> {
        let admin = admin(target)?;
        let snapshot = admin.snapshot().await?;
        let (health, metas) = (health(&admin).await?, admin.ask_each().await);
        Ok(Self { snapshot, health, members: admin.best_view(&metas)?, metas })
    }

    /// The meta node answered when it was asked by itself.
    fn reached(&self, address: &str) -> bool {
        self.metas.iter().any(|node| node.address == address && node.answer.is_ok())
    }
}

/// A leader that changes at this moment makes health unknown, not the whole answer an error.
async fn health(admin: &Admin) -> Result<Option<Health>, AskError> {
    match admin.health().await {
        Err(AskError::Silent(_)) => Ok(None),
        told => told,
    }
}

fn admin(target: &Target) -> anyhow::Result<Admin> {
    Ok(Admin::new(target.meta_addresses()?, target.timeout()))
}

/// Prints what was asked for: as JSON, or as text.
fn print(target: &Target, report: &impl Serialize, text: impl FnOnce(Paint) -> String) -> anyhow::Result<()> {
    match target.json {
        true => println!("{}", serde_json::to_string_pretty(report)?),
        false => print!("{}", text(Paint::of_stdout())),
    }
    Ok(())
}
