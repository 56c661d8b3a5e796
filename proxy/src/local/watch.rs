//! WATCH and UNWATCH: the group of each key gives a token, which EXEC hands back.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use bytes::Bytes;
use commands::{Id, wire};
use resp::{Protocol, Reply};
use topology::{Slot, slot_of};

use super::Outcome;
use crate::{
    ask::{Asker, Question, ask_this, malformed},
    backend_api::{Submit, Target},
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
    let ask = |key: &&[u8]| {
        let key = Bytes::copy_from_slice(key);
        let asked = ask_tokens(&*front.conn.worker.backend, front.asker(), vec![key.clone()]);
        (key, asked)
    };
    let asked: Vec<_> = args.iter().map(ask).collect();
    let token = front.open(call);
    front.conn.run_then(token, async move {
        let mut tokens = Vec::new();
        let mut refusal = None;
        for (key, asked) in asked {
            match asked.await {
                Ok(of_key) => tokens.extend(of_key.into_iter().map(|token| ((db, key.clone()), token))),
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

/// A token for each key, by which the group knows later whether it was changed. The keys, of which there is at
/// least one, are of one slot. The group is asked now.
pub fn ask_tokens(
    backend: &dyn Submit,
    asker: Asker,
    keys: Vec<Bytes>,
) -> impl Future<Output = Result<Vec<Bytes>, Reply>> + use<> {
    let (asker, count) = (Asker { protocol: Protocol::Resp2, ..asker }, keys.len());
    let (target, spec) = (Target::Slot(slot_of(&keys[0])), Id::WatchTokens.spec());
    let answer = ask_this(backend, &Question { asker, target, spec, args: keys, writes: false }, 0);
    async move {
        let bytes = answer.await.map_err(|error| Reply::error(error.to_string()))?;
        let Ok(Some((Reply::Array(tokens), _))) = resp::parse(&bytes, Protocol::Resp2) else {
            return Err(Reply::Raw(bytes));
        };
        let token = |reply| if let Reply::Bulk(token) = reply { Some(token) } else { None };
        let tokens: Option<Vec<_>> = tokens.into_iter().map(token).collect();
        tokens.filter(|tokens| tokens.len() == count).ok_or_else(malformed)
    }
}
