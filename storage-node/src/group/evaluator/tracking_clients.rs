//! What the caches of clients are told, and when they are told that this replica cannot tell any more.

use std::mem::take;

use super::Evaluator;
use crate::{events::ChangedKeys, group::tracking};

/// Ticks without a lease after which another replica may lead. It may lapse for a moment on a busy machine.
const DOUBTFUL_TICKS_MAX: u32 = 2;

impl Evaluator {
    /// What had to make room for reads: behind what is in flight, for replies may wait there.
    pub(super) fn tell_of_reads(&mut self) {
        let told = take(&mut self.written.told);
        match self.in_flight.back_mut() {
            Some(entry) => entry.written.told.extend(told),
            None => tracking::tell(self.shared.group, told),
        }
    }

    pub(super) fn announce_changes(&self, changed: &ChangedKeys) {
        if !changed.is_empty() {
            self.shared.events.announce_changes(self.shared.group, changed);
        }
    }

    /// Nobody is told any more what changes of what was read here.
    pub(super) fn lose_readers(&mut self) {
        let mut told = take(&mut self.written.told);
        told.extend(self.in_flight.iter_mut().flat_map(|entry| entry.written.told.drain(..)));
        self.clients.tracking.forget_all(&mut told);
        tracking::tell_lost(self.shared.group, told.into_iter());
        if self.shared.events.broadcasts() {
            self.shared.events.close(self.shared.group);
        }
    }

    /// Cut off from the others, it would go on telling nothing of what they change.
    pub(super) fn doubt_readers(&mut self) {
        if self.clients.tracking.is_empty() || self.lease_holds() {
            self.doubtful_ticks = 0;
            return;
        }
        self.doubtful_ticks += 1;
        if self.doubtful_ticks >= DOUBTFUL_TICKS_MAX {
            self.doubtful_ticks = 0;
            self.lose_readers();
        }
    }
}
