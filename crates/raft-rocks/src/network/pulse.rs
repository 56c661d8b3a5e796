//! One timer for all replicas of a node, where openraft has one for each that fires several times a
//! heartbeat.
//!
//! Leaders send their heartbeats at the same moment, so that those for one peer share a frame. Who
//! hears from a leader starts no election, and needs no timer for it: openraft's own is on only
//! while a replica hears nothing.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::registry::{Hosted, Registry};

/// Beats without a word from a leader after which openraft's timer is on. It waits far longer before
/// it starts an election: a lease and an election timeout.
const SILENT_BEATS_MAX: u32 = 2;

/// What a replica heard.
#[derive(Default)]
pub(super) struct Pulse {
    heard: AtomicBool,
    silent_beats: AtomicU32,
}

impl Pulse {
    /// A leader's request was accepted, and is durable.
    pub fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether a leader was heard lately.
    fn beat(&self) -> bool {
        if self.heard.swap(false, Ordering::Relaxed) {
            self.silent_beats.store(0, Ordering::Relaxed);
            return true;
        }
        self.silent_beats.fetch_add(1, Ordering::Relaxed) + 1 < SILENT_BEATS_MAX
    }
}

/// Keeps the replicas of `registry` alive, for ever. Every `heartbeat`, those that lead say so.
pub async fn keep_pulse(registry: Registry, heartbeat: Duration) {
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let replicas = registry.all();
        // A replica that does not take its heartbeat must not keep those of the others.
        let _ = timeout(heartbeat, join_all(replicas.iter().map(beat))).await;
    }
}

async fn beat(hosted: &Hosted) {
    let leads = hosted.raft.leads();
    let heard = hosted.pulse.beat();
    hosted.raft.keep_time(!leads && !heard);
    if leads {
        hosted.raft.heartbeat().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_beat_is_no_silence() {
        let pulse = Pulse::default();
        pulse.hear();
        assert!(pulse.beat());
        assert!(pulse.beat(), "heartbeats come as often as beats: one may be a little late");
        assert!(!pulse.beat());
        pulse.hear();
        assert!(pulse.beat());
    }
}
