//! What a script or function declares about itself.

/// A set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScriptFlags(u8);

/// Names in the order in which FUNCTION LIST shows them.
const NAMES: [(ScriptFlags, &str); 5] = [
    (ScriptFlags::NO_WRITES, "no-writes"),
    (ScriptFlags::ALLOW_OOM, "allow-oom"),
    (ScriptFlags::ALLOW_STALE, "allow-stale"),
    (ScriptFlags::NO_CLUSTER, "no-cluster"),
    (ScriptFlags::ALLOW_CROSS_SLOT, "allow-cross-slot-keys"),
];

impl ScriptFlags {
    pub const NO_WRITES: Self = Self(1 << 0);
    pub const ALLOW_OOM: Self = Self(1 << 1);
    pub const ALLOW_STALE: Self = Self(1 << 2);
    pub const NO_CLUSTER: Self = Self(1 << 3);
    pub const ALLOW_CROSS_SLOT: Self = Self(1 << 4);

    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[must_use]
    pub fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// `None` if there are bits of no flag.
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let known = NAMES.into_iter().fold(Self::default(), |known, (flag, _)| known.with(flag));
        (bits & !known.0 == 0).then_some(Self(bits))
    }

    /// The flag called `name`, exactly so.
    pub fn named(name: &[u8]) -> Option<Self> {
        NAMES.into_iter().find(|(_, known)| known.as_bytes() == name).map(|(flag, _)| flag)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |&(flag, _)| self.has(flag)).map(|(_, name)| name)
    }
}
