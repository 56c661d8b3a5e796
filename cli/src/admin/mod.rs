//! Meta's administration as the commands use it. Protobuf messages and gRPC statuses stay in here.

mod types;

use std::{collections::BTreeMap, future::Future, time::Duration};

use daemon::{
    env::Env,
    grpc,
    meta_client::{LEADER_METADATA, MetaClient},
};
use proto::v1::{
    AddLearnerRequest, ApplyRequest, GetHealthRequest, GetStateRequest, MembersRequest, PromoteRequest,
    RemoveRequest, meta_admin_client::MetaAdminClient,
};
use tokio::time::timeout;
use tonic::{Code, Response, Status, transport::Channel};
use topology::{ClusterState, Command, GroupId, StoreId};

pub(crate) use types::{Answer, Asked, Health, Member, Members, ReplicaReport, best_view};
#[cfg(test)]
pub(crate) use types::{ProxyHealth, StoreHealth};

/// A meta node that is asked by itself and is well answers much sooner.
const NODE_PATIENCE: Duration = Duration::from_secs(2);
/// Meta waits so long for a change to be in force; then it is asked again, by the same operation id.
const APPLY_TIMEOUT_MS: u32 = 2_500;
/// Why meta did not do, or tell, what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no answer from meta at {0}: not reachable, or without a leader (`miraft cluster doctor` tells)")]
    Silent(String),
    #[error("meta does not know how to {0}: its build is older than this command line")]
    Unimplemented(&'static str),
    #[error("meta refused: {0}")]
    Refused(String),
    #[error("meta's state cannot be read")]
    State(#[source] serde_json::Error),
}

/// The replicated state, and who leads its groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub state: ClusterState,
    pub leaders: BTreeMap<GroupId, StoreId>,
}

/// Asks meta's leader; single nodes with [`Admin::ask_each`].
pub(crate) struct Admin {
    env: Env,
    client: MetaClient,
    addresses: Vec<String>,
    patience: Duration,
}

impl Admin {
    pub fn new(addresses: Vec<String>, patience: Duration) -> Self {
        let env = Env::real();
        let client = MetaClient::new(env.clone(), addresses.clone());
        Self { env, client, addresses, patience }
    }

    pub async fn snapshot(&self) -> Result<Snapshot, AskError> {
        let call = async |mut admin: Stub| admin.get_state(GetStateRequest {}).await;
        let answer = self.ask("tell its state", call).await?;
        let state = serde_json::from_slice(&answer.state).map_err(AskError::State)?;
        let leaders = answer.leaders.iter().map(|hint| (GroupId(hint.group), StoreId(hint.store_id)));
        Ok(Snapshot { state, leaders: leaders.collect() })
    }

    /// None: this meta does not tell.
    pub async fn health(&self) -> Result<Option<Health>, AskError> {
        let call = async |mut admin: Stub| admin.get_health(GetHealthRequest {}).await;
        match self.ask("tell the health of its nodes", call).await {
            Ok(health) => Ok(Some(health.into())),
            Err(AskError::Unimplemented(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn add_learner(&self, id: u64, addr: &str) -> Result<Members, AskError> {
        let call = |mut admin: Stub| {
            let request = AddLearnerRequest { id, addr: addr.to_owned() };
            async move { admin.add_learner(request).await }
        };
        self.ask("add learners", call).await.map(Members::from)
    }

    pub async fn promote(&self, ids: &[u64]) -> Result<Members, AskError> {
        let call = |mut admin: Stub| {
            let request = PromoteRequest { ids: ids.to_vec() };
            async move { admin.promote(request).await }
        };
        self.ask("promote learners", call).await.map(Members::from)
    }

    pub async fn remove(&self, ids: &[u64], keep_as_learners: bool) -> Result<Members, AskError> {
        let call = |mut admin: Stub| {
            let request = RemoveRequest { ids: ids.to_vec(), keep_as_learners };
            async move { admin.remove(request).await }
        };
        self.ask("remove members", call).await.map(Members::from)
    }

    /// What each change of `command` answers. However often it is sent, it is done once.
    pub async fn apply(&self, command: &Command) -> Result<Vec<Answer>, AskError> {
        let entropy = &self.env.entropy;
        let request = ApplyRequest {
            operation_id: format!("cli-{:016x}{:016x}", entropy.next_u64(), entropy.next_u64()),
            command: serde_json::to_vec(command).map_err(AskError::State)?.into(),
            timeout_ms: APPLY_TIMEOUT_MS,
        };
        let call = |mut admin: Stub| {
            let request = request.clone();
            async move { admin.apply(request).await }
        };
        let answer = self.ask("change the topology", call).await?;
        match answer.error.is_empty() {
            true => Ok(answer.replies.into_iter().map(types::answer).collect()),
            false => Err(AskError::Refused(answer.error)),
        }
    }

    /// Asks each meta node that is configured, or named by one that answers, by itself.
    pub async fn ask_each(&self) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        let mut next = self.addresses.clone();
        while !next.is_empty() {
            asked.extend(ask_nodes(&self.env, next, self.patience.min(NODE_PATIENCE)).await);
            let known = |address: &String| asked.iter().any(|node| node.address == *address);
            let named = asked.iter().filter_map(|node| node.answer.as_ref().ok()).flat_map(|m| &m.members);
            next = named.map(|member| member.address.clone()).filter(|address| !known(address)).collect();
            next.sort_unstable();
            next.dedup();
        }
        asked
    }

    /// The members as the one of `metas` sees them that knows best.
    pub fn best_view(&self, metas: &[Asked]) -> Result<Members, AskError> {
        let silent = || AskError::Silent(self.addresses.join(", "));
        best_view(metas).cloned().ok_or_else(silent)
    }

    /// Until the leader answers, refuses for good, or time is up.
    async fn ask<T, F>(&self, what: &'static str, call: impl Fn(Stub) -> F) -> Result<T, AskError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let answered = self.client.admin(|stub| {
            let answer = call(stub.max_decoding_message_size(grpc::MESSAGE_BYTES_MAX));
            async move {
                match answer.await {
                    Err(status) if is_final(&status) => Ok(Response::new(Err(status))),
                    Err(status) => Err(status),
                    Ok(answer) => Ok(Response::new(Ok(answer.into_inner()))),
                }
            }
        });
        match timeout(self.patience, answered).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(status))) if status.code() == Code::Unimplemented => Err(AskError::Unimplemented(what)),
            Ok(Ok(Err(status))) => Err(AskError::Refused(status.message().to_owned())),
            Ok(Err(refused)) => Err(AskError::Refused(refused.to_string())),
            Err(_) => Err(AskError::Silent(self.addresses.join(", "))),
        }
    }
}

type Stub = MetaAdminClient<Channel>;

/// Asking again, or someone else, would not help.
fn is_final(status: &Status) -> bool {
    use Code::*;
    match status.code() {
        InvalidArgument | NotFound | AlreadyExists | PermissionDenied | Unimplemented | Unauthenticated => {
            true
        }
        // With it: a node that does not lead.
        FailedPrecondition => status.metadata().get(LEADER_METADATA).is_none(),
        _ => false,
    }
}

/// All at the same time.
async fn ask_nodes(env: &Env, addresses: Vec<String>, patience: Duration) -> Vec<Asked> {
    let tasks: Vec<_> =
        addresses.into_iter().map(|address| tokio::spawn(ask_node(env.clone(), address, patience))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        // Nothing cancels the tasks.
        answers.extend(task.await);
    }
    answers
}

async fn ask_node(env: Env, address: String, patience: Duration) -> Asked {
    let answer = async {
        let channel = grpc::channel(&env, &address).map_err(|error| error.to_string())?;
        let asked = timeout(patience, Stub::new(channel).members(MembersRequest {})).await;
        match asked {
            Ok(Ok(members)) => Ok(Members::from(members.into_inner())),
            Ok(Err(status)) => Err(status.message().to_owned()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        }
    };
    let answer = answer.await;
    Asked { address, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_node_that_does_not_lead() {
        let refusal = Status::failed_precondition("learner 4 lags 900 entries behind");
        let lost = Status::unavailable("this node knows of no leader of meta");
        let mut elsewhere = Status::failed_precondition("moved");
        elsewhere.metadata_mut().insert(LEADER_METADATA, "h:1".parse().unwrap());
        assert!(is_final(&refusal) && is_final(&Status::unimplemented("promote")));
        assert!(!is_final(&lost) && !is_final(&elsewhere));
    }
}
