//! The first membership of the meta group. It is written once: by the peer with the lowest id, when
//! its log is empty and enough other peers say that theirs is, too. A node that lost its directory
//! therefore does not begin a second history beside the one its peers have.

use std::{collections::BTreeMap, time::Duration};

use daemon::env::Env;
use raft_rocks::Member;
use tokio::time::sleep;

use crate::{consensus::Consensus, peers};

const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What a peer says about its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    Empty,
    Begun,
    Unknown,
}

/// Returns once there is a membership, or it is another node's to write it.
pub(crate) async fn form(
    consensus: &Consensus,
    env: &Env,
    members: BTreeMap<u64, Member>,
) -> anyhow::Result<()> {
    if members.keys().next() != Some(&consensus.id) {
        return Ok(());
    }
    loop {
        if consensus.raft.is_initialized().await? {
            return Ok(());
        }
        let mut empty = 1;
        for (_, member) in members.iter().filter(|(id, _)| **id != consensus.id) {
            match ask(env, &member.addr).await {
                Log::Begun => {
                    tracing::warn!(peer = member.addr, "this node has lost its log; its peers have one");
                    return Ok(());
                }
                Log::Empty => empty += 1,
                Log::Unknown => {}
            }
        }
        if empty > members.len() / 2 {
            tracing::info!(members = members.len(), "first membership of meta");
            return consensus.initialize(members).await;
        }
        sleep(ASK_INTERVAL).await;
    }
}

async fn ask(env: &Env, addr: &str) -> Log {
    match peers::ask(env, addr).await {
        Some(answer) if answer.members.is_empty() => Log::Empty,
        Some(_) => Log::Begun,
        None => Log::Unknown,
    }
}
