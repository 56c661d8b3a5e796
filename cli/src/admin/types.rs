//! What meta tells about itself and about the nodes, in the words of the commands.

use std::collections::BTreeMap;

use proto::v1;
use topology::{GroupId, ProxyId, ReplicaId, StoreId};

/// What one change answers, as Redis would say it.
pub(crate) type Answer = Result<String, String>;

pub(super) fn answer(reply: v1::ChangeReply) -> Answer {
    if reply.is_error { Err(reply.text) } else { Ok(reply.text) }
}

/// A meta node that was asked by itself.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub address: String,
    /// Its members as it sees them, or why it did not answer.
    pub answer: Result<Members, String>,
}

/// Meta's own Raft group as one of its nodes sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub members: Vec<Member>,
    pub leader: Option<u64>,
    pub term: u64,
    /// Of the node that answered; 0 if it does not tell.
    pub last_index: u64,
    pub applied_index: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub id: u64,
    pub address: String,
    pub voter: bool,
    /// 0: the node that answered does not know.
    pub matched_index: u64,
}

impl Members {
    pub fn voters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.voter)
    }

    /// The node at `address`, which answered this, leads as far as it knows.
    pub fn are_led_from(&self, address: &str) -> bool {
        self.members.iter().any(|member| self.leader == Some(member.id) && member.address == address)
    }

    /// Entries that the member lacks, as far as the node that answered knows: a leader does.
    pub fn lag(&self, member: &Member) -> Option<u64> {
        let newest = self.members.iter().map(|other| other.matched_index).max().unwrap_or(0);
        let told = self.members.iter().filter(|other| other.matched_index > 0).count() > 1;
        told.then(|| newest.max(self.last_index).saturating_sub(member.matched_index))
    }
}

impl From<v1::MembersResponse> for Members {
    fn from(answer: v1::MembersResponse) -> Self {
        let member = |member: v1::MetaMember| Member {
            id: member.id,
            address: member.addr,
            voter: member.voter,
            matched_index: member.matched_index,
        };
        Self {
            members: answer.members.into_iter().map(member).collect(),
            leader: (answer.leader > 0).then_some(answer.leader),
            term: answer.term,
            last_index: answer.last_index,
            applied_index: answer.applied_index,
        }
    }
}

/// The members as the node sees them that knows best: the leader of the latest term.
pub(crate) fn best_view(metas: &[Asked]) -> Option<&Members> {
    let views = metas.iter().filter_map(|node| Some((node, node.answer.as_ref().ok()?)));
    let best = views.max_by_key(|(node, members)| (members.are_led_from(&node.address), members.term));
    best.map(|(_, members)| members)
}

/// What heartbeats told meta's leader.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Health {
    pub stores: BTreeMap<StoreId, StoreHealth>,
    pub proxies: BTreeMap<ProxyId, ProxyHealth>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StoreHealth {
    pub connected: bool,
    /// None: not since the leader leads.
    pub heard_ms_ago: Option<u64>,
    pub clock_skew_ms: i64,
    pub disk_free_bytes: u64,
    /// 0: it does not tell.
    pub disk_total_bytes: u64,
    pub replicas: Vec<ReplicaReport>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ReplicaReport {
    pub group: GroupId,
    pub replica: ReplicaId,
    pub leads: bool,
    pub term: u64,
    pub last_index: u64,
    pub applied_index: u64,
    /// Only a leader tells.
    pub voters: Vec<ReplicaId>,
    pub keys: u64,
    pub failed: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ProxyHealth {
    pub connected: bool,
    pub heard_ms_ago: Option<u64>,
    pub clock_skew_ms: i64,
    pub acked_version: u64,
}

impl Health {
    /// What the leader of a group reported, and the others.
    pub fn of_group(&self, group: GroupId) -> impl Iterator<Item = (StoreId, &ReplicaReport)> {
        let reports = self.stores.iter().flat_map(|(&id, store)| store.replicas.iter().map(move |r| (id, r)));
        reports.filter(move |(_, report)| report.group == group)
    }

    /// Of those that claim to lead, the one of the latest term.
    pub fn leader_of(&self, group: GroupId) -> Option<&ReplicaReport> {
        let leading = self.of_group(group).map(|(_, report)| report).filter(|report| report.leads);
        leading.max_by_key(|report| report.term)
    }
}

impl From<v1::GetHealthResponse> for Health {
    fn from(answer: v1::GetHealthResponse) -> Self {
        let stores = answer.stores.into_iter().map(|store| (StoreId(store.store_id), store.into()));
        let proxies = answer.proxies.into_iter();
        let proxies = proxies.filter_map(|proxy| Some((ProxyId::parse(&proxy.proxy_id)?, proxy.into())));
        Self { stores: stores.collect(), proxies: proxies.collect() }
    }
}

impl From<v1::StoreHealth> for StoreHealth {
    fn from(store: v1::StoreHealth) -> Self {
        Self {
            connected: store.connected,
            heard_ms_ago: store.heard_ms_ago,
            clock_skew_ms: store.clock_skew_ms,
            disk_free_bytes: store.disk_free_bytes,
            disk_total_bytes: store.disk_total_bytes,
            replicas: store.replicas.into_iter().map(ReplicaReport::from).collect(),
        }
    }
}

impl From<v1::ReplicaReport> for ReplicaReport {
    fn from(report: v1::ReplicaReport) -> Self {
        Self {
            group: GroupId(report.group),
            replica: ReplicaId(report.replica),
            leads: report.is_leader,
            term: report.term,
            last_index: report.last_index,
            applied_index: report.applied_index,
            voters: report.voters.into_iter().map(ReplicaId).collect(),
            keys: report.keys,
            failed: report.failed,
        }
    }
}

impl From<v1::ProxyHealth> for ProxyHealth {
    fn from(proxy: v1::ProxyHealth) -> Self {
        Self {
            connected: proxy.connected,
            heard_ms_ago: proxy.heard_ms_ago,
            clock_skew_ms: proxy.clock_skew_ms,
            acked_version: proxy.acked_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, matched_index: u64) -> Member {
        Member { id, matched_index, voter: true, ..Member::default() }
    }

    #[test]
    fn only_a_leader_knows_who_lags() {
        let leader = Members { members: vec![member(1, 90), member(2, 70)], ..Members::default() };
        assert_eq!(leader.lag(&leader.members[1]), Some(20));
        let follower = Members { members: vec![member(1, 90), member(2, 0)], ..Members::default() };
        assert_eq!(follower.lag(&follower.members[1]), None);
    }

    #[test]
    fn the_leader_of_the_latest_term_counts() {
        let report =
            |term, leads| ReplicaReport { group: GroupId(1), term, leads, ..ReplicaReport::default() };
        let store = |reports| StoreHealth { replicas: reports, ..StoreHealth::default() };
        let stores = [(1, vec![report(3, true)]), (2, vec![report(5, true)]), (3, vec![report(9, false)])];
        let health = Health {
            stores: stores.map(|(id, reports)| (StoreId(id), store(reports))).into(),
            ..Health::default()
        };
        assert_eq!(health.leader_of(GroupId(1)).map(|report| report.term), Some(5));
        assert_eq!(health.leader_of(GroupId(2)), None);
    }
}
