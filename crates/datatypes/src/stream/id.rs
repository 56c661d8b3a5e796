//! Ids of entries: a moment and a number within it.

use std::fmt;

use crate::number::parse_i64;

/// Longest id that is read.
const TEXT_BYTES_MAX: usize = 127;
pub(super) const ID_BYTES: usize = 16;

/// `ms-seq`; entries are in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

/// The id that a client wants for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewId {
    /// `*`
    Auto,
    /// `ms-*`
    Within(u64),
    Given(StreamId),
}

impl StreamId {
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    pub fn next(self) -> Option<Self> {
        self.number().checked_add(1).map(Self::of_number)
    }

    pub fn previous(self) -> Option<Self> {
        self.number().checked_sub(1).map(Self::of_number)
    }

    /// Big-endian: in the order of ids.
    pub fn to_bytes(self) -> [u8; ID_BYTES] {
        self.number().to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self::of_number(u128::from_be_bytes(bytes))
    }

    /// In the opposite order: the greatest id has the least complement.
    pub(super) fn complement(self) -> Self {
        Self { ms: !self.ms, seq: !self.seq }
    }

    /// Half the way to a later id, rounded up.
    pub(super) fn halfway(self, to: Self) -> Self {
        let distance = to.number().saturating_sub(self.number());
        Self::of_number(self.number() + distance.div_ceil(2))
    }

    fn number(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    fn of_number(number: u128) -> Self {
        Self { ms: (number >> 64) as u64, seq: number as u64 }
    }

    /// Reads `ms-seq`, or `ms` alone with `missing_seq`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        let (ms, seq) = split(text)?;
        let seq = seq.map_or(Some(missing_seq), parse_u64)?;
        Some(Self { ms: parse_u64(ms)?, seq })
    }

    /// Like [`Self::parse`]; also `-` and `+`, the least and the greatest id.
    pub fn parse_bound(text: &[u8], missing_seq: u64) -> Option<Self> {
        match terminated(text) {
            _ if text.len() > TEXT_BYTES_MAX => None,
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            text => Self::parse(text, missing_seq),
        }
    }
}

impl NewId {
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Self::Auto);
        }
        match split(text)? {
            (ms, Some(b"*")) => parse_u64(ms).map(Self::Within),
            _ => StreamId::parse(text, 0).map(Self::Given),
        }
    }

    /// The id of an entry that follows `last`; `None` if it would not be greater.
    pub fn after(self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        let id = match self {
            Self::Auto if now_ms > last.ms => StreamId { ms: now_ms, seq: 0 },
            Self::Auto => last.next()?,
            Self::Within(ms) if ms == last.ms => StreamId { ms, seq: last.seq.checked_add(1)? },
            Self::Within(ms) => StreamId { ms, seq: 0 },
            Self::Given(id) => id,
        };
        (id > last).then_some(id)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// What is before the first `-`, and behind it if there is one.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = terminated(text);
    match text.iter().position(|&b| b == b'-') {
        Some(at) => Some((&text[..at], Some(&text[at + 1..]))),
        None => Some((text, None)),
    }
}

/// Redis reads ids as C strings: up to the first zero byte.
fn terminated(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    &text[..end]
}

/// Reads an unsigned number as Redis does (`util.c`, string2ull): what is not canonical goes through
/// C's `strtoull`, which takes blanks, signs and leading zeros.
fn parse_u64(text: &[u8]) -> Option<u64> {
    if let Some(number) = parse_i64(text) {
        return u64::try_from(number).ok();
    }
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        for (text, expected) in [
            ("1-2", Some(id(1, 2))),
            ("1", Some(id(1, 7))),
            ("01-02", Some(id(1, 2))),
            ("+1-+2", Some(id(1, 2))),
            (" 1- 2", Some(id(1, 2))),
            ("1--0", Some(id(1, 0))),
            ("1--02", Some(id(1, u64::MAX - 1))),
            ("1-2\0x", Some(id(1, 2))),
            ("18446744073709551615-18446744073709551615", Some(StreamId::MAX)),
            ("18446744073709551616-0", None),
            ("1--2", None),
            ("1-", None),
            ("-1", None),
            ("1-*", None),
            ("", None),
            ("-", None),
            ("+", None),
            ("1 -2", None),
            ("a-1", None),
        ] {
            assert_eq!(StreamId::parse(text.as_bytes(), 7), expected, "{text:?}");
        }
        assert_eq!(StreamId::parse(&[b'0'; 128], 0), None, "beyond what a number may have");
        assert_eq!(StreamId::parse_bound(b"-", 7), Some(StreamId::MIN));
        assert_eq!(StreamId::parse_bound(b"+", 7), Some(StreamId::MAX));
        assert_eq!(StreamId::parse_bound(b"5", 7), Some(id(5, 7)));
    }

    #[test]
    fn new_ids_are_greater_than_the_last_one() {
        let last = id(5, 3);
        assert_eq!(NewId::Auto.after(last, 6), Some(id(6, 0)));
        assert_eq!(NewId::Auto.after(last, 5), Some(id(5, 4)));
        assert_eq!(NewId::Auto.after(last, 1), Some(id(5, 4)));
        assert_eq!(NewId::Auto.after(id(5, u64::MAX), 1), Some(id(6, 0)));
        assert_eq!(NewId::Auto.after(StreamId::MAX, 1), None);
        assert_eq!(NewId::Within(5).after(last, 1), Some(id(5, 4)));
        assert_eq!(NewId::Within(6).after(last, 1), Some(id(6, 0)));
        assert_eq!(NewId::Within(4).after(last, 1), None);
        assert_eq!(NewId::Within(5).after(id(5, u64::MAX), 1), None);
        assert_eq!(NewId::Given(id(5, 4)).after(last, 1), Some(id(5, 4)));
        assert_eq!(NewId::Given(last).after(last, 1), None);
        assert_eq!(NewId::parse(b"7-*"), Some(NewId::Within(7)));
        assert_eq!(NewId::parse(b"*"), Some(NewId::Auto));
        assert_eq!(NewId::parse(b"7"), Some(NewId::Given(id(7, 0))));
        assert_eq!(NewId::parse(b"-"), None);
        assert_eq!(NewId::parse(b"7-*1"), None);
    }

    proptest! {
        #[test]
        fn ids_survive_the_round_trip(ms in any::<u64>(), seq in any::<u64>(), noise in any::<Vec<u8>>()) {
            let id = id(ms, seq);
            prop_assert_eq!(StreamId::parse(id.to_string().as_bytes(), 0), Some(id));
            prop_assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
            prop_assert_eq!(id.complement().complement(), id);
            prop_assert_eq!(id.next().map_or(Some(id), StreamId::previous), Some(id));
            let _ = (StreamId::parse_bound(&noise, 0), NewId::parse(&noise));
        }

        #[test]
        fn halfway_is_between(a in any::<u128>(), b in any::<u128>()) {
            let (from, to) = (StreamId::of_number(a.min(b)), StreamId::of_number(a.max(b)));
            let middle = from.halfway(to);
            prop_assert!(middle <= to && (middle > from || from == to));
        }
    }
}
