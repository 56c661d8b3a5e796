//! WAIT and WAITAOF. The leaders of all groups that the client wrote to are asked how many replicas
//! have what they had when the command came, until enough have it or the time is up.
//!
//! First each leader answers OK, in order behind the client's writes and when all that it had
//! evaluated is committed. Then it names the last entry it has applied, and is asked about that one,
//! again and again; an entry that is committed keeps its place whoever leads.

use std::{cell::Cell, rc::Rc, time::Duration};

use bytes::Bytes;
use commands::{
    Args, Id, ProxyCommand,
    replication::{Progress, Wish},
};
use futures::future::{join_all, try_join_all};
use resp::{Protocol, Reply};
use tokio::time::sleep;
use topology::GroupId;

use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{RouteError, Submit, Target},
    blocking::{Shown, until_ended},
    clients::Unblocked,
    connection::Call,
    execute::Front,
};

/// Between two questions: entries take about a millisecond, and a replica that is away takes long.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Whether it is one of these commands.
pub fn waits(command: ProxyCommand) -> bool {
    matches!(command, ProxyCommand::Wait | ProxyCommand::WaitAof)
}

fn wish(command: ProxyCommand, args: &[&[u8]], now_ms: u64) -> Result<Wish, Reply> {
    let args = Args::new(args);
    let wish = match command {
        ProxyCommand::Wait => Wish::wait(&args, now_ms),
        _ => Wish::wait_aof(&args, now_ms),
    };
    wish.map_err(Reply::from)
}

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let asking = Asking::of(front);
    let wish = match wish(command, args, asking.now_ms) {
        Ok(wish) => wish,
        Err(refusal) => return front.reply(&refusal),
    };
    if asking.groups.is_empty() {
        return front.reply(&Reply::error(RouteError::ClusterDown("The cluster is down").to_string()));
    }
    let token = front.open(call);
    let conn = front.conn.clone();
    // In order behind what the client sent before: the questions leave now.
    let settled = asking.settled();
    front.conn.run_later(token, front.session.protocol, async move {
        let known = Cell::new(Vec::new());
        let ending = Rc::new(Cell::new(Unblocked::Timeout));
        let end = until_ended(conn.clone(), wish.timeout_ms, ending.clone(), std::future::pending());
        let met = async {
            settled.await?;
            let mut shown = None;
            asking
                .until_met(&wish, &known, || {
                    shown.get_or_insert_with(|| Shown::without_keys(&conn));
                })
                .await
        };
        let outcome: Result<Option<Reply>, RouteError> = tokio::select! {
            outcome = met => outcome,
            () = end => Ok(None),
        };
        match (outcome, ending.get()) {
            (Err(error), _) => Reply::error(error.to_string()),
            (Ok(Some(refusal)), _) => refusal,
            (Ok(None), Unblocked::Error) => Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            (Ok(None), _) => wish.reply(&known.take()),
        }
    });
}

/// Whom to ask.
pub struct Asking {
    backend: Rc<dyn Submit>,
    asker: Asker,
    groups: Vec<GroupId>,
    /// When the client asked.
    now_ms: u64,
}

impl Asking {
    pub fn of(front: &Front) -> Self {
        let backend = front.conn.worker.backend.clone();
        let groups = front.session.written.groups(&*backend);
        let now_ms = front.conn.worker.shared.env.clock.now_ms();
        Self { backend, asker: Asker { protocol: Protocol::Resp2, ..front.asker() }, groups, now_ms }
    }

    /// Within a transaction nothing is waited for: it is told what holds behind its writes.
    pub async fn at_once(&self, command: ProxyCommand, args: &[&[u8]]) -> Reply {
        let wish = match wish(command, args, self.now_ms) {
            Ok(wish) => wish,
            Err(refusal) => return refusal,
        };
        let told = async {
            self.settled().await?;
            self.progress(&vec![0; self.groups.len()]).await
        };
        match told.await {
            Ok(known) => wish.refusal(&known).map_or_else(|| wish.reply(&known), Reply::from),
            Err(error) => Reply::error(error.to_string()),
        }
    }

    /// Asks now; resolves when all that these groups had evaluated is committed.
    fn settled(&self) -> impl Future<Output = Result<(), RouteError>> + use<> {
        let asked: Vec<_> =
            self.groups.iter().map(|&group| question(&self.backend, self.asker, group, None)).collect();
        async move { try_join_all(asked).await.map(drop) }
    }

    /// Keeps what it learns in `known`, until that is enough (`None`), or never will be.
    async fn until_met(
        &self,
        wish: &Wish,
        known: &Cell<Vec<Progress>>,
        mut waits: impl FnMut(),
    ) -> Result<Option<Reply>, RouteError> {
        let mut indexes = vec![0; self.groups.len()];
        let mut pause = PAUSE;
        loop {
            let progress = self.progress(&indexes).await?;
            indexes = progress.iter().map(|group| group.index).collect();
            let (refusal, is_met) = (wish.refusal(&progress), wish.is_met(&progress));
            known.set(progress);
            if refusal.is_some() || is_met {
                return Ok(refusal.map(Reply::from));
            }
            waits();
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn progress(&self, indexes: &[u64]) -> Result<Vec<Progress>, RouteError> {
        let asked = self.groups.iter().zip(indexes);
        let asked = asked.map(|(&group, &index)| question(&self.backend, self.asker, group, Some(index)));
        let answers = join_all(asked).await;
        answers.into_iter().map(|answer| answer.map(|bytes| parsed(&bytes))).collect()
    }
}

fn question(
    backend: &Rc<dyn Submit>,
    asker: Asker,
    group: GroupId,
    index: Option<u64>,
) -> impl Future<Output = Result<Bytes, RouteError>> + use<> {
    let spec = Id::Replication.spec();
    let args = index.map(|index| Bytes::from(index.to_string())).into_iter().collect();
    let question = Question { asker, target: Target::Group(group), spec, args, writes: false };
    ask_this(&**backend, &question, 0)
}

/// An answer that cannot be read tells of no replica.
fn parsed(bytes: &Bytes) -> Progress {
    let reply = resp::parse(bytes, Protocol::Resp2).ok().flatten();
    let progress = reply.and_then(|(reply, _)| Progress::from_reply(&reply));
    progress.unwrap_or(Progress { index: 0, replicas: 0, local: false, durable: false })
}
