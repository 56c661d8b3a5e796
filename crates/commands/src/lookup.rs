//! From names and ids to rows: tables built at compile time, nothing allocated.

use crate::table::{ROWS, row};
use crate::{CommandError, Id, Spec};

/// Longest command name; longer ones are unknown without looking.
const NAME_BYTES_MAX: usize = 24;
/// Slots of the hash table; a power of two, at least twice the number of rows.
const SLOTS: usize = 1024;

/// Open addressing with linear probing.
static BY_NAME: [Option<&Spec>; SLOTS] = index_names();
static BY_ID: [Option<&Spec>; Id::COUNT] = index_ids();

/// The command called `name` (any case), containers of subcommands included, internal ones not.
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    let mut buffer = [0; NAME_BYTES_MAX];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let mut slot = hash(lower) % SLOTS;
    loop {
        let spec = BY_NAME[slot]?;
        if spec.full_name.as_bytes() == &*lower {
            return Some(spec);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The row of a wire id: commands, subcommands and internal commands.
pub fn by_id(id: u16) -> Option<&'static Spec> {
    *BY_ID.get(usize::from(id))?
}

impl Id {
    /// Its row.
    pub fn spec(self) -> &'static Spec {
        BY_ID[self as usize].expect("every id has a row: a test looks at all of them")
    }
}

/// The row that `argv` (command name first) names, whatever its arity.
pub fn named(argv: &[&[u8]]) -> Option<&'static Spec> {
    let (&name, args) = argv.split_first()?;
    let spec = lookup(name)?;
    match args.first() {
        Some(&name) if !spec.subcommands.is_empty() => spec.subcommand(name),
        _ => Some(spec),
    }
}

/// The row that executes `argv` (command name first), its arity checked.
pub fn resolve(argv: &[&[u8]]) -> Result<&'static Spec, CommandError> {
    let (&name, args) = argv.split_first().ok_or(CommandError::Syntax)?;
    let spec = lookup(name).ok_or_else(|| CommandError::unknown_command(name, args))?;
    let spec = match args.first() {
        Some(&name) if !spec.subcommands.is_empty() => spec.subcommand(name).ok_or_else(|| {
            CommandError::UnknownSubcommand { container: spec.full_name, name: name.to_vec() }
        })?,
        _ => spec,
    };
    if spec.accepts(argv.len()) { Ok(spec) } else { Err(CommandError::WrongArity(spec.full_name)) }
}

/// FNV-1a.
const fn hash(name: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    (hash ^ hash >> 32) as usize
}

const fn index_names() -> [Option<&'static Spec>; SLOTS] {
    let mut slots = [None; SLOTS];
    let mut at = 0;
    while at < ROWS {
        let spec = row(at);
        if !spec.internal {
            assert!(spec.full_name.len() <= NAME_BYTES_MAX);
            let mut slot = hash(spec.full_name.as_bytes()) % SLOTS;
            while slots[slot].is_some() {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = Some(spec);
        }
        at += 1;
    }
    slots
}

const fn index_ids() -> [Option<&'static Spec>; Id::COUNT] {
    let mut ids = [None; Id::COUNT];
    let mut at = 0;
    while at < ROWS {
        let spec = row(at);
        enter(&mut ids, spec);
        let mut sub = 0;
        while sub < spec.subcommands.len() {
            enter(&mut ids, &spec.subcommands[sub]);
            sub += 1;
        }
        at += 1;
    }
    ids
}

const fn enter(ids: &mut [Option<&'static Spec>; Id::COUNT], spec: &'static Spec) {
    let slot = &mut ids[spec.id as usize];
    assert!(slot.is_none(), "two rows under one id");
    *slot = Some(spec);
}

const _: () = assert!(ROWS * 2 <= SLOTS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_name_and_id() {
        for spec in crate::table::all() {
            assert_eq!(by_id(spec.id as u16).unwrap().full_name, spec.full_name);
            if spec.full_name.contains('|') {
                continue;
            }
            let found = lookup(spec.full_name.to_ascii_uppercase().as_bytes());
            assert_eq!(found.is_none(), spec.internal, "{}", spec.full_name);
            assert!(found.is_none_or(|found| found.id == spec.id));
        }
        assert!((0..Id::COUNT as u16).all(|id| by_id(id).is_some()), "an id without a row");
        assert!(by_id(Id::COUNT as u16).is_none());
    }

    #[test]
    fn unknown_names_are_refused_whatever_they_look_like() {
        for name in [&b""[..], b"gett", b"config|get", b"\0", &[b'g'; 5000]] {
            assert!(lookup(name).is_none());
        }
    }

    #[test]
    fn resolving_finds_subcommands_and_checks_arity() {
        let text = |argv: &[&[u8]]| match resolve(argv) {
            Ok(spec) => spec.full_name.to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(text(&[b"GeT", b"k"]), "get");
        assert_eq!(text(&[b"config", b"GET", b"*"]), "config|get");
        assert_eq!(text(&[b"command"]), "command");
        assert_eq!(text(&[b"get"]), "ERR wrong number of arguments for 'get' command");
        assert_eq!(text(&[b"config"]), "ERR wrong number of arguments for 'config' command");
        assert_eq!(text(&[b"config", b"get"]), "ERR wrong number of arguments for 'config|get' command");
        assert_eq!(text(&[b"config", b"nope"]), "ERR unknown subcommand 'nope'. Try CONFIG HELP.");
        assert_eq!(text(&[b"mset", b"a"]), "ERR wrong number of arguments for 'mset' command");
        // Whoever executes it sees to the pairs, as in Redis.
        assert_eq!(text(&[b"mset", b"a", b"1", b"b"]), "mset");
        assert_eq!(text(&[b"nope", b"a"]), "ERR unknown command 'nope', with args beginning with: 'a' ");
    }
}
