//! What CLUSTER NODES of each proxy says, compared with what each says of itself.

use std::collections::BTreeMap;

use super::super::{
    collect::{Collected, Probe},
    finding::{Fault, Judged, Unknown},
    nodes_text::NodeLine,
    probe::{Reached, Told},
};
use crate::cluster::names;

const WHY: &str = "clients learn the cluster from any one proxy, and redis-cli --cluster check compares them";
const NEXT: &str = "run the doctor again: a change may be on its way; else look at the logs of both proxies";

/// A proxy that answered, and what it shows.
struct View<'a> {
    address: &'a str,
    my_id: &'a str,
    lines: &'a [NodeLine],
    /// Those with the same number know each other.
    realm: Option<u64>,
}

pub(super) fn agrees(seen: &Collected) -> Judged {
    let told = || seen.probes.iter().filter_map(|probe| Some((probe, told(probe)?)));
    if told().next().is_none() {
        return Err(Unknown("no proxy answers"));
    }
    let silent = || told().filter_map(|(probe, told)| Some((probe, told.nodes.as_ref().err()?)));
    if seen.snapshot.is_none() && silent().next().is_some() {
        return Err(Unknown("proxies do not tell while meta is away"));
    }
    let unreadable = silent().map(|(probe, why)| {
        let fault = Fault::error(format!("{} does not answer CLUSTER NODES: {why}", probe.address));
        fault.because(WHY).next("look at its log; without a lease of meta it does not answer")
    });
    let views: Vec<View<'_>> = told().filter_map(|(probe, told)| view(seen, probe, told)).collect();
    let mut faults: Vec<Fault> = unreadable.collect();
    faults.extend(views.iter().filter_map(about_itself));
    faults.extend(views.iter().flat_map(|view| about_others(view, &views)));
    faults.extend(views.iter().flat_map(|view| about_nobody(seen, view)));
    Ok(faults)
}

fn told(probe: &Probe) -> Option<&Told> {
    match &probe.reached {
        Reached::Node(told) => Some(told),
        _ => None,
    }
}

fn view<'a>(seen: &Collected, probe: &'a Probe, told: &'a Told) -> Option<View<'a>> {
    let proxy = probe.proxy.as_ref().and_then(|id| seen.state().ok()?.proxies.get(id));
    let lines = told.nodes.as_ref().ok()?;
    Some(View { address: &probe.address, my_id: &told.my_id, lines, realm: proxy.map(|proxy| proxy.realm) })
}

impl View<'_> {
    fn line(&self, id: &str) -> Option<&NodeLine> {
        self.lines.iter().find(|line| line.id == id)
    }
}

fn about_itself(view: &View<'_>) -> Option<Fault> {
    let mine: Vec<&NodeLine> = view.lines.iter().filter(|line| line.myself).collect();
    let what = match mine.as_slice() {
        [line] if line.id == view.my_id => return None,
        [line] => format!("{} calls itself {} and {}", view.address, view.my_id, line.id),
        _ => format!("{} shows {} as itself", view.address, names::count(mine.len(), "node")),
    };
    Some(Fault::error(what).because(WHY).next(NEXT))
}

/// How one sees the others that it should know.
fn about_others(view: &View<'_>, all: &[View<'_>]) -> Vec<Fault> {
    let others = all.iter().filter(|other| other.my_id != view.my_id && other.realm == view.realm);
    let complaint = |other: &View<'_>| {
        let own = other.line(other.my_id)?;
        let Some(seen) = view.line(other.my_id) else {
            return Some(format!("{} does not see {}", view.address, other.address));
        };
        let difference = difference(seen, own)?;
        Some(format!("{} shows {} {difference}", view.address, other.address))
    };
    let fault = |what: String| Fault::error(what).because(WHY).next(NEXT);
    others.filter_map(complaint).map(fault).collect()
}

fn difference(seen: &NodeLine, own: &NodeLine) -> Option<String> {
    if seen.role() != own.role() {
        Some(format!("as a {}, which calls itself a {}", seen.role(), own.role()))
    } else if seen.master != own.master {
        Some("as the replica of another master than it says itself".to_owned())
    } else if seen.address != own.address {
        Some(format!("at {}, which says it is at {}", seen.address, own.address))
    } else if seen.slots != own.slots {
        Some(format!("with slots {:?}, which says it has {:?}", seen.slots, own.slots))
    } else {
        None
    }
}

/// Nodes that meta calls dead, or does not know.
fn about_nobody(seen: &Collected, view: &View<'_>) -> Vec<Fault> {
    let Ok(state) = seen.state() else { return Vec::new() };
    let live: BTreeMap<&str, ()> =
        state.live_proxies().map(|(id, proxy)| (names::shown(id, proxy).as_str(), ())).collect();
    let stale = view.lines.iter().filter(|line| !line.myself && !live.contains_key(line.id.as_str()));
    let fault = |line: &NodeLine| {
        Fault::warning(format!("{} still shows {}, which is not live", view.address, line.address))
            .because(WHY)
            .next(NEXT)
    };
    stale.map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::doctor::checks::sample;

    fn lines(seen: &mut Collected, number: usize) -> &mut Vec<NodeLine> {
        match &mut seen.probes[number].reached {
            Reached::Node(told) => told.nodes.as_mut().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn faults(seen: &Collected) -> Vec<String> {
        agrees(seen).unwrap().into_iter().map(|fault| fault.what).collect()
    }

    #[test]
    fn a_node_that_is_not_seen_is_told() {
        let mut seen = sample::healthy();
        lines(&mut seen, 0).retain(|line| !line.address.ends_with("7001"));
        assert_eq!(faults(&seen), ["10.0.0.1:7000 does not see 10.0.0.2:7001"]);
        sample::proxy(&mut seen, 1).realm = 9;
        assert!(!faults(&seen).contains(&"10.0.0.1:7000 does not see 10.0.0.2:7001".to_owned()));
    }

    #[test]
    fn other_roles_and_slots_are_told() {
        let mut seen = sample::healthy();
        let id = sample::proxy_id(0).to_string();
        let shown = lines(&mut seen, 0).iter_mut().find(|line| line.address.ends_with("7001")).unwrap();
        shown.master = Some(id);
        let expected = "10.0.0.1:7000 shows 10.0.0.2:7001 as a replica, which calls itself a master";
        assert_eq!(faults(&seen), [expected]);
        let mut seen = sample::healthy();
        lines(&mut seen, 1).iter_mut().find(|line| line.address.ends_with("7002")).unwrap().slots =
            "1".to_owned();
        assert!(faults(&seen)[0].starts_with("10.0.0.2:7001 shows 10.0.0.3:7002 with slots \"1\""));
    }

    #[test]
    fn who_is_not_live_is_told() {
        let mut seen = sample::healthy();
        sample::proxy(&mut seen, 2).live = false;
        seen.probes.pop();
        assert_eq!(faults(&seen).len(), 2);
        assert!(faults(&seen)[0].ends_with("still shows 10.0.0.3:7002, which is not live"));
    }

    #[test]
    fn a_node_that_is_not_itself_is_told() {
        let mut seen = sample::healthy();
        lines(&mut seen, 0).iter_mut().for_each(|line| line.myself = false);
        assert_eq!(faults(&seen), ["10.0.0.1:7000 shows 0 nodes as itself"]);
    }

    #[test]
    fn proxies_that_do_not_tell_are_an_error_unless_meta_is_away() {
        let mut seen = sample::healthy();
        match &mut seen.probes[0].reached {
            Reached::Node(told) => told.nodes = Err("CLUSTERDOWN".to_owned()),
            other => panic!("{other:?}"),
        }
        assert_eq!(faults(&seen), ["10.0.0.1:7000 does not answer CLUSTER NODES: CLUSTERDOWN"]);
        seen.snapshot = None;
        assert!(agrees(&seen).is_err());
    }
}
