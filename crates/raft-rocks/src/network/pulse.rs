//! One timer for all replicas of a node, where openraft has one for each that fires several times a
//! heartbeat.
//!
//! Leaders send their heartbeats at the same moment, so that those for one peer share a frame. Who
//! hears from a leader starts no election, and needs no timer for it: openraft's own is on only
//! while a replica hears nothing.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::registry::{Hosted, Registry};

/// Beats without a word from a leader after which openraft's timer is on. It waits far longer before
/// it starts an election: a lease and an election timeout.
const SILENT_BEATS_MAX: u32 = 2;

/// How long a replica has heard no leader.
pub(super) struct Pulse {
    silent_beats: AtomicU32,
}

impl Default for Pulse {
    /// Nothing was heard yet.
    fn default() -> Self {
        Self { silent_beats: AtomicU32::new(SILENT_BEATS_MAX) }
    }
}

impl Pulse {
    /// A leader's request was accepted, and is durable.
    pub fn hear(&self) {
        self.silent_beats.store(0, Ordering::Relaxed);
    }

    /// Whether a leader was heard lately.
    fn beat(&self) -> bool {
        self.silent_beats.fetch_add(1, Ordering::Relaxed) < SILENT_BEATS_MAX
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
    use std::sync::{Arc, atomic::AtomicBool};

    use futures::{
        FutureExt, StreamExt,
        future::{BoxFuture, pending},
        stream::{self, BoxStream},
    };
    use openraft::{
        errors::{Fatal, RaftError},
        raft::{SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse},
    };

    use super::*;
    use crate::{
        network::{
            codec::{Append, AppendResult},
            handle::RaftHandle,
        },
        types::{Snapshot, TypeConfig, Vote},
    };

    type Answer<T, E = RaftError<TypeConfig>> = BoxFuture<'static, Result<T, E>>;

    /// A replica that notes what it is told, and answers nobody.
    #[derive(Default)]
    struct Replica {
        leads: AtomicBool,
        keeps_time: AtomicBool,
        heartbeats: AtomicU32,
    }

    impl RaftHandle for Replica {
        fn leads(&self) -> bool {
            self.leads.load(Ordering::Relaxed)
        }

        fn keep_time(&self, on: bool) {
            self.keeps_time.store(on, Ordering::Relaxed);
        }

        fn heartbeat(&self) -> BoxFuture<'_, ()> {
            self.heartbeats.fetch_add(1, Ordering::Relaxed);
            async {}.boxed()
        }

        fn stream_append(
            &self,
            _: BoxStream<'static, Append>,
        ) -> BoxStream<'static, Result<AppendResult, Fatal<TypeConfig>>> {
            stream::pending().boxed()
        }

        fn vote(&self, _: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>> {
            pending().boxed()
        }

        fn pre_vote(&self, _: VoteRequest<TypeConfig>) -> Answer<VoteResponse<TypeConfig>> {
            pending().boxed()
        }

        fn transfer_leader(
            &self,
            _: TransferLeaderRequest<TypeConfig>,
        ) -> Answer<TransferLeaderResponse<TypeConfig>, Fatal<TypeConfig>> {
            pending().boxed()
        }

        fn install_snapshot(
            &self,
            _: Vote,
            _: Snapshot,
        ) -> Answer<SnapshotResponse<TypeConfig>, Fatal<TypeConfig>> {
            pending().boxed()
        }
    }

    #[tokio::test]
    async fn a_timer_of_its_own_is_for_a_replica_that_hears_no_leader() {
        let (replica, registry) = (Arc::new(Replica::default()), Registry::default());
        registry.insert(7, 1, replica.clone(), None);
        let hosted = registry.get(7, 1).expect("hosted");
        let keeps_time_after_a_beat = async || {
            beat(&hosted).await;
            replica.keeps_time.load(Ordering::Relaxed)
        };
        assert!(keeps_time_after_a_beat().await, "it was just started");
        hosted.pulse.hear();
        assert!(!keeps_time_after_a_beat().await);
        assert!(!keeps_time_after_a_beat().await, "a heartbeat may be a little late");
        assert!(keeps_time_after_a_beat().await);
        hosted.pulse.hear();
        assert!(!keeps_time_after_a_beat().await);
        assert_eq!(replica.heartbeats.load(Ordering::Relaxed), 0);

        replica.leads.store(true, Ordering::Relaxed);
        for beats in 1..5 {
            assert!(!keeps_time_after_a_beat().await);
            assert_eq!(replica.heartbeats.load(Ordering::Relaxed), beats);
        }
        replica.leads.store(false, Ordering::Relaxed);
        assert!(keeps_time_after_a_beat().await, "nobody was heard while it led");
    }
}
