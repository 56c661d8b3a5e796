//! The streams to storage nodes: one per process and node, opened when there is something to send.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use daemon::grpc;
use futures::task::AtomicWaker;
use proto::v1::{EventItem, EventRequest, events_client::EventsClient};
use tokio::{task::spawn_local, time::sleep};
use tokio_stream::Stream;
use topology::StoreId;

use crate::{
    backend::{StreamError, Topologies},
    shared::Shared,
};

/// Wakes the writing direction of a stream.
#[derive(Default)]
pub(super) struct Writer {
    /// Something to send may have come since the last look.
    woken: AtomicBool,
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Writer {
    pub fn wake(&self) {
        self.woken.store(true, SeqCst);
        self.waker.wake();
    }

    #[cfg(test)]
    pub fn is_woken(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.woken.swap(false, SeqCst)
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.waker.wake();
    }
}

/// Keeps the streams of the process, as long as it lives. On a `LocalSet`.
pub async fn run(shared: Arc<Shared>, mut topologies: Topologies) {
    follow(&shared, &topologies);
    loop {
        open_wanted(&shared);
        let pause = shared.pubsub.tick(shared.now_ms());
        tokio::select! {
            () = shared.pubsub.changed.notified() => {}
            is_there = topologies.changed() => {
                if !is_there {
                    return;
                }
                follow(&shared, &topologies);
            }
            () = sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
        }
    }
}

fn follow(shared: &Shared, topologies: &Topologies) {
    let newest = topologies.newest();
    let now_ms = shared.now_ms();
    let mut state = shared.pubsub.state.lock();
    state.lanes.routes_changed(now_ms, newest.routes);
    state.lanes.leaders(now_ms, &newest.leaders);
    shared.pubsub.settle(state, now_ms);
}

fn open_wanted(shared: &Arc<Shared>) {
    let mut state = shared.pubsub.state.lock();
    for store in std::mem::take(&mut state.wanted) {
        let writer = Arc::new(Writer::default());
        writer.wake();
        state.writers.insert(store, writer.clone());
        spawn_local(converse_until_end(shared.clone(), store, writer));
    }
}

async fn converse_until_end(shared: Arc<Shared>, store: StoreId, writer: Arc<Writer>) {
    let Err(error) = converse(&shared, store, &writer).await;
    tracing::debug!(%store, %error, "the stream of events from a storage node ended");
    writer.close();
    let now_ms = shared.now_ms();
    let mut state = shared.pubsub.state.lock();
    state.writers.remove(&store);
    state.lanes.disconnected(now_ms, store);
    shared.pubsub.settle(state, now_ms);
}

async fn converse(
    shared: &Arc<Shared>,
    store: StoreId,
    writer: &Arc<Writer>,
) -> Result<Infallible, StreamError> {
    let address = shared.pubsub.state.lock().lanes.address(store).ok_or(StreamError::NoAddress)?;
    let channel = grpc::channel(&shared.env, &address).map_err(StreamError::Address)?;
    let mut client = EventsClient::new(channel)
        .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX);
    let requests = Requests { shared: shared.clone(), store, writer: writer.clone(), phase: Phase::Idle };
    let mut replies = client.stream(requests).await?.into_inner();
    loop {
        let reply = replies.message().await?.ok_or(StreamError::Closed)?;
        let limits = shared.settings.pubsub_limits();
        let news = shared.pubsub.received(shared.now_ms(), limits, store, reply);
        news.into_iter().for_each(|news| shared.tracking.heard(shared, news));
    }
}

/// The requests of one stream, made when the transport asks for one: what queued until then travels
/// together.
struct Requests {
    shared: Arc<Shared>,
    store: StoreId,
    writer: Arc<Writer>,
    phase: Phase,
}

enum Phase {
    /// Nothing to send.
    Idle,
    /// Other clients may have something for the same message: they are read first.
    Gathering,
    Sending,
}

impl Requests {
    fn poll_items(&mut self, cx: &Context<'_>) -> Poll<Vec<EventItem>> {
        loop {
            match self.phase {
                Phase::Idle => {
                    self.writer.waker.register(cx.waker());
                    if !self.writer.woken.swap(false, SeqCst) {
                        return Poll::Pending;
                    }
                    self.phase = Phase::Gathering;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Phase::Gathering => self.phase = Phase::Sending,
                Phase::Sending => {
                    let items =
                        self.shared.pubsub.state.lock().lanes.collect(self.shared.now_ms(), self.store);
                    if !items.is_empty() {
                        return Poll::Ready(items);
                    }
                    self.phase = Phase::Idle;
                }
            }
        }
    }
}

impl Stream for Requests {
    type Item = EventRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<EventRequest>> {
        if self.writer.closed.load(SeqCst) {
            return Poll::Ready(None);
        }
        let publisher = self.shared.pubsub.publisher;
        self.poll_items(cx).map(|items| Some(EventRequest { publisher, items }))
    }
}

impl super::Hub {
    /// Ends what has waited too long; answers how long there is nothing to do.
    fn tick(&self, now_ms: u64) -> Option<Duration> {
        let mut state = self.state.lock();
        state.lanes.tick(now_ms);
        let pause = state.lanes.next_pause_ms(now_ms).map(Duration::from_millis);
        self.settle(state, now_ms);
        pause
    }
}
