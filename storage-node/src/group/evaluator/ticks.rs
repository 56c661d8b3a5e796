//! What a leader does from time to time: it deletes what has expired, and lets go who waits in vain.

use std::{sync::atomic::Ordering, time::Duration};

use proto::v1::Refusal;
use tokio::time::Instant;

use super::{Evaluator, IDLE_TICK, Role, TICK};
use crate::group::{tracking, view::View};

/// Expired keys deleted per tick.
const EXPIRE_PER_TICK: usize = 1000;

impl Evaluator {
    pub(super) fn on_tick(&mut self) {
        self.follow_leadership();
        if !matches!(self.role, Role::Serving(_)) {
            self.serve_if_caught_up();
            return;
        }
        self.doubt_readers();
        if !self.is_at_rest() && !self.lease_holds() {
            self.release_stuck();
            return;
        }
        if self.suspended.is_some() {
            return;
        }
        self.advance_time();
        self.adopt();
        self.clients.waiters.forget_closed();
        self.expire_keys();
        self.expire_sessions();
    }

    /// Until the next tick.
    pub(super) fn pause(&self) -> Duration {
        let is_idle = self.suspended.is_none()
            && self.is_at_rest()
            && self.nothing_expires()
            && !self.clients.observe();
        match self.role {
            Role::Follower => IDLE_TICK,
            Role::Serving(_) if is_idle => {
                let (_, expires_ms) = self.no_expiry;
                Duration::from_millis(expires_ms - self.time_ms).min(IDLE_TICK)
            }
            _ => TICK,
        }
    }

    /// Nobody waits for anything.
    fn is_at_rest(&self) -> bool {
        self.in_flight.is_empty() && self.clients.waiters.is_empty()
    }

    /// Cut off from the quorum: the callers look for another leader. The entries stay in flight, and what
    /// wrote can be joined there by whoever comes back with it.
    fn release_stuck(&mut self) {
        self.clients.waiters.refuse_where(|_| Some(Refusal::NotLeader), 0, 0);
        let ahead = self.ahead.iter_mut().map(|ahead| &mut ahead.entry);
        for entry in self.in_flight.iter_mut().chain(ahead) {
            entry.waiting.iter_mut().for_each(|waiting| waiting.refuse(Refusal::UnknownOutcome, 0));
            entry.waiting.retain(|waiting| waiting.seq > 0);
        }
    }

    /// Nothing was written since nothing was due, and nothing is due yet.
    fn nothing_expires(&self) -> bool {
        let (eid, until_ms) = self.no_expiry;
        self.effects.is_empty() && eid == self.eid && self.time_ms < until_ms
    }

    fn expire_keys(&mut self) {
        if self.nothing_expires() {
            return;
        }
        let shared = self.shared.clone();
        let state = shared.state.lock();
        let before = self.written.keys.len();
        let broadcasts = shared.events.broadcasts();
        let is_observed = broadcasts || self.clients.observe();
        self.overlay.announced = shared.desired.load().notifications;
        self.overlay.observed = is_observed;
        let mut view = View::new(&state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid);
        match datatypes::active_expire(&mut view, self.time_ms, EXPIRE_PER_TICK) {
            Ok(expired) => {
                shared.stats.expired_keys.fetch_add(expired as u64, Ordering::Relaxed);
                if expired == 0
                    && self.in_flight.is_empty()
                    && let Ok(next) = datatypes::next_expiry(&mut view)
                {
                    self.no_expiry = (self.eid, next.unwrap_or(u64::MAX));
                }
                view.commit();
                if is_observed {
                    let changes = self.written.changes_since(before);
                    tracking::note(&mut self.clients.tracking, &mut self.written, &changes, 0, broadcasts);
                    changes.heads.iter().for_each(|head| self.clients.watches.expired(head));
                }
            }
            Err(error) => {
                tracing::error!(group = shared.group, %error, "active expiry");
                view.discard();
            }
        }
    }

    /// Drops sessions that nobody has used for long. A session that is dropped too early may execute a
    /// batch again.
    fn expire_sessions(&mut self) {
        let Some(horizon) = self.past.pass(Instant::now(), self.time_ms) else { return };
        let state = self.shared.state.lock();
        for id in state.sessions.idle_since(horizon).take(100) {
            if !self.evaluated_seq.contains_key(&id) {
                self.effects.drop_session(id);
            }
        }
    }
}
