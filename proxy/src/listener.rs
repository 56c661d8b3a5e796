//! Accepts clients for one worker: limits and protected mode come before anything is read.

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use daemon::env::{BoxIo, Listener};
use tokio::{io::AsyncWriteExt, task::spawn_local, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    clients::{ClientInfo, Side},
    connection,
    settings::Number,
    worker::Worker,
};

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
/// How long a client that is turned away has to take the reason.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

const TOO_MANY: &str = "-ERR max number of clients reached\r\n";
const PROTECTED: &str = "-DENIED Miraft is running in protected mode because protected mode is enabled and no \
    password is set for the default user. In this mode connections are only accepted from the loopback interface. \
    If you want to connect from external computers, set a password (requirepass in the configuration or with \
    CONFIG SET from the same machine), or turn protected mode off (protected_mode = false in the configuration, \
    or CONFIG SET protected-mode no from the same machine).\r\n";

/// Accepts until `stop`.
pub async fn accept(
    worker: Rc<Worker>,
    mut listener: Box<dyn Listener>,
    side: Side,
    stop: CancellationToken,
) {
    let local = listener.local_addr();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((io, peer)) => admit(&worker, io, peer, *local.as_ref().unwrap_or(&peer), side),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

fn admit(worker: &Rc<Worker>, io: BoxIo, peer: SocketAddr, local: SocketAddr, side: Side) {
    worker.count(|c| &c.connections);
    let shared = &worker.shared;
    let settings = &shared.settings;
    let is_exposed = settings.number(Number::ProtectedMode) != 0 && shared.accounts.are_open();
    if is_exposed && !peer.ip().to_canonical().is_loopback() {
        worker.count(|c| &c.rejected_connections);
        return turn_away(io, PROTECTED);
    }
    let Some(id) = shared.clients.admit(settings.limit(Number::MaxClients)) else {
        worker.count(|c| &c.rejected_connections);
        return turn_away(io, TOO_MANY);
    };
    let info = Arc::new(ClientInfo::new(id, peer, local, side, shared.now_ms()));
    shared.clients.insert(info.clone());
    let served = worker.clone();
    spawn_local(async move {
        let clients = Leave { worker: served.clone(), id };
        connection::serve(served, info, io).await;
        drop(clients);
    });
}

/// Takes the client off the list, however its task ends.
struct Leave {
    worker: Rc<Worker>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.worker.shared.clients.remove(self.id);
    }
}

fn turn_away(mut io: BoxIo, text: &'static str) {
    spawn_local(async move {
        // It may be gone already; there is nobody else to tell.
        let _ = timeout(REFUSAL_TIMEOUT, io.write_all(text.as_bytes())).await;
    });
}
