//! One watch stream: takes a node's heartbeats in, sends it what changes, and renews its lease
//! whenever leadership was confirmed.

use std::sync::Arc;

use proto::v1::{Heartbeat, LeaderHint, Libraries, WatchEvent};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tonic::{Status, Streaming};
use topology::Version;

use super::not_leader;
use crate::{
    core::{Core, Reign},
    machine::{LibraryWatch, Rosters, States},
    tracker::{News, Peer},
};

pub(super) struct Session {
    core: Arc<Core>,
    peer: Peer,
    reign: Reign,
    states: States,
    hints: watch::Receiver<Arc<Vec<LeaderHint>>>,
    rosters: Rosters,
    /// Storage nodes execute functions; proxies do not.
    libraries: Option<LibraryWatch>,
    reigns: watch::Receiver<Option<Reign>>,
    events: mpsc::Sender<Result<WatchEvent, Status>>,
    /// Number of the last heartbeat and when it arrived.
    answers: (u64, Instant),
}

/// Why a session ends; the node reads the status, if it still listens.
enum End {
    Left,
    Told(Status),
}

impl Session {
    /// Refused if the node has to register first.
    pub fn open(
        core: Arc<Core>,
        peer: Peer,
        reign: Reign,
        events: mpsc::Sender<Result<WatchEvent, Status>>,
    ) -> Result<Self, Status> {
        let states = core.states.clone();
        if !peer.is_known(&states.borrow().state) {
            return Err(unknown_peer());
        }
        let (hints, reigns) = (core.hints.subscribe(), core.reign.subscribe());
        let rosters = core.consensus.rosters.clone();
        let libraries = matches!(peer, Peer::Store(_)).then(|| core.libraries.clone());
        let answers = (0, Instant::now());
        core.tracker.lock().connected(&peer, Instant::now());
        Ok(Self { core, peer, reign, states, hints, rosters, libraries, reigns, events, answers })
    }

    pub async fn run(mut self, first: Heartbeat, mut heartbeats: Streaming<Heartbeat>) {
        let end = match self.begin(&first).await {
            Ok(()) => self.serve(&mut heartbeats).await,
            Err(end) => end,
        };
        if let End::Told(status) = end {
            // Whoever does not read will find the stream closed.
            let _ = self.events.try_send(Err(status));
        }
    }

    async fn begin(&mut self, first: &Heartbeat) -> Result<(), End> {
        self.heard(first);
        if let Some(libraries) = &mut self.libraries {
            libraries.mark_changed();
        }
        let meta_addrs = self.meta_addrs();
        self.send_state(meta_addrs).await?;
        self.core.confirm.notify_one();
        Ok(())
    }

    async fn serve(&mut self, heartbeats: &mut Streaming<Heartbeat>) -> End {
        loop {
            let step = tokio::select! {
                message = heartbeats.message() => match message {
                    Ok(Some(heartbeat)) => {
                        self.heard(&heartbeat);
                        Ok(())
                    }
                    Ok(None) | Err(_) => Err(End::Left),
                },
                _ = self.states.changed() => self.send_state(Vec::new()).await,
                _ = self.hints.changed() => self.send_hints().await,
                _ = self.rosters.changed() => self.send_meta_addrs().await,
                () = changed(&mut self.libraries) => self.send_libraries().await,
                changed = self.reigns.changed() => match changed {
                    Ok(()) => self.renew().await,
                    Err(_) => Err(End::Left),
                },
                () = self.events.closed() => Err(End::Left),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn heard(&mut self, heartbeat: &Heartbeat) {
        let now = Instant::now();
        self.answers = (heartbeat.number, now);
        let (news, hints) = {
            let clock_ms = self.core.env.clock.now_ms();
            let mut tracker = self.core.tracker.lock();
            let news = tracker.heard(&self.peer, heartbeat, now);
            tracker.note(&self.peer, heartbeat, clock_ms);
            (news, news.leaders.then(|| tracker.hints()))
        };
        if let Some(hints) = hints {
            self.core.hints.send_if_modified(|known| {
                let changed = **known != hints;
                *known = Arc::new(hints);
                changed
            });
        }
        self.spread(news);
    }

    fn spread(&self, news: News) {
        if news.acked {
            self.core.acks.send_modify(|count| *count += 1);
            // A proxy may hold its lease for the version it had: renew it for this one.
            self.core.confirm.notify_one();
        }
        if news.liveness || news.leaders {
            self.core.look.notify_one();
        }
    }

    async fn send_state(&mut self, meta_addrs: Vec<String>) -> Result<(), End> {
        let published = self.states.borrow_and_update().clone();
        if !self.peer.is_known(&published.state) {
            return Err(End::Told(unknown_peer()));
        }
        let hints = self.hints.borrow_and_update().to_vec();
        // A group begins to serve slots with the libraries that were there before: both in one event.
        let libraries = self.new_libraries();
        let event = self.event(published.state.version);
        self.send(WatchEvent { state: published.json(), leaders: hints, meta_addrs, libraries, ..event })
            .await
    }

    async fn send_libraries(&mut self) -> Result<(), End> {
        let version = self.states.borrow().state.version;
        let libraries = self.new_libraries();
        self.send(WatchEvent { libraries, ..self.event(version) }).await
    }

    /// The libraries, if the node does not have them yet.
    fn new_libraries(&mut self) -> Option<Libraries> {
        let watch = self.libraries.as_mut()?;
        if !watch.has_changed().unwrap_or(false) {
            return None;
        }
        let libraries = watch.borrow_and_update().clone();
        let stored = libraries.iter().map(|library| library.stored.clone().into()).collect();
        Some(Libraries { version: libraries.version, libraries: stored })
    }

    async fn send_hints(&mut self) -> Result<(), End> {
        let leaders = self.hints.borrow_and_update().to_vec();
        let version = self.states.borrow().state.version;
        self.send(WatchEvent { leaders, ..self.event(version) }).await
    }

    async fn send_meta_addrs(&mut self) -> Result<(), End> {
        let meta_addrs = self.meta_addrs();
        let version = self.states.borrow().state.version;
        self.send(WatchEvent { meta_addrs, ..self.event(version) }).await
    }

    fn meta_addrs(&mut self) -> Vec<String> {
        self.rosters.borrow_and_update().addrs.clone()
    }

    /// Leadership was confirmed once more, or lost.
    async fn renew(&mut self) -> Result<(), End> {
        let current = *self.reigns.borrow_and_update();
        let Some(reign) = current.filter(|_| self.reign.is_same(&current)) else {
            return Err(End::Told(not_leader(&self.core)));
        };
        let (number, arrived) = self.answers;
        // A heartbeat that arrived later than that waits for the next time.
        let may = arrived <= reign.confirmed;
        let published = self.states.borrow().clone();
        let granted = {
            let mut tracker = self.core.tracker.lock();
            may.then(|| tracker.lease()).filter(|_| tracker.grant(&self.peer, arrived, &published.state))
        };
        let mut event = self.event(published.state.version);
        if let Some(lease) = granted {
            event.lease_ms = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
            event.answers = number;
        }
        self.send(event).await
    }

    /// Says nothing but the version.
    fn event(&self, version: Version) -> WatchEvent {
        WatchEvent { version: version.0, answers: self.answers.0, ..WatchEvent::default() }
    }

    async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(Ok(event)).await.map_err(|_| End::Left)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.tracker.lock().disconnected(&self.peer);
        self.core.look.notify_one();
    }
}

/// Resolves when there are other libraries; never for whom they do not concern.
async fn changed(libraries: &mut Option<LibraryWatch>) {
    if let Some(watch) = libraries
        && watch.changed().await.is_ok()
    {
        // Seen when it is sent.
        return watch.mark_changed();
    }
    // Closed: the machine stopped, and the session ends for other reasons.
    std::future::pending().await
}

/// The code tells the client's library to register.
fn unknown_peer() -> Status {
    Status::not_found("this node is not registered, or was replaced")
}
