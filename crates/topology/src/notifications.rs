//! Keyspace events: their classes, and which of them are announced (`notify-keyspace-events`).

use std::fmt;

use serde::{Deserialize, Serialize};

const KEYSPACE: &str = "__keyspace@";
const KEYEVENT: &str = "__keyevent@";

/// Whether events are announced on such a channel. They arise at the leader of the key's group, so
/// whoever wants them subscribes at every leader.
pub fn announces_events(channel: &[u8]) -> bool {
    [KEYSPACE, KEYEVENT].iter().any(|prefix| channel.starts_with(prefix.as_bytes()))
}

/// Where all that happens to a key is announced.
pub fn keyspace_channel(db: u8, key: &[u8]) -> Vec<u8> {
    [format!("{KEYSPACE}{db}__:").as_bytes(), key].concat()
}

/// Where it is announced of which keys something happened to them.
pub fn keyevent_channel(db: u8, event: &str) -> String {
    format!("{KEYEVENT}{db}__:{event}")
}

/// A set of classes of events, and of the channels that they are announced on, as Redis writes it:
/// one letter each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Classes(u16);

/// A letter stands for no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")]
pub struct UnknownClass;

impl Classes {
    pub const NONE: Self = Self(0);
    /// `__keyspace@<db>__:<key>`
    pub const KEYSPACE: Self = Self(1);
    /// `__keyevent@<db>__:<event>`
    pub const KEYEVENT: Self = Self(1 << 1);
    pub const GENERIC: Self = Self(1 << 2);
    pub const STRING: Self = Self(1 << 3);
    pub const LIST: Self = Self(1 << 4);
    pub const SET: Self = Self(1 << 5);
    pub const HASH: Self = Self(1 << 6);
    pub const SORTED_SET: Self = Self(1 << 7);
    pub const EXPIRED: Self = Self(1 << 8);
    pub const EVICTED: Self = Self(1 << 9);
    pub const STREAM: Self = Self(1 << 10);
    /// A key was read that is not there.
    pub const MISS: Self = Self(1 << 11);
    /// Types that are modules in Redis.
    pub const MODULE: Self = Self(1 << 12);
    /// A key that was not there.
    pub const NEW: Self = Self(1 << 13);
    /// What `A` stands for.
    const ALL: Self = Self(0b1_0111_1111_1100);

    /// What each letter stands for, in the order in which they are shown. Redis shows those before
    /// `K` only where they are not all of `A`.
    const LETTERS: [(char, Self); 15] = [
        ('A', Self::ALL),
        ('g', Self::GENERIC),
        ('$', Self::STRING),
        ('l', Self::LIST),
        ('s', Self::SET),
        ('h', Self::HASH),
        ('z', Self::SORTED_SET),
        ('x', Self::EXPIRED),
        ('e', Self::EVICTED),
        ('t', Self::STREAM),
        ('d', Self::MODULE),
        ('n', Self::NEW),
        ('K', Self::KEYSPACE),
        ('E', Self::KEYEVENT),
        ('m', Self::MISS),
    ];

    pub fn parse(letters: &[u8]) -> Result<Self, UnknownClass> {
        let mut classes = Self::NONE;
        for &letter in letters {
            let known = Self::LETTERS.iter().find(|(known, _)| *known == char::from(letter));
            classes = classes.with(known.ok_or(UnknownClass)?.1);
        }
        Ok(classes)
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any event is announced anywhere.
    pub const fn announces(self) -> bool {
        let channels = self.0 & (Self::KEYSPACE.0 | Self::KEYEVENT.0);
        channels != 0 && self.0 != channels
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_all = self.contains(Self::ALL);
        for (letter, class) in Self::LETTERS {
            let is_covered = has_all && letter != 'A' && !"KEm".contains(letter);
            if self.contains(class) && !is_covered {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl From<Classes> for String {
    fn from(classes: Classes) -> Self {
        // With every letter: what Redis does not show must not be lost.
        let letters = Classes::LETTERS.iter().skip(1);
        letters.filter(|(_, class)| classes.contains(*class)).map(|(letter, _)| *letter).collect()
    }
}

impl TryFrom<String> for Classes {
    type Error = UnknownClass;

    fn try_from(letters: String) -> Result<Self, UnknownClass> {
        Self::parse(letters.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_redis_shows_them() {
        for (given, shown) in [
            ("", ""),
            ("gKE", "gKE"),
            ("$lshzxeKE", "$lshzxeKE"),
            ("KA", "AK"),
            ("EA", "AE"),
            ("KEmn", "nKEm"),
            ("AnK", "AK"),
            ("g$lshzxetdEK", "AKE"),
        ] {
            let classes = Classes::parse(given.as_bytes()).unwrap();
            assert_eq!(classes.to_string(), shown, "{given}");
            assert_eq!(Classes::try_from(String::from(classes)), Ok(classes), "{given}");
        }
        assert_eq!(Classes::parse(b"KEq"), Err(UnknownClass));
    }

    #[test]
    fn events_need_a_class_and_a_channel() {
        for (letters, announces) in [("", false), ("KE", false), ("A", false), ("Kg", true), ("Em", true)] {
            assert_eq!(Classes::parse(letters.as_bytes()).unwrap().announces(), announces, "{letters}");
        }
    }
}
