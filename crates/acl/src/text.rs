//! A user as text.
//!
//! **Listed**, as ACL LIST tells it and an ACL file holds it: one line, selectors in parentheses.
//! A pattern with a parenthesis makes it ambiguous, as in Redis.
//!
//! **Stored**, as the cluster keeps it: words separated by spaces, which no word contains; the user's own
//! on the first line, those of each selector on a line of its own.

use crate::{Channels, RuleError, Selector, User};

/// A stored text that this build cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed rules of a user")]
pub struct StoredError;

impl User {
    /// As in ACL LIST, behind the name.
    pub fn listed(&self) -> Vec<u8> {
        let mut lines = self.lines().into_iter();
        let mut text = lines.next().unwrap_or_default();
        for line in lines {
            text.extend_from_slice(b" (");
            text.extend_from_slice(&line);
            text.push(b')');
        }
        text
    }

    pub fn stored(&self) -> Vec<u8> {
        let stored = |line: Vec<u8>| -> Vec<u8> {
            let words = line.split(|&byte| byte == b' ');
            // All permissions on all keys, but written as a pattern: others may stand beside it.
            let mut words = words.map(|word| if word == b"~*" { &b"%RW~*"[..] } else { word });
            let mut text = words.next().unwrap_or_default().to_vec();
            for word in words {
                text.push(b' ');
                text.extend_from_slice(word);
            }
            text
        };
        let lines = self.lines().into_iter().zip(&self.selectors);
        let lines: Vec<Vec<u8>> =
            lines.map(|(line, selector)| if selector.all_keys { line } else { stored(line) }).collect();
        lines.join(&b'\n')
    }

    /// With its name, for who runs a script for it.
    pub fn named(&self, name: &[u8]) -> Vec<u8> {
        // No name has a line end.
        [name, b"\n", &self.stored()].concat()
    }

    /// Name and user of [`User::named`].
    pub fn from_named(text: &[u8]) -> Result<(&[u8], Self), StoredError> {
        let end = text.iter().position(|&byte| byte == b'\n').ok_or(StoredError)?;
        Ok((&text[..end], Self::from_stored(&text[end + 1..])?))
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let mut words: Vec<Vec<u8>> =
            self.flags().into_iter().flatten().map(|flag| flag.as_bytes().to_vec()).collect();
        words.extend(self.passwords().map(|hex| format!("#{hex}").into_bytes()));
        let mut lines = Vec::with_capacity(self.selectors.len());
        for selector in &self.selectors {
            words.extend(selector.words());
            lines.push(words.join(&b' '));
            words.clear();
        }
        lines
    }

    /// Reads a stored text. Commands that this build does not have are kept by name: they cannot be
    /// executed here.
    pub fn from_stored(text: &[u8]) -> Result<Self, StoredError> {
        let mut lines = text.split(|&byte| byte == b'\n');
        let mut user = Self::new(Channels::None);
        for word in words(lines.next().unwrap_or_default()) {
            // A selector has a line of its own.
            let known =
                if word[0] == b'(' { Err(RuleError::Syntax) } else { user.apply(word, Channels::None) };
            tolerate(known, &mut user.selectors[0], word)?;
        }
        for line in lines {
            let mut selector = Selector::new(false);
            for word in words(line) {
                let known = selector.apply(word);
                tolerate(known, &mut selector, word)?;
            }
            user.selectors.push(selector);
        }
        Ok(user)
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ').filter(|word| !word.is_empty())
}

/// A category that is not known could take away much: such a text is not read.
fn tolerate(result: Result<(), RuleError>, selector: &mut Selector, word: &[u8]) -> Result<(), StoredError> {
    match result {
        Ok(()) => Ok(()),
        Err(RuleError::Unknown) if word.get(1) != Some(&b'@') => {
            selector.commands.keep_unknown(word);
            Ok(())
        }
        Err(_) => Err(StoredError),
    }
}

/// Puts selectors together that were split at their spaces; else the index of the argument that opens one
/// and is not closed.
pub(crate) fn merge_selectors(args: &[&[u8]]) -> Result<Vec<Vec<u8>>, usize> {
    let mut merged = Vec::with_capacity(args.len());
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (at, arg) in args.iter().enumerate() {
        let closes = arg.last() == Some(&b')');
        match &mut open {
            None if arg.first() == Some(&b'(') && !closes => open = Some((at, arg.to_vec())),
            None => merged.push(arg.to_vec()),
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(arg);
                if closes {
                    merged.push(std::mem::take(selector));
                    open = None;
                }
            }
        }
    }
    open.map_or(Ok(merged), |(at, _)| Err(at))
}

/// Splits as Redis splits a line of its configuration. `None`: a quote is not closed, or something follows
/// it.
pub(crate) fn split_quoted(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut words, mut ends) = (Vec::new(), Vec::new());
    resp::inline::split(text, &mut words, &mut ends).ok()?;
    let starts = std::iter::once(0).chain(ends.iter().map(|&end| end as usize));
    Some(starts.zip(&ends).map(|(start, &end)| words[start..end as usize].to_vec()).collect())
}

/// Bytes as the characters of the same number, so that any can stand in JSON.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes of [`latin1`]; `None`: it is not such a text.
pub fn unlatin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
