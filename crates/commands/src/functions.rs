//! The arguments of FUNCTION's subcommands, and what a node answers that has no libraries.

use bytes::{Bytes, BytesMut};
use datatypes::rdb;
use resp::Reply;

use crate::args::is;
use crate::error::FunctionError;
use crate::{Args, CommandError};

/// What FUNCTION LIST shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing<'a> {
    /// Of the libraries' names.
    pub pattern: Option<&'a [u8]>,
    pub with_code: bool,
}

/// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]
pub fn listing<'a>(args: &Args<'a>) -> Result<Listing<'a>, CommandError> {
    let mut listing = Listing { pattern: None, with_code: false };
    let mut rest = args.from(1).iter();
    while let Some(word) = rest.next() {
        if is(word, "WITHCODE") && !listing.with_code {
            listing.with_code = true;
        } else if is(word, "LIBRARYNAME") && listing.pattern.is_none() {
            let pattern = rest.next().ok_or(CommandError::Function(FunctionError::NoLibraryName))?;
            listing.pattern = Some(pattern);
        } else {
            return Err(CommandError::Function(FunctionError::UnknownArgument(word.to_vec())));
        }
    }
    Ok(listing)
}

/// FUNCTION LOAD [REPLACE] code: the code, and whether it may replace a library.
pub fn loading<'a>(args: &Args<'a>) -> Result<(&'a [u8], bool), CommandError> {
    let (code, options) = args.from(1).split_last().ok_or(CommandError::Syntax)?;
    match options.iter().find(|option| !is(option, "REPLACE")) {
        Some(unknown) => Err(CommandError::Function(FunctionError::UnknownOption(unknown.to_vec()))),
        None => Ok((code, !options.is_empty())),
    }
}

/// What becomes of the libraries that are there when others are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Append,
    Replace,
    Flush,
}

/// FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]
pub fn restoring<'a>(args: &Args<'a>) -> Result<(&'a [u8], Policy), CommandError> {
    let policy = match args.from(2) {
        [] => Policy::Append,
        [word] if is(word, "APPEND") => Policy::Append,
        [word] if is(word, "REPLACE") => Policy::Replace,
        [word] if is(word, "FLUSH") => Policy::Flush,
        [_] => return Err(CommandError::Function(FunctionError::WrongPolicy)),
        _ => return Err(too_many(args)),
    };
    let payload = args.at(1)?;
    rdb::unseal(payload)?;
    Ok((payload, policy))
}

/// FUNCTION FLUSH [ASYNC | SYNC]
pub fn flushing(args: &Args<'_>) -> Result<(), CommandError> {
    match args.from(1) {
        [] => Ok(()),
        [mode] if is(mode, "SYNC") || is(mode, "ASYNC") => Ok(()),
        [_] => Err(CommandError::Function(FunctionError::WrongFlush)),
        _ => Err(too_many(args)),
    }
}

fn too_many(args: &Args<'_>) -> CommandError {
    CommandError::Subcommand { container: "function", name: args.from(0)[0].to_vec() }
}

/// FUNCTION DUMP without libraries.
pub fn empty_payload() -> Bytes {
    let mut payload = BytesMut::new();
    rdb::seal(&mut payload, rdb::VERSION);
    payload.freeze()
}

/// What FUNCTION STATS tells of a script or function that runs: its name, the command that called it.
pub fn running(name: &str, command: &[Bytes], ran_ms: u64) -> Reply {
    Reply::Map(vec![
        (Reply::bulk("name"), Reply::bulk(name)),
        (Reply::bulk("command"), Reply::Array(command.iter().cloned().map(Reply::Bulk).collect())),
        (Reply::bulk("duration_ms"), Reply::Int(ran_ms as i64)),
    ])
}

/// FUNCTION STATS; `running` is null, or what runs.
pub fn stats(running: Reply, engines: Reply) -> Reply {
    Reply::Map(vec![(Reply::bulk("running_script"), running), (Reply::bulk("engines"), engines)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, CommandError>) -> String {
        String::from_utf8(result.unwrap_err().text().into_owned()).unwrap()
    }

    #[test]
    fn nonsense_is_refused_in_the_words_of_redis() {
        let listed = |args: &[&[u8]]| refused(listing(&Args::new(args)));
        assert_eq!(listed(&[b"list", b"LIBRARYNAME"]), "ERR library name argument was not given");
        assert_eq!(listed(&[b"list", b"WITHCODE", b"withcode"]), "ERR Unknown argument withcode");
        let loaded = |args: &[&[u8]]| refused(loading(&Args::new(args)));
        assert_eq!(loaded(&[b"load", b"foo", b"bar", b"code"]), "ERR Unknown option given: foo");
        let flushed = |args: &[&[u8]]| refused(flushing(&Args::new(args)));
        assert_eq!(flushed(&[b"flush", b"x"]), "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        let number = "ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.";
        assert_eq!(flushed(&[b"flush", b"sync", b"x"]), number);
        let restored = |args: &[&[u8]]| refused(restoring(&Args::new(args)));
        let policy = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
        assert_eq!(restored(&[b"restore", b"payload", b"x"]), policy);
        let checksum = "ERR DUMP payload version or checksum are wrong";
        assert_eq!(restored(&[b"restore", b"payload", b"flush"]), checksum);
    }

    #[test]
    fn options_are_taken_in_any_case() {
        let args: &[&[u8]] = &[b"list", b"libraryname", b"a*", b"withcode"];
        let expected = Listing { pattern: Some(b"a*"), with_code: true };
        assert_eq!(listing(&Args::new(args)).unwrap(), expected);
        assert_eq!(loading(&Args::new(&[b"load", b"Replace", b"c"])).unwrap(), (&b"c"[..], true));
        assert_eq!(loading(&Args::new(&[b"load", b"replace"])).unwrap(), (&b"replace"[..], false));
        let payload = empty_payload();
        let args: &[&[u8]] = &[b"restore", &payload, b"flush"];
        assert_eq!(restoring(&Args::new(args)).unwrap(), (&payload[..], Policy::Flush));
    }
}
