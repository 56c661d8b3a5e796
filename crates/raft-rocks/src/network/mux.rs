//! The dialling side: two connections per peer address, shared by everything that goes there. What
//! is small and urgent must not wait behind entries of many megabytes.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::{RaftFrame, RaftItem, RaftKind, raft_peer_client::RaftPeerClient};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tonic::transport::Channel;

use super::{
    MESSAGE_BYTES_MAX,
    outbox::{Frames, Outbox},
    peer::GroupNetwork,
};

/// Makes a channel (that may connect later) to host:port.
pub type Dial = Arc<dyn Fn(&str) -> Result<Channel, tonic::transport::Error> + Send + Sync>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After a connection failed, sends fail at once for this long.
const REDIAL_PAUSE: Duration = Duration::from_millis(50);

/// A reply: its kind and payload.
pub(super) type Reply = (RaftKind, Bytes);

/// Where replies of a stream id go.
enum Route {
    Call(oneshot::Sender<Reply>),
    Append(mpsc::UnboundedSender<Reply>),
}

struct Connection {
    outbox: Outbox,
    routes: HashMap<u64, Route>,
    next_stream: u64,
}

enum State {
    Closed { retry_at: Option<Instant> },
    Open(Connection),
}

/// Which of the two connections to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Entries.
    Bulk,
    /// Heartbeats, votes and transfers of leadership.
    Control,
}

/// One connection to a peer, made when it is needed.
pub(super) struct Mux {
    pub addr: String,
    pub dial: Dial,
    state: Mutex<State>,
}

/// There is no connection to the peer, or there was none a moment ago.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no connection to the peer")]
pub(super) struct Disconnected;

impl Mux {
    fn new(addr: &str, dial: Dial) -> Arc<Self> {
        Arc::new(Self { addr: addr.to_owned(), dial, state: Mutex::new(State::Closed { retry_at: None }) })
    }

    /// Sends the request of a call; the receiver resolves with the reply, or fails with the
    /// connection.
    pub fn call(self: &Arc<Self>, item: RaftItem) -> Result<(u64, oneshot::Receiver<Reply>), Disconnected> {
        let (tx, rx) = oneshot::channel();
        self.open(item, Route::Call(tx)).map(|stream| (stream, rx))
    }

    /// Opens an append stream with its first request.
    pub fn open_append(
        self: &Arc<Self>,
        item: RaftItem,
    ) -> Result<(u64, mpsc::UnboundedReceiver<Reply>), Disconnected> {
        // Unbounded, but the stream never has more than its window outstanding.
        let (tx, rx) = mpsc::unbounded_channel();
        self.open(item, Route::Append(tx)).map(|stream| (stream, rx))
    }

    fn open(self: &Arc<Self>, mut item: RaftItem, route: Route) -> Result<u64, Disconnected> {
        let mut state = self.state.lock();
        let connection = self.connected(&mut state)?;
        let stream = connection.next_stream;
        connection.next_stream += 1;
        item.stream = stream;
        if !connection.outbox.push(item) {
            return Err(Disconnected);
        }
        connection.routes.insert(stream, route);
        Ok(stream)
    }

    /// Sends one more item of an open append stream.
    pub fn send(&self, item: RaftItem) -> Result<(), Disconnected> {
        match &*self.state.lock() {
            State::Open(connection) if connection.routes.contains_key(&item.stream) => {
                connection.outbox.push(item).then_some(()).ok_or(Disconnected)
            }
            _ => Err(Disconnected),
        }
    }

    /// Forgets a stream; the peer is told if it keeps one.
    pub fn close(&self, stream: u64, closing: Option<RaftItem>) {
        if let State::Open(connection) = &mut *self.state.lock()
            && connection.routes.remove(&stream).is_some()
            && let Some(item) = closing
        {
            connection.outbox.push(item);
        }
    }

    /// The open connection; starts one if there is none.
    fn connected<'a>(self: &Arc<Self>, state: &'a mut State) -> Result<&'a mut Connection, Disconnected> {
        if let State::Closed { retry_at } = state {
            if retry_at.is_some_and(|at| Instant::now() < at) {
                return Err(Disconnected);
            }
            let channel = (self.dial)(&self.addr).map_err(|error| {
                tracing::warn!(peer = self.addr, %error, "cannot dial");
                Disconnected
            })?;
            let outbox = Outbox::default();
            tokio::spawn(run(Arc::downgrade(self), channel, outbox.clone()));
            *state = State::Open(Connection { outbox, routes: HashMap::new(), next_stream: 1 });
        }
        match state {
            State::Open(connection) => Ok(connection),
            State::Closed { .. } => Err(Disconnected),
        }
    }

    /// Everybody who waits for a reply learns of it: their senders are dropped.
    fn disconnected(&self) {
        let retry_at = Some(Instant::now() + REDIAL_PAUSE);
        let old = std::mem::replace(&mut *self.state.lock(), State::Closed { retry_at });
        if let State::Open(connection) = old {
            connection.outbox.close();
        }
    }

    fn dispatch(&self, frame: RaftFrame) -> Result<(), UnexpectedKind> {
        let mut state = self.state.lock();
        let State::Open(connection) = &mut *state else { return Ok(()) };
        for RaftItem { stream, kind, payload, .. } in frame.items {
            let kind = RaftKind::try_from(kind).map_err(|_| UnexpectedKind)?;
            let ended = match connection.routes.get(&stream) {
                Some(Route::Append(replies)) => {
                    replies.send((kind, payload)).is_err() || kind == RaftKind::Closed
                }
                Some(Route::Call(_)) => {
                    if let Some(Route::Call(reply)) = connection.routes.remove(&stream) {
                        // The caller may have given up.
                        let _ = reply.send((kind, payload));
                    }
                    false
                }
                // The stream was closed on this side meanwhile.
                None => false,
            };
            if ended {
                connection.routes.remove(&stream);
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the peer sent an item of an unknown kind")]
struct UnexpectedKind;

/// A connection from dialling to its end.
async fn run(mux: Weak<Mux>, channel: Channel, outbox: Outbox) {
    let end = exchange(&mux, channel, outbox).await;
    if let Some(mux) = mux.upgrade() {
        tracing::debug!(peer = mux.addr, reason = end, "Raft connection ended");
        mux.disconnected();
    }
}

async fn exchange(mux: &Weak<Mux>, channel: Channel, outbox: Outbox) -> String {
    let mut client = RaftPeerClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut frames = match tokio::time::timeout(CONNECT_TIMEOUT, client.exchange(Frames(outbox))).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return status.to_string(),
        Err(_) => return "connecting takes too long".to_owned(),
    };
    loop {
        match frames.message().await {
            Ok(Some(frame)) => {
                let Some(mux) = mux.upgrade() else { return "nobody uses it".to_owned() };
                if let Err(error) = mux.dispatch(frame) {
                    return error.to_string();
                }
            }
            Ok(None) => return "closed by the peer".to_owned(),
            Err(status) => return status.to_string(),
        }
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        if let State::Open(connection) = self.state.get_mut() {
            connection.outbox.close();
        }
    }
}

type Muxes = HashMap<(String, Lane), Weak<Mux>>;

/// All peers of a node. Cheap to clone. Connections are made when first used, and ended when no
/// group has a network to the peer any more.
#[derive(Clone)]
pub struct Peers {
    dial: Dial,
    muxes: Arc<Mutex<Muxes>>,
}

impl Peers {
    pub fn new(dial: Dial) -> Self {
        Self { dial, muxes: Arc::default() }
    }

    /// The network of one group.
    pub fn network(&self, group: u64) -> GroupNetwork {
        GroupNetwork::new(self.clone(), group)
    }

    pub(super) fn mux(&self, addr: &str, lane: Lane) -> Arc<Mux> {
        let mut muxes = self.muxes.lock();
        let key = (addr.to_owned(), lane);
        if let Some(mux) = muxes.get(&key).and_then(Weak::upgrade) {
            return mux;
        }
        muxes.retain(|_, mux| mux.strong_count() > 0);
        let mux = Mux::new(addr, self.dial.clone());
        muxes.insert(key, Arc::downgrade(&mux));
        mux
    }
}
