//! What is called by a name and not seen here: whether the script of EVALSHA or the function of FCALL
//! promises not to write is known to the storage nodes, and CLIENT PAUSE WRITE has to ask them.

use bytes::Bytes;
use commands::{Id, Spec};
use resp::{Protocol, Reply};

use crate::{
    ask::Asker,
    backend_api::Submit,
    pause::promises_no_writes,
    scripts::{ask_scripts, digest, question},
};

/// The flag of functions that do not write.
const NO_WRITES: &[u8] = b"no-writes";

pub enum Called {
    Script(Bytes),
    Function(Bytes),
}

impl Called {
    /// What the command calls, if its name is all that is known here.
    pub fn by(spec: &Spec, args: &[&[u8]]) -> Option<Self> {
        match (spec.id, args.first()) {
            (Id::Evalsha, Some(name)) => digest(name).map(Self::Script),
            (Id::Fcall, Some(name)) => Some(Self::Function(Bytes::copy_from_slice(name))),
            _ => None,
        }
    }

    /// Whether it promises that it does not write. What nobody knows promises nothing.
    pub async fn promises_no_writes(self, backend: &dyn Submit, asker: Asker) -> bool {
        let asker = Asker { protocol: Protocol::Resp2, db: 0, ..asker };
        match self {
            Self::Script(digest) => script_promises(backend, asker, &digest).await,
            Self::Function(name) => function_promises(backend, asker, &name).await,
        }
    }
}

async fn script_promises(backend: &dyn Submit, asker: Asker, digest: &Bytes) -> bool {
    let digests = [digest.clone()];
    let asked: Vec<_> =
        backend.groups().into_iter().map(|group| ask_scripts(backend, asker, group, &digests)).collect();
    for answer in asked {
        if let Some(Some(script)) = answer.await.first() {
            return promises_no_writes(script);
        }
    }
    false
}

/// Every group has all libraries.
async fn function_promises(backend: &dyn Submit, asker: Asker, name: &[u8]) -> bool {
    let Some(group) = backend.groups().first().copied() else { return false };
    let listing = vec![Bytes::from_static(b"LIST")];
    let listed = question(backend, asker, group, Id::ListLibraries, listing).await.unwrap_or_default();
    let Ok(Some((Reply::Array(libraries), _))) = resp::parse(&listed, Protocol::Resp2) else { return false };
    let functions = libraries.iter().flat_map(|library| field(library, b"functions"));
    let mut named = functions.filter(|function| field(function, b"name").any(|found| is_text(found, name)));
    named.next().is_some_and(|function| field(function, b"flags").any(|flag| is_text(flag, NO_WRITES)))
}

/// A field of a map that is written as an array: what it lists, or itself.
fn field<'a>(map: &'a Reply, name: &'static [u8]) -> impl Iterator<Item = &'a Reply> {
    let pairs = items(map).chunks_exact(2);
    let found = pairs.filter(move |pair| is_text(&pair[0], name)).map(|pair| &pair[1]);
    found.flat_map(
        |value| if matches!(value, Reply::Array(_)) { items(value) } else { std::slice::from_ref(value) },
    )
}

fn items(reply: &Reply) -> &[Reply] {
    if let Reply::Array(items) = reply { items } else { &[] }
}

fn is_text(reply: &Reply, text: &[u8]) -> bool {
    match reply {
        Reply::Bulk(bytes) | Reply::Status(bytes) => bytes.eq_ignore_ascii_case(text),
        _ => false,
    }
}
