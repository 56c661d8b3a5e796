//! COMMAND GETKEYS and GETKEYSANDFLAGS.

use resp::Reply;

use super::info::key_flags;
use crate::keyspec::{KeySpec, key_flag};
use crate::{Args, CommandError, Id, Spec, flags::flag, lookup::named};

/// COMMAND GETKEYS command [arg …]
pub fn get_keys(args: &Args<'_>) -> Result<Reply, CommandError> {
    keys_of(args.from(1), |key, _| Reply::bulk(key))
}

/// COMMAND GETKEYSANDFLAGS command [arg …]
pub fn get_keys_and_flags(args: &Args<'_>) -> Result<Reply, CommandError> {
    keys_of(args.from(1), |key, spec| Reply::Array(vec![Reply::bulk(key), key_flags(spec)]))
}

fn keys_of(argv: &[&[u8]], show: impl Fn(&[u8], &KeySpec) -> Reply) -> Result<Reply, CommandError> {
    let spec = named(argv).ok_or(CommandError::GetKeysUnknown)?;
    let is_key = |keys: &&KeySpec| keys.flags & key_flag::NOT_KEY == 0;
    if !spec.keys.iter().any(|keys| is_key(&keys)) {
        return Err(CommandError::GetKeysNone);
    }
    if !spec.accepts(argv.len()) {
        return Err(CommandError::GetKeysArity);
    }
    let args = &argv[1..];
    let of_spec = |keys: &'static KeySpec| keys.told().indices(args).map(move |at| (at, keys));
    // Whose number of keys is wrong has none.
    let is_right = !spec.keys.iter().any(|keys| keys.falls_short(args));
    let keys = spec.keys.iter().filter(|keys| is_right && is_key(keys));
    let found: Vec<_> =
        keys.flat_map(of_spec).map(|(at, keys)| show(args[at], &settled(spec, keys, args))).collect();
    if found.is_empty() && !spec.flags.has(flag::NO_MANDATORY_KEYS) {
        return Err(CommandError::GetKeysInvalid);
    }
    Ok(Reply::Array(found))
}

/// What the command does to its key, where that depends on its arguments.
fn settled(spec: &Spec, keys: &KeySpec, args: &[&[u8]]) -> KeySpec {
    use key_flag::{ACCESS, OW, RO, RW, UPDATE};
    let has = |words: &[&str], from: usize| {
        args.iter().skip(from).any(|arg| words.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes())))
    };
    let flags = match spec.id {
        Id::Set if has(&["get"], 2) => RW | ACCESS | UPDATE,
        Id::Set => OW | UPDATE,
        Id::Bitfield if has(&["set", "incrby"], 1) => RW | ACCESS | UPDATE,
        Id::Bitfield => RO | ACCESS,
        _ => keys.flags,
    };
    KeySpec { flags, ..*keys }
}
