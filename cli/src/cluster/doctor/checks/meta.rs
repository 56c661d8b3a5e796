//! Meta's own Raft group.

use super::super::{
    collect::Collected,
    finding::{Fault, Judged, Unknown},
};
use crate::{
    admin::{Member, Members},
    cluster::names,
};

/// Entries that a member may be behind: it needs a snapshot from about there.
const LAG_MAX: u64 = 1_000;

const STANDSTILL: &str = "the topology stands still: proxies that die are not replaced, nothing can be changed, \
                          and proxies stop answering CLUSTER commands; reads and writes go on";

pub(super) fn quorum(seen: &Collected) -> Judged {
    let Some(members) = seen.members() else {
        let silent = seen.metas.iter().map(|node| match &node.answer {
            Err(why) => format!("{} ({why})", node.address),
            Ok(_) => node.address.clone(),
        });
        let what = format!("no meta node answers: {}", silent.collect::<Vec<_>>().join(", "));
        let next = "start the meta nodes, or name others with --meta";
        return Ok(vec![Fault::error(what).because(STANDSTILL).next(next)]);
    };
    let (voters, silent) = (members.voters().count(), silent_voters(seen, members));
    let answering = voters - silent.len();
    if voters > 0 && answering * 2 <= voters {
        let names: Vec<String> = silent.iter().map(|member| describe(seen, member)).collect();
        let what = format!("meta has no quorum: {answering} of {voters} voters answer; {}", names.join("; "));
        let next = "start those meta nodes again, with the data directories they had";
        return Ok(vec![Fault::error(what).because(STANDSTILL).next(next)]);
    }
    if seen.snapshot.is_some() {
        return Ok(Vec::new());
    }
    let what = format!("{answering} of {voters} voters of meta answer, but no leader does");
    let next = "look at the logs of the meta nodes: they may not reach each other";
    Ok(vec![Fault::error(what).because(STANDSTILL).next(next)])
}

pub(super) fn members(seen: &Collected) -> Judged {
    let members = seen.members().ok_or(Unknown("no meta node answers"))?;
    if silent_voters(seen, members).len() * 2 >= members.voters().count() {
        return Err(Unknown("meta has no quorum"));
    }
    let faults = members.members.iter().filter_map(|member| member_fault(seen, members, member));
    Ok(faults.collect())
}

fn member_fault(seen: &Collected, members: &Members, member: &Member) -> Option<Fault> {
    let named = format!("meta node {} at {}", member.id, member.address);
    let view = seen.metas.iter().find(|node| node.address == member.address);
    match view.map(|node| &node.answer) {
        Some(Ok(view)) if view.leader.is_none() && members.leader.is_some() => {
            let fault = Fault::warning(format!("{named} knows no leader"));
            let why = "it does not hear the others, so meta can lose one voter less";
            Some(fault.because(why).next("look at its log and at the network between the meta nodes"))
        }
        Some(Ok(_)) => {
            let lag = members.lag(member).filter(|&lag| lag > LAG_MAX)?;
            let fault = Fault::warning(format!("{named} is {lag} entries behind"));
            let why = "until it has caught up, meta can lose one voter less";
            Some(fault.because(why).next("miraft cluster metaraft status, again in a while"))
        }
        _ => {
            let fault = Fault::warning(describe(seen, member));
            let why = "meta goes on as long as more than half of its voters do";
            let next = format!(
                "start it again with its data directory; if it is lost for good: \
                 miraft cluster metaraft remove {}",
                member.id
            );
            Some(fault.because(why).next(next))
        }
    }
}

pub(super) fn voters(seen: &Collected) -> Judged {
    let members = seen.members().ok_or(Unknown("no meta node answers"))?;
    let (voters, learners) = (members.voters().count(), members.members.iter().filter(|m| !m.voter));
    let learners: Vec<String> = learners.map(|member| member.id.to_string()).collect();
    if voters == 0 {
        let fault =
            Fault::error(format!("meta has no voter, only {}", names::count(learners.len(), "learner")));
        let next = format!("miraft cluster metaraft promote {}", learners.join(" "));
        return Ok(vec![fault.because(STANDSTILL).next(next)]);
    }
    if voters % 2 == 1 {
        return Ok(Vec::new());
    }
    let fault = Fault::warning(format!("meta has {voters} voters, an even number"));
    let why = format!("it survives the loss of {}, as {} voters would", (voters - 1) / 2, voters - 1);
    let next = match learners.first() {
        Some(learner) => format!("miraft cluster metaraft promote {learner}"),
        None => "miraft cluster metaraft add-learner and promote, or remove".to_owned(),
    };
    Ok(vec![fault.because(why).next(next)])
}

fn silent_voters<'a>(seen: &Collected, members: &'a Members) -> Vec<&'a Member> {
    let answers =
        |address: &str| seen.metas.iter().any(|node| node.address == address && node.answer.is_ok());
    members.voters().filter(|voter| !answers(&voter.address)).collect()
}

/// A member that does not answer.
fn describe(seen: &Collected, member: &Member) -> String {
    let asked = seen.metas.iter().find(|node| node.address == member.address);
    let why = asked.and_then(|node| node.answer.as_ref().err());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("meta node {} at {} does not answer{why}", member.id, member.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::doctor::{checks::sample, finding::Severity};

    #[test]
    fn a_lost_quorum_names_who_is_silent() {
        let faults = quorum(&sample::without_quorum()).unwrap();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].what.starts_with("meta has no quorum: 1 of 3 voters answer"), "{:?}", faults[0]);
        assert!(faults[0].what.contains("meta node 2 at 10.0.0.2:7300"), "{:?}", faults[0]);
        assert!(members(&sample::without_quorum()).is_err());
    }

    #[test]
    fn nobody_there_is_told_too() {
        let mut seen = sample::without_quorum();
        seen.metas[0].answer = Err("connection refused".to_owned());
        let faults = quorum(&seen).unwrap();
        assert!(faults[0].what.contains("10.0.0.1:7300 (connection refused)"), "{:?}", faults[0]);
        assert!(voters(&seen).is_err());
    }

    #[test]
    fn voters_that_answer_but_elect_nobody_are_an_error() {
        let seen = Collected { snapshot: None, ..sample::healthy() };
        assert!(quorum(&seen).unwrap()[0].what.contains("no leader"));
    }

    #[test]
    fn one_silent_node_is_a_warning() {
        let mut seen = sample::healthy();
        seen.metas[2].answer = Err("timed out".to_owned());
        assert_eq!(quorum(&seen), Ok(Vec::new()));
        let faults = members(&seen).unwrap();
        assert_eq!((faults.len(), faults[0].severity), (1, Severity::Warning));
        assert!(faults[0].what.contains("meta node 3") && faults[0].next.ends_with("remove 3"));
    }

    #[test]
    fn a_node_behind_or_cut_off_is_a_warning() {
        let mut seen = sample::healthy();
        seen.metas[0].answer.as_mut().unwrap().members[1].matched_index = 5;
        seen.metas[2].answer.as_mut().unwrap().leader = None;
        let faults = members(&seen).unwrap();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].what.contains("9995 entries behind") && faults[1].what.contains("knows no leader"));
    }

    #[test]
    fn voters_are_counted() {
        let mut seen = sample::healthy();
        for node in &mut seen.metas {
            node.answer.as_mut().unwrap().members[2].voter = false;
        }
        assert!(voters(&seen).unwrap()[0].what.contains("2 voters, an even number"));
        for node in &mut seen.metas {
            node.answer.as_mut().unwrap().members.iter_mut().for_each(|member| member.voter = false);
        }
        assert_eq!(voters(&seen).unwrap()[0].severity, Severity::Error);
    }
}
