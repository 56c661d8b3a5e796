//! What the parts of a meta node share.

use std::{sync::Arc, time::Duration};

use daemon::env::Env;
use parking_lot::Mutex;
use proto::v1::LeaderHint;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use topology::Version;

use crate::{
    consensus::Consensus,
    machine::{LibraryWatch, States, Watches},
    tracker::Tracker,
};

/// A time of uninterrupted, confirmed leadership of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    pub term: u64,
    /// Sets apart reigns of one term.
    pub number: u64,
    /// A quorum confirmed it after this moment; advances.
    pub confirmed: Instant,
}

impl Reign {
    pub fn is_same(&self, other: &Option<Self>) -> bool {
        other.is_some_and(|other| other.number == self.number)
    }
}

pub(crate) struct Core {
    pub env: Env,
    pub consensus: Consensus,
    pub states: States,
    pub libraries: LibraryWatch,
    /// Held for moments, never across an await.
    pub tracker: Mutex<Tracker>,
    pub reign: watch::Sender<Option<Reign>>,
    pub hints: watch::Sender<Arc<Vec<LeaderHint>>>,
    /// Counts acknowledgements.
    pub acks: watch::Sender<u64>,
    /// The reconciler should look.
    pub look: Notify,
    /// A new proxy waits for its first lease.
    pub confirm: Notify,
    pub apply_timeout: Duration,
    /// Proxies that are new begin as islands.
    pub manual: bool,
}

/// Why a version is not known to be in force everywhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotInForce {
    Deposed,
    Timeout,
}

impl Core {
    pub fn new(
        env: Env,
        consensus: Consensus,
        watches: Watches,
        tracker: Tracker,
        apply_timeout: Duration,
        manual: bool,
    ) -> Self {
        Self {
            env,
            consensus,
            states: watches.states,
            libraries: watches.libraries,
            tracker: Mutex::new(tracker),
            reign: watch::Sender::new(None),
            hints: watch::Sender::default(),
            acks: watch::Sender::default(),
            look: Notify::new(),
            confirm: Notify::new(),
            apply_timeout,
            manual,
        }
    }

    pub fn reign(&self) -> Option<Reign> {
        *self.reign.borrow()
    }

    /// Returns once no proxy can answer from an older version than `version`: each one has
    /// acknowledged it, or its lease has run out. With `stores`: and once storage nodes go by it.
    pub async fn in_force(
        &self,
        version: Version,
        stores: bool,
        reign: &Reign,
        deadline: Instant,
    ) -> Result<(), NotInForce> {
        let (mut acks, mut reigns) = (self.acks.subscribe(), self.reign.subscribe());
        loop {
            acks.mark_unchanged();
            if !reign.is_same(&reigns.borrow_and_update()) {
                return Err(NotInForce::Deposed);
            }
            let now = Instant::now();
            let state = self.states.borrow().clone();
            let outdated = {
                let mut tracker = self.tracker.lock();
                tracker.sync(&state.state, now);
                let proxies = tracker.outdated_until(version, now);
                let stores = stores.then(|| tracker.stores_outdated_until(version, now)).flatten();
                proxies.into_iter().chain(stores).min()
            };
            let Some(look_again) = outdated else { return Ok(()) };
            if now >= deadline {
                return Err(NotInForce::Timeout);
            }
            tokio::select! {
                _ = acks.changed() => {}
                _ = reigns.changed() => {}
                () = sleep_until(look_again.min(deadline)) => {}
            }
        }
    }

    /// Returns once the libraries of now are in the log of every group that serves slots: whatever is
    /// called from here on, through whichever proxy, finds them, or newer ones.
    pub async fn libraries_in_force(&self, reign: &Reign, deadline: Instant) -> Result<(), NotInForce> {
        let version = self.libraries.borrow().version;
        let (mut acks, mut reigns) = (self.acks.subscribe(), self.reign.subscribe());
        loop {
            acks.mark_unchanged();
            if !reign.is_same(&reigns.borrow_and_update()) {
                return Err(NotInForce::Deposed);
            }
            let state = self.states.borrow().clone();
            if self.tracker.lock().have_libraries(version, &state.state) {
                return Ok(());
            }
            tokio::select! {
                _ = acks.changed() => {}
                _ = reigns.changed() => {}
                () = sleep_until(deadline) => return Err(NotInForce::Timeout),
            }
        }
    }
}
