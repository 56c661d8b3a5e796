//! Questions that do not wait behind a group's other commands: about a script that keeps these waiting.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use proto::v1::Batch;
use tokio::time::{sleep, timeout};
use topology::{GroupId, StoreId};

use super::{
    Core,
    waiting::{Next, first, judge, next_replica},
};
use crate::backend_api::RouteError;

/// Between attempts that failed.
const RETRY: Duration = Duration::from_millis(20);
/// A group without a leader has no script either.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the leader of a group; `command` is one in `commands::wire` form that only reads.
pub(super) async fn ask(core: Rc<Core>, group: GroupId, command: Bytes) -> Result<Bytes, RouteError> {
    timeout(PATIENCE, insist(&core, group, command)).await.unwrap_or(Err(RouteError::Timeout))
}

async fn insist(core: &Rc<Core>, group: GroupId, command: Bytes) -> Result<Bytes, RouteError> {
    let mut target: Option<StoreId> = None;
    loop {
        let believed = core.session.borrow().target_of(group);
        if let Some(store) = target.or(believed) {
            let topology_version = core.session.borrow().routes().version.0;
            let batch =
                Batch { group: group.0, topology_version, commands: command.clone(), ..Batch::default() };
            let answer = core.attempt(store, batch).await;
            match answer.map_or(Next::Elsewhere, |reply| judge(reply, store)) {
                Next::Done(outcome) => return first(&outcome?),
                Next::Ask(hinted) => {
                    target = Some(hinted);
                    continue;
                }
                Next::Elsewhere => target = next_replica(core, group, store),
            }
        }
        sleep(RETRY).await;
    }
}
