//! Identifiers. Each is a newtype, so that one cannot be passed for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// The slots served by one Raft group. Allocated by meta, never reused.
    GroupId
);
number_id!(
    /// One member of a group's Raft; openraft's node id there. Allocated by meta, never reused: an
    /// empty disk under an old replica id could elect itself.
    ReplicaId
);
number_id!(
    /// One data directory of a storage node. Random, created with the directory.
    StoreId
);
number_id!(
    /// A member of the meta group.
    MetaId
);
number_id!(
    /// Version of a `ClusterState`; each change adds one.
    Version
);

/// A proxy as cluster clients know it: 40 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxyId(String);

impl ProxyId {
    /// The id of the proxy that announces `host:port`: a digest, so it survives restarts without
    /// the proxy keeping state.
    pub fn of_address(host: &str, port: u16) -> Self {
        Self::digest(&format!("miraft-proxy/{host}:{port}"))
    }

    /// Another id for the same proxy: `number` makes it a new one.
    pub fn renewed(host: &str, port: u16, number: u64) -> Self {
        Self::digest(&format!("miraft-proxy/{host}:{port}#{number}"))
    }

    fn digest(text: &str) -> Self {
        use sha1::{Digest, Sha1};
        Self(Sha1::digest(text).iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Accepts exactly 40 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
