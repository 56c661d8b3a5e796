//! What a client has agreed with the proxy about its connection.

use std::sync::Arc;

use commands::{Spec, wire};
use resp::Protocol;

use crate::{
    accounts::Access,
    clients::Side,
    local::{Transaction, Watching},
    pubsub::Subscriber,
    shared::Feed,
    tracking::Tracks,
    written::Written,
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
    pub access: Access,
    pub replies: Replies,
    /// Present while the client monitors.
    pub feed: Option<Arc<Feed>>,
    /// Present once the client has subscribed to something.
    pub subscriber: Option<Arc<Subscriber>>,
    /// Present between MULTI and EXEC.
    pub transaction: Option<Transaction>,
    /// Keys of WATCH.
    pub watching: Watching,
    /// Where the client has written to.
    pub written: Written,
    /// Of the command under way, beside those of the protocol (`commands::wire`).
    pub wire_flags: u8,
    /// Present while the client tracks what it reads.
    pub tracking: Option<Box<Tracks>>,
    /// What the client is called where it changes something, if it is not to be told; else 0.
    pub writer: u64,
    /// No further command is read; the connection ends when its replies are written.
    pub closing: bool,
}

impl Session {
    pub fn new(side: Side, access: Access) -> Self {
        Self {
            side,
            protocol: Protocol::Resp2,
            db: 0,
            access,
            replies: Replies::On,
            feed: None,
            subscriber: None,
            transaction: None,
            watching: Watching::default(),
            written: Written::default(),
            wire_flags: 0,
            tracking: None,
            writer: 0,
            closing: false,
        }
    }

    /// Whether the reply of the current command is to be swallowed.
    pub fn is_silent(&self) -> bool {
        matches!(self.replies, Replies::Off | Replies::Skip)
    }

    /// Before each command of a client that tracks.
    pub fn track(&mut self, spec: &Spec) {
        if self.tracking.as_ref().is_some_and(|tracking| tracking.remembers(spec)) {
            self.wire_flags |= wire::FLAG_TRACKED;
        }
    }

    /// After each command; `None`: it was refused.
    pub fn command_ended(&mut self, spec: Option<&Spec>) {
        if let Some(tracking) = &mut self.tracking
            && self.transaction.is_none()
        {
            tracking.command_ended(spec);
        }
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        };
    }
}
