//! SUBSCRIBE and its kin, PUBLISH, and PUBSUB.
//!
//! A client is told what it asked for when the leaders know of it ([`crate::pubsub`]); messages wait
//! behind that confirmation.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use commands::{CommandError, ProxyCommand, Spec};
use resp::{Protocol, Reply, encode};

use super::Outcome;
use crate::{
    clients::Side,
    connection::{Call, Connection},
    execute::Front,
    pubsub::{Hub, Kind, Settled, Subscriber, Topic},
};

/// Whether the command waits for leaders.
pub fn waits(command: ProxyCommand) -> bool {
    wish(command).is_some()
}

/// Whether messages come to the client for it.
pub fn subscribes(command: ProxyCommand) -> bool {
    matches!(wish(command), Some(Wish::Subscribe(_)))
}

/// What a command asks of the hub.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Subscribe(Kind),
    Unsubscribe(Kind),
    Publish(Kind),
}

fn wish(command: ProxyCommand) -> Option<Wish> {
    use ProxyCommand as P;
    Some(match command {
        P::Subscribe => Wish::Subscribe(Kind::Channel),
        P::Psubscribe => Wish::Subscribe(Kind::Pattern),
        P::Ssubscribe => Wish::Subscribe(Kind::Shard),
        P::Unsubscribe => Wish::Unsubscribe(Kind::Channel),
        P::Punsubscribe => Wish::Unsubscribe(Kind::Pattern),
        P::Sunsubscribe => Wish::Unsubscribe(Kind::Shard),
        P::Publish => Wish::Publish(Kind::Channel),
        P::Spublish => Wish::Publish(Kind::Shard),
        _ => return None,
    })
}

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    if let Some(refusal) = elsewhere(front, args, call.spec) {
        return front.reject(&refusal);
    }
    match wish(command) {
        Some(Wish::Publish(kind)) => publish(front, kind, args, call),
        Some(Wish::Unsubscribe(kind)) => {
            let pending = Client::of(front, false).end(kind, args);
            match pending.settled {
                None => front.conn.push(&Reply::Raw(pending.confirmation), front.session.protocol),
                Some(_) => confirm_later(front, call, pending),
            }
        }
        Some(Wish::Subscribe(kind)) => match Client::of(front, true).begin(kind, args) {
            Ok(pending) => confirm_later(front, call, pending),
            Err(reply) => front.reply(&reply),
        },
        None => front.reply(&super::syntax_error()),
    }
}

/// Shard channels have slots: a node of a cluster refuses those of several, and what others serve.
pub fn elsewhere(front: &Front, args: &[&[u8]], spec: &Spec) -> Option<Reply> {
    if front.session.side == Side::Plain {
        return None;
    }
    front.elsewhere(args, spec).or_else(|| spec.slot(args).err().map(Reply::from))
}

fn topics(kind: Kind, names: &[&[u8]]) -> Vec<Topic> {
    names.iter().map(|name| Topic::new(kind, name)).collect()
}

/// The words that confirm.
fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Channel => ("subscribe", "unsubscribe"),
        Kind::Pattern => ("psubscribe", "punsubscribe"),
        Kind::Shard => ("ssubscribe", "sunsubscribe"),
        // Clients do not subscribe to prefixes.
        Kind::Prefix => ("", ""),
    }
}

/// One confirmation for each topic, with the number of subscriptions at that point.
fn confirmations(word: &str, topics: &[Topic], counts: &[usize], protocol: Protocol) -> Bytes {
    let mut bytes = Vec::new();
    for (topic, &count) in topics.iter().zip(counts) {
        let items = vec![Reply::bulk(word), Reply::Bulk(topic.name.clone()), Reply::Int(count as i64)];
        encode(&Reply::Push(items), protocol, &mut bytes);
    }
    bytes.into()
}

/// A subscription on its way: what confirms it, and when.
struct Pending {
    confirmation: Bytes,
    /// `None`: nobody must be told.
    settled: Option<Settled>,
    /// It counts even if nobody could be told in time.
    is_certain: bool,
}

impl Pending {
    async fn resolve(self) -> Reply {
        let outcome = match self.settled {
            None => Ok(()),
            // The hub lives as long as the process.
            Some(settled) => settled.await.unwrap_or(Ok(())),
        };
        match outcome {
            Err(error) if !self.is_certain => Reply::error(error.to_string()),
            _ => Reply::Raw(self.confirmation),
        }
    }
}

/// A client as its subscriptions see it.
pub struct Client {
    conn: Rc<Connection>,
    /// `None`: it has never subscribed.
    subscriber: Option<Arc<Subscriber>>,
    protocol: Protocol,
}

impl Client {
    /// If it `subscribes`, messages may come to it from now on.
    pub fn of(front: &mut Front, subscribes: bool) -> Self {
        if subscribes && front.session.subscriber.is_none() {
            front.session.subscriber = Some(Subscriber::new(front.conn.info.clone()));
        }
        let subscriber = front.session.subscriber.clone();
        Self { conn: front.conn.clone(), subscriber, protocol: front.session.protocol }
    }

    fn hub(&self) -> &Hub {
        &self.conn.worker.shared.pubsub
    }

    fn now_ms(&self) -> u64 {
        self.conn.worker.shared.now_ms()
    }

    /// Executes a command of a transaction.
    pub async fn execute(&self, command: ProxyCommand, args: &[&[u8]]) -> Reply {
        match wish(command) {
            Some(Wish::Subscribe(kind)) => match self.begin(kind, args) {
                Ok(pending) => pending.resolve().await,
                Err(reply) => reply,
            },
            Some(Wish::Unsubscribe(kind)) => self.end(kind, args).resolve().await,
            Some(Wish::Publish(kind)) => {
                let (topic, payload) = (Topic::new(kind, args[0]), Bytes::copy_from_slice(args[1]));
                // The hub lives as long as the process.
                let outcome = self.hub().publish_once(self.now_ms(), topic, payload).await.unwrap_or(Ok(0));
                outcome.map_or_else(|e| Reply::error(e.to_string()), |count| Reply::Int(count as i64))
            }
            None => super::syntax_error(),
        }
    }

    /// Begins to subscribe.
    fn begin(&self, kind: Kind, names: &[&[u8]]) -> Result<Pending, Reply> {
        let Some(subscriber) = &self.subscriber else { return Err(super::syntax_error()) };
        let topics = topics(kind, names);
        let begun = self.hub().subscribe(self.now_ms(), subscriber, &topics);
        let (counts, settled) = begun.map_err(|error| Reply::error(error.to_string()))?;
        let confirmation = confirmations(words(kind).0, &topics, &counts, self.protocol);
        Ok(Pending { confirmation, settled: Some(settled), is_certain: false })
    }

    /// Ends subscriptions; without names, all of a kind. No message of theirs follows.
    fn end(&self, kind: Kind, names: &[&[u8]]) -> Pending {
        let (client, word) = (self.conn.info.id, words(kind).1);
        let topics = match names {
            [] => self.hub().topics_of(client, kind),
            names => topics(kind, names),
        };
        let settled = |confirmation| Pending { confirmation, settled: None, is_certain: true };
        let Some(subscriber) = self.subscriber.as_ref().filter(|_| !topics.is_empty()) else {
            let count = self.hub().counts(client).shown(kind);
            if !topics.is_empty() {
                return settled(confirmations(word, &topics, &vec![count; topics.len()], self.protocol));
            }
            let items = vec![Reply::bulk(word), Reply::Null, Reply::Int(count as i64)];
            let mut bytes = Vec::new();
            encode(&Reply::Push(items), self.protocol, &mut bytes);
            return settled(bytes.into());
        };
        let (counts, told) = self.hub().unsubscribe(self.now_ms(), subscriber, &topics);
        // What came before the end goes before its confirmation.
        self.conn.push_messages(subscriber);
        let confirmation = confirmations(word, &topics, &counts, self.protocol);
        Pending { confirmation, settled: Some(told), is_certain: true }
    }
}

/// Confirmations are sent whatever CLIENT REPLY says, and later commands wait for them.
fn confirm_later(front: &Front, call: Call, pending: Pending) {
    let token = front.open_always(call);
    front.conn.hold_messages(token);
    front.conn.run_later(token, front.session.protocol, pending.resolve());
}

fn publish(front: &Front, kind: Kind, args: &[&[u8]], call: Call) {
    let token = front.open(call);
    let Some(sink) = front.conn.sink(token) else { return };
    let outcome = front.conn.worker.publications.expect(sink);
    let payload = Bytes::copy_from_slice(args[1]);
    let shared = &front.conn.worker.shared;
    shared.pubsub.publish(shared.now_ms(), Topic::new(kind, args[0]), payload, outcome);
}

/// PUBSUB: what clients of this proxy subscribe to.
pub fn introspect(front: &Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let hub = &front.conn.worker.shared.pubsub;
    let names = |kind| match args {
        [_, _, _, ..] => Err(super::surplus("pubsub", args)),
        _ => {
            let names = hub.names(kind, args.get(1).copied());
            Ok(Reply::Array(names.into_iter().map(Reply::Bulk).collect()))
        }
    };
    let numbers = |kind| {
        let pair = |name: &&[u8]| [Reply::bulk(name), Reply::Int(hub.subscribers(kind, name) as i64)];
        Reply::Array(args[1..].iter().flat_map(pair).collect())
    };
    Ok(match command {
        P::PubsubChannels => names(Kind::Channel)?,
        P::PubsubShardChannels => names(Kind::Shard)?,
        P::PubsubNumSub => numbers(Kind::Channel),
        P::PubsubShardNumSub => numbers(Kind::Shard),
        _ => Reply::Int(hub.topics(Kind::Pattern) as i64),
    })
}

/// The client subscribes and speaks RESP2, where nothing marks a message as such.
pub fn only_listens(front: &Front) -> bool {
    front.session.subscriber.is_some()
        && front.session.protocol == Protocol::Resp2
        && front.conn.info.is_subscribed()
}

/// Whether a client that only listens may use the command.
pub fn check_mode(spec: &Spec) -> Result<(), Reply> {
    use ProxyCommand as P;
    let allowed = [
        P::Ping,
        P::Subscribe,
        P::Ssubscribe,
        P::Psubscribe,
        P::Unsubscribe,
        P::Sunsubscribe,
        P::Punsubscribe,
        P::Quit,
        P::Reset,
    ];
    match spec.kind {
        commands::Kind::Local(command) if allowed.contains(&command) => Ok(()),
        _ => Err(Reply::error(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
             this context",
            spec.full_name
        ))),
    }
}

/// PING of a client that only listens is answered in the form of a message.
pub fn ping(args: &[&[u8]]) -> Outcome {
    match *args {
        [] => Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::bulk("")])),
        [text] => Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::bulk(text)])),
        _ => Err(CommandError::WrongArity("ping").into()),
    }
}

/// Nothing is subscribed to any more.
pub fn leave(front: &mut Front) {
    if let Some(subscriber) = front.session.subscriber.take() {
        subscriber.clear();
        let shared: &Arc<_> = &front.conn.worker.shared;
        shared.pubsub.leave(shared.now_ms(), &subscriber);
    }
}
