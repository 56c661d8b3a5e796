//! `MetaAdmin`: read the state, see the members, change the topology.

use std::time::Duration;

use proto::v1::{
    AddLearnerRequest, ApplyRequest, ApplyResponse, ChangeReply, GetHealthRequest, GetHealthResponse,
    GetStateRequest, GetStateResponse, MembersRequest, MembersResponse, PromoteRequest, RemoveRequest,
    meta_admin_server::MetaAdmin,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use topology::Command;

use super::{Service, not_leader, parked};
use crate::{
    core::NotInForce,
    proposal::{Answer, Proposal},
};

const OPERATION_BYTES_MAX: usize = 128;
/// Larger than any change that is accepted: what is not is kept out of the log.
const COMMAND_BYTES_MAX: usize = 32 << 20;
const APPLY_TIMEOUT_MAX: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl MetaAdmin for Service {
    async fn get_state(&self, _: Request<GetStateRequest>) -> Result<Response<GetStateResponse>, Status> {
        self.reign()?;
        if !self.core.consensus.confirm().await {
            return Err(not_leader(&self.core));
        }
        let published = self.core.states.borrow().clone();
        let leaders = self.core.hints.borrow().to_vec();
        let (state, version) = (published.json(), published.state.version.0);
        Ok(Response::new(GetStateResponse { state, version, leaders }))
    }

    /// As this node sees them: any may be asked.
    async fn members(&self, _: Request<MembersRequest>) -> Result<Response<MembersResponse>, Status> {
        Ok(self.members_response())
    }

    async fn get_health(&self, _: Request<GetHealthRequest>) -> Result<Response<GetHealthResponse>, Status> {
        self.reign()?;
        Ok(Response::new(self.health()))
    }

    async fn add_learner(
        &self,
        request: Request<AddLearnerRequest>,
    ) -> Result<Response<MembersResponse>, Status> {
        self.change_members(request.into_inner()).await
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Result<Response<MembersResponse>, Status> {
        self.change_members(request.into_inner()).await
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Result<Response<MembersResponse>, Status> {
        self.change_members(request.into_inner()).await
    }

    /// Answers success only once no proxy shows an older topology any more.
    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        let request = request.into_inner();
        let reign = self.reign()?;
        let wait = match request.timeout_ms {
            0 => self.core.apply_timeout,
            ms => Duration::from_millis(ms.into()).min(APPLY_TIMEOUT_MAX),
        };
        let deadline = Instant::now() + wait;
        let proposal = proposal_of(request)?;
        // What is not looked through by half of the time is refused, rather than left unanswered.
        parked::looked_through(&self.core.states, &proposal.command, deadline - wait / 2).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let proposed = self.core.consensus.propose(&proposal, left).await;
        let mut answer = proposed.map_err(|error| self.propose_status(error))?;
        if answer.error.is_empty() {
            if let Command::Cluster { changes, .. } = &proposal.command {
                let arrived = parked::arrived(&self.core.states, changes, &mut answer, deadline).await;
                arrived.map_err(|parked::NotYet| self.not_in_force_status(NotInForce::Timeout))?;
            }
            let stores = concerns_stores(&proposal.command);
            let in_force = match &proposal.command {
                Command::Libraries { .. } => self.core.libraries_in_force(&reign, deadline).await,
                _ => self.core.in_force(answer.version, stores, &reign, deadline).await,
            };
            in_force.map_err(|error| self.not_in_force_status(error))?;
        }
        let Answer { version, error, replies, .. } = answer;
        let replies = replies.into_iter().map(|reply| match reply {
            Ok(text) => ChangeReply { text, is_error: false },
            Err(text) => ChangeReply { text, is_error: true },
        });
        Ok(Response::new(ApplyResponse { version: version.0, error, replies: replies.collect() }))
    }
}

fn proposal_of(request: ApplyRequest) -> Result<Proposal, Status> {
    if request.operation_id.len() > OPERATION_BYTES_MAX {
        let text = format!("operation_id: longer than {OPERATION_BYTES_MAX} bytes");
        return Err(Status::invalid_argument(text));
    }
    if request.command.len() > COMMAND_BYTES_MAX {
        let text = format!("command: longer than {COMMAND_BYTES_MAX} bytes");
        return Err(Status::invalid_argument(text));
    }
    let command: Command = serde_json::from_slice(&request.command)
        .map_err(|error| Status::invalid_argument(format!("command: {error}")))?;
    match may_be_asked_for(&command) {
        true => Ok(Proposal { operation: request.operation_id, command }),
        false => Err(Status::invalid_argument("command: meta decides that by itself")),
    }
}

/// Whether storage nodes do something else from that change on, which whoever asked for it may rely on.
/// (They learn about slots from their own log.)
fn concerns_stores(command: &Command) -> bool {
    matches!(command, Command::SetNotifications { .. })
}

/// Leases and what was observed are the leader's own affair: its bookkeeping has to agree with them.
fn may_be_asked_for(command: &Command) -> bool {
    use Command::*;
    !matches!(
        command,
        Init { .. }
            | ProxyLeaseExpired { .. }
            | ProxyAlive { .. }
            | GroupFormed { .. }
            | ParkedFound { .. }
            | SettleNamespace { .. }
    )
}
