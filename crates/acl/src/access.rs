//! Which keys and channels a command touches, and how.

use commands::{
    Id, Kind, ProxyCommand, Spec,
    keyspec::key_flag::{ACCESS, DELETE, INSERT, NOT_KEY, OW, RO, RW, UPDATE},
    options,
};
use smallvec::SmallVec;

use crate::selector::grant;

/// Positions among the arguments, and bits of `commands::keyspec::key_flag`.
pub type Keys = SmallVec<[(usize, u16); 8]>;

/// The keys in `args` (the command's name excluded). None if there are fewer than the command says: it
/// refuses itself.
pub fn keys(spec: &Spec, args: &[&[u8]]) -> Keys {
    let mut keys = Keys::new();
    for series in spec.keys.iter().filter(|series| series.flags & NOT_KEY == 0) {
        if series.falls_short(args) {
            return Keys::new();
        }
        let flags = variable_flags(spec.id, args).unwrap_or(series.flags);
        keys.extend(series.indices(args).map(|at| (at, flags)));
    }
    keys
}

/// Where the use of a key depends on other arguments.
fn variable_flags(id: Id, args: &[&[u8]]) -> Option<u16> {
    match id {
        Id::Set => {
            let reads = args.iter().skip(2).any(|arg| arg.eq_ignore_ascii_case(b"get"));
            Some(if reads { RW | ACCESS | UPDATE } else { OW | UPDATE })
        }
        Id::Bitfield => Some(if only_reads_bits(args) { RO | ACCESS } else { RW | ACCESS | UPDATE }),
        _ => None,
    }
}

fn only_reads_bits(args: &[&[u8]]) -> bool {
    let mut rest = args.get(1..).unwrap_or_default();
    loop {
        rest = match rest {
            [] => return true,
            [word, _, _, rest @ ..] if word.eq_ignore_ascii_case(b"get") => rest,
            [word, _, rest @ ..] if word.eq_ignore_ascii_case(b"overflow") => rest,
            _ => return false,
        };
    }
}

/// Bits of [`grant`] that a use of a key needs.
pub(crate) fn needed(flags: u16) -> u8 {
    let mut needed = 0;
    if flags & ACCESS != 0 {
        needed |= grant::READ;
    }
    if flags & (INSERT | DELETE | UPDATE) != 0 {
        needed |= grant::WRITE;
    }
    needed
}

/// Channels among the arguments: how many of the first ones, and whether they are patterns.
pub fn channels(spec: &Spec, args: &[&[u8]]) -> Option<(usize, bool)> {
    let Kind::Local(command) = spec.kind else { return None };
    match command {
        ProxyCommand::Publish | ProxyCommand::Spublish => Some((1.min(args.len()), false)),
        ProxyCommand::Subscribe | ProxyCommand::Ssubscribe => Some((args.len(), false)),
        ProxyCommand::Psubscribe => Some((args.len(), true)),
        _ => None,
    }
}

/// The first option of SORT that reads keys which are not named.
pub fn sort_pattern(spec: &Spec, args: &[&[u8]]) -> Option<&'static str> {
    if !matches!(spec.id, Id::Sort | Id::SortRo) {
        return None;
    }
    // SORT refuses itself at the first option that it does not know.
    let mut known =
        options::SORT.given(args.get(1..)?).map_while(|given| Some((given.name?, given.arguments)));
    known.find_map(|option| match option {
        ("BY", [pattern]) if pattern.contains(&b'*') => Some("BY"),
        ("GET", _) => Some("GET"),
        _ => None,
    })
}
