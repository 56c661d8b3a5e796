//! EVALSHA on a group that has not seen the script: the proxy brings it there first, from a group that has.
//!
//! Each group stores the scripts that it was given. A worker remembers which groups have which, and asks
//! only about others. What it remembers may be outdated by SCRIPT FLUSH through another proxy, or because
//! a group dropped its oldest scripts; the group then answers NOSCRIPT, and all is forgotten here. (To bring
//! the script and try again would let the client's later commands overtake.)

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use bytes::Bytes;
use commands::Id;
use resp::{Protocol, Reply};
use topology::GroupId;

use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{ReplyTarget, RouteError, Sink, Submit, Target},
};

/// Scripts remembered by a worker, over all groups; past that all are forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Length of a digest in hexadecimal.
const DIGEST_BYTES: usize = 40;

/// Which groups have which scripts, by digests in lower case.
#[derive(Default)]
pub struct Scripts(RefCell<HashSet<(GroupId, Bytes)>>);

/// The form in which digests are compared; `None`: it is none, and no script has it.
pub fn digest(text: &[u8]) -> Option<Bytes> {
    (text.len() == DIGEST_BYTES).then(|| text.to_ascii_lowercase().into())
}

impl Scripts {
    pub fn has(&self, group: GroupId, digest: &Bytes) -> bool {
        self.0.borrow().contains(&(group, digest.clone()))
    }

    pub fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    fn remember(&self, group: GroupId, digest: &Bytes) {
        let mut known = self.0.borrow_mut();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert((group, digest.clone()));
    }

    /// Brings scripts to a group, as far as any group has them.
    pub async fn bring(&self, backend: &dyn Submit, asker: Asker, group: GroupId, digests: Vec<Bytes>) {
        let asker = Asker { protocol: Protocol::Resp2, db: 0, ..asker };
        let missing = self.note(group, ask_scripts(backend, asker, group, &digests).await, &digests);
        if missing.is_empty() {
            return;
        }
        let others = backend.groups().into_iter().filter(|other| *other != group);
        let asked: Vec<_> = others.map(|other| ask_scripts(backend, asker, other, &missing)).collect();
        let mut bodies = vec![None; missing.len()];
        for answer in asked {
            for (body, found) in bodies.iter_mut().zip(answer.await) {
                *body = body.take().or(found);
            }
        }
        for (digest, body) in missing.iter().zip(bodies) {
            let Some(body) = body else { continue };
            if question(backend, asker, group, Id::StoreScript, vec![body]).await.is_ok() {
                self.remember(group, digest);
            }
        }
    }

    /// Remembers what a group has; answers what it has not.
    fn note(&self, group: GroupId, found: Vec<Option<Bytes>>, digests: &[Bytes]) -> Vec<Bytes> {
        let mut missing = Vec::new();
        for (at, digest) in digests.iter().enumerate() {
            match found.get(at) {
                Some(Some(_)) => self.remember(group, digest),
                _ => missing.push(digest.clone()),
            }
        }
        missing
    }
}

/// The scripts of these digests that a group has; one that does not answer has none.
pub fn ask_scripts(
    backend: &dyn Submit,
    asker: Asker,
    group: GroupId,
    digests: &[Bytes],
) -> impl Future<Output = Vec<Option<Bytes>>> + use<> {
    let answer = question(backend, asker, group, Id::KnowScripts, digests.to_vec());
    async move {
        let bytes = answer.await.unwrap_or_default();
        let Ok(Some((Reply::Array(scripts), _))) = resp::parse(&bytes, Protocol::Resp2) else {
            return Vec::new();
        };
        let body = |reply| match reply {
            Reply::Bulk(body) => Some(body),
            _ => None,
        };
        scripts.into_iter().map(body).collect()
    }
}

/// Asks a group something of the proxy's own now; its reply is awaited later.
pub fn question(
    backend: &dyn Submit,
    asker: Asker,
    group: GroupId,
    id: Id,
    args: Vec<Bytes>,
) -> impl Future<Output = Result<Bytes, RouteError>> + use<> {
    let spec = id.spec();
    let target = Target::Group(group);
    ask_this(backend, &Question { asker, target, spec, args, writes: spec.is_write() }, 0)
}

/// Passes a reply on, and forgets what was remembered if that was wrong.
pub struct Doubt<F> {
    pub to: Rc<dyn ReplyTarget>,
    pub forget: F,
}

impl<F: Fn() + 'static> Doubt<F> {
    /// `sink`, with a look at what passes.
    pub fn over(sink: Sink, forget: F) -> Sink {
        Sink { to: Rc::new(Self { to: sink.to, forget }), ..sink }
    }
}

impl<F: Fn() + 'static> ReplyTarget for Doubt<F> {
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
        if result.as_ref().is_ok_and(|reply| reply.starts_with(b"-NOSCRIPT")) {
            (self.forget)();
        }
        self.to.reply(token, result)
    }

    fn flush(self: Rc<Self>) {
        self.to.clone().flush();
    }
}
