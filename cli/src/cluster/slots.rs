//! `miraft cluster slots`: who serves which slots.

use serde::Serialize;
use topology::{ClusterState, GroupId, Slot, SlotSet};

use super::{Outcome, Target, names};
use crate::{
    admin::Snapshot,
    paint::{Paint, Tone},
    table::{Cell, Table},
};

pub(super) async fn run(target: &Target) -> anyhow::Result<Outcome> {
    let report = Report::of(&super::admin(target)?.snapshot().await?);
    super::print(target, &report, |paint| report.text(paint))?;
    Ok(Outcome::Fine)
}

/// `--json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    /// Ascending; together they are all slots.
    ranges: Vec<Range>,
    assigned: usize,
    unassigned: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Range {
    first: u16,
    last: u16,
    #[serde(flatten)]
    owner: Owner,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Owner {
    state: State,
    /// That serves them, or has their keys.
    group: Option<GroupId>,
    /// Name of the storage node that leads the group.
    leader: Option<String>,
    /// Address of the proxy that is announced as their master; of moving slots: that they go to.
    proxy: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Served,
    /// Assigned to a group without a leader.
    Unled,
    /// On their way to another proxy.
    Moving,
    /// Unassigned, and the group may hold keys of theirs.
    Parked,
    #[default]
    Unassigned,
}

impl Report {
    fn of(snapshot: &Snapshot) -> Self {
        let owners = owners(snapshot);
        let mut ranges: Vec<Range> = Vec::new();
        for (number, owner) in (0..).zip(owners) {
            match ranges.last_mut() {
                Some(range) if range.owner == owner => range.last = number,
                _ => ranges.push(Range { first: number, last: number, owner }),
            }
        }
        let lacking = |range: &&Range| matches!(range.owner.state, State::Parked | State::Unassigned);
        let unassigned = ranges.iter().filter(lacking).map(Range::len).sum();
        Self { ranges, assigned: SlotSet::all().len() - unassigned, unassigned }
    }

    fn text(&self, paint: Paint) -> String {
        let mut table = Table::new(["SLOTS", "COUNT", "STATE", "GROUP", "LEADER", "PROXY"]);
        for range in &self.ranges {
            let owner = &range.owner;
            table.row([
                Cell::of(format!("{}-{}", range.first, range.last)),
                Cell::of(range.len()),
                owner.state.cell(),
                Cell::of(owner.group.map(|id| id.to_string()).unwrap_or_default()),
                Cell::of(owner.leader.as_deref().unwrap_or_default()),
                Cell::of(owner.proxy.as_deref().unwrap_or_default()),
            ]);
        }
        table.render(paint)
    }
}

impl Range {
    fn len(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

impl State {
    fn cell(self) -> Cell {
        match self {
            Self::Served => Cell::toned(Tone::Good, "served"),
            Self::Unled => Cell::toned(Tone::Bad, "without a leader"),
            Self::Moving => Cell::toned(Tone::Doubtful, "moving"),
            Self::Parked => Cell::toned(Tone::Bad, "parked"),
            Self::Unassigned => Cell::toned(Tone::Bad, "unassigned"),
        }
    }
}

/// Of each slot, ascending.
fn owners(snapshot: &Snapshot) -> Vec<Owner> {
    let state = &snapshot.state;
    let mut owners = vec![Owner::default(); SlotSet::all().len()];
    for (&id, group) in &state.groups {
        let leader = snapshot.leaders.get(&id).map(|&store| names::store(state, store));
        let served = if leader.is_some() { State::Served } else { State::Unled };
        let owner = |state_of_slots| Owner {
            state: state_of_slots,
            group: Some(id),
            leader: leader.clone(),
            proxy: front(state, id),
        };
        for (slots, owner) in [(&group.parked, owner(State::Parked)), (&group.slots, owner(served))] {
            for slot in slots.iter() {
                owners[usize::from(slot.number())] = moved(state, slot, &owner);
            }
        }
    }
    owners
}

fn moved(state: &ClusterState, slot: Slot, owner: &Owner) -> Owner {
    match state.moving.get(&slot.number()) {
        Some(target) => {
            Owner { state: State::Moving, proxy: Some(names::proxy(state, target)), ..owner.clone() }
        }
        None => owner.clone(),
    }
}

fn front(state: &ClusterState, group: GroupId) -> Option<String> {
    state.proxies.values().find(|proxy| proxy.fronts.contains(&group)).map(names::address)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use topology::{Group, Proxy, ProxyId, StoreId};

    use super::*;

    #[test]
    fn ranges_are_maximal_and_cover_all_slots() {
        let front = Proxy {
            announce_host: "h".to_owned(),
            announce_port: 7000,
            fronts: vec![GroupId(1), GroupId(2)],
            ..Proxy::default()
        };
        let some = |first: u16, last: u16| SlotSet::from_slots((first..=last).filter_map(Slot::new));
        let state = ClusterState {
            groups: BTreeMap::from([
                (GroupId(1), Group { slots: some(0, 99), parked: some(100, 109), ..Group::default() }),
                (GroupId(2), Group { slots: some(110, 119), ..Group::default() }),
            ]),
            proxies: BTreeMap::from([(ProxyId::of_address("h", 7000), front)]),
            moving: BTreeMap::from([(109, ProxyId::of_address("h", 7000))]),
            ..ClusterState::default()
        };
        let report = Report::of(&Snapshot { state, leaders: BTreeMap::from([(GroupId(1), StoreId(4))]) });
        let seen: Vec<_> = report.ranges.iter().map(|r| (r.first, r.last, r.owner.state)).collect();
        let expected = [
            (0, 99, State::Served),
            (100, 108, State::Parked),
            (109, 109, State::Moving),
            (110, 119, State::Unled),
            (120, 16383, State::Unassigned),
        ];
        assert_eq!(seen, expected);
        assert_eq!((report.assigned, report.unassigned), (111, 16273));
        assert_eq!(report.ranges[0].owner.leader.as_deref(), Some("4"));
    }
}
