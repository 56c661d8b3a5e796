//! A command that waits on the storage side until it is served: BLPOP and its like.
//!
//! It travels alone, in a session of its own under the number 1. The group's leader keeps it in memory
//! and answers when it is served, in the entry of the write that served it. When the leader changes, or
//! the stream breaks, or the slot moves, the same batch goes to whoever leads then: if it was served
//! already, that answers from the session's table. To end the waiting, a batch of the same session and
//! number is sent that does nothing: whichever of the two is executed first counts, and the other is
//! answered with its outcome. So an element is popped once, and whoever is told that nothing came has
//! popped nothing.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use commands::{Id, wire};
use proto::v1::{Batch, BatchReply, Refusal};
use tokio::time::sleep;
use topology::{GroupId, Slot, StoreId};

use super::Core;
use crate::backend_api::{End, RouteError, Waited};

/// Between attempts that failed.
const RETRY: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// How long an end is asked for before its outcome counts as unknown.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// Sessions that wait to be named as finished.
const FINISHED_MAX: usize = 10_000;

/// One command that waits.
pub(super) struct Waiting {
    core: Rc<Core>,
    slot: Slot,
    session: u64,
    /// Of the last attempt.
    target: Option<(GroupId, StoreId)>,
    attempts: u32,
    pause: Duration,
}

impl Waiting {
    pub fn new(core: Rc<Core>, slot: Slot) -> Self {
        let session = core.env.entropy.next_u64();
        Self { core, slot, session, target: None, attempts: 0, pause: RETRY }
    }

    /// Sends `command` (one, in `commands::wire` form) until it is answered or `end` resolves.
    pub async fn run(mut self, command: Bytes, end: End) -> Result<Waited, RouteError> {
        let served = tokio::select! {
            served = self.insist(&command) => Some(served?),
            () = end => None,
        };
        let outcome = match served {
            Some(replies) => first(&replies).map(Waited::Served),
            None => self.end().await,
        };
        if self.attempts == 1 {
            // No straggler can ask for the outcome again.
            let mut finished = self.core.finished.borrow_mut();
            // What is not named here is forgotten after a while anyway.
            if finished.len() < FINISHED_MAX {
                finished.extend(self.target.map(|(group, _)| (group, self.session)));
            }
        }
        outcome
    }

    async fn end(&mut self) -> Result<Waited, RouteError> {
        let mut command = Vec::new();
        wire::put_command(&mut command, Id::StopWaiting as u16, 0, 0, &[]);
        let ended = tokio::time::timeout(END_PATIENCE, self.insist(&command.into())).await;
        let replies = ended.map_err(|_| RouteError::Unknown)??;
        match first(&replies)? {
            ok if ok == b"+OK\r\n".as_slice() => Ok(Waited::Ended),
            served => Ok(Waited::Served(served)),
        }
    }

    async fn insist(&mut self, commands: &Bytes) -> Result<Bytes, RouteError> {
        loop {
            if let Some((group, store)) = self.aim() {
                self.attempts += 1;
                let answer = self.core.attempt(store, self.batch(group, commands.clone())).await;
                match answer.map_or(Next::Elsewhere, |reply| judge(reply, store)) {
                    Next::Done(outcome) => return outcome,
                    Next::Ask(hinted) => {
                        self.target = Some((group, hinted));
                        continue;
                    }
                    Next::Elsewhere => self.next_replica(group, store),
                }
            }
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(RETRY_MAX);
        }
    }

    /// Where to send it: to whoever is believed to lead, unless a refusal just named another.
    fn aim(&mut self) -> Option<(GroupId, StoreId)> {
        let found = self.core.session.borrow().leader_of(self.slot);
        let (group, believed) = found?;
        let store = match self.target {
            Some((same, hinted)) if same == group => hinted,
            _ => believed,
        };
        self.target = Some((group, store));
        self.target
    }

    fn batch(&self, group: GroupId, commands: Bytes) -> Batch {
        Batch {
            group: group.0,
            topology_version: self.core.session.borrow().routes().version.0,
            session: self.session,
            seq: 1,
            commands,
            ..Batch::default()
        }
    }

    /// Nothing is known of who leads: the replicas are asked in turn.
    fn next_replica(&mut self, group: GroupId, asked: StoreId) {
        self.target = next_replica(&self.core, group, asked).map(|next| (group, next));
    }
}

/// The replica of a group to ask after another one.
pub(super) fn next_replica(core: &Core, group: GroupId, asked: StoreId) -> Option<StoreId> {
    let session = core.session.borrow();
    let replicas = session.routes().groups().iter().find(|g| g.id == group).map(|g| &g.replicas[..]);
    let replicas = replicas.unwrap_or_default();
    let next = replicas.iter().position(|&replica| replica == asked).map_or(0, |at| at + 1);
    replicas.get(next % replicas.len().max(1)).copied()
}

/// What follows an attempt.
pub(super) enum Next {
    Done(Result<Bytes, RouteError>),
    /// At once.
    Ask(StoreId),
    /// After a pause.
    Elsewhere,
}

pub(super) fn judge(reply: BatchReply, asked: StoreId) -> Next {
    match Refusal::try_from(reply.refusal) {
        Ok(Refusal::None) => Next::Done(Ok(reply.replies)),
        Ok(Refusal::SessionExpired) => Next::Done(Err(RouteError::Unknown)),
        Ok(Refusal::StorageFailed) => Next::Done(Err(RouteError::Storage(reply.detail))),
        Ok(Refusal::Overloaded) => Next::Done(Err(RouteError::Overloaded)),
        // One that names itself is about to lead.
        Ok(Refusal::NotLeader) if ![0, asked.0].contains(&reply.leader_hint) => {
            Next::Ask(StoreId(reply.leader_hint))
        }
        _ => Next::Elsewhere,
    }
}

pub(super) fn first(replies: &Bytes) -> Result<Bytes, RouteError> {
    let mut rest: &[u8] = replies;
    wire::take_bytes(&mut rest).map(|bytes| replies.slice_ref(bytes)).map_err(|_| RouteError::Unknown)
}
