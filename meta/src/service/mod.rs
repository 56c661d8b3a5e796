//! The gRPC services. Protobuf types and `tonic::Status` stay in here.

mod admin;
mod registration;
mod session;

use std::sync::Arc;

use daemon::meta_client::LEADER_METADATA;
use tonic::{Code, Status};

use crate::{
    consensus::ProposeError,
    core::{Core, NotInForce, Reign},
};

/// Both services; each clone is the same.
#[derive(Clone)]
pub(crate) struct Service {
    core: Arc<Core>,
}

impl Service {
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
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
            NotInForce::Deposed => "committed, but leadership was lost before every proxy had it in force",
            NotInForce::Timeout => "committed, but not yet in force at every proxy",
        };
        Status::deadline_exceeded(text)
    }
}

/// Names the leader, if it is known and another.
fn not_leader(core: &Core) -> Status {
    let mut status = Status::new(Code::FailedPrecondition, "this node does not lead meta");
    let leads_itself = core.consensus.leading_term().is_some();
    let leader = core.consensus.leader_addr().filter(|_| !leads_itself);
    if let Some(value) = leader.and_then(|addr| addr.parse().ok()) {
        status.metadata_mut().insert(LEADER_METADATA, value);
    }
    status
}
