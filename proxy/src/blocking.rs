//! BLPOP and its like, from the client's side: tried once, and if nothing is there, sent again to wait
//! until it is served, its time is up, the client leaves, or CLIENT UNBLOCK ends it. The client's later
//! commands wait behind it.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use commands::{
    Args,
    wire::{self, FLAG_TRY, FLAG_WAIT},
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
};

/// Executes a command that may wait, if it says that it does.
pub fn run(front: &mut Front, slot: Slot, args: &[&[u8]], call: Call) -> bool {
    let timeout = call.spec.timeout.map(|timeout| timeout.of(&Args::new(args)));
    let Some(Ok(Some(timeout_ms))) = timeout else { return false };
    let question = Question {
        asker: front.asker(),
        target: Target::Slot(slot),
        spec: call.spec,
        writes: call.spec.is_write(),
        args: args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
    };
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
        let _shown = Shown::new(&conn.info);
        let ending = Rc::new(Cell::new(Unblocked::Timeout));
        let end = until_ended(conn.clone(), timeout_ms, ending.clone());
        let backend: Rc<dyn Submit> = conn.worker.backend.clone();
        match backend.wait(slot, encoded(&question), Box::pin(end)).await {
            Ok(Waited::Served(bytes)) => Reply::Raw(bytes),
            Ok(Waited::Ended) => match ending.get() {
                Unblocked::Timeout => Reply::NullArray,
                Unblocked::Error => Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            },
            Err(error) => Reply::error(error.to_string()),
        }
    }
}

async fn until_ended(conn: Rc<Connection>, timeout_ms: u64, ending: Rc<Cell<Unblocked>>) {
    let time_is_up = async {
        match timeout_ms {
            0 => std::future::pending().await,
            ms => sleep(Duration::from_millis(ms)).await,
        }
    };
    tokio::select! {
        () = time_is_up => {}
        () = conn.gone() => {}
        reason = conn.info.unblocked() => ending.set(reason),
    }
}

fn encoded(question: &Question) -> Bytes {
    let Asker { protocol, db, .. } = question.asker;
    let args: Vec<&[u8]> = question.args.iter().map(|arg| &arg[..]).collect();
    let mut command = Vec::new();
    wire::put_command(&mut command, question.spec.id as u16, wire::flags(protocol) | FLAG_WAIT, db, &args);
    command.into()
}

/// Shows a client as blocked for as long as it lives.
struct Shown(Arc<ClientInfo>);

impl Shown {
    fn new(info: &Arc<ClientInfo>) -> Self {
        info.set_blocked(true);
        // The connection's task listens from now on, to learn that the client leaves.
        info.wake();
        Self(info.clone())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.set_blocked(false);
    }
}
