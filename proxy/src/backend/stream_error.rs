//! Why a stream to a storage node ended.

use tonic::Status;

#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the store is not part of the topology")]
    NoAddress,
    #[error("bad address: {0}")]
    Address(#[source] tonic::transport::Error),
    #[error("{0}")]
    Status(#[source] Box<Status>),
    #[error("closed by the storage node")]
    Closed,
}

impl From<Status> for StreamError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}
