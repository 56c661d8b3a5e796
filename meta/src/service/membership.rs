//! `MetaAdmin`: who belongs to meta's own group. Requests are checked here and carried out by
//! [`Membership`](crate::membership::Membership).

use std::collections::BTreeSet;

use proto::v1::{AddLearnerRequest, MembersResponse, PromoteRequest, RemoveRequest};
use tonic::{Response, Status};

use super::{Service, registration::check_addr};
use crate::membership::{NotChanged, Wish};

/// More ids than meta ever has members.
const IDS_MAX: usize = 256;

impl Service {
    pub(super) fn members_response(&self) -> Response<MembersResponse> {
        Response::new(self.core.consensus.members())
    }

    pub(super) async fn change_members(
        &self,
        request: impl TryInto<Wish, Error = Status>,
    ) -> Result<Response<MembersResponse>, Status> {
        match self.membership.change(request.try_into()?).await {
            Ok(()) => Ok(self.members_response()),
            // Without the metadata that a node sends which does not lead.
            Err(NotChanged::Refused(refusal)) => Err(Status::failed_precondition(refusal.to_string())),
            Err(NotChanged::Failed(error)) => Err(self.propose_status(error)),
        }
    }
}

impl TryFrom<AddLearnerRequest> for Wish {
    type Error = Status;

    fn try_from(request: AddLearnerRequest) -> Result<Self, Status> {
        check_addr("addr", &request.addr)?;
        match request.id {
            0 => Err(Status::invalid_argument("id: must not be 0")),
            id => Ok(Self::Learner { id, addr: request.addr }),
        }
    }
}

impl TryFrom<PromoteRequest> for Wish {
    type Error = Status;

    fn try_from(request: PromoteRequest) -> Result<Self, Status> {
        Ok(Self::Voters(some_ids(request.ids)?))
    }
}

impl TryFrom<RemoveRequest> for Wish {
    type Error = Status;

    fn try_from(request: RemoveRequest) -> Result<Self, Status> {
        Ok(Self::Gone { ids: some_ids(request.ids)?, keep_as_learners: request.keep_as_learners })
    }
}

fn some_ids(ids: Vec<u64>) -> Result<BTreeSet<u64>, Status> {
    match (1..=IDS_MAX).contains(&ids.len()) {
        true => Ok(ids.into_iter().collect()),
        false => Err(Status::invalid_argument(format!("ids: 1 to {IDS_MAX}"))),
    }
}
