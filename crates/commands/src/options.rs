//! Options behind a command's other arguments, some of which name the key of the result.
//!
//! The key spec, the rules of users and the handler all ask here, so that the key that is checked is the
//! key that is written.

use crate::args::is;

/// What the options of a command are.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Names, and how many arguments each takes. What is not named here takes none.
    known: &'static [(&'static str, usize)],
    /// Those whose argument is the key of the result. The last one counts.
    targets: &'static [&'static str],
}

/// An option as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// `None` if the option is not known.
    pub name: Option<&'static str>,
    pub arguments: &'a [&'a [u8]],
}

/// The key of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Of the option.
    pub name: &'static str,
    pub key: &'a [u8],
    /// Index of the key.
    pub at: usize,
}

/// Of SORT.
pub static SORT: Options = Options {
    known: &[("BY", 1), ("LIMIT", 2), ("GET", 1), ("STORE", 1), ("ASC", 0), ("DESC", 0), ("ALPHA", 0)],
    targets: &["STORE"],
};

/// Of GEORADIUS and GEORADIUSBYMEMBER.
pub static GEORADIUS: Options =
    Options { known: &[("COUNT", 1), ("STORE", 1), ("STOREDIST", 1)], targets: &["STORE", "STOREDIST"] };

impl Options {
    /// The options in `words`, up to one that lacks arguments: the command refuses itself then.
    pub fn given<'a>(&'static self, words: &'a [&'a [u8]]) -> impl Iterator<Item = Given<'a>> {
        self.walk(words).map(|(_, given)| given)
    }

    /// Where the result goes.
    pub fn target<'a>(&'static self, words: &'a [&'a [u8]]) -> Option<Target<'a>> {
        let target = |(at, Given { name, arguments }): (usize, Given<'a>)| {
            let name = name.filter(|name| self.targets.contains(name))?;
            Some(Target { name, key: arguments.first()?, at })
        };
        self.walk(words).filter_map(target).last()
    }

    /// The options, and where the arguments of each begin.
    fn walk<'a>(&'static self, words: &'a [&'a [u8]]) -> impl Iterator<Item = (usize, Given<'a>)> {
        let mut end = 0;
        std::iter::from_fn(move || {
            let word = words.get(end)?;
            let known = self.known.iter().find(|(name, _)| is(word, name));
            let (name, takes) = known.map_or((None, 0), |&(name, takes)| (Some(name), takes));
            let begin = end + 1;
            end = begin + takes;
            Some((begin, Given { name, arguments: words.get(begin..end)? }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(options: &'static Options, words: &str) -> Option<(&'static str, usize)> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        options.target(&words).map(|target| {
            assert_eq!(words[target.at], target.key);
            (target.name, target.at)
        })
    }

    #[test]
    fn the_last_target_counts() {
        assert_eq!(target(&GEORADIUS, "STORE a STORE b"), Some(("STORE", 3)));
        assert_eq!(target(&GEORADIUS, "STORE a storedist b ASC"), Some(("STOREDIST", 3)));
        assert_eq!(target(&SORT, "STORE a STORE b"), Some(("STORE", 3)));
        assert_eq!(target(&SORT, "ASC"), None);
    }

    #[test]
    fn arguments_of_others_are_no_options() {
        assert_eq!(target(&SORT, "STORE a BY store"), Some(("STORE", 1)));
        assert_eq!(target(&SORT, "STORE a GET store GET b"), Some(("STORE", 1)));
        assert_eq!(target(&SORT, "LIMIT store 1 STORE store"), Some(("STORE", 4)));
        assert_eq!(target(&SORT, "STORE by STORE x"), Some(("STORE", 3)));
        assert_eq!(target(&GEORADIUS, "COUNT store STORE store"), Some(("STORE", 3)));
        assert_eq!(target(&GEORADIUS, "STORE storedist STORE x"), Some(("STORE", 3)));
    }

    #[test]
    fn what_is_unknown_or_too_short_is_passed_over() {
        assert_eq!(target(&SORT, "what STORE a what"), Some(("STORE", 2)));
        assert_eq!(target(&SORT, "STORE a STORE"), Some(("STORE", 1)));
        assert_eq!(target(&SORT, "STORE a LIMIT STORE"), Some(("STORE", 1)));
        assert_eq!(target(&SORT, "STORE"), None);
    }
}
