//! SLOWLOG: commands that took long, from the moment they were read to the moment their reply was there
//! (network and waiting inside the cluster included).

use std::collections::VecDeque;

use bytes::Bytes;
use commands::{Spec, wire};

use crate::redact;

/// Words of a command that are kept; as many as Redis keeps.
const WORDS_MAX: usize = 32;
/// Bytes of a word that are kept, likewise.
const WORD_BYTES_MAX: usize = 128;

/// The arguments of a command, clipped and without secrets, as long as it is not known how long it takes.
#[derive(Debug, Default)]
pub struct Words(Vec<u8>);

impl Words {
    /// `args` exclude the command's name.
    pub fn of(spec: &Spec, args: &[&[u8]]) -> Self {
        let mut words: Vec<&[u8]> = vec![container(spec).as_bytes()];
        // Nobody reads beyond these, but secrets depend on what stands before them.
        words.extend(args.iter().take(WORDS_MAX));
        let mut out = Vec::with_capacity(64);
        let count = args.len() + 1;
        let kept = if count > WORDS_MAX { WORDS_MAX - 1 } else { count };
        for word in redact::shown(&words).iter().take(kept).skip(1) {
            put_clipped(&mut out, word);
        }
        if count > kept {
            wire::put_bytes(&mut out, format!("... ({} more arguments)", count - kept).as_bytes());
        }
        Self(out)
    }

    fn list(&self) -> Vec<Bytes> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(|| wire::take_bytes(&mut rest).ok().map(Bytes::copy_from_slice)).collect()
    }
}

fn put_clipped(out: &mut Vec<u8>, word: &[u8]) {
    match word.split_at_checked(WORD_BYTES_MAX) {
        Some((start, rest)) if !rest.is_empty() => {
            let mut clipped = start.to_vec();
            clipped.extend_from_slice(format!("... ({} more bytes)", rest.len()).as_bytes());
            wire::put_bytes(out, &clipped);
        }
        _ => wire::put_bytes(out, word),
    }
}

/// The word that a command begins with.
fn container(spec: &Spec) -> &'static str {
    spec.full_name.split_once('|').map_or(spec.full_name, |(container, _)| container)
}

/// The words of a command whose name was written in capitals or not. Arguments that are not known any more
/// are left out, but for the name of a subcommand.
pub fn words(spec: &Spec, in_capitals: bool, args: Option<&Words>) -> Vec<Bytes> {
    let name = container(spec);
    let name = if in_capitals { name.to_ascii_uppercase() } else { name.to_owned() };
    let args = match args {
        Some(args) => args.list(),
        None => spec.full_name.split('|').skip(1).map(|name| Bytes::from_static(name.as_bytes())).collect(),
    };
    std::iter::once(name.into()).chain(args).collect()
}

/// One slow command.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: u64,
    /// Seconds since the Unix epoch.
    pub time_s: u64,
    pub duration_us: u64,
    pub words: Vec<Bytes>,
    pub client: String,
    pub client_name: Bytes,
}

/// The newest slow commands.
#[derive(Debug, Default)]
pub struct Slowlog {
    next_id: u64,
    /// Newest first.
    entries: VecDeque<Entry>,
}

impl Slowlog {
    /// Enters a command; `entry.id` is chosen here.
    pub fn push(&mut self, mut entry: Entry, len_max: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(len_max);
    }

    /// Newest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[&[u8]]) -> Vec<String> {
        let spec = commands::named(line).unwrap();
        let words = words(spec, line[0][0].is_ascii_uppercase(), Some(&Words::of(spec, &line[1..])));
        words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn only_the_newest_entries_are_kept() {
        let mut log = Slowlog::default();
        for duration_us in 0..5 {
            let entry = Entry {
                id: 0,
                time_s: 1,
                duration_us,
                words: Vec::new(),
                client: String::new(),
                client_name: Bytes::new(),
            };
            log.push(entry, 3);
        }
        let kept: Vec<_> = log.entries().map(|e| (e.id, e.duration_us)).collect();
        assert_eq!(kept, [(4, 4), (3, 3), (2, 2)]);
    }

    #[test]
    fn words_are_those_of_the_command() {
        assert_eq!(shown(&[b"GET", b"k"]), ["GET", "k"]);
        assert_eq!(shown(&[b"client", b"Id"]), ["client", "Id"]);
        assert_eq!(shown(&[b"auth", b"hush"]), ["auth", "(redacted)"]);
    }

    #[test]
    fn words_are_clipped() {
        let long = [b'A'; 129];
        let at_most = [b'A'; 128];
        let expected = format!("{}... (1 more bytes)", "A".repeat(128));
        assert_eq!(shown(&[b"set", &at_most, &long])[1..], ["A".repeat(128), expected]);
        let mut line: Vec<&[u8]> = vec![b"del"; 32];
        assert_eq!(shown(&line).len(), 32);
        assert_eq!(shown(&line)[31], "del");
        line.extend([&b"del"[..]; 3]);
        assert_eq!(shown(&line).len(), 32);
        assert_eq!(shown(&line)[31], "... (4 more arguments)");
    }

    #[test]
    fn without_arguments_the_name_is_told() {
        let spec = commands::named(&[b"client", b"id"]).unwrap();
        assert_eq!(words(spec, true, None), ["CLIENT", "id"]);
    }
}
