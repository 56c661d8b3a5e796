//! Commands, keys and channels that go together: a command is allowed if one selector allows all of it.

use commands::glob;

use crate::{RuleError, User, access, command_set::CommandSet, has_spaces};

/// Bits of [`KeyPattern::access`].
pub mod grant {
    pub const READ: u8 = 1;
    pub const WRITE: u8 = 2;
    pub const ALL: u8 = READ | WRITE;
}

/// Keys, and what may be done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    pub pattern: Vec<u8>,
    /// Bits of [`grant`].
    pub access: u8,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub commands: CommandSet,
    pub all_keys: bool,
    pub keys: Vec<KeyPattern>,
    pub all_channels: bool,
    pub channels: Vec<Vec<u8>>,
}

impl Selector {
    /// Allows nothing, or only `all_channels`.
    pub fn new(all_channels: bool) -> Self {
        Self {
            commands: CommandSet::nothing(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
        }
    }

    /// Allows everything, whatever that may be.
    pub fn is_unrestricted(&self) -> bool {
        self.commands.is_all() && self.all_keys && self.all_channels
    }

    /// Applies one rule.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            b"resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            b"allchannels" | b"&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            b"resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            b"allcommands" => self.commands = CommandSet::everything(),
            b"nocommands" => self.commands = CommandSet::nothing(),
            _ => return self.apply_pattern(rule),
        }
        Ok(())
    }

    fn apply_pattern(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule {
            [b'~' | b'%', ..] if self.all_keys => Err(RuleError::KeysAfterAll),
            [b'~', pattern @ ..] => self.add_keys(pattern, grant::ALL),
            [b'%', rest @ ..] => {
                let (access, pattern) = permissions(rest)?;
                self.add_keys(pattern, access)
            }
            [b'&', ..] if self.all_channels => Err(RuleError::ChannelsAfterAll),
            [b'&', pattern @ ..] if has_spaces(pattern) => Err(RuleError::Syntax),
            [b'&', pattern @ ..] => {
                if !self.channels.iter().any(|known| known == pattern) {
                    self.channels.push(pattern.to_vec());
                }
                Ok(())
            }
            [b'+', what @ ..] => self.commands.apply(true, what),
            [b'-', what @ ..] => self.commands.apply(false, what),
            _ => Err(RuleError::Syntax),
        }
    }

    fn add_keys(&mut self, pattern: &[u8], access: u8) -> Result<(), RuleError> {
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => self.keys.push(KeyPattern { pattern: pattern.to_vec(), access }),
        }
        Ok(())
    }

    /// Whether a key may be used in the ways that `flags` say (bits of `commands::keyspec::key_flag`).
    pub fn allows_key(&self, key: &[u8], flags: u16) -> bool {
        let needed = access::needed(flags);
        let allows = |keys: &KeyPattern| keys.access & needed == needed && glob::matches(&keys.pattern, key);
        self.all_keys || self.keys.iter().any(allows)
    }

    /// Whether every key may be read.
    pub fn reads_all_keys(&self) -> bool {
        let reads = |keys: &KeyPattern| keys.access & grant::READ != 0 && keys.pattern == b"*";
        self.all_keys || self.keys.iter().any(reads)
    }

    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_channels || hears(&self.channels, channel, is_pattern)
    }

    /// The rules that make this selector, from nothing.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        if self.all_keys {
            words.push(b"~*".to_vec());
        }
        words.extend(self.keys.iter().map(KeyPattern::word));
        words.push(if self.all_channels { b"&*".to_vec() } else { b"resetchannels".to_vec() });
        words.extend(self.channels.iter().map(|channel| [b"&", &channel[..]].concat()));
        words.extend(self.commands.words().map(<[u8]>::to_vec));
        words
    }
}

impl KeyPattern {
    pub fn word(&self) -> Vec<u8> {
        let sigil: &[u8] = match self.access {
            grant::READ => b"%R~",
            grant::WRITE => b"%W~",
            _ => b"~",
        };
        [sigil, &self.pattern].concat()
    }
}

/// A channel is compared with patterns, a pattern with their text: it may match anything.
fn hears(patterns: &[Vec<u8>], channel: &[u8], is_pattern: bool) -> bool {
    patterns.iter().any(|known| if is_pattern { known == channel } else { glob::matches(known, channel) })
}

/// `RW~pattern`, in any order and case.
fn permissions(text: &[u8]) -> Result<(u8, &[u8]), RuleError> {
    let mut access = 0;
    for (at, &byte) in text.iter().enumerate() {
        let bit = match byte.to_ascii_uppercase() {
            b'R' => grant::READ,
            b'W' => grant::WRITE,
            b'~' if access != 0 => return Ok((access, &text[at + 1..])),
            _ => return Err(RuleError::Syntax),
        };
        if access & bit != 0 {
            return Err(RuleError::Syntax);
        }
        access |= bit;
    }
    // As Redis takes it: no pattern is an empty one.
    if access == 0 { Err(RuleError::Syntax) } else { Ok((access, b"")) }
}

impl User {
    /// Whether the user may listen to a channel, by any selector.
    pub fn hears(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.selectors.iter().any(|selector| selector.allows_channel(channel, is_pattern))
    }

    /// Whether `old` may have heard something that this one does not.
    pub fn hears_less_than(&self, old: &User) -> bool {
        if self.selectors.iter().any(|selector| selector.all_channels) {
            return false;
        }
        let known = |channel: &Vec<u8>| self.selectors.iter().any(|s| s.channels.contains(channel));
        old.selectors.iter().any(|s| s.all_channels || !s.channels.iter().all(known))
    }
}
