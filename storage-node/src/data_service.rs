//! The gRPC service that proxies talk to: batches in, replies out, one stream per proxy worker.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};
use proto::v1::{DataReply, DataRequest, Refusal, data_server::Data};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    group::{Incoming, ReplyQueue},
    node::Replicas,
};

/// See the module's description.
pub struct DataService {
    replicas: Replicas,
}

impl DataService {
    pub fn new(replicas: Replicas) -> Self {
        Self { replicas }
    }
}

#[tonic::async_trait]
impl Data for DataService {
    type StreamStream = Replies;

    async fn stream(
        &self,
        request: Request<Streaming<DataRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let queue = Arc::new(ReplyQueue::default());
        let replies =
            Replies { requests: request.into_inner(), replicas: self.replicas.clone(), queue, ended: false };
        Ok(Response::new(replies))
    }
}

/// The response stream. Being polled, it also takes in what the proxy sent: one task serves both
/// directions, and all that gathered between two polls leaves in one message.
pub struct Replies {
    requests: Streaming<DataRequest>,
    replicas: Replicas,
    queue: Arc<ReplyQueue>,
    ended: bool,
}

impl Replies {
    fn accept(&self, message: DataRequest) {
        for batch in message.batches {
            let incoming = Incoming::new(batch, self.queue.clone());
            match self.replicas.get(incoming.batch.group) {
                Some(replica) => replica.submit(incoming),
                None => incoming.refuse(Refusal::UnknownGroup, 0, 0),
            }
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Stream for Replies {
    type Item = Result<DataReply, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            match self.requests.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => self.accept(message),
                Poll::Ready(Some(Err(_)) | None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        match self.queue.poll_message(cx) {
            Poll::Ready(message) => Poll::Ready(Some(Ok(message))),
            // The proxy is gone, and so is whoever waits for what is still in flight.
            Poll::Pending if self.ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
