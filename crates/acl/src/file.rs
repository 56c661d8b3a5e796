//! Users of an ACL file: one a line, `user <name> <rule> …`.

use std::collections::BTreeMap;

use crate::{Channels, DEFAULT, RuleError, User, error::shown, has_spaces, text};

/// Reads a file called `name`. Without a default user in it there is one who may do everything. An error
/// names all that is wrong, as Redis does.
pub fn parse(name: &str, content: &[u8], channels: Channels) -> Result<BTreeMap<Vec<u8>, User>, Vec<u8>> {
    let mut users = BTreeMap::new();
    let mut errors = Vec::new();
    for (at, line) in content.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() {
            parse_line(&mut users, line, &format!("{name}:{}", at + 1), at + 1, channels, &mut errors);
        }
    }
    if errors.is_empty() {
        users.entry(DEFAULT.to_vec()).or_insert_with(User::anyone);
        return Ok(users);
    }
    errors.extend_from_slice(
        b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
    );
    Err(errors)
}

fn parse_line(
    users: &mut BTreeMap<Vec<u8>, User>,
    line: &[u8],
    place: &str,
    number: usize,
    channels: Channels,
    errors: &mut Vec<u8>,
) {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let mut note = |text: &[u8]| errors.extend_from_slice(text);
    let [b"user", name, rules @ ..] = &words[..] else {
        return note(format!("{place} should start with user keyword followed by the username. ").as_bytes());
    };
    if has_spaces(name) {
        let head = format!("'{place}: username '");
        return note(&[head.as_bytes(), shown(name), b"' contains invalid characters. "].concat());
    }
    if users.contains_key(*name) {
        let tail = format!("' found on line {number}. ");
        return note(&[b"WARNING: Duplicate user '", shown(name), tail.as_bytes()].concat());
    }
    let mut user = User::new(channels);
    let Ok(rules) = text::merge_selectors(rules) else {
        return note(format!("{place}: Unmatched parenthesis in selector definition.").as_bytes());
    };
    let mut told = false;
    for rule in rules {
        match user.apply(rule.trim_ascii(), channels) {
            Ok(()) => {}
            // Only what cannot be a secret is named.
            Err(RuleError::Unknown) => {
                let head = format!("{place}: Error in applying operation '");
                let tail = format!("': {}. ", RuleError::Unknown);
                note(&[head.as_bytes(), shown(&rule), tail.as_bytes()].concat());
            }
            Err(error) if !told => {
                note(format!("{place}: {error}. ").as_bytes());
                told = true;
            }
            Err(_) => {}
        }
    }
    users.insert(name.to_vec(), user);
}

/// The file with `users`.
pub fn render<'a>(users: impl Iterator<Item = (&'a [u8], &'a User)>) -> Vec<u8> {
    users.flat_map(|(name, user)| [b"user ", name, b" ", &user.listed(), b"\n"].concat()).collect()
}
