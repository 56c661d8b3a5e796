//! COMMAND GETKEYS and GETKEYSANDFLAGS.

use resp::Reply;

use super::info::key_flags;
use crate::keyspec::{KeySpec, key_flag};
use crate::{Args, CommandError, Spec, lookup};

/// COMMAND GETKEYS command [arg …]
pub fn get_keys(args: &Args<'_>) -> Result<Reply, CommandError> {
    keys_of(args.from(1), |key, _| Reply::bulk(key))
}

/// COMMAND GETKEYSANDFLAGS command [arg …]
pub fn get_keys_and_flags(args: &Args<'_>) -> Result<Reply, CommandError> {
    keys_of(args.from(1), |key, spec| Reply::Array(vec![Reply::bulk(key), key_flags(spec)]))
}

fn keys_of(argv: &[&[u8]], show: impl Fn(&[u8], &KeySpec) -> Reply) -> Result<Reply, CommandError> {
    let spec = find(argv).ok_or(CommandError::GetKeysUnknown)?;
    let is_key = |keys: &&KeySpec| keys.flags & key_flag::NOT_KEY == 0;
    if !spec.keys.iter().any(|keys| is_key(&keys)) {
        return Err(CommandError::GetKeysNone);
    }
    if !spec.accepts(argv.len()) {
        return Err(CommandError::GetKeysArity);
    }
    let args = &argv[1..];
    let of_spec = |keys: &'static KeySpec| keys.indices(args).map(move |at| (at, keys));
    let named = spec.keys.iter().filter(is_key);
    let found: Vec<_> = named.flat_map(of_spec).map(|(at, keys)| show(args[at], keys)).collect();
    if found.is_empty() { Err(CommandError::GetKeysInvalid) } else { Ok(Reply::Array(found)) }
}

fn find(argv: &[&[u8]]) -> Option<&'static Spec> {
    let spec = lookup(argv.first()?)?;
    match argv.get(1) {
        Some(name) if !spec.subcommands.is_empty() => spec.subcommand(name),
        _ => Some(spec),
    }
}
