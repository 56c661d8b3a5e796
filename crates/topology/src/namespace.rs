//! Namespaces: hashes whose fields are spread over all groups.
//!
//! A *rule* says which keys are namespaces. A namespace is kept as up to [`SHARDS`] ordinary hashes, its
//! *shards*; a field is in the shard that CRC16 of its name, or of its `{tag}`, chooses. Each shard has
//! one fixed slot, so shards move with their slots like keys.
//!
//! While a rule comes or goes, its keys are closed to everyone until each group has looked for such that
//! would be lost from sight.
//!
//! Part of what is on disk, so it never changes: the number of shards, their slots, and their keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde::{Deserialize, Serialize};

use crate::{ClusterState, Refused, SLOT_COUNT, Slot, Version, slot_of};

/// Hashes that a namespace consists of.
pub const SHARDS: u16 = 1024;
/// A shard is in the first slot of each so many.
const STRIDE: u16 = SLOT_COUNT / SHARDS;
/// Rules there may be: every command compares its keys with all of them.
pub const RULES_MAX: usize = 64;
/// Bytes of a rule.
pub const RULE_BYTES_MAX: usize = 256;
/// Bytes between the braces of a shard's key.
const TAG_BYTES: usize = 3;
const TAG_LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Where a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Groups refuse its keys and look for such that are there already.
    Adding,
    Active,
    /// Groups refuse its keys and look for namespaces that are left.
    Removing,
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub phase: Phase,
    /// The version that brought the phase; what groups found before does not count.
    #[serde(default)]
    pub since: Version,
}

/// All rules, by their text: the name of a key, or the beginning of names and a `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Namespaces {
    rules: BTreeMap<String, Rule>,
}

impl Namespaces {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub fn rules(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.rules.iter().map(|(text, rule)| (text.as_str(), *rule))
    }

    pub fn get(&self, text: &str) -> Option<Rule> {
        self.rules.get(text).copied()
    }

    /// The rule that makes `key` a namespace.
    pub fn of(&self, key: &[u8]) -> Option<(&str, Rule)> {
        self.rules().find(|(text, _)| covers(text, key))
    }

    /// Where the rule of `key` stands; `None`: it is an ordinary key.
    pub fn phase_of(&self, key: &[u8]) -> Option<Phase> {
        self.of(key).map(|(_, rule)| rule.phase)
    }

    /// Rules that come or go, and the version of the newest of them.
    pub fn changing(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.rules().filter(|(_, rule)| rule.phase != Phase::Active)
    }
}

fn covers(text: &str, key: &[u8]) -> bool {
    match text.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix.as_bytes()),
        None => key == text.as_bytes(),
    }
}

/// Some key is covered by both.
fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_suffix('*'), other.strip_suffix('*')) {
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
        (Some(_), None) => covers(one, other.as_bytes()),
        (None, Some(_)) => covers(other, one.as_bytes()),
        (None, None) => one == other,
    }
}

/// The slot of the shard that has `field`.
pub fn shard_of(field: &[u8]) -> Slot {
    shard_slot(slot_of(field).number() / STRIDE)
}

/// The slot of shard `number`.
fn shard_slot(number: u16) -> Slot {
    Slot::new(number % SHARDS * STRIDE).expect("a shard has a slot")
}

/// The slots of all shards, ascending.
pub fn shards() -> impl Iterator<Item = Slot> {
    (0..SHARDS).map(shard_slot)
}

/// The slots of shards among `first..end`, ascending.
pub fn shards_between(first: u16, end: u16) -> impl Iterator<Item = Slot> {
    (first.div_ceil(STRIDE)..end.min(SLOT_COUNT).div_ceil(STRIDE)).map(shard_slot)
}

/// The key of namespace `name`'s shard in `slot`: it hashes to that slot.
pub fn shard_key(slot: Slot, name: &[u8]) -> Vec<u8> {
    let tag = &TAGS[usize::from(slot.number() / STRIDE)];
    [b"{", &tag[..], b"}", name].concat()
}

/// The name of the namespace that a shard's key belongs to.
pub fn name_of(shard_key: &[u8]) -> Option<&[u8]> {
    let tagged = shard_key.first() == Some(&b'{') && shard_key.get(TAG_BYTES + 1) == Some(&b'}');
    tagged.then(|| &shard_key[TAG_BYTES + 2..])
}

/// For each shard the first tag, in the order of letters, that hashes to its slot.
static TAGS: LazyLock<Vec<[u8; TAG_BYTES]>> = LazyLock::new(|| {
    let mut tags = vec![[0; TAG_BYTES]; usize::from(SHARDS)];
    let mut missing = tags.len();
    for &a in TAG_LETTERS {
        for &b in TAG_LETTERS {
            for &c in TAG_LETTERS {
                let slot = slot_of(&[a, b, c]).number();
                let tag = &mut tags[usize::from(slot / STRIDE)];
                if slot.is_multiple_of(STRIDE) && tag[0] == 0 {
                    *tag = [a, b, c];
                    missing -= 1;
                }
            }
        }
    }
    assert_eq!(missing, 0, "every shard has a tag");
    tags
});

impl ClusterState {
    /// A rule comes, unless it is there; it is in force once no group knows keys that it covers.
    pub(crate) fn add_namespace(&mut self, text: &str) -> Result<(), Refused> {
        let prefix = text.strip_suffix('*').unwrap_or(text);
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '*';
        if prefix.is_empty() || text.len() > RULE_BYTES_MAX || !prefix.chars().all(plain) {
            return Err(Refused::NamespaceText);
        }
        let since = Version(self.version.0 + 1);
        if let Some(rule) = self.namespaces.rules.get_mut(text) {
            if rule.phase == Phase::Removing {
                *rule = Rule { phase: Phase::Active, since };
            }
            return Ok(());
        }
        if let Some((other, _)) = self.namespaces.rules().find(|(other, _)| overlap(text, other)) {
            return Err(Refused::NamespaceOverlaps(other.to_owned()));
        }
        if self.namespaces.rules.len() >= RULES_MAX {
            return Err(Refused::NamespaceCount { max: RULES_MAX });
        }
        self.namespaces.rules.insert(text.to_owned(), Rule { phase: Phase::Adding, since });
        Ok(())
    }

    /// A rule goes once no group has a namespace of it; one that was never in force goes at once.
    pub(crate) fn remove_namespace(&mut self, text: &str) {
        let since = Version(self.version.0 + 1);
        match self.namespaces.rules.get_mut(text) {
            Some(rule) if rule.phase == Phase::Active => *rule = Rule { phase: Phase::Removing, since },
            Some(rule) if rule.phase == Phase::Adding => {
                self.namespaces.rules.remove(text);
            }
            _ => {}
        }
    }

    /// All groups have looked: there are keys in the way of the change, or there are none.
    pub(crate) fn settle_namespace(&mut self, text: &str, since: Version, in_use: bool) {
        let now = Version(self.version.0 + 1);
        match self.namespaces.get(text) {
            Some(rule) if rule.since != since || rule.phase == Phase::Active => {}
            Some(rule) if (rule.phase == Phase::Adding) != in_use => {
                let active = Rule { phase: Phase::Active, since: now };
                self.namespaces.rules.insert(text.to_owned(), active);
            }
            _ => {
                self.namespaces.rules.remove(text);
            }
        }
    }
}

/// What the leader of a group found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Of the rules by which it goes, as its log says; 0: it has not looked yet.
    pub version: Version,
    /// Changing rules for which it has keys.
    pub in_use: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_keys_of_their_own_slots() {
        let mut seen = BTreeSet::new();
        for slot in shards() {
            let key = shard_key(slot, b"us{er}s");
            assert_eq!(slot_of(&key), slot);
            assert_eq!(name_of(&key), Some(&b"us{er}s"[..]));
            assert!(seen.insert(key));
        }
        assert_eq!(seen.len(), usize::from(SHARDS));
        assert_eq!(shard_key(shard_of(b"alice"), b"users"), b"{0mV}users");
        assert_eq!(name_of(b"users"), None);
        assert_eq!(name_of(b"{a"), None);
    }

    #[test]
    fn fields_with_one_tag_are_in_one_shard() {
        assert_eq!(shard_of(b"{eu}alice"), shard_of(b"{eu}bob"));
        assert_ne!(shard_of(b"alice"), shard_of(b"bob"));
        assert_eq!(shards_between(0, SLOT_COUNT).count(), usize::from(SHARDS));
        let few: Vec<u16> = shards_between(1, 33).map(Slot::number).collect();
        assert_eq!(few, [16, 32]);
        assert_eq!(shards_between(1, 16).count(), 0);
    }

    #[test]
    fn rules_cover_names_or_beginnings() {
        let mut state = ClusterState::default();
        for text in ["users", "session:*"] {
            state.add_namespace(text).unwrap();
        }
        let phase = |key: &str| state.namespaces.phase_of(key.as_bytes());
        assert_eq!(phase("users"), Some(Phase::Adding));
        assert_eq!(phase("session:1"), Some(Phase::Adding));
        assert_eq!((phase("users2"), phase("session")), (None, None));
        for (text, refused) in [
            ("session:1", true),
            ("sess*", true),
            ("users*", true),
            ("user", false),
            ("", true),
            ("*", true),
            ("a*b", true),
            ("a b", true),
        ] {
            assert_eq!(state.clone().add_namespace(text).is_err(), refused, "{text:?}");
        }
        assert!(state.add_namespace(&"x".repeat(RULE_BYTES_MAX + 1)).is_err());
        for number in 2..RULES_MAX {
            state.add_namespace(&format!("n{number}")).unwrap();
        }
        assert_eq!(state.add_namespace("more"), Err(Refused::NamespaceCount { max: RULES_MAX }));
    }

    #[test]
    fn a_rule_is_in_force_when_nothing_is_in_its_way() {
        let mut state = ClusterState { version: Version(4), ..ClusterState::default() };
        let phase = |state: &ClusterState| state.namespaces.get("users").map(|rule| rule.phase);
        state.add_namespace("users").unwrap();
        state.settle_namespace("users", Version(4), false);
        assert_eq!(phase(&state), Some(Phase::Adding), "found before the rule came");
        let mut refused = state.clone();
        refused.settle_namespace("users", Version(5), true);
        assert_eq!(phase(&refused), None);
        state.settle_namespace("users", Version(5), false);
        assert_eq!(phase(&state), Some(Phase::Active));
        state.version = Version(5);
        state.remove_namespace("users");
        let mut kept = state.clone();
        kept.settle_namespace("users", Version(6), true);
        assert_eq!(phase(&kept), Some(Phase::Active));
        state.settle_namespace("users", Version(6), false);
        assert_eq!(phase(&state), None);
        state.settle_namespace("users", Version(6), false);
        assert_eq!(phase(&state), None);
    }
}
