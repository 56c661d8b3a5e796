//! Slots: whose they are.

use topology::{ClusterState, GroupId, Proxy, Slot, SlotSet};

use super::super::{
    collect::Collected,
    finding::{Fault, Judged},
};
use crate::cluster::names;

/// Those that nobody owns and no group has keys of.
pub(super) fn assigned(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let taken = state.groups.values().flat_map(|group| group.slots.iter().chain(group.parked.iter()));
    let free = SlotSet::all().difference(&SlotSet::from_slots(taken));
    if free.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!("{} unassigned: {}", names::count(free.len(), "slot"), names::slots(&free));
    let fault = Fault::error(what).because(
        "cluster_state is fail, and commands for their keys answer CLUSTERDOWN Hash slot not served",
    );
    Ok(vec![fault.next("miraft cluster setup")])
}

pub(super) fn owned_once(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let groups: Vec<_> = state.groups.iter().collect();
    let mut faults = Vec::new();
    for (at, (one, first)) in groups.iter().enumerate() {
        for (other, second) in &groups[at + 1..] {
            let both = first.slots.intersection(&second.slots);
            if !both.is_empty() {
                let what = format!("groups {one} and {other} both own slots {}", names::slots(&both));
                let fault = Fault::error(what).because("meta's invariants are broken; writes may be lost");
                faults.push(fault.next("stop writing to them, keep the logs of the meta nodes, report it"));
            }
        }
    }
    Ok(faults)
}

pub(super) fn parked(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let stays = |slot: &Slot| !state.moving.contains_key(&slot.number());
    let mut faults = Vec::new();
    for (&id, group) in &state.groups {
        let parked = SlotSet::from_slots(group.parked.iter().filter(stays));
        if parked.is_empty() {
            continue;
        }
        let (slots, looked) = (names::slots(&parked), group.checked_at >= group.parked_at);
        let fault = match looked {
            true => Fault::error(format!("unassigned slots hold keys in group {id}: {slots}")),
            false => Fault::warning(format!("unassigned slots may hold keys in group {id}: {slots}")),
        };
        let why = "the keys are kept, but commands for them answer CLUSTERDOWN Hash slot not served";
        faults.push(fault.because(why).next(give_back(state, id, &parked)));
    }
    Ok(faults)
}

/// To who fronts the group: no other may have them while they hold keys.
fn give_back(state: &ClusterState, group: GroupId, slots: &SlotSet) -> String {
    let front = state.proxies.values().find(|proxy| proxy.live && proxy.fronts.contains(&group));
    let ranges: Vec<String> = slots.ranges().iter().map(|(first, last)| format!("{first} {last}")).collect();
    match front {
        Some(front) if ranges.len() <= 8 => {
            format!("{} CLUSTER ADDSLOTSRANGE {}", names::redis_cli(front), ranges.join(" "))
        }
        _ => "miraft cluster setup".to_owned(),
    }
}

pub(super) fn open(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let is_open = |proxy: &&Proxy| !proxy.migrating.is_empty() || !proxy.importing.is_empty();
    let fault = |proxy: &Proxy| {
        let numbers = proxy.migrating.keys().chain(proxy.importing.keys());
        let slots = SlotSet::from_slots(numbers.filter_map(|&number| Slot::new(number)));
        let address = names::address(proxy);
        let what = format!("{address} has slots marked as migrating or importing: {}", names::slots(&slots));
        let why = "redis-cli refuses to reshard, rebalance and add nodes while a slot is open";
        Fault::warning(what).because(why).next(format!("redis-cli --cluster fix {address}"))
    };
    Ok(state.proxies.values().filter(is_open).map(fault).collect())
}

#[cfg(test)]
mod tests {
    use topology::Version;

    use super::*;
    use crate::cluster::doctor::{checks::sample, finding::Severity};

    fn take(seen: &mut Collected, first: u16, last: u16) -> SlotSet {
        let taken = SlotSet::from_slots((first..=last).filter_map(Slot::new));
        let group = sample::state(seen).groups.get_mut(&GroupId(1)).unwrap();
        group.slots = group.slots.difference(&taken);
        taken
    }

    #[test]
    fn unassigned_slots_are_an_error() {
        let mut seen = sample::healthy();
        take(&mut seen, 5, 8);
        let faults = assigned(&seen).unwrap();
        assert_eq!(faults[0].what, "4 slots unassigned: 5-8");
        assert_eq!(faults[0].next, "miraft cluster setup");
    }

    #[test]
    fn two_owners_are_an_error() {
        let mut seen = sample::healthy();
        sample::state(&mut seen).groups.get_mut(&GroupId(2)).unwrap().slots = SlotSet::all();
        let faults = owned_once(&seen).unwrap();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].what.starts_with("groups 1 and 2 both own slots 0-"), "{:?}", faults[0]);
    }

    #[test]
    fn parked_keys_go_back_where_they_are() {
        let mut seen = sample::healthy();
        let taken = take(&mut seen, 5, 8);
        let group = sample::state(&mut seen).groups.get_mut(&GroupId(1)).unwrap();
        (group.parked, group.parked_at, group.checked_at) = (taken, Version(7), Version(6));
        assert_eq!(parked(&seen).unwrap()[0].severity, Severity::Warning);
        sample::state(&mut seen).groups.get_mut(&GroupId(1)).unwrap().checked_at = Version(7);
        let faults = parked(&seen).unwrap();
        assert_eq!(faults[0].severity, Severity::Error);
        assert_eq!(faults[0].next, "redis-cli -h 10.0.0.1 -p 7000 CLUSTER ADDSLOTSRANGE 5 8");
        assert_eq!(assigned(&seen), Ok(Vec::new()), "one fault, not two");
        let target = sample::proxy_id(1);
        sample::state(&mut seen).moving.extend((5..=8).map(|slot| (slot, target.clone())));
        assert_eq!(parked(&seen), Ok(Vec::new()), "they are on their way");
    }

    #[test]
    fn open_slots_are_a_warning() {
        let mut seen = sample::healthy();
        let target = sample::proxy_id(1);
        sample::proxy(&mut seen, 0).migrating.insert(9, target);
        assert!(open(&seen).unwrap()[0].what.ends_with("importing: 9"));
    }
}
