//! What a client has agreed with the proxy about its connection.

use std::sync::Arc;

use resp::Protocol;

use crate::{
    clients::Side,
    local::{Transaction, Watching},
    pubsub::Subscriber,
    shared::Feed,
};

/// CLIENT REPLY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replies {
    #[default]
    On,
    Off,
    /// The next command gets none.
    SkipNext,
    /// The current command gets none.
    Skip,
}

/// State of a connection that commands set and read.
pub struct Session {
    pub side: Side,
    pub protocol: Protocol,
    pub db: u8,
    pub authenticated: bool,
    pub replies: Replies,
    /// Present while the client monitors.
    pub feed: Option<Arc<Feed>>,
    /// Present once the client has subscribed to something.
    pub subscriber: Option<Arc<Subscriber>>,
    /// Present between MULTI and EXEC.
    pub transaction: Option<Transaction>,
    /// Keys of WATCH.
    pub watching: Watching,
    /// No further command is read; the connection ends when its replies are written.
    pub closing: bool,
}

impl Session {
    pub fn new(side: Side, authenticated: bool) -> Self {
        Self {
            side,
            protocol: Protocol::Resp2,
            db: 0,
            authenticated,
            replies: Replies::On,
            feed: None,
            subscriber: None,
            transaction: None,
            watching: Watching::default(),
            closing: false,
        }
    }

    /// Whether the reply of the current command is to be swallowed.
    pub fn is_silent(&self) -> bool {
        matches!(self.replies, Replies::Off | Replies::Skip)
    }

    /// After each command.
    pub fn command_ended(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        };
    }
}
