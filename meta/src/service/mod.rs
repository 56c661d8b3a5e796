//! The gRPC services. Protobuf types and `tonic::Status` stay in here.

mod admin;
mod health;
mod membership;
mod parked;
mod registration;
mod session;

use std::sync::Arc;

use daemon::meta_client::LEADER_METADATA;
use tonic::Status;

use crate::{
    consensus::ProposeError,
    core::{Core, NotInForce, Reign},
    membership::Membership,
};

/// Both services; each clone is the same.
#[derive(Clone)]
pub(crate) struct Service {
    core: Arc<Core>,
    membership: Membership,
}

impl Service {
    pub fn new(core: Arc<Core>, membership: Membership) -> Self {
        Self { core, membership }
    }

    fn reign(&self) -> Result<Reign, Status> {
        self.core.reign().ok_or_else(|| not_leader(&self.core))
    }

    fn propose_status(&self, error: ProposeError) -> Status {
        match error {
            ProposeError::NotLeader => not_leader(&self.core),
            unknown @ ProposeError::Unknown(_) => Status::deadline_exceeded(unknown.to_string()),
        }
    }

    fn not_in_force_status(&self, error: NotInForce) -> Status {
        let text = match error {
            NotInForce::Deposed => "committed, but leadership was lost before it was in force everywhere",
            NotInForce::Timeout => "committed, but not yet in force everywhere",
        };
        Status::deadline_exceeded(text)
    }
}

/// Names the leader, and says to try again while there is none.
fn not_leader(core: &Core) -> Status {
    let leads_itself = core.consensus.leading_term().is_some();
    let leader = core.consensus.leader_addr().filter(|_| !leads_itself);
    match leader.and_then(|addr| addr.parse().ok()) {
        Some(addr) => {
            let mut status = Status::failed_precondition("this node does not lead meta");
            status.metadata_mut().insert(LEADER_METADATA, addr);
            status
        }
        None => Status::unavailable("this node knows of no leader of meta"),
    }
}
