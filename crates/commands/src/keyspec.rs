//! Where the keys are among a command's arguments.

use crate::options::Options;

/// Bits of [`KeySpec::flags`]; combined with `|` in the rows.
pub mod key_flag {
    pub const RO: u16 = 1 << 0;
    pub const RW: u16 = 1 << 1;
    pub const OW: u16 = 1 << 2;
    pub const RM: u16 = 1 << 3;
    pub const ACCESS: u16 = 1 << 4;
    pub const UPDATE: u16 = 1 << 5;
    pub const INSERT: u16 = 1 << 6;
    pub const DELETE: u16 = 1 << 7;
    /// Not a key, but routed as one: a channel of sharded pub/sub.
    pub const NOT_KEY: u16 = 1 << 8;
    /// There may be keys that the spec does not find.
    pub const INCOMPLETE: u16 = 1 << 9;
    pub const VARIABLE_FLAGS: u16 = 1 << 10;
}

/// Names of the bits in the order COMMAND INFO lists them.
const NAMES: [(u16, &str); 11] = [
    (key_flag::RO, "RO"),
    (key_flag::RW, "RW"),
    (key_flag::OW, "OW"),
    (key_flag::RM, "RM"),
    (key_flag::ACCESS, "access"),
    (key_flag::UPDATE, "update"),
    (key_flag::INSERT, "insert"),
    (key_flag::DELETE, "delete"),
    (key_flag::NOT_KEY, "not_key"),
    (key_flag::INCOMPLETE, "incomplete"),
    (key_flag::VARIABLE_FLAGS, "variable_flags"),
];

/// Where a series of keys begins. Positions count the command's name as 0, as Redis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    Index(u8),
    /// Likewise, but an empty argument is no key: the keys are elsewhere.
    IndexOrEmpty(u8),
    /// Behind the first occurrence of a word, in any case, searched from `start` on; a negative
    /// `start` counts from the end, backwards.
    Keyword {
        word: &'static str,
        start: i8,
    },
    /// Behind the last of the `options` that name a target, if that is `word`; they stand from `start` on.
    Target {
        word: &'static str,
        start: i8,
        options: &'static Options,
        /// Redis tells clients that it is behind the first `word`, or else nothing.
        is_told: bool,
    },
    /// Nowhere among the arguments: the keys follow from what is stored.
    Unknown,
}

/// Which arguments from there on are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Find {
    Range {
        /// Position of the last key relative to the first, or relative to the end if negative: -1
        /// is the last argument.
        last: i8,
        /// Distance between keys.
        step: u8,
        /// Only one `limit`-th of what is left are keys; 0 and 1 mean all. (With `last` -1.)
        limit: u8,
    },
    /// As many as an argument says. Positions are relative to the beginning.
    Count { at: u8, first: u8, step: u8 },
}

/// A series of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    /// Bits of [`key_flag`].
    pub flags: u16,
    /// Shown by COMMAND INFO.
    pub notes: Option<&'static str>,
}

/// One key.
pub const fn key(first: u8, flags: u16) -> KeySpec {
    keys(first, 0, 1, flags)
}

/// A series of keys.
pub const fn keys(first: u8, last: i8, step: u8, flags: u16) -> KeySpec {
    KeySpec { begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 }, flags, notes: None }
}

/// As many keys as the argument at `at` says, behind it.
pub const fn counted_keys(at: u8, flags: u16) -> KeySpec {
    let find = Find::Count { at: 0, first: 1, step: 1 };
    KeySpec { begin: Begin::Index(at), find, flags, notes: None }
}

/// One key, unless the argument is empty.
pub const fn key_or_empty(first: u8, flags: u16) -> KeySpec {
    KeySpec { begin: Begin::IndexOrEmpty(first), ..key(first, flags) }
}

/// All that is behind a word, which is searched from `start` on.
pub const fn keys_after(word: &'static str, start: i8, flags: u16) -> KeySpec {
    KeySpec { begin: Begin::Keyword { word, start }, ..keys(0, -1, 1, flags) }
}

/// The keys behind a word are the first half of what is left.
pub const fn half_after(word: &'static str, start: i8, flags: u16) -> KeySpec {
    let find = Find::Range { last: -1, step: 1, limit: 2 };
    KeySpec { begin: Begin::Keyword { word, start }, find, flags, notes: None }
}

/// The key of the result behind the last of the `options` that name one, if that is `word`.
pub const fn target(word: &'static str, start: i8, options: &'static Options, flags: u16) -> KeySpec {
    KeySpec { begin: Begin::Target { word, start, options, is_told: true }, ..key(0, flags) }
}

/// Likewise; COMMAND INFO tells nothing but that it may be there.
pub const fn hidden_target(word: &'static str, start: i8, options: &'static Options, flags: u16) -> KeySpec {
    KeySpec { begin: Begin::Target { word, start, options, is_told: false }, ..key(0, flags) }
}

impl KeySpec {
    pub const fn notes(mut self, notes: &'static str) -> Self {
        self.notes = Some(notes);
        self
    }

    /// What Redis tells clients of it.
    pub fn told(&self) -> Self {
        match self.begin {
            Begin::Target { word, start, is_told: true, .. } => {
                Self { begin: Begin::Keyword { word, start }, ..*self }
            }
            _ => *self,
        }
    }

    /// Indices of the keys in `args` (the command's name not counted).
    pub fn indices(&self, args: &[&[u8]]) -> impl Iterator<Item = usize> + use<> {
        let (keys, step) = self.series(args).unwrap_or((0..0, 1));
        keys.step_by(step)
    }

    /// Whether an argument says that there are more keys than follow, or none (or not a number at all).
    pub fn falls_short(&self, args: &[&[u8]]) -> bool {
        let (Find::Count { at, first, step }, Some(begin)) = (self.find, self.begin.index(args)) else {
            return false;
        };
        let count = args.get(begin + usize::from(at)).and_then(|word| std::str::from_utf8(word).ok());
        let count: Option<usize> = count.and_then(|word| word.parse().ok());
        let room = args.len().saturating_sub(begin + usize::from(first)) / usize::from(step.max(1));
        count.is_none_or(|count| count == 0 || count > room)
    }

    fn series(&self, args: &[&[u8]]) -> Option<(std::ops::Range<usize>, usize)> {
        let begin = self.begin.index(args)?;
        match self.find {
            Find::Range { last, step, limit } => {
                let end = match usize::try_from(last) {
                    Ok(last) => begin + last + 1,
                    Err(_) if limit > 1 => begin + args.len().saturating_sub(begin) / usize::from(limit),
                    Err(_) => (args.len() + 1).saturating_sub(usize::from(last.unsigned_abs())),
                };
                Some((begin..end.min(args.len()), usize::from(step)))
            }
            Find::Count { at, first, step } => {
                let word = args.get(begin + usize::from(at))?;
                let count: usize = std::str::from_utf8(word).ok()?.parse().ok()?;
                let first = begin + usize::from(first);
                let end = count.checked_mul(usize::from(step))?.checked_add(first)?;
                // Fewer than it says: the command refuses itself, and words behind the keys are none.
                (end <= args.len()).then_some((first..end, usize::from(step)))
            }
        }
    }

    /// The position of the first key and the range behind it, if it is a plain series.
    fn plain(&self) -> Option<(u8, i8, u8)> {
        match (self.begin, self.find) {
            (Begin::Index(first) | Begin::IndexOrEmpty(first), Find::Range { last, step, .. }) => {
                Some((first, last, step))
            }
            _ => None,
        }
    }

    /// The step of a series that goes on to the last argument.
    pub(crate) fn open_step(&self) -> Option<(usize, usize)> {
        let (first, last, step) = self.plain()?;
        (last == -1 && step > 1).then_some((usize::from(first), usize::from(step)))
    }

    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let flags = self.flags;
        NAMES.into_iter().filter(move |&(bit, _)| flags & bit != 0).map(|(_, name)| name)
    }
}

impl Begin {
    /// The index in `args` where the series begins.
    fn index(self, args: &[&[u8]]) -> Option<usize> {
        let is = |word: &str, at: usize| args[at].eq_ignore_ascii_case(word.as_bytes());
        match self {
            Self::Index(first) => Some(usize::from(first) - 1),
            Self::IndexOrEmpty(first) => {
                let at = usize::from(first) - 1;
                args.get(at).is_some_and(|key| !key.is_empty()).then_some(at)
            }
            Self::Keyword { word, start } => match usize::try_from(start) {
                Ok(start) => (start.saturating_sub(1)..args.len()).find(|&at| is(word, at)),
                Err(_) => {
                    let end = (args.len() + 1).saturating_sub(usize::from(start.unsigned_abs()));
                    (0..end.min(args.len())).rev().find(|&at| is(word, at))
                }
            }
            .map(|at| at + 1),
            Self::Unknown => None,
            Self::Target { word, start, options, .. } => {
                let start = usize::try_from(start).ok()?.checked_sub(1)?;
                let target = options.target(args.get(start..)?)?;
                (target.name == word).then_some(start + target.at)
            }
        }
    }
}

/// First key, last key (absolute or negative) and step as COMMAND INFO's fields 4 to 6 tell them:
/// the longest regular series that the specs form from the first one on. And whether there may be
/// keys elsewhere.
pub fn legacy_range(specs: &[KeySpec]) -> (i64, i64, i64, bool) {
    let incomplete = |spec: &KeySpec| spec.flags & key_flag::INCOMPLETE != 0;
    let mut movable = specs.iter().any(incomplete);
    if let [spec] = specs
        && let Some((first, last, step)) = spec.plain()
    {
        let last = i64::from(last) + if last >= 0 { i64::from(first) } else { 0 };
        return (i64::from(first), last, i64::from(step), movable);
    }
    let mut range = None;
    for spec in specs {
        let joins = |first: u8| range.is_none_or(|(_, last)| last >= 0 && last + 1 == i64::from(first));
        match spec.plain() {
            Some((first, last, 1)) if joins(first) => {
                let last = i64::from(last) + if last >= 0 { i64::from(first) } else { 0 };
                range = Some((range.map_or(i64::from(first), |(first, _)| first), last));
            }
            _ => movable = true,
        }
    }
    let (first, last) = range.unwrap_or((0, 0));
    (first, last, i64::from(range.is_some()), movable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{GEORADIUS, SORT};

    fn at(spec: KeySpec, argc: usize) -> Vec<usize> {
        spec.indices(&vec![&b"x"[..]; argc]).collect()
    }

    fn found(spec: KeySpec, words: &str) -> Vec<usize> {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        spec.indices(&args).collect()
    }

    #[test]
    fn positions_follow_the_spec() {
        assert_eq!(at(key(1, 0), 3), [0]);
        assert_eq!(at(key(2, 0), 3), [1]);
        assert!(at(key(2, 0), 1).is_empty());
        assert_eq!(at(keys(1, -1, 1, 0), 3), [0, 1, 2]);
        assert_eq!(at(keys(1, -1, 2, 0), 4), [0, 2]);
        assert_eq!(at(keys(1, 1, 1, 0), 4), [0, 1]);
        assert!(at(keys(1, -1, 1, 0), 0).is_empty());
    }

    #[test]
    fn keys_are_counted_by_an_argument() {
        assert_eq!(found(counted_keys(2, 0), "script 2 a b c"), [2, 3]);
        assert_eq!(found(counted_keys(1, 0), "2 a b"), [1, 2]);
        for count in ["0", "-1", "x", "3", "99999999999999999999"] {
            assert!(counted_keys(1, 0).falls_short(&[count.as_bytes(), b"a", b"b"]), "{count}");
            assert!(found(counted_keys(1, 0), &format!("{count} a b")).is_empty());
        }
        assert!(found(counted_keys(1, 0), "18446744073709551615 a b").is_empty());
        assert!(found(counted_keys(3, 0), "a b").is_empty());
    }

    #[test]
    fn keys_stand_behind_words() {
        let streams = half_after("STREAMS", 1, 0);
        assert_eq!(found(streams, "COUNT 2 streams a b 0 0"), [3, 4]);
        assert_eq!(found(streams, "streams a b 0"), [1]);
        assert!(found(streams, "streams").is_empty());
        assert!(found(streams, "a b").is_empty());
        assert_eq!(found(keys_after("KEYS", -2, 0), "h 1 k 0 5 keys a"), [6]);
        assert_eq!(found(keys_after("KEYS", -2, 0), "h 1 k 0 5 auth KEYS keys a b"), [8, 9]);
        assert_eq!(key_or_empty(1, 0).indices(&[b"k"]).collect::<Vec<_>>(), [0]);
        assert_eq!(key_or_empty(1, 0).indices(&[b""]).count(), 0);
    }

    #[test]
    fn the_key_of_a_result_stands_behind_the_last_option_that_names_one() {
        let store = target("STORE", 6, &GEORADIUS, 0);
        let storedist = target("STOREDIST", 6, &GEORADIUS, 0);
        assert_eq!(found(store, "k 1 1 10 km store d"), [6]);
        assert!(found(store, "k store 1 10 km").is_empty());
        assert!(found(store, "k 1").is_empty());
        assert_eq!(found(store, "k 1 1 10 km STORE x STORE other"), [8]);
        assert!(found(store, "k 1 1 10 km STORE x STOREDIST other").is_empty());
        assert_eq!(found(storedist, "k 1 1 10 km STORE x STOREDIST other"), [8]);
        assert_eq!(found(target("STORE", 5, &GEORADIUS, 0), "k m 10 km STORE x STORE other"), [7]);
        let sorted = hidden_target("STORE", 2, &SORT, 0);
        assert_eq!(found(sorted, "k store a store b"), [4]);
        assert_eq!(found(sorted, "k STORE secret BY store"), [2]);
        assert!(found(sorted, "k store").is_empty());
    }

    #[test]
    fn redis_tells_of_the_first_word() {
        let store = target("STORE", 6, &GEORADIUS, 0);
        assert_eq!(found(store.told(), "k 1 1 10 km STORE x STORE other"), [6]);
        let sorted = hidden_target("STORE", 2, &SORT, 0);
        assert_eq!(sorted.told(), sorted);
    }

    #[test]
    fn adjacent_specs_merge_into_one_range() {
        assert_eq!(legacy_range(&[key(1, 0), key(2, 0)]), (1, 2, 1, false));
        assert_eq!(legacy_range(&[keys(1, -1, 2, 0)]), (1, -1, 2, false));
        assert_eq!(legacy_range(&[keys(1, 1, 1, 0)]), (1, 2, 1, false));
        assert_eq!(legacy_range(&[]), (0, 0, 0, false));
        assert_eq!(legacy_range(&[key(1, 0), counted_keys(2, 0)]), (1, 1, 1, true));
        assert_eq!(legacy_range(&[half_after("STREAMS", 1, 0)]), (0, 0, 0, true));
    }
}
