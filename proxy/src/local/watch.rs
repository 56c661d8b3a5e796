//! WATCH and UNWATCH: the group of each key gives a token, which EXEC hands back.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use commands::{Id, wire};
use resp::{Protocol, Reply};
use topology::{Slot, slot_of};

use super::Outcome;
use crate::{
    ask::{Question, ask_this},
    backend_api::Target,
    connection::{Call, Rest},
    execute::Front,
    namespaces,
};

/// Keys that one client may watch.
const KEYS_MAX: usize = 100_000;

/// What a client watches.
#[derive(Debug, Default)]
pub struct Watching {
    /// Tokens by database and key; the first one given counts.
    keys: BTreeMap<(u8, Bytes), Bytes>,
}

impl Watching {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.keys.keys().map(|(_, key)| slot_of(key))
    }

    /// In the form of a transaction's first argument.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((db, key), token) in &self.keys {
            wire::put_watched(&mut out, &wire::Watched { db: *db, token, key });
        }
        out
    }
}

/// Forgets what is watched.
pub fn unwatch(front: &mut Front) -> Outcome {
    front.session.watching = Watching::default();
    front.conn.info.watched.store(0, Relaxed);
    Ok(Reply::OK)
}

pub fn watch(front: &mut Front, args: &[&[u8]], call: Call) {
    if front.session.transaction.is_some() {
        return front.reply(&Reply::error("ERR WATCH inside MULTI is not allowed"));
    }
    let refusal = front.elsewhere(args, call.spec);
    if let Some(refusal) = refusal.or_else(|| namespaces::refusal(front, args, call.spec)) {
        return front.reject(&refusal);
    }
    if front.session.watching.len() + args.len() > KEYS_MAX {
        return front.reply(&Reply::error("ERR too many keys are watched"));
    }
    let db = front.session.db;
    let asked: Vec<_> = args.iter().map(|key| (Bytes::copy_from_slice(key), ask_token(front, key))).collect();
    let token = front.open(call);
    front.conn.run_then(token, async move {
        let mut tokens = Vec::new();
        let mut refusal = None;
        for (key, asked) in asked {
            match asked.await {
                Ok(token) => tokens.push(((db, key), token)),
                Err(reply) => refusal = Some(reply),
            }
        }
        let rest: Rest = Box::new(move |front| {
            if let Some(refusal) = refusal {
                return refusal;
            }
            let keys = &mut front.session.watching.keys;
            for (key, token) in tokens {
                keys.entry(key).or_insert(token);
            }
            front.conn.info.watched.store(keys.len(), Relaxed);
            Reply::OK
        });
        rest
    });
}

fn ask_token(front: &Front, key: &[u8]) -> impl Future<Output = Result<Bytes, Reply>> + use<> {
    let mut asker = front.asker();
    asker.protocol = Protocol::Resp2;
    let spec = Id::WatchTokens.spec();
    let args = vec![Bytes::copy_from_slice(key)];
    let question = Question { asker, target: Target::Slot(slot_of(key)), spec, args, writes: false };
    let answer = ask_this(&*front.conn.worker.backend, &question, 0);
    async move {
        let bytes = answer.await.map_err(|error| Reply::error(error.to_string()))?;
        match resp::parse(&bytes, Protocol::Resp2) {
            Ok(Some((Reply::Array(tokens), _))) => match tokens.into_iter().next() {
                Some(Reply::Bulk(token)) => Ok(token),
                _ => Err(Reply::error("ERR malformed answer of a storage node")),
            },
            _ => Err(Reply::Raw(bytes)),
        }
    }
}
