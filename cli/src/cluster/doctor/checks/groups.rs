//! Raft groups: leaders and replicas.

use topology::{ClusterState, Group, GroupId, Replica};

use super::super::{
    collect::Collected,
    finding::{Fault, Judged},
};
use crate::{
    admin::{Health, ReplicaReport},
    cluster::names,
};

/// Entries that a replica may be behind before it is worth a word.
const LAG_MAX: u64 = 10_000;

pub(super) fn led(seen: &Collected) -> Judged {
    let snapshot = seen.snapshot()?;
    let state = &snapshot.state;
    let unled = state.groups.iter().filter(|(id, _)| !snapshot.leaders.contains_key(id));
    let fault = |(id, group): (&GroupId, &Group)| {
        let what = match group.formed {
            true => format!("group {id} has no leader"),
            false => format!("group {id} has not formed"),
        };
        let slots = names::slots(&group.slots);
        let fault = if group.slots.is_empty() { Fault::warning(what) } else { Fault::error(what) };
        let why = format!("commands for its slots wait, then fail: {slots}");
        fault.because(why).next(format!("look at the logs of its storage nodes: {}", stores_of(state, group)))
    };
    Ok(unled.map(fault).collect())
}

pub(super) fn replicas(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let mut faults: Vec<Fault> = too_few_stores(state).into_iter().collect();
    for (&id, group) in &state.groups {
        faults.extend(too_few_replicas(state, id, group));
        if let Some(health) = &seen.health {
            faults.extend(too_few_voters(health, id, group));
            faults.extend(group.replicas.iter().filter_map(|replica| ill(state, health, id, replica)));
        }
    }
    Ok(faults)
}

fn too_few_stores(state: &ClusterState) -> Option<Fault> {
    let (present, wanted) = (state.present_stores().count(), state.replication as usize);
    (present < wanted).then(|| {
        let what = format!("{} for {wanted} replicas of each group", names::count(present, "storage node"));
        let why = "groups have fewer replicas than asked for, and survive fewer losses";
        Fault::warning(what).because(why).next("start more storage nodes")
    })
}

fn too_few_replicas(state: &ClusterState, id: GroupId, group: &Group) -> Option<Fault> {
    let wanted = (state.replication as usize).min(state.present_stores().count());
    let has = group.replicas.len();
    (has < wanted).then(|| {
        let fault = Fault::warning(format!("group {id} has {has} of {wanted} replicas"));
        let why = "it survives fewer losses of storage nodes than asked for";
        fault
            .because(why)
            .next("miraft cluster groups, again in a while: meta adds them while all others are well")
    })
}

/// Replicas become voters one after the other.
fn too_few_voters(health: &Health, id: GroupId, group: &Group) -> Option<Fault> {
    let leader = health.leader_of(id)?;
    let voters = group.replicas.iter().filter(|replica| leader.voters.contains(&replica.id)).count();
    (voters < group.replicas.len()).then(|| {
        let fault =
            Fault::warning(format!("group {id} has {voters} voters for {} replicas", group.replicas.len()));
        let why = "a replica that does not vote yet does not count for its quorum";
        fault.because(why).next("miraft cluster groups, again in a while: it may still be copying its data")
    })
}

fn ill(state: &ClusterState, health: &Health, id: GroupId, replica: &Replica) -> Option<Fault> {
    let report = health.of_group(id).map(|(_, report)| report).find(|report| report.replica == replica.id)?;
    let store = names::store(state, replica.store);
    if report.failed {
        let fault = Fault::error(format!("the replica of group {id} on {store} has stopped"));
        let why = "it could not apply an entry or lost its disk; the others go on without it";
        return Some(fault.because(why).next(format!("look at the log of {store}, then restart it")));
    }
    let lag = lag(health.leader_of(id)?, report);
    (lag > LAG_MAX).then(|| {
        let fault = Fault::warning(format!("the replica of group {id} on {store} is {lag} entries behind"));
        let why = "should the leader die, it cannot take over before it has caught up";
        fault.because(why).next(format!("look at the load and the disk of {store}"))
    })
}

fn lag(leader: &ReplicaReport, report: &ReplicaReport) -> u64 {
    leader.last_index.saturating_sub(report.applied_index)
}

pub(super) fn stores(seen: &Collected) -> Judged {
    let state = seen.state()?;
    let mut faults = Vec::new();
    for (id, group) in &state.groups {
        let lost: Vec<&Replica> = group.replicas.iter().filter(|replica| is_gone(state, replica)).collect();
        if lost.is_empty() {
            continue;
        }
        let names: Vec<String> = lost.iter().map(|replica| names::store(state, replica.store)).collect();
        let what = format!("group {id} has replicas on storage nodes that are gone: {}", names.join(", "));
        let fault = match lost.len() * 2 < group.replicas.len() {
            true => Fault::warning(what).because("until it is replaced, the group survives fewer losses"),
            false => Fault::error(what).because("without a majority the group cannot elect a leader"),
        };
        let next = "start another storage node, so that meta can replace them; see miraft cluster groups";
        faults.push(fault.next(next));
    }
    Ok(faults)
}

fn is_gone(state: &ClusterState, replica: &Replica) -> bool {
    state.stores.get(&replica.store).is_none_or(|store| store.gone)
}

fn stores_of(state: &ClusterState, group: &Group) -> String {
    let names = group.replicas.iter().map(|replica| names::store(state, replica.store));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use topology::StoreId;

    use super::*;
    use crate::cluster::doctor::{checks::sample, finding::Severity};

    fn report(seen: &mut Collected, store: u64, group: u64) -> &mut ReplicaReport {
        let health = seen.health.as_mut().unwrap().stores.get_mut(&StoreId(store)).unwrap();
        health.replicas.iter_mut().find(|report| report.group == GroupId(group)).unwrap()
    }

    #[test]
    fn a_group_without_a_leader_is_an_error() {
        let mut seen = sample::healthy();
        seen.snapshot.as_mut().unwrap().leaders.remove(&GroupId(2));
        let faults = led(&seen).unwrap();
        assert_eq!((faults.len(), faults[0].what.as_str()), (1, "group 2 has no leader"));
        assert!(faults[0].next.ends_with("storage-1, storage-2, storage-3"));
        sample::state(&mut seen).groups.get_mut(&GroupId(2)).unwrap().formed = false;
        assert_eq!(led(&seen).unwrap()[0].what, "group 2 has not formed");
    }

    #[test]
    fn missing_replicas_and_voters_are_warnings() {
        let mut seen = sample::healthy();
        sample::state(&mut seen).groups.get_mut(&GroupId(1)).unwrap().replicas.pop();
        report(&mut seen, 2, 2).voters.pop();
        let faults = replicas(&seen).unwrap();
        let said: Vec<&str> = faults.iter().map(|fault| fault.what.as_str()).collect();
        assert_eq!(said, ["group 1 has 2 of 3 replicas", "group 2 has 2 voters for 3 replicas"]);
        sample::state(&mut seen).replication = 5;
        assert!(replicas(&seen).unwrap()[0].what.starts_with("3 storage nodes for 5 replicas"));
    }

    #[test]
    fn replicas_that_stopped_or_lag_are_told() {
        let mut seen = sample::healthy();
        report(&mut seen, 1, 3).failed = true;
        report(&mut seen, 2, 1).applied_index = 3;
        let leader = report(&mut seen, 1, 1);
        (leader.last_index, leader.applied_index) = (20_003, 20_003);
        let faults = replicas(&seen).unwrap();
        assert_eq!(faults[0].what, "the replica of group 1 on storage-2 is 20000 entries behind");
        assert!(faults.iter().any(|f| f.what == "the replica of group 3 on storage-1 has stopped"));
    }

    #[test]
    fn replicas_on_stores_that_are_gone_are_told() {
        let mut seen = sample::healthy();
        sample::state(&mut seen).stores.get_mut(&StoreId(3)).unwrap().gone = true;
        let faults = stores(&seen).unwrap();
        assert_eq!((faults.len(), faults[0].severity), (3, Severity::Warning));
        sample::state(&mut seen).stores.get_mut(&StoreId(2)).unwrap().gone = true;
        assert_eq!(stores(&seen).unwrap()[0].severity, Severity::Error);
    }
}
