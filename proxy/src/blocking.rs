//! BLPOP and its like, from the client's side: tried once, and if nothing is there, sent again to wait
//! until it is served, its time is up, the client leaves, or CLIENT UNBLOCK ends it. The client's later
//! commands wait behind it.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use acl::Denial;
use bytes::Bytes;
use commands::{
    Args, Id, Spec,
    wire::{self, FLAG_TRACKED, FLAG_TRY, FLAG_WAIT},
};
use resp::Reply;
use tokio::time::sleep;
use topology::Slot;

use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{Submit, Target, Waited},
    clients::{ClientInfo, Unblocked},
    connection::{Call, Connection},
    execute::Front,
    rights,
    shared::Shared,
};

/// Executes a command that may wait, if it says that it does.
pub fn run(front: &mut Front, slot: Slot, args: &[&[u8]], call: Call) -> bool {
    let now_ms = front.conn.worker.shared.env.clock.now_ms();
    let timeout = call.spec.timeout.map(|timeout| timeout.of(&Args::new(args), now_ms));
    let Some(Ok(Some(timeout_ms))) = timeout else { return false };
    let question = Question {
        asker: front.asker(),
        target: Target::Slot(slot),
        spec: call.spec,
        writes: call.spec.is_write(),
        args: args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
    };
    if question.writes {
        front.session.written.note(question.target);
    }
    let token = front.open(call);
    let conn = front.conn.clone();
    let command = Blocking { conn: conn.clone(), slot, question, timeout_ms };
    // Not to be ordered behind a command that is sent later: the first try goes now.
    let tried = command.try_once();
    conn.run_later(token, front.session.protocol, async move { command.finish(tried.await).await });
    true
}

struct Blocking {
    conn: Rc<Connection>,
    slot: Slot,
    question: Question,
    /// 0: for ever.
    timeout_ms: u64,
}

impl Blocking {
    fn try_once(&self) -> impl Future<Output = Reply> + use<> {
        let asked = ask_this(&*self.conn.worker.backend, &self.question, FLAG_TRY);
        async move { asked.await.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw) }
    }

    async fn finish(mut self, tried: Reply) -> Reply {
        match tried {
            Reply::Raw(bytes) if bytes.is_empty() => self.wait().await,
            // Sent again, the command means what it meant at the first try.
            Reply::Raw(bytes) if bytes[0] == 0 => {
                let mut rest = &bytes[1..];
                self.question.args.clear();
                while let Ok(arg) = wire::take_bytes(&mut rest) {
                    self.question.args.push(bytes.slice_ref(arg));
                }
                self.wait().await
            }
            reply => reply,
        }
    }

    async fn wait(self) -> Reply {
        let Self { conn, slot, question, timeout_ms } = self;
        let _shown = Shown::new(&conn, &question);
        let ending = Rc::new(Cell::new(Unblocked::Timeout));
        let denied = until_denied(conn.clone(), question.spec, question.args.clone());
        let end = until_ended(conn.clone(), timeout_ms, ending.clone(), denied);
        let backend: Rc<dyn Submit> = conn.worker.backend.clone();
        match backend.wait(slot, encoded(&question), Box::pin(end)).await {
            Ok(Waited::Served(bytes)) => {
                // What is served by a write is not remembered as read.
                if question.asker.flags & FLAG_TRACKED != 0 {
                    conn.worker.shared.tracking.doubt(&conn.worker.shared, conn.info.id);
                }
                Reply::Raw(bytes)
            }
            Ok(Waited::Ended) => match ending.get() {
                Unblocked::Timeout => Reply::NullArray,
                Unblocked::Denied(denial) => rights::denied_while_waiting(&conn, denial, &question),
                Unblocked::Error => Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            },
            Err(error) => Reply::error(error.to_string()),
        }
    }
}

/// Resolves when the client's user may not execute the command any more.
async fn until_denied(conn: Rc<Connection>, spec: &'static Spec, args: Vec<Bytes>) -> Denial {
    let mut news = conn.worker.shared.accounts.news();
    let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
    loop {
        let table = conn.worker.shared.accounts.table();
        // One that is gone takes its clients along.
        let account = table.of_account(&conn.info.account()).cloned();
        if let Some(Err(denial)) = account.map(|account| account.user.check(spec, &args)) {
            return denial;
        }
        if news.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Until the time is up (0: it never is), the client left, it is denied, or CLIENT UNBLOCK ended the waiting.
pub async fn until_ended(
    conn: Rc<Connection>,
    timeout_ms: u64,
    ending: Rc<Cell<Unblocked>>,
    denied: impl Future<Output = Denial>,
) {
    let time_is_up = async {
        match timeout_ms {
            0 => std::future::pending().await,
            ms => sleep(Duration::from_millis(ms)).await,
        }
    };
    tokio::select! {
        () = time_is_up => {}
        () = conn.gone() => {}
        denial = denied => ending.set(Unblocked::Denied(denial)),
        reason = conn.info.unblocked() => ending.set(reason),
    }
}

fn encoded(question: &Question) -> Bytes {
    let Asker { protocol, db, writer, .. } = question.asker;
    let args: Vec<&[u8]> = question.args.iter().map(|arg| &arg[..]).collect();
    let mut command = Vec::new();
    let flags = wire::flags(protocol) | FLAG_WAIT;
    wire::put_command_of(writer, &mut command, question.spec.id as u16, flags, db, &args);
    command.into()
}

/// Shows a client as blocked for as long as it lives.
pub struct Shown {
    info: Arc<ClientInfo>,
    shared: Arc<Shared>,
    db: u8,
    keys: Vec<Bytes>,
    /// It is also told when the key goes.
    on_nokey: bool,
}

impl Shown {
    pub fn new(conn: &Connection, question: &Question) -> Self {
        let args: Vec<&[u8]> = question.args.iter().map(|arg| &arg[..]).collect();
        let mut keys: Vec<Bytes> =
            question.spec.key_positions(&args).map(|at| question.args[at].clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self::waits_for(conn, question.asker.db, keys, question.spec.id == Id::Xreadgroup)
    }

    pub fn without_keys(conn: &Connection) -> Self {
        Self::waits_for(conn, 0, Vec::new(), false)
    }

    fn waits_for(conn: &Connection, db: u8, keys: Vec<Bytes>, on_nokey: bool) -> Self {
        let shown = Self { info: conn.info.clone(), shared: conn.worker.shared.clone(), db, keys, on_nokey };
        shown.shared.clients.awaited.add(shown.db, &shown.keys, shown.on_nokey);
        shown.info.set_blocked(true);
        // The connection's task listens from now on, to learn that the client leaves.
        shown.info.wake();
        shown
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.shared.clients.awaited.remove(self.db, &self.keys, self.on_nokey);
        self.info.set_blocked(false);
    }
}
