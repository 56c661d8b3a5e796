//! The task behind one watch: a stream to the leader, opened again whenever it breaks.

use std::{collections::VecDeque, time::Duration};

use proto::v1::{Heartbeat, WatchEvent, meta_client as rpc};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status, Streaming};

use super::{CALL_TIMEOUT, EVENTS_QUEUED, HEARTBEAT_INTERVAL, MetaClient, Pause, Update};
use crate::grpc;

const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// Heartbeats in the time of a lease: one may be late.
const HEARTBEATS_PER_LEASE: u32 = 3;
/// Meta is never silent for so long on a stream that works.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Heartbeats whose sending time is remembered; meta answers one of the latest.
const SENT_REMEMBERED: usize = 64;

pub(super) struct Watcher {
    client: MetaClient,
    heartbeats: watch::Receiver<Heartbeat>,
    events: mpsc::Sender<Update>,
    lease: Lease,
    /// Between two heartbeats.
    interval: Duration,
}

/// Until when answers from one version may be given.
#[derive(Default)]
struct Lease {
    version: u64,
    until: Option<Instant>,
}

impl Lease {
    fn take(&mut self, version: u64, granted: Option<Instant>) -> Option<Instant> {
        if self.version != version {
            *self = Self { version, until: None };
        }
        self.until = self.until.max(granted);
        self.until
    }
}

/// Why a stream ended.
enum Ended {
    /// Connect again.
    Broken(Status),
    /// Nobody listens any more, or meta wants the node to register: the watch is over.
    Over,
}

impl Watcher {
    pub fn new(
        client: MetaClient,
        heartbeats: watch::Receiver<Heartbeat>,
        events: mpsc::Sender<Update>,
    ) -> Self {
        Self { client, heartbeats, events, lease: Lease::default(), interval: HEARTBEAT_INTERVAL }
    }

    pub async fn run(mut self) {
        let mut pause = Pause::default();
        loop {
            let opened = Instant::now();
            let Ended::Broken(status) = self.stream().await else { return };
            tracing::debug!(%status, "the watch stream of meta ended");
            if opened.elapsed() > SILENCE_MAX {
                pause = Pause::default();
            }
            tokio::select! {
                () = pause.wait(&self.client.env, &status) => {}
                () = self.events.closed() => return,
            }
        }
    }

    /// One stream, to its end.
    async fn stream(&mut self) -> Ended {
        let (addr, channel) = match self.client.channel() {
            Ok(target) => target,
            Err(status) => return Ended::Broken(status),
        };
        let mut sent = Sent::default();
        let (outbound, messages) = mpsc::channel(EVENTS_QUEUED);
        // The first one must be there before the call: the server answers once it has read it.
        if outbound.send(self.heartbeat(&mut sent)).await.is_err() {
            return Ended::Over;
        }
        let mut client = rpc::MetaClient::new(channel).max_decoding_message_size(grpc::MESSAGE_BYTES_MAX);
        let opening = tokio::time::timeout(CALL_TIMEOUT, client.watch(ReceiverStream::new(messages)));
        let opened = tokio::select! {
            opened = opening => opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer from meta in time"))),
            () = self.events.closed() => return Ended::Over,
        };
        let ended = match opened {
            Ok(inbound) => self.follow(&addr, inbound.into_inner(), &outbound, &mut sent).await,
            Err(status) => Ended::Broken(status),
        };
        match ended {
            Ended::Broken(status) if status.code() == Code::NotFound => Ended::Over,
            Ended::Broken(status) => {
                self.client.learn(&addr, Some(&status));
                Ended::Broken(status)
            }
            Ended::Over => Ended::Over,
        }
    }

    async fn follow(
        &mut self,
        addr: &str,
        mut inbound: Streaming<WatchEvent>,
        outbound: &mpsc::Sender<Heartbeat>,
        sent: &mut Sent,
    ) -> Ended {
        let mut repeat = Instant::now() + self.interval;
        let mut silent = Instant::now() + SILENCE_MAX;
        loop {
            tokio::select! {
                event = inbound.next() => match event {
                    Some(Ok(event)) => {
                        silent = Instant::now() + SILENCE_MAX;
                        self.client.learn(addr, None);
                        let update = self.update(event, sent);
                        repeat = repeat.min(Instant::now() + self.interval);
                        if self.events.send(update).await.is_err() {
                            return Ended::Over;
                        }
                        continue;
                    }
                    Some(Err(status)) => return Ended::Broken(status),
                    None => return Ended::Broken(Status::unavailable("meta closed the stream")),
                },
                changed = self.heartbeats.changed() => if changed.is_err() {
                    return Ended::Over;
                },
                () = tokio::time::sleep_until(repeat) => {}
                () = tokio::time::sleep_until(silent) => {
                    return Ended::Broken(Status::deadline_exceeded("meta fell silent"));
                }
                () = self.events.closed() => return Ended::Over,
            }
            repeat = Instant::now() + self.interval;
            let heartbeat = self.heartbeat(sent);
            // A full channel: meta does not read. The silence timer decides; what is not sent now
            // is superseded by the next one anyway.
            if let Err(mpsc::error::TrySendError::Closed(_)) = outbound.try_send(heartbeat) {
                return Ended::Broken(Status::unavailable("meta closed the stream"));
            }
        }
    }

    fn heartbeat(&mut self, sent: &mut Sent) -> Heartbeat {
        let mut heartbeat = self.heartbeats.borrow_and_update().clone();
        heartbeat.number = sent.note(Instant::now());
        heartbeat.clock_ms = self.client.env.clock.now_ms();
        heartbeat
    }

    fn update(&mut self, event: WatchEvent, sent: &Sent) -> Update {
        self.client.target.lock().learn_addrs(&event);
        let lease = Duration::from_millis(event.lease_ms.into());
        let counted_from = sent.at(event.answers).filter(|_| event.lease_ms > 0);
        if counted_from.is_some() {
            self.interval = (lease / HEARTBEATS_PER_LEASE).clamp(HEARTBEAT_INTERVAL_MIN, HEARTBEAT_INTERVAL);
        }
        Update {
            state: event.state,
            version: event.version,
            lease_until: self.lease.take(event.version, counted_from.map(|at| at + lease)),
            leaders: event.leaders,
            libraries: event.libraries,
        }
    }
}

/// When the latest heartbeats of one stream were sent.
#[derive(Default)]
struct Sent {
    last: u64,
    at: VecDeque<Instant>,
}

impl Sent {
    fn note(&mut self, now: Instant) -> u64 {
        if self.at.len() == SENT_REMEMBERED {
            self.at.pop_front();
        }
        self.at.push_back(now);
        self.last += 1;
        self.last
    }

    fn at(&self, number: u64) -> Option<Instant> {
        let age = usize::try_from(self.last.checked_sub(number)?).ok()?;
        (number > 0).then(|| self.at.len().checked_sub(age + 1)).flatten().map(|position| self.at[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_for_one_version() {
        let mut lease = Lease::default();
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        assert_eq!(lease.take(5, None), None);
        assert_eq!(lease.take(5, Some(late)), Some(late));
        assert_eq!(lease.take(5, Some(early)), Some(late), "never moves back");
        assert_eq!(lease.take(5, None), Some(late));
        assert_eq!(lease.take(6, None), None);
        assert_eq!(lease.take(6, Some(early)), Some(early));
    }

    #[test]
    fn sending_times_are_found_while_remembered() {
        let mut sent = Sent::default();
        let start = Instant::now();
        assert_eq!(sent.at(0), None);
        assert_eq!(sent.at(1), None);
        for n in 1..=100 {
            assert_eq!(sent.note(start + Duration::from_millis(n)), n);
        }
        assert_eq!(sent.at(100), Some(start + Duration::from_millis(100)));
        assert_eq!(sent.at(37), Some(start + Duration::from_millis(37)));
        assert_eq!(sent.at(36), None);
        assert_eq!(sent.at(0), None);
        assert_eq!(sent.at(101), None);
    }
}
