//! Command flags and ACL categories, as bit sets that are written as constants in the rows.

/// Bits of [`Flags`]; combined with `|` in the rows.
pub mod flag {
    pub const WRITE: u32 = 1 << 0;
    pub const READONLY: u32 = 1 << 1;
    pub const DENYOOM: u32 = 1 << 2;
    pub const ADMIN: u32 = 1 << 3;
    pub const PUBSUB: u32 = 1 << 4;
    pub const NOSCRIPT: u32 = 1 << 5;
    pub const BLOCKING: u32 = 1 << 6;
    pub const LOADING: u32 = 1 << 7;
    pub const STALE: u32 = 1 << 8;
    pub const SKIP_MONITOR: u32 = 1 << 9;
    pub const SKIP_SLOWLOG: u32 = 1 << 10;
    pub const ASKING: u32 = 1 << 11;
    pub const FAST: u32 = 1 << 12;
    pub const NO_AUTH: u32 = 1 << 13;
    pub const NO_MANDATORY_KEYS: u32 = 1 << 14;
    pub const NO_ASYNC_LOADING: u32 = 1 << 15;
    pub const NO_MULTI: u32 = 1 << 16;
    pub const MOVABLE_KEYS: u32 = 1 << 17;
    pub const ALLOW_BUSY: u32 = 1 << 18;
}

/// Bits of [`Categories`]; combined with `|` in the rows.
pub mod category {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const WRITE: u32 = 1 << 2;
    pub const SET: u32 = 1 << 3;
    pub const SORTEDSET: u32 = 1 << 4;
    pub const LIST: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const STRING: u32 = 1 << 7;
    pub const BITMAP: u32 = 1 << 8;
    pub const HYPERLOGLOG: u32 = 1 << 9;
    pub const GEO: u32 = 1 << 10;
    pub const STREAM: u32 = 1 << 11;
    pub const PUBSUB: u32 = 1 << 12;
    pub const ADMIN: u32 = 1 << 13;
    pub const FAST: u32 = 1 << 14;
    pub const SLOW: u32 = 1 << 15;
    pub const BLOCKING: u32 = 1 << 16;
    pub const DANGEROUS: u32 = 1 << 17;
    pub const CONNECTION: u32 = 1 << 18;
    pub const TRANSACTION: u32 = 1 << 19;
    pub const SCRIPTING: u32 = 1 << 20;
    pub const JSON: u32 = 1 << 21;
}

/// Names of the flag bits in the order COMMAND INFO lists them.
const FLAG_NAMES: [(u32, &str); 19] = [
    (flag::WRITE, "write"),
    (flag::READONLY, "readonly"),
    (flag::DENYOOM, "denyoom"),
    (flag::ADMIN, "admin"),
    (flag::PUBSUB, "pubsub"),
    (flag::NOSCRIPT, "noscript"),
    (flag::BLOCKING, "blocking"),
    (flag::LOADING, "loading"),
    (flag::STALE, "stale"),
    (flag::SKIP_MONITOR, "skip_monitor"),
    (flag::SKIP_SLOWLOG, "skip_slowlog"),
    (flag::ASKING, "asking"),
    (flag::FAST, "fast"),
    (flag::NO_AUTH, "no_auth"),
    (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (flag::NO_ASYNC_LOADING, "no_async_loading"),
    (flag::NO_MULTI, "no_multi"),
    (flag::MOVABLE_KEYS, "movablekeys"),
    (flag::ALLOW_BUSY, "allow_busy"),
];

/// Names of the categories, in ACL CAT's order.
const CATEGORY_NAMES: [(u32, &str); 22] = [
    (category::KEYSPACE, "keyspace"),
    (category::READ, "read"),
    (category::WRITE, "write"),
    (category::SET, "set"),
    (category::SORTEDSET, "sortedset"),
    (category::LIST, "list"),
    (category::HASH, "hash"),
    (category::STRING, "string"),
    (category::BITMAP, "bitmap"),
    (category::HYPERLOGLOG, "hyperloglog"),
    (category::GEO, "geo"),
    (category::STREAM, "stream"),
    (category::PUBSUB, "pubsub"),
    (category::ADMIN, "admin"),
    (category::FAST, "fast"),
    (category::SLOW, "slow"),
    (category::BLOCKING, "blocking"),
    (category::DANGEROUS, "dangerous"),
    (category::CONNECTION, "connection"),
    (category::TRANSACTION, "transaction"),
    (category::SCRIPTING, "scripting"),
    (category::JSON, "json"),
];

/// A set of command flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub(crate) u32);

impl Flags {
    /// Whether any bit of `bits` (of [`flag`]) is set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// These and `bits`.
    pub(crate) const fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FLAG_NAMES.into_iter().filter(move |&(bit, _)| self.has(bit)).map(|(_, name)| name)
    }
}

/// A set of ACL categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Categories(pub(crate) u32);

impl Categories {
    /// The categories that follow from a command's flags, added to the `explicit` ones.
    pub(crate) fn implied(flags: Flags, explicit: u32) -> Self {
        let mut bits = explicit;
        let mut imply = |flag: u32, categories: u32| bits |= if flags.has(flag) { categories } else { 0 };
        imply(flag::WRITE, category::WRITE);
        if explicit & category::SCRIPTING == 0 {
            imply(flag::READONLY, category::READ);
        }
        imply(flag::ADMIN, category::ADMIN | category::DANGEROUS);
        imply(flag::PUBSUB, category::PUBSUB);
        imply(flag::FAST, category::FAST);
        imply(flag::BLOCKING, category::BLOCKING);
        if bits & category::FAST == 0 {
            bits |= category::SLOW;
        }
        Self(bits)
    }

    /// Whether any bit of `bits` (of [`category`]) is set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Whether there is a category in both.
    pub const fn intersects(self, other: Self) -> bool {
        self.has(other.0)
    }

    /// The names of all that there are.
    pub fn all() -> impl Iterator<Item = &'static str> {
        CATEGORY_NAMES.into_iter().map(|(_, name)| name)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CATEGORY_NAMES.into_iter().filter(move |&(bit, _)| self.has(bit)).map(|(_, name)| name)
    }

    /// The category called `name`, in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let found = CATEGORY_NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|&(bit, _)| Self(bit))
    }
}
