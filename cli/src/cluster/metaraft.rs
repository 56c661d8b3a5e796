//! `miraft cluster metaraft`: the members of meta's own Raft group.

use clap::Subcommand;
use serde::Serialize;

use super::{
    Outcome, Seen, Target,
    nodes::{MetaNode, meta_table},
};
use crate::{
    admin::{Admin, Members},
    paint::Paint,
    target::parse_address,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Who they are.
    #[command(visible_alias = "ls")]
    Members(Shown),
    /// How the group is: leader, term, log.
    Status(Shown),
    /// Add a node that follows without a vote; it must have been started with `join`.
    #[command(visible_alias = "addlearner")]
    AddLearner(AddLearner),
    /// Give learners a vote. Takes none away.
    Promote(Promote),
    /// Take the vote of members away, and remove them.
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Shown {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddLearner {
    /// Its number: decimal, or 40 hex digits.
    #[arg(value_parser = parse_id)]
    id: u64,
    /// host:port of its gRPC listener.
    #[arg(value_parser = parse_address)]
    addr: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Promote {
    /// Numbers of learners: decimal, or 40 hex digits.
    #[arg(required = true, value_parser = parse_id)]
    ids: Vec<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// Numbers of members: decimal, or 40 hex digits.
    #[arg(required = true, value_parser = parse_id)]
    ids: Vec<u64>,
    /// They stay, without a vote.
    #[arg(long)]
    keep_as_learners: bool,
    #[command(flatten)]
    target: Target,
}

/// `--json`.
#[derive(Debug, Serialize)]
struct Report {
    leader: Option<u64>,
    term: u64,
    /// Of the log of the node that answered: its end, and what is applied. 0: it does not tell.
    last_index: u64,
    applied_index: u64,
    members: Vec<MetaNode>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Members(Shown { target }) => {
            let report = current(&super::admin(&target)?).await?;
            super::print(&target, &report, |paint| meta_table(&report.members).render(paint))?;
        }
        Command::Status(Shown { target }) => {
            let report = current(&super::admin(&target)?).await?;
            super::print(&target, &report, |paint| report.text(paint))?;
        }
        Command::AddLearner(AddLearner { id, addr, target }) => {
            let admin = super::admin(&target)?;
            done(&target, &admin, admin.add_learner(id, &addr).await?).await?;
        }
        Command::Promote(Promote { ids, target }) => {
            let admin = super::admin(&target)?;
            done(&target, &admin, admin.promote(&ids).await?).await?;
        }
        Command::Remove(Remove { ids, keep_as_learners, target }) => {
            let admin = super::admin(&target)?;
            done(&target, &admin, admin.remove(&ids, keep_as_learners).await?).await?;
        }
    }
    Ok(Outcome::Fine)
}

/// As the leader sees it, if there is one; else as any node does.
async fn current(admin: &Admin) -> anyhow::Result<Report> {
    let metas = admin.ask_each().await;
    let members = admin.best_view(&metas)?;
    Ok(report(Seen { members, metas, ..Seen::default() }))
}

/// Shows what has become of the group.
async fn done(target: &Target, admin: &Admin, members: Members) -> anyhow::Result<()> {
    let report = report(Seen { members, metas: admin.ask_each().await, ..Seen::default() });
    super::print(target, &report, |paint| meta_table(&report.members).render(paint))
}

fn report(seen: Seen) -> Report {
    let members = MetaNode::all(&seen);
    let Members { leader, term, last_index, applied_index, .. } = seen.members;
    Report { leader, term, last_index, applied_index, members }
}

impl Report {
    fn text(&self, paint: Paint) -> String {
        let leader = self.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let mut head = format!("leader {leader}, term {}", self.term);
        if self.last_index > 0 {
            head += &format!(", last index {}, applied {}", self.last_index, self.applied_index);
        }
        format!("{head}\n\n{}", meta_table(&self.members).render(paint))
    }
}

/// Decimal, or 40 hex digits: the same number, padded with zeros.
fn parse_id(text: &str) -> Result<u64, String> {
    const HEX_DIGITS: usize = 40;
    const NUMBER_DIGITS: usize = 16;
    let parsed = match text.len() {
        HEX_DIGITS if text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            let (zeros, number) = text.split_at(HEX_DIGITS - NUMBER_DIGITS);
            let padded = zeros.bytes().all(|digit| digit == b'0');
            padded.then(|| u64::from_str_radix(number, 16).ok()).flatten()
        }
        _ => text.parse().ok(),
    };
    match parsed {
        Some(id @ 1..) => Ok(id),
        _ => Err("a number from 1, or the same in 40 hex digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_id;

    // covers: T12
    #[test]
    fn ids_are_decimal_or_40_hex_digits() {
        assert_eq!(parse_id("4"), Ok(4));
        assert_eq!(parse_id("000000000000000000000000000000000000001f"), Ok(31));
        assert_eq!(parse_id("00000000000000000000000000000000000000FF"), Ok(255));
        for wrong in ["", "0", "-1", "1f", "0000000000000000000000010000000000000000", &"0".repeat(40)] {
            assert!(parse_id(wrong).is_err(), "{wrong}");
        }
        let signed = format!("{}+1", "0".repeat(38));
        assert!(parse_id(&signed).is_err());
    }
}
