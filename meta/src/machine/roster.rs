//! Who belongs to meta's own group, as committed.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use super::document::Document;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// host:port of every member, learners too: whoever does not lead names the leader.
    pub addrs: Vec<String>,
    /// Every member that ever had a vote.
    pub voted: BTreeSet<u64>,
}

/// The newest roster on this node.
pub(crate) type Rosters = watch::Receiver<Arc<Roster>>;

impl Roster {
    pub fn of(document: &Document) -> Self {
        let membership = document.membership.membership();
        let mut voted = document.voted.clone();
        voted.extend(membership.voter_ids());
        Self { addrs: membership.nodes().map(|(_, member)| member.addr.clone()).collect(), voted }
    }
}
