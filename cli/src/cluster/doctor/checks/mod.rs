//! The checks. Each is a pure function of what was collected; its tests make a cluster sick of
//! exactly one thing.

mod announce;
mod groups;
mod meta;
mod proxies;
#[cfg(test)]
mod sample;
mod slots;
mod stores;
mod view;

use super::{
    collect::Collected,
    finding::{Finding, Judged},
};

struct Check {
    /// Stable: tools may go by it.
    name: &'static str,
    /// What is so when nothing is wrong.
    title: &'static str,
    judge: fn(&Collected) -> Judged,
}

const fn check(name: &'static str, title: &'static str, judge: fn(&Collected) -> Judged) -> Check {
    Check { name, title, judge }
}

/// In the order of what depends on what.
const CHECKS: &[Check] = &[
    check("meta-quorum", "meta has a quorum and a leader", meta::quorum),
    check("meta-members", "every meta node answers and keeps up", meta::members),
    check("meta-voters", "meta has an odd number of voters", meta::voters),
    check("slots-assigned", "every slot is assigned", slots::assigned),
    check("slots-owned-once", "no slot has two owners", slots::owned_once),
    check("slots-parked", "no keys are left in unassigned slots", slots::parked),
    check("slots-open", "no slot is marked as migrating or importing", slots::open),
    check("groups-led", "every group has a leader", groups::led),
    check("groups-replicas", "every group has its replicas", groups::replicas),
    check("groups-stores", "no replica is on a storage node that is gone", groups::stores),
    check("storage-heard", "every storage node is heard and can be reached", stores::heard),
    check("storage-addresses", "every storage node has its own address", stores::addresses),
    check("disks", "disks have space", stores::disks),
    check("clocks", "clocks agree", stores::clocks),
    check("proxies-live", "every proxy is live", proxies::live),
    check("proxies-acquainted", "all proxies know each other", proxies::acquainted),
    check("proxies-roles", "every proxy owns slots or stands by for one that does", proxies::roles),
    check("proxies-current", "every proxy has the newest topology in force", proxies::current),
    check("announced-reachable", "every announced address leads to its proxy", announce::reachable),
    check("announced-distinct", "no address is announced twice", announce::distinct),
    check("announced-sensible", "announced addresses can be reached from elsewhere", announce::sensible),
    check("cluster-nodes", "CLUSTER NODES is the same everywhere", view::agrees),
];

pub(super) fn run(seen: &Collected) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| Finding::all(check.name, check.title, (check.judge)(seen))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn a_healthy_cluster_has_no_faults() {
        for finding in run(&sample::healthy()) {
            assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        }
    }

    #[test]
    fn what_meta_does_not_tell_is_unknown_but_no_fault() {
        let findings = run(&Collected { health: None, ..sample::healthy() });
        let unknown = findings.iter().filter(|finding| finding.severity == Severity::Unknown);
        assert_eq!(
            unknown.map(|finding| finding.check).collect::<Vec<_>>(),
            ["disks", "clocks", "proxies-current"]
        );
        assert!(findings.iter().all(|finding| finding.severity <= Severity::Unknown));
    }

    #[test]
    fn without_meta_its_quorum_is_the_only_error() {
        let findings = run(&sample::without_quorum());
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].check, "meta-quorum");
    }

    #[test]
    fn faults_say_why_and_what_next() {
        let findings = run(&sample::sick());
        let faults = findings.iter().filter(|finding| finding.severity >= Severity::Warning);
        for fault in faults {
            assert!(!fault.why.is_empty() && !fault.next.is_empty(), "{fault:?}");
        }
    }
}
