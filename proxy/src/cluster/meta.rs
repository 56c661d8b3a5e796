//! Asking meta to change the topology, and waiting until it has.
//!
//! Each request has an operation id: asked again after a lost answer, meta says what the first one
//! did. A client that repeats a command at once whose outcome it was not told gets the same id, so a retry
//! is not refused for what its first try did ([`super::unanswered`]).

use std::{cell::RefCell, rc::Rc, time::Duration};

use daemon::{
    env::{Entropy, Env},
    meta_client::{MetaClient, Refused},
};
use proto::v1::{ApplyRequest, ApplyResponse};
use resp::Reply;
use tokio::time::{Instant, timeout};
use topology::{Change, Command, LibraryChange, ProxyId, UsersChange, Version};

use super::unanswered::{Unanswered, may_be_done_twice};

/// Longer than meta itself waits for a change to be in force.
const ANSWER_WAIT: Duration = Duration::from_millis(4_700);
const APPLY_TIMEOUT_MS: u32 = 4_000;

/// Cheap to clone; belongs to one worker.
#[derive(Clone)]
pub struct MetaAccess {
    client: MetaClient,
    entropy: std::sync::Arc<dyn Entropy>,
    unanswered: Rc<RefCell<Unanswered>>,
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
        let changes = self.unanswered.borrow().changes();
        let answer = self.ask(&request).await;
        self.note(command, request, changes, &answer);
        answer
    }

    /// How a command has ended. `changes` had been made when it was asked.
    fn note(
        &self,
        command: &Command,
        request: ApplyRequest,
        changes: u64,
        answer: &Result<ApplyResponse, Reply>,
    ) {
        let mut unanswered = self.unanswered.borrow_mut();
        match answer {
            Ok(answer) if answer.error.is_empty() => unanswered.changed(),
            Ok(_) => {}
            Err(_) if may_be_done_twice(command) => {}
            Err(_) => unanswered.remember(request, changes, Instant::now()),
        }
    }

    async fn ask(&self, request: &ApplyRequest) -> Result<ApplyResponse, Reply> {
        in_time(self.client.admin(|mut admin| {
            let request = request.clone();
            async move { admin.apply(request).await }
        }))
        .await
    }

    /// The id under which the command was asked just before without an answer, or a new one.
    fn operation(&self, command: &[u8]) -> String {
        let known = self.unanswered.borrow_mut().take(command, Instant::now());
        known.unwrap_or_else(|| self.fresh_operation())
    }

    fn fresh_operation(&self) -> String {
        format!("{:016x}{:016x}", self.entropy.next_u64(), self.entropy.next_u64())
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

#[cfg(test)]
mod tests {
    use topology::{RestorePolicy, SlotSet};

    use super::*;

    /// Asks for a change; answers its operation id.
    fn ask(access: &MetaAccess, command: &Command, answered: bool) -> String {
        let request = request_of(command, |text| access.operation(text)).unwrap();
        let id = request.operation_id.clone();
        let changes = access.unanswered.borrow().changes();
        let answer = if answered { Ok(ApplyResponse::default()) } else { Err(Reply::error("ERR")) };
        access.note(command, request, changes, &answer);
        id
    }

    fn access() -> MetaAccess {
        MetaAccess::new(&Env::real(), MetaClient::new(Env::real(), Vec::new()))
    }

    // covers: T5
    #[test]
    fn only_an_immediate_retry_is_the_same_operation() {
        let access = access();
        let slots = Change::AddSlots { slots: SlotSet::all() };
        let add = Command::Cluster { at: ProxyId::of_address("h", 1), changes: vec![slots] };
        let bump = Command::Cluster { at: ProxyId::of_address("h", 1), changes: vec![Change::BumpEpoch] };
        let first = ask(&access, &add, false);
        ask(&access, &bump, false);
        assert_eq!(ask(&access, &add, false), first);
        assert_eq!(ask(&access, &add, true), first);
        let second = ask(&access, &add, false);
        assert_ne!(second, first);
        ask(&access, &bump, true);
        assert_ne!(ask(&access, &add, false), second, "something was changed between them");
    }

    #[test]
    fn a_flush_is_never_answered_by_an_older_one() {
        let access = access();
        for libraries in [
            LibraryChange::Flush,
            LibraryChange::Restore { libraries: Vec::new(), policy: RestorePolicy::Flush },
        ] {
            let flush = Command::Libraries { libraries };
            assert_ne!(ask(&access, &flush, false), ask(&access, &flush, false));
        }
    }
}
