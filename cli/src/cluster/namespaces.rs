//! `miraft cluster namespaces`: which hashes have their fields spread over all groups.

use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use topology::{ClusterState, Command as Change, namespace::Phase};

use super::{Outcome, Target};
use crate::{
    admin::Admin,
    paint::{Paint, Tone},
    table::{Cell, Table},
};

/// Between two looks at whether a rule is in force.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the rules.
    #[command(visible_alias = "ls")]
    List(Shown),
    /// Make hashes of a name, or with `*` at the end of all names that begin so, namespaces. Refused
    /// while there are such keys.
    Add(Named),
    /// Make the names ordinary keys again. Refused while there are such namespaces.
    #[command(visible_alias = "rm")]
    Remove(Named),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Shown {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The name of a key, or the beginning of names and a `*`.
    rule: String,
    /// How long to wait for every group to have looked for keys in the way, seconds.
    #[arg(long, default_value_t = 60)]
    patience_s: u64,
    #[command(flatten)]
    target: Target,
}

/// `--json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    namespaces: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    rule: String,
    phase: Phase,
}

impl Report {
    fn of(state: &ClusterState) -> Self {
        let row = |(text, rule): (&str, topology::namespace::Rule)| Row {
            rule: text.to_owned(),
            phase: rule.phase,
        };
        Self { namespaces: state.namespaces.rules().map(row).collect() }
    }

    fn text(&self, paint: Paint) -> String {
        let mut table = Table::new(["NAMESPACES", "STATE"]);
        for row in &self.namespaces {
            let phase = match row.phase {
                Phase::Active => Cell::toned(Tone::Good, "in force"),
                Phase::Adding => Cell::toned(Tone::Doubtful, "closed: being added"),
                Phase::Removing => Cell::toned(Tone::Doubtful, "closed: being removed"),
            };
            table.row([Cell::of(&row.rule), phase]);
        }
        table.render(paint)
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::List(Shown { target }) => show(&target, &super::admin(&target)?).await?,
        Command::Add(named) => {
            let change = Change::AddNamespace { rule: named.rule.clone() };
            if settled(&named, &change).await? != Some(Phase::Active) {
                bail!("refused: there are keys that '{}' covers; delete or rename them first", named.rule);
            }
        }
        Command::Remove(named) => {
            let change = Change::RemoveNamespace { rule: named.rule.clone() };
            if settled(&named, &change).await?.is_some() {
                bail!("refused: there are namespaces that '{}' covers; delete them first", named.rule);
            }
        }
    }
    Ok(Outcome::Fine)
}

/// Changes a rule and waits until that is in force everywhere, or was refused.
async fn settled(named: &Named, change: &Change) -> anyhow::Result<Option<Phase>> {
    let admin = super::admin(&named.target)?;
    admin.apply(change).await?;
    let deadline = Instant::now() + Duration::from_secs(named.patience_s);
    let phase = loop {
        let state = admin.snapshot().await?.state;
        let phase = state.namespaces.get(&named.rule).map(|rule| rule.phase);
        if matches!(phase, None | Some(Phase::Active)) {
            break phase;
        }
        if Instant::now() >= deadline {
            bail!("not every group has looked for keys in the way yet; the change goes on by itself");
        }
        sleep(LOOK).await;
    };
    let wanted = matches!(change, Change::AddNamespace { .. });
    if phase.is_some() == wanted {
        // Answered once every proxy knows.
        admin.apply(change).await?;
        show(&named.target, &admin).await?;
    }
    Ok(phase)
}

async fn show(target: &Target, admin: &Admin) -> anyhow::Result<()> {
    let report = Report::of(&admin.snapshot().await?.state);
    super::print(target, &report, |paint| report.text(paint))
}
