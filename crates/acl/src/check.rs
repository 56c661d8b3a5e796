//! Whether a user may execute a command.

use commands::Spec;

use crate::{
    Selector, User,
    access::{self, Keys},
    error::shown,
};

/// What is not allowed. Positions are among the arguments, the command's name excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    Command,
    Key(usize),
    Channel(usize),
    /// An option of SORT, which would read keys that are not named.
    SortOption(&'static str),
}

impl Denial {
    /// Which one is told if no selector will do: the greatest.
    fn rank(self) -> (u8, usize) {
        match self {
            Self::SortOption(_) => (0, 0),
            Self::Command => (1, 0),
            Self::Key(at) => (2, at),
            Self::Channel(at) => (4, at),
        }
    }

    /// The text of the error reply.
    pub fn text(self, user: &[u8], spec: &Spec) -> Vec<u8> {
        match self {
            Self::SortOption(option) => {
                format!("ERR {option} option of SORT denied due to insufficient ACL permissions.")
                    .into_bytes()
            }
            _ => [b"NOPERM ", &self.reason(user, spec)[..]].concat(),
        }
    }

    /// What is missing; it names no key or channel.
    pub fn reason(self, user: &[u8], spec: &Spec) -> Vec<u8> {
        match self {
            Self::Command => {
                let name = spec.full_name.as_bytes();
                [b"User ", user, b" has no permissions to run the '", name, b"' command"].concat()
            }
            Self::Key(_) => b"No permissions to access a key".to_vec(),
            Self::Channel(_) => b"No permissions to access a channel".to_vec(),
            Self::SortOption(_) => self.text(user, spec),
        }
    }

    /// Likewise, but named: for ACL DRYRUN.
    pub fn details(self, user: &[u8], spec: &Spec, args: &[&[u8]]) -> Vec<u8> {
        let (at, kind): (usize, &[u8]) = match self {
            Self::Key(at) => (at, b"key"),
            Self::Channel(at) => (at, b"channel"),
            Self::Command | Self::SortOption(_) => return self.reason(user, spec),
        };
        let name = shown(args[at]);
        [b"User ", user, b" has no permissions to access the '", name, b"' ", kind].concat()
    }

    /// The object that ACL LOG shows.
    pub fn object<'a>(self, spec: &'a Spec, args: &[&'a [u8]]) -> &'a [u8] {
        match self {
            Self::Key(at) | Self::Channel(at) => args[at],
            Self::Command | Self::SortOption(_) => spec.full_name.as_bytes(),
        }
    }
}

impl User {
    /// Whether one of the selectors allows the command; `args` exclude its name.
    pub fn check(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Denial> {
        let mut keys = None;
        let mut denial = Denial::Command;
        for selector in &self.selectors {
            match selector.check(spec, args, &mut keys) {
                Ok(()) => return self.check_sort(spec, args, &mut keys),
                Err(other) if other.rank() > denial.rank() => denial = other,
                Err(_) => {}
            }
        }
        Err(denial)
    }

    /// What SORT reads by patterns may be any key.
    fn check_sort(&self, spec: &Spec, args: &[&[u8]], keys: &mut Option<Keys>) -> Result<(), Denial> {
        let Some(option) = access::sort_pattern(spec, args) else { return Ok(()) };
        let may =
            |s: &Selector, keys: &mut Option<Keys>| s.reads_all_keys() && s.check(spec, args, keys).is_ok();
        match self.selectors.iter().any(|selector| may(selector, keys)) {
            true => Ok(()),
            false => Err(Denial::SortOption(option)),
        }
    }
}

impl Selector {
    fn check(&self, spec: &Spec, args: &[&[u8]], keys: &mut Option<Keys>) -> Result<(), Denial> {
        let anyone = spec.flags.has(commands::flags::flag::NO_AUTH);
        if !anyone && !self.commands.allows(spec, args) {
            return Err(Denial::Command);
        }
        if !self.all_keys && !spec.keys.is_empty() {
            let keys = keys.get_or_insert_with(|| access::keys(spec, args));
            if let Some(&(at, _)) = keys.iter().find(|(at, flags)| !self.allows_key(args[*at], *flags)) {
                return Err(Denial::Key(at));
            }
        }
        if let Some((count, is_pattern)) = access::channels(spec, args) {
            let denied = |at: &usize| !self.allows_channel(args[*at], is_pattern);
            if let Some(at) = (0..count).find(denied) {
                return Err(Denial::Channel(at));
            }
        }
        Ok(())
    }
}
