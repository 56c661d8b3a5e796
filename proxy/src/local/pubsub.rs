//! SUBSCRIBE and its kin, PUBLISH, and PUBSUB.
//!
//! A client is told what it asked for when the leaders know of it ([`crate::pubsub`]); messages wait
//! behind that confirmation.

use std::sync::Arc;

use bytes::Bytes;
use commands::{CommandError, ProxyCommand, Spec};
use resp::{Protocol, Reply, encode};

use super::Outcome;
use crate::{
    clients::Side,
    connection::Call,
    execute::Front,
    pubsub::{Hub, Kind, Settled, Subscriber, Topic},
};

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    use ProxyCommand as P;
    match command {
        P::Subscribe => subscribe(front, Kind::Channel, args, call),
        P::Psubscribe => subscribe(front, Kind::Pattern, args, call),
        P::Ssubscribe => match elsewhere(front, args, call.spec) {
            Some(refusal) => front.reply(&refusal),
            None => subscribe(front, Kind::Shard, args, call),
        },
        P::Unsubscribe => unsubscribe(front, Kind::Channel, args, call),
        P::Punsubscribe => unsubscribe(front, Kind::Pattern, args, call),
        P::Sunsubscribe => match elsewhere(front, args, call.spec) {
            Some(refusal) => front.reply(&refusal),
            None => unsubscribe(front, Kind::Shard, args, call),
        },
        P::Publish => publish(front, Kind::Channel, args, call),
        P::Spublish => match elsewhere(front, args, call.spec) {
            Some(refusal) => front.reply(&refusal),
            None => publish(front, Kind::Shard, args, call),
        },
        _ => {
            let reply = introspect(hub(front), command, args).unwrap_or_else(|error| error);
            front.reply(&reply);
        }
    }
}

fn hub(front: &Front) -> &Hub {
    &front.conn.worker.shared.pubsub
}

fn now_ms(front: &Front) -> u64 {
    front.conn.worker.shared.now_ms()
}

/// Shard channels have slots: a node of a cluster refuses those of several, and what others serve.
fn elsewhere(front: &Front, args: &[&[u8]], spec: &Spec) -> Option<Reply> {
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
pub struct Pending {
    confirmation: Bytes,
    /// `None`: nobody must be told.
    settled: Option<Settled>,
    /// It counts even if nobody could be told in time.
    is_certain: bool,
}

impl Pending {
    pub async fn resolve(self) -> Reply {
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

/// Begins to subscribe.
pub fn begin(front: &mut Front, kind: Kind, names: &[&[u8]]) -> Result<Pending, Reply> {
    let topics = topics(kind, names);
    let info = front.conn.info.clone();
    let subscriber = front.session.subscriber.get_or_insert_with(|| Subscriber::new(info)).clone();
    let begun = hub(front).subscribe(now_ms(front), &subscriber, &topics);
    let (counts, settled) = begun.map_err(|error| Reply::error(error.to_string()))?;
    let confirmation = confirmations(words(kind).0, &topics, &counts, front.session.protocol);
    Ok(Pending { confirmation, settled: Some(settled), is_certain: false })
}

/// Ends subscriptions; without names, all of a kind. No message of theirs follows.
pub fn end(front: &mut Front, kind: Kind, names: &[&[u8]]) -> Pending {
    let (client, protocol, word) = (front.conn.info.id, front.session.protocol, words(kind).1);
    let topics = match names {
        [] => hub(front).topics_of(client, kind),
        names => topics(kind, names),
    };
    if topics.is_empty() {
        let count = hub(front).counts(client).shown(kind);
        let items = vec![Reply::bulk(word), Reply::Null, Reply::Int(count as i64)];
        let mut bytes = Vec::new();
        encode(&Reply::Push(items), protocol, &mut bytes);
        return Pending { confirmation: bytes.into(), settled: None, is_certain: true };
    }
    let Some(subscriber) = front.session.subscriber.clone() else {
        let confirmation = confirmations(word, &topics, &vec![0; topics.len()], protocol);
        return Pending { confirmation, settled: None, is_certain: true };
    };
    let (counts, settled) = hub(front).unsubscribe(now_ms(front), &subscriber, &topics);
    // What came before the end goes before its confirmation.
    front.conn.push_messages(&subscriber);
    let confirmation = confirmations(word, &topics, &counts, protocol);
    Pending { confirmation, settled: Some(settled), is_certain: true }
}

/// Confirmations are sent whatever CLIENT REPLY says, and later commands wait for them.
fn confirm_later(front: &Front, call: Call, pending: Pending) {
    let token = front.conn.open(call, false);
    front.conn.hold_messages(token);
    front.conn.run_later(token, front.session.protocol, pending.resolve());
}

fn subscribe(front: &mut Front, kind: Kind, args: &[&[u8]], call: Call) {
    match begin(front, kind, args) {
        Ok(pending) => confirm_later(front, call, pending),
        Err(reply) => front.reply(&reply),
    }
}

fn unsubscribe(front: &mut Front, kind: Kind, args: &[&[u8]], call: Call) {
    let pending = end(front, kind, args);
    match pending.settled {
        None => front.conn.push(&Reply::Raw(pending.confirmation), front.session.protocol),
        Some(_) => confirm_later(front, call, pending),
    }
}

fn publish(front: &Front, kind: Kind, args: &[&[u8]], call: Call) {
    let token = front.open(call);
    let Some(sink) = front.conn.sink(token) else { return };
    let outcome = front.conn.worker.publications.expect(sink);
    let payload = Bytes::copy_from_slice(args[1]);
    hub(front).publish(now_ms(front), Topic::new(kind, args[0]), payload, outcome);
}

/// PUBSUB: what clients of this proxy subscribe to.
fn introspect(hub: &Hub, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let arity = |name, most: usize| match args.len() > most {
        true => Err(Reply::from(CommandError::WrongArity(name))),
        false => Ok(()),
    };
    let names =
        |kind| Reply::Array(hub.names(kind, args.get(1).copied()).into_iter().map(Reply::Bulk).collect());
    let numbers = |kind| {
        let pair = |name: &&[u8]| [Reply::bulk(name), Reply::Int(hub.subscribers(kind, name) as i64)];
        Reply::Array(args[1..].iter().flat_map(pair).collect())
    };
    Ok(match command {
        P::PubsubChannels => {
            arity("pubsub|channels", 2)?;
            names(Kind::Channel)
        }
        P::PubsubShardChannels => {
            arity("pubsub|shardchannels", 2)?;
            names(Kind::Shard)
        }
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
        let shared: &Arc<_> = &front.conn.worker.shared;
        shared.pubsub.leave(shared.now_ms(), &subscriber);
    }
}
