//! Digests of passwords. The password itself is never kept.

use std::fmt;

use sha2::{Digest as _, Sha256};

const HEX_LEN: usize = 64;

/// SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

/// Digests are secrets too: whoever has one may try passwords on it.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(digest)")
    }
}

impl Digest {
    pub fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        if hex.len() != HEX_LEN {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.chunks(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(digest))
    }

    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes the same time wherever the difference is.
    pub fn matches(&self, other: &Self) -> bool {
        let different = self.0.iter().zip(&other.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(different) == 0
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digests_have_a_hexadecimal_form() {
        assert_eq!(Digest::of(b"").hex(), EMPTY);
        let parsed = Digest::parse(EMPTY.as_bytes()).unwrap();
        assert!(parsed.matches(&Digest::of(b"")) && !parsed.matches(&Digest::of(b"a")));
        for wrong in [&EMPTY[1..], &EMPTY.to_uppercase(), &EMPTY.replace('e', "g"), ""] {
            assert!(Digest::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn digests_are_not_shown() {
        assert!(!format!("{:?}", Digest::of(b"")).contains("e3b0"));
    }
}
