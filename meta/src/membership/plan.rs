//! What to do next so that meta's own group becomes as wished. Pure: a picture of the group goes in,
//! a step comes out, and so on until nothing is left to do. So a request that is repeated, or was
//! interrupted half-way, goes on from where the group is.

use std::collections::{BTreeMap, BTreeSet};

/// A learner that lags by more entries gets no vote: until it had caught up, fewer failures than
/// before would stop the group.
const PROMOTION_LAG_MAX: u64 = 100;
const MEMBERS_MAX: usize = 16;

/// The group as its leader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The leader.
    pub own: u64,
    /// Id → host:port.
    pub members: BTreeMap<u64, String>,
    /// Of both configurations while a change of voters is half done.
    pub voters: BTreeSet<u64>,
    /// A change of voters is half done.
    pub is_joint: bool,
    pub last_index: u64,
    /// Up to where each member's log is known to be the leader's.
    pub matched: BTreeMap<u64, u64>,
    /// The leader, and who answered it lately.
    pub answering: BTreeSet<u64>,
    /// Every member that ever had a vote.
    pub voted: BTreeSet<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That no change of voters is half done.
    Settled,
    Learner {
        id: u64,
        addr: String,
    },
    Voters(BTreeSet<u64>),
    /// Without a vote, and gone unless they stay as learners.
    Gone {
        ids: BTreeSet<u64>,
        keep_as_learners: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The group is as wished.
    Done,
    /// The second half of a change of voters. Who lost the vote stays as a learner: whether it was
    /// to go is known to whoever asks again.
    Settle,
    AddLearner {
        id: u64,
        addr: String,
    },
    AddVoters(BTreeSet<u64>),
    RemoveVoters {
        ids: BTreeSet<u64>,
        keep_as_learners: bool,
    },
    RemoveLearners(BTreeSet<u64>),
    /// The leader is to lose its vote: another is to do that.
    HandOver {
        to: u64,
    },
}

/// Why the group does not become as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("ERR Unknown node {0}")]
    UnknownNode(u64),
    #[error("ERR Node {id} is known under another address, {addr}")]
    OtherAddress { id: u64, addr: String },
    #[error("ERR Address {addr} belongs to node {id}")]
    AddressTaken { addr: String, id: u64 },
    /// A vote it gave, forgotten with its disk, could be given twice.
    #[error("ERR Node id {0} had a vote and was removed, ids are never used again")]
    UsedBefore(u64),
    #[error("ERR The node at {0} belongs to another group, start it with an empty directory and join")]
    Stranger(String),
    #[error("ERR Meta has {MEMBERS_MAX} members, no more are accepted")]
    Full,
    #[error("ERR Node {0} does not answer, try again when it has caught up")]
    Silent(u64),
    #[error("ERR Node {id} lags {entries} entries behind, try again when it has caught up")]
    Lags { id: u64, entries: u64 },
    #[error("ERR Node {0} is the last voter")]
    LastVoter(u64),
    #[error("ERR Nodes {} are the last voters", list(.0))]
    LastVoters(BTreeSet<u64>),
    /// The change could not be committed, and neither could anything after it.
    #[error("ERR Of the voters {} that there would be only {answering} answer", list(.voters))]
    NoQuorum { voters: BTreeSet<u64>, answering: usize },
}

impl Refusal {
    /// Who is only late may answer in a moment.
    pub fn is_for_silence(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::NoQuorum { .. })
    }
}

fn list(ids: &BTreeSet<u64>) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// The next step from `view` towards `wish`.
pub(crate) fn next_step(view: &View, wish: &Wish) -> Result<Step, Refusal> {
    if view.is_joint {
        return Ok(Step::Settle);
    }
    match wish {
        Wish::Settled => Ok(Step::Done),
        Wish::Learner { id, addr } => add_learner(view, *id, addr),
        Wish::Voters(ids) => promote(view, ids),
        Wish::Gone { ids, keep_as_learners } => remove(view, ids, *keep_as_learners),
    }
}

fn add_learner(view: &View, id: u64, addr: &str) -> Result<Step, Refusal> {
    if let Some(known) = view.members.get(&id) {
        return match known == addr {
            true => Ok(Step::Done),
            false => Err(Refusal::OtherAddress { id, addr: known.clone() }),
        };
    }
    if let Some((&other, _)) = view.members.iter().find(|(_, known)| *known == addr) {
        return Err(Refusal::AddressTaken { addr: addr.to_owned(), id: other });
    }
    if view.voted.contains(&id) {
        return Err(Refusal::UsedBefore(id));
    }
    if view.members.len() >= MEMBERS_MAX {
        return Err(Refusal::Full);
    }
    Ok(Step::AddLearner { id, addr: addr.to_owned() })
}

fn promote(view: &View, ids: &BTreeSet<u64>) -> Result<Step, Refusal> {
    if let Some(&unknown) = ids.iter().find(|id| !view.members.contains_key(id)) {
        return Err(Refusal::UnknownNode(unknown));
    }
    let learners: BTreeSet<u64> = ids.difference(&view.voters).copied().collect();
    if learners.is_empty() {
        return Ok(Step::Done);
    }
    for &id in &learners {
        let matched = *view.matched.get(&id).ok_or(Refusal::Silent(id))?;
        let entries = view.last_index.saturating_sub(matched);
        if entries > PROMOTION_LAG_MAX {
            return Err(Refusal::Lags { id, entries });
        }
        if !view.answering.contains(&id) {
            return Err(Refusal::Silent(id));
        }
    }
    check_quorum(view, view.voters.union(&learners).copied().collect())?;
    Ok(Step::AddVoters(learners))
}

fn remove(view: &View, ids: &BTreeSet<u64>, keep_as_learners: bool) -> Result<Step, Refusal> {
    let going: BTreeSet<u64> = ids.intersection(&view.voters).copied().collect();
    if going.is_empty() {
        let learners = ids.iter().copied().filter(|id| view.members.contains_key(id));
        let learners: BTreeSet<u64> = learners.collect();
        return Ok(match keep_as_learners || learners.is_empty() {
            true => Step::Done,
            false => Step::RemoveLearners(learners),
        });
    }
    let staying: BTreeSet<u64> = view.voters.difference(&going).copied().collect();
    if staying.is_empty() {
        return Err(match going.first() {
            Some(&only) if going.len() == 1 => Refusal::LastVoter(only),
            _ => Refusal::LastVoters(going),
        });
    }
    check_quorum(view, staying.clone())?;
    match going.contains(&view.own) {
        true => hand_over(view, staying),
        false => Ok(Step::RemoveVoters { ids: going, keep_as_learners }),
    }
}

/// To the one that has to catch up least.
fn hand_over(view: &View, staying: BTreeSet<u64>) -> Result<Step, Refusal> {
    let answering = staying.intersection(&view.answering).copied();
    let to = answering.max_by_key(|id| view.matched.get(id).copied());
    to.map(|to| Step::HandOver { to }).ok_or(Refusal::NoQuorum { voters: staying, answering: 0 })
}

/// Whether `voters`, as the group's only ones, could commit anything.
fn check_quorum(view: &View, voters: BTreeSet<u64>) -> Result<(), Refusal> {
    let answering = voters.intersection(&view.answering).count();
    match answering > voters.len() / 2 {
        true => Ok(()),
        false => Err(Refusal::NoQuorum { voters, answering }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: u64 = 1_000;

    fn ids<const N: usize>(ids: [u64; N]) -> BTreeSet<u64> {
        BTreeSet::from(ids)
    }

    /// Voters 1 (the leader), 2 and 3 and learner 4, all up to date.
    fn view() -> View {
        let members = BTreeMap::from([1, 2, 3, 4].map(|id| (id, format!("m{id}:1"))));
        View {
            own: 1,
            matched: members.keys().map(|&id| (id, INDEX)).collect(),
            answering: members.keys().copied().collect(),
            members,
            voters: ids([1, 2, 3]),
            is_joint: false,
            last_index: INDEX,
            voted: ids([1, 2, 3, 9]),
        }
    }

    fn learner(id: u64, addr: &str) -> Wish {
        Wish::Learner { id, addr: addr.to_owned() }
    }

    fn gone<const N: usize>(list: [u64; N]) -> Wish {
        Wish::Gone { ids: ids(list), keep_as_learners: false }
    }

    fn refusal(view: &View, wish: &Wish) -> String {
        next_step(view, wish).expect_err("refused").to_string()
    }

    #[test]
    fn a_learner_has_an_id_and_an_address_of_its_own() {
        let view = view();
        let step = next_step(&view, &learner(5, "m5:1")).unwrap();
        assert_eq!(step, Step::AddLearner { id: 5, addr: "m5:1".to_owned() });
        assert_eq!(next_step(&view, &learner(4, "m4:1")), Ok(Step::Done));
        assert_eq!(next_step(&view, &learner(2, "m2:1")), Ok(Step::Done));
        let wrong = refusal(&view, &learner(4, "m5:1"));
        assert_eq!(wrong, "ERR Node 4 is known under another address, m4:1");
        assert_eq!(refusal(&view, &learner(5, "m2:1")), "ERR Address m2:1 belongs to node 2");
        let again = refusal(&view, &learner(9, "m9:1"));
        assert_eq!(again, "ERR Node id 9 had a vote and was removed, ids are never used again");
        let members = (1..=16).map(|id| (id, format!("m{id}:1"))).collect();
        let full = View { members, ..view };
        assert_eq!(refusal(&full, &learner(17, "m17:1")), "ERR Meta has 16 members, no more are accepted");
    }

    #[test]
    fn a_vote_is_for_who_has_caught_up_and_answers() {
        let mut view = view();
        let vote = Wish::Voters(ids([2, 4]));
        assert_eq!(next_step(&view, &vote), Ok(Step::AddVoters(ids([4]))));
        assert_eq!(next_step(&view, &Wish::Voters(ids([1, 3]))), Ok(Step::Done));
        assert_eq!(refusal(&view, &Wish::Voters(ids([4, 7]))), "ERR Unknown node 7");

        view.last_index += PROMOTION_LAG_MAX;
        assert_eq!(next_step(&view, &vote), Ok(Step::AddVoters(ids([4]))));
        view.last_index += 1_134;
        let lags = "ERR Node 4 lags 1234 entries behind, try again when it has caught up";
        assert_eq!(refusal(&view, &vote), lags);

        let silent = "ERR Node 4 does not answer, try again when it has caught up";
        view.matched.remove(&4);
        assert_eq!(refusal(&view, &vote), silent);
        view.matched.insert(4, view.last_index);
        view.answering.remove(&4);
        assert_eq!(refusal(&view, &vote), silent);
    }

    #[test]
    fn a_vote_is_taken_then_the_member_removed() {
        let mut view = view();
        let wish = gone([2, 4, 77]);
        let step = Step::RemoveVoters { ids: ids([2]), keep_as_learners: false };
        assert_eq!(next_step(&view, &wish), Ok(step));
        view.voters.remove(&2);
        view.members.remove(&2);
        assert_eq!(next_step(&view, &wish), Ok(Step::RemoveLearners(ids([4]))));
        view.members.remove(&4);
        assert_eq!(next_step(&view, &wish), Ok(Step::Done));
    }

    #[test]
    fn demoted_members_may_stay() {
        let mut view = view();
        let wish = Wish::Gone { ids: ids([3, 4]), keep_as_learners: true };
        let step = Step::RemoveVoters { ids: ids([3]), keep_as_learners: true };
        assert_eq!(next_step(&view, &wish), Ok(step));
        view.voters.remove(&3);
        assert_eq!(next_step(&view, &wish), Ok(Step::Done));
    }

    #[test]
    fn the_leader_hands_over_to_the_nearest_first() {
        let mut view = view();
        view.matched.insert(2, INDEX - 1);
        assert_eq!(next_step(&view, &gone([1])), Ok(Step::HandOver { to: 3 }));
        view.answering.remove(&3);
        view.voters.insert(4);
        assert_eq!(next_step(&view, &gone([1])), Ok(Step::HandOver { to: 4 }));
    }

    #[test]
    fn a_quorum_that_answers_is_left() {
        let mut view = view();
        let all = refusal(&view, &gone([1, 2, 3]));
        assert_eq!(all, "ERR Nodes 1, 2, 3 are the last voters");
        view.answering.remove(&3);
        let stuck = refusal(&view, &gone([2]));
        assert_eq!(stuck, "ERR Of the voters 1, 3 that there would be only 1 answer");
        let step = Step::RemoveVoters { ids: ids([3]), keep_as_learners: false };
        assert_eq!(next_step(&view, &gone([3])), Ok(step), "the dead one may go");
        view.voters = ids([1]);
        assert_eq!(refusal(&view, &gone([1, 4])), "ERR Node 1 is the last voter");
    }

    #[test]
    fn what_is_half_done_is_finished_first() {
        let view = View { is_joint: true, ..view() };
        for wish in [Wish::Settled, learner(5, "m5:1"), Wish::Voters(ids([4])), gone([2])] {
            assert_eq!(next_step(&view, &wish), Ok(Step::Settle));
        }
        assert_eq!(next_step(&View { is_joint: false, ..view }, &Wish::Settled), Ok(Step::Done));
    }
}
