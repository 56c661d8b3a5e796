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
use topology::{Change, Command, ProxyId};

/// Longer than meta itself waits for a change to be in force.
const ANSWER_WAIT: Duration = Duration::from_millis(4_700);
const APPLY_TIMEOUT_MS: u32 = 4_000;
/// Commands without an answer that are remembered; past that all are forgotten.
const UNANSWERED_MAX: usize = 1024;

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
        let command = Command::Cluster { at: at.clone(), changes };
        let Ok(command) = serde_json::to_vec(&command) else {
            return Err(Reply::error("ERR the change has no JSON form"));
        };
        let operation_id = self.operation(&command);
        let request = ApplyRequest { operation_id, command: command.into(), timeout_ms: APPLY_TIMEOUT_MS };
        let ask = self.client.admin(|mut admin| {
            let request = request.clone();
            async move { admin.apply(request).await }
        });
        let answer = in_time(ask).await;
        if answer.is_err() {
            self.remember(request);
        }
        said(answer?)
    }

    /// The id under which the command was asked before without an answer, or a new one.
    fn operation(&self, command: &[u8]) -> String {
        let known = self.unanswered.borrow_mut().remove(command);
        known.unwrap_or_else(|| format!("{:016x}{:016x}", self.entropy.next_u64(), self.entropy.next_u64()))
    }

    fn remember(&self, request: ApplyRequest) {
        let mut unanswered = self.unanswered.borrow_mut();
        if unanswered.len() >= UNANSWERED_MAX {
            unanswered.clear();
        }
        unanswered.insert(request.command, request.operation_id);
    }
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
