//! The stream to one storage node. Its messages are built when the transport asks for one, so
//! whatever queued until then travels together, and no task stands between.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use daemon::grpc;
use proto::v1::{Batch, DataRequest, data_client::DataClient};
use tokio::sync::Notify;
use tokio_stream::Stream;
use topology::StoreId;

use super::{Core, bound::Bound, stream_error::StreamError};

/// A storage node as seen from one worker.
pub(super) struct Node {
    store: StoreId,
    /// A stream should be opened.
    wanted: Notify,
    stream: RefCell<Option<Rc<Conversation>>>,
}

/// One stream, shared by its two directions.
struct Conversation {
    open: Cell<bool>,
    /// It has brought something.
    used: Cell<bool>,
    /// Something to send may have come since the last look.
    woken: Cell<bool>,
    /// Of the task that writes, while there is nothing to write.
    writer: RefCell<Option<Waker>>,
}

impl Node {
    pub fn new(store: StoreId) -> Rc<Self> {
        Rc::new(Self { store, wanted: Notify::new(), stream: RefCell::new(None) })
    }

    /// There is something to send.
    pub fn wake(&self) {
        match &*self.stream.borrow() {
            Some(stream) => stream.wake(),
            None => self.wanted.notify_one(),
        }
    }

    /// Opens a stream whenever something waits for the node, for as long as the worker lives.
    pub async fn run(self: Rc<Self>, core: Rc<Core>) {
        loop {
            if !core.wants(self.store) {
                self.wanted.notified().await;
                continue;
            }
            let stream = Rc::new(Conversation::new());
            self.stream.replace(Some(stream.clone()));
            let Err(error) = self.converse(&core, &stream).await;
            self.stream.replace(None);
            stream.close();
            tracing::debug!(store = %self.store, %error, "the stream to a storage node ended");
            core.disconnected(self.store, stream.used.get());
        }
    }

    async fn converse(
        &self,
        core: &Rc<Core>,
        stream: &Rc<Conversation>,
    ) -> Result<std::convert::Infallible, StreamError> {
        let address = core.address(self.store).ok_or(StreamError::NoAddress)?;
        let channel = grpc::channel(core.env(), &address).map_err(StreamError::Address)?;
        let mut client = DataClient::new(channel)
            .max_decoding_message_size(grpc::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(grpc::MESSAGE_BYTES_MAX);
        let source =
            Source { core: core.clone(), store: self.store, stream: stream.clone(), phase: Phase::Idle };
        let mut replies = client.stream(Requests(Bound::new(source))).await?.into_inner();
        loop {
            let message = replies.message().await?.ok_or(StreamError::Closed)?;
            stream.used.set(true);
            core.replied(message);
        }
    }
}

impl Conversation {
    fn new() -> Self {
        Self {
            open: Cell::new(true),
            used: Cell::new(false),
            woken: Cell::new(true),
            writer: RefCell::new(None),
        }
    }

    fn wake(&self) {
        self.woken.set(true);
        if let Some(writer) = &*self.writer.borrow() {
            writer.wake_by_ref();
        }
    }

    fn close(&self) {
        self.open.set(false);
        self.wake();
    }

    fn park(&self, waker: &Waker) {
        let mut writer = self.writer.borrow_mut();
        if !writer.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *writer = Some(waker.clone());
        }
    }
}

/// The requests of one stream.
struct Source {
    core: Rc<Core>,
    store: StoreId,
    stream: Rc<Conversation>,
    phase: Phase,
}

enum Phase {
    /// Nothing to send.
    Idle,
    /// Other connections may have commands for the same message: they are read first.
    Gathering(Pin<Box<dyn Future<Output = ()>>>),
    Sending,
}

impl Source {
    fn poll_batches(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Batch>> {
        loop {
            match &mut self.phase {
                Phase::Idle => {
                    if !self.stream.woken.take() {
                        self.stream.park(cx.waker());
                        return Poll::Pending;
                    }
                    self.phase = Phase::Gathering(Box::pin(tokio::task::yield_now()));
                }
                Phase::Gathering(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    self.phase = Phase::Sending;
                }
                Phase::Sending => {
                    let batches = self.core.collect(self.store);
                    if !batches.is_empty() {
                        return Poll::Ready(batches);
                    }
                    self.phase = Phase::Idle;
                }
            }
        }
    }
}

struct Requests(Bound<Source>);

impl Stream for Requests {
    type Item = DataRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<DataRequest>> {
        let source = self.0.get_mut();
        if !source.stream.open.get() {
            return Poll::Ready(None);
        }
        source.poll_batches(cx).map(|batches| Some(DataRequest { batches }))
    }
}
