//! Asking meta to change the topology, and waiting until it has.
//!
//! Each request has an operation id: asked again after a lost answer, meta says what the first one
//! did. A client that repeats a command whose outcome it was not told gets the same id, so a retry is
//! not refused for what its first try did.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use bytes::Bytes;
use daemon::{
    env::{Entropy, Env},
    meta_client::{MetaClient, Refused},
};
use proto::v1::{ApplyRequest, ApplyResponse};
use resp::Reply;
use tokio::time::timeout;
use topology::{Change, Command, LibraryChange, ProxyId, UsersChange, Version};

/// Longer than meta itself waits for a change to be in force.
const ANSWER_WAIT: Duration = Duration::from_millis(4_700);
const APPLY_TIMEOUT_MS: u32 = 4_000;
/// Commands without an answer that are remembered; past that all are forgotten.
const UNANSWERED_MAX: usize = 1024;
/// A longer one is not remembered: a library whose outcome is not known may then be told to exist.
const UNANSWERED_BYTES_MAX: usize = 256 << 10;

/// Cheap to clone; belongs to one worker.
#[derive(Clone)]
pub struct MetaAccess {
    client: MetaClient,
    entropy: std::sync::Arc<dyn Entropy>,
    unanswered: Rc<RefCell<HashMap<Bytes, String>>>,
}

impl MetaAccess {
    pub fn new(env: &Env, client: MetaClient) -> Self {
        Self { client, entropy: env.entropy.clone(), unanswered: Rc::default() }
    }

    pub fn client(&self) -> &MetaClient {
        &self.client
    }

    /// Answers each change, once no proxy shows an older topology.
    pub async fn change(&self, at: &ProxyId, changes: Vec<Change>) -> Result<Vec<Reply>, Reply> {
        said(self.apply(&Command::Cluster { at: at.clone(), changes }).await?)
    }

    /// Answers the version with the change, once it is in force at every proxy; `None`: it was made from
    /// users that are not the newest.
    pub async fn change_users(&self, change: UsersChange) -> Result<Option<Version>, Reply> {
        let answer = self.apply(&Command::ChangeUsers(change)).await?;
        if answer.error == topology::Refused::UsersChanged.to_string() {
            return Ok(None);
        }
        let version = Version(answer.version);
        said(answer).map(|_| Some(version))
    }

    /// Answers once every group has the libraries in its log.
    pub async fn change_libraries(&self, libraries: LibraryChange) -> Result<(), Reply> {
        said(self.apply(&Command::Libraries { libraries }).await?).map(drop)
    }

    /// Sets what is one value for the whole cluster, to which a repetition does no harm. Resolves once it
    /// is in force.
    pub async fn set(&self, command: &Command) -> Result<(), Reply> {
        let request = request_of(command, |_| self.fresh_operation())?;
        said(self.ask(&request).await?).map(drop)
    }

    async fn apply(&self, command: &Command) -> Result<ApplyResponse, Reply> {
        let request = request_of(command, |command| self.operation(command))?;
        let answer = self.ask(&request).await;
        if answer.is_err() {
            self.remember(request);
        }
        answer
    }

    async fn ask(&self, request: &ApplyRequest) -> Result<ApplyResponse, Reply> {
        in_time(self.client.admin(|mut admin| {
            let request = request.clone();
            async move { admin.apply(request).await }
        }))
        .await
    }

    /// The id under which the command was asked before without an answer, or a new one.
    fn operation(&self, command: &[u8]) -> String {
        let known = self.unanswered.borrow_mut().remove(command);
        known.unwrap_or_else(|| self.fresh_operation())
    }

    fn fresh_operation(&self) -> String {
        format!("{:016x}{:016x}", self.entropy.next_u64(), self.entropy.next_u64())
    }

    fn remember(&self, request: ApplyRequest) {
        if request.command.len() > UNANSWERED_BYTES_MAX {
            return;
        }
        let mut unanswered = self.unanswered.borrow_mut();
        if unanswered.len() >= UNANSWERED_MAX {
            unanswered.clear();
        }
        unanswered.insert(request.command, request.operation_id);
    }
}

fn request_of(command: &Command, operation: impl FnOnce(&[u8]) -> String) -> Result<ApplyRequest, Reply> {
    let command = serde_json::to_vec(command).map_err(|_| Reply::error("ERR the change has no JSON form"))?;
    let operation_id = operation(&command);
    Ok(ApplyRequest { operation_id, command: command.into(), timeout_ms: APPLY_TIMEOUT_MS })
}

/// What meta answers, or an error that names what is known about the outcome.
pub async fn in_time<T>(ask: impl Future<Output = Result<T, Refused>>) -> Result<T, Reply> {
    match timeout(ANSWER_WAIT, ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(refused)) => Err(Reply::error(format!("ERR {refused}"))),
        Err(_) => Err(Reply::error(
            "ERR The change is not confirmed: meta did not answer in time. It may take effect yet; try again",
        )),
    }
}

fn said(answer: ApplyResponse) -> Result<Vec<Reply>, Reply> {
    if !answer.error.is_empty() {
        return Err(Reply::error(answer.error));
    }
    let replies = answer.replies.into_iter().map(|reply| match (reply.is_error, reply.text) {
        (true, text) => Reply::error(text),
        (false, text) if text == "OK" => Reply::OK,
        (false, text) => Reply::Status(text.into()),
    });
    Ok(replies.collect())
}
