//! A user: flags, passwords, and selectors.

use crate::{Digest, RuleError, Selector, SetError, text};

/// What a new selector may listen to (`acl-pubsub-default`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    #[default]
    None,
    All,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// May log in.
    pub enabled: bool,
    /// Any password will do.
    pub nopass: bool,
    /// RESTORE takes its payloads as they are. (Here they are checked all the same.)
    pub skip_sanitize: bool,
    pub(crate) passwords: Vec<Digest>,
    /// The first one is the user's own; the others are written in parentheses.
    pub selectors: Vec<Selector>,
}

impl User {
    /// One that is new: disabled, and allowed nothing.
    pub fn new(channels: Channels) -> Self {
        Self {
            enabled: false,
            nopass: false,
            skip_sanitize: false,
            passwords: Vec::new(),
            selectors: vec![Selector::new(channels == Channels::All)],
        }
    }

    /// Everyone may be this one, and do everything: the default user of a server without passwords.
    pub fn anyone() -> Self {
        let mut user = Self::new(Channels::All);
        user.enabled = true;
        user.nopass = true;
        let root = user.root();
        root.all_keys = true;
        root.commands = crate::command_set::CommandSet::everything();
        user
    }

    fn root(&mut self) -> &mut Selector {
        // There is always one.
        &mut self.selectors[0]
    }

    /// Who connects is this user, if it is the default one.
    pub fn is_open(&self) -> bool {
        self.enabled && self.nopass
    }

    /// Allowed everything, whatever that may be.
    pub fn is_unrestricted(&self) -> bool {
        self.selectors.iter().any(Selector::is_unrestricted)
    }

    /// Whether someone with this password may be this user.
    pub fn admits(&self, password: &[u8]) -> bool {
        if !self.enabled {
            return false;
        }
        // All are compared: how long it takes says nothing about which one it was.
        let given = Digest::of(password);
        let known = self.passwords.iter().fold(false, |found, known| found | known.matches(&given));
        self.nopass || known
    }

    pub fn passwords(&self) -> impl Iterator<Item = String> {
        self.passwords.iter().map(Digest::hex)
    }

    /// What CONFIG SET requirepass makes of the default user.
    pub fn require(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.nopass = password.is_empty();
        if !self.nopass {
            self.passwords.push(Digest::of(password));
        }
    }

    /// Applies the arguments of ACL SETUSER, all or none.
    pub fn set(&mut self, args: &[&[u8]], channels: Channels) -> Result<(), SetError> {
        let merged = text::merge_selectors(args).map_err(|at| SetError::Unmatched(args[at].to_vec()))?;
        let mut next = self.clone();
        for rule in merged {
            next.apply(&rule, channels).map_err(|error| SetError::Rule(rule, error))?;
        }
        *self = next;
        Ok(())
    }

    /// Applies one rule; a selector is one.
    pub fn apply(&mut self, rule: &[u8], channels: Channels) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"skip-sanitize-payload" => self.skip_sanitize = true,
            b"sanitize-payload" => self.skip_sanitize = false,
            b"nopass" => {
                self.nopass = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.nopass = false;
                self.passwords.clear();
            }
            b"clearselectors" => self.selectors.truncate(1),
            b"reset" => *self = Self::new(channels),
            _ => return self.apply_other(rule, channels),
        }
        Ok(())
    }

    fn apply_other(&mut self, rule: &[u8], channels: Channels) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add_password(Digest::of(password)),
            [b'#', hex @ ..] => self.add_password(Digest::parse(hex).ok_or(RuleError::Digest)?),
            [b'<', password @ ..] => return self.remove_password(Digest::of(password)),
            [b'!', hex @ ..] => {
                return self.remove_password(Digest::parse(hex).ok_or(RuleError::Digest)?);
            }
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::new(channels == Channels::All);
                for rule in text::split_quoted(rules).ok_or(RuleError::Syntax)? {
                    selector.apply(&rule)?;
                }
                self.selectors.push(selector);
            }
            _ => return self.root().apply(rule),
        }
        Ok(())
    }

    fn add_password(&mut self, digest: Digest) {
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
        self.nopass = false;
    }

    fn remove_password(&mut self, digest: Digest) -> Result<(), RuleError> {
        let before = self.passwords.len();
        self.passwords.retain(|known| *known != digest);
        if self.passwords.len() < before { Ok(()) } else { Err(RuleError::NoSuchPassword) }
    }

    /// Words of its flags.
    pub fn flags(&self) -> [Option<&'static str>; 3] {
        [
            Some(if self.enabled { "on" } else { "off" }),
            self.nopass.then_some("nopass"),
            Some(if self.skip_sanitize { "skip-sanitize-payload" } else { "sanitize-payload" }),
        ]
    }
}
