//! `miraft cluster groups`: the Raft groups.

use serde::Serialize;
use topology::{Group, GroupId, Replica};

use super::{Outcome, Seen, Target, names};
use crate::{
    admin::ReplicaReport,
    paint::{Paint, Tone},
    table::{Cell, Table},
};

pub(super) async fn run(target: &Target) -> anyhow::Result<Outcome> {
    let report = Report::of(&Seen::ask(target).await?);
    super::print(target, &report, |paint| report.text(paint))?;
    Ok(Outcome::Fine)
}

/// `--json`. What meta does not tell is null.
#[derive(Debug, Serialize)]
struct Report {
    groups: Vec<GroupRow>,
}

#[derive(Debug, Serialize)]
struct GroupRow {
    id: GroupId,
    slots: usize,
    /// Inclusive.
    ranges: Vec<(u16, u16)>,
    /// Slots that were taken from it and may hold keys.
    parked: usize,
    /// A leader was seen once.
    formed: bool,
    /// Name of the storage node.
    leader: Option<String>,
    /// Address of the proxy that is announced as the master of its slots.
    front: Option<String>,
    keys: Option<u64>,
    replicas: Vec<ReplicaRow>,
}

#[derive(Debug, Serialize)]
struct ReplicaRow {
    id: u64,
    /// Name of the storage node.
    store: String,
    leader: bool,
    /// In the membership that is in force.
    voter: Option<bool>,
    failed: Option<bool>,
    applied_index: Option<u64>,
    /// Entries of the leader that it has not applied.
    lag: Option<u64>,
}

impl Report {
    fn of(seen: &Seen) -> Self {
        let groups = seen.snapshot.state.groups.iter();
        Self { groups: groups.map(|(&id, group)| GroupRow::of(seen, id, group)).collect() }
    }

    fn text(&self, paint: Paint) -> String {
        let mut table =
            Table::new(["GROUP", "SLOTS", "RANGES", "LEADER", "REPLICAS (LAG)", "KEYS", "FRONTED BY"]);
        for row in &self.groups {
            let leader = match &row.leader {
                Some(name) => Cell::of(name),
                None => Cell::toned(Tone::Bad, if row.formed { "none" } else { "not formed" }),
            };
            let replicas: Vec<String> = row.replicas.iter().map(ReplicaRow::text).collect();
            table.row([
                Cell::of(row.id),
                Cell::of(row.slots),
                Cell::of(row.ranges_text()),
                leader,
                Cell::of(replicas.join(" ")),
                Cell::known(row.keys),
                row.front.as_ref().map_or_else(|| Cell::toned(Tone::Doubtful, "nobody"), Cell::of),
            ]);
        }
        table.render(paint)
    }
}

impl GroupRow {
    fn of(seen: &Seen, id: GroupId, group: &Group) -> Self {
        let state = &seen.snapshot.state;
        let leader = seen.snapshot.leaders.get(&id).copied();
        let report = seen.health.as_ref().and_then(|health| health.leader_of(id));
        let front = state.proxies.values().find(|proxy| proxy.fronts.contains(&id));
        Self {
            id,
            slots: group.slots.len(),
            ranges: group.slots.ranges().to_vec(),
            parked: group.parked.len(),
            formed: group.formed,
            leader: leader.map(|store| names::store(state, store)),
            front: front.map(names::address),
            keys: report.map(|report| report.keys),
            replicas: group
                .replicas
                .iter()
                .map(|replica| ReplicaRow::of(seen, id, replica, report))
                .collect(),
        }
    }

    fn ranges_text(&self) -> String {
        const RANGES_MAX: usize = 3;
        let range = |(first, last): &(u16, u16)| format!("{first}-{last}");
        let mut text = self.ranges.iter().take(RANGES_MAX).map(range).collect::<Vec<_>>().join(" ");
        if self.ranges.len() > RANGES_MAX {
            text += &format!(" +{}", self.ranges.len() - RANGES_MAX);
        }
        text
    }
}

impl ReplicaRow {
    fn of(seen: &Seen, group: GroupId, replica: &Replica, leader: Option<&ReplicaReport>) -> Self {
        let mut reports = seen.health.iter().flat_map(|health| health.of_group(group));
        let own = reports.find(|(_, report)| report.replica == replica.id).map(|(_, report)| report);
        let behind = |own: &ReplicaReport| Some(leader?.last_index.saturating_sub(own.applied_index));
        Self {
            id: replica.id.0,
            store: names::store(&seen.snapshot.state, replica.store),
            leader: seen.snapshot.leaders.get(&group) == Some(&replica.store),
            voter: leader.map(|leader| leader.voters.contains(&replica.id)),
            failed: own.map(|own| own.failed),
            applied_index: own.map(|own| own.applied_index),
            lag: own.and_then(behind),
        }
    }

    fn text(&self) -> String {
        let lag = self.lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string());
        let failed = if self.failed == Some(true) { ", failed" } else { "" };
        format!("{}({lag}{failed})", self.store)
    }
}
