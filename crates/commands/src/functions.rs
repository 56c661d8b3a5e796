//! FUNCTION, as a server answers it that has no functions: what `redis-cli --cluster add-node` asks.

use bytes::BytesMut;
use datatypes::rdb;
use resp::Reply;

use crate::args::is;
use crate::error::FunctionError;
use crate::{Args, CommandError};

/// What stands before a library in a payload.
const LIBRARY: u8 = 245;
/// Likewise, in release candidates of Redis 7.
const LIBRARY_PRE_GA: u8 = 246;

/// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]
pub fn list(args: &Args<'_>) -> Result<Reply, CommandError> {
    let (mut named, mut with_code) = (false, false);
    let mut rest = args.from(1).iter();
    while let Some(word) = rest.next() {
        if is(word, "WITHCODE") && !with_code {
            with_code = true;
        } else if is(word, "LIBRARYNAME") && !named {
            named = true;
            rest.next().ok_or(CommandError::Function(FunctionError::NoLibraryName))?;
        } else {
            return Err(CommandError::Function(FunctionError::UnknownArgument(word.to_vec())));
        }
    }
    Ok(Reply::Array(Vec::new()))
}

/// FUNCTION DUMP: a payload without libraries.
pub fn dump() -> Reply {
    let mut payload = BytesMut::new();
    rdb::seal(&mut payload, rdb::VERSION);
    Reply::Bulk(payload.freeze())
}

/// FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]: takes a payload without libraries.
pub fn restore(args: &Args<'_>) -> Result<Reply, CommandError> {
    let refused = |error| Err(CommandError::Function(error));
    match args.from(2) {
        [] => {}
        [policy] if ["FLUSH", "APPEND", "REPLACE"].iter().any(|word| is(policy, word)) => {}
        [_] => return refused(FunctionError::WrongPolicy),
        _ => return refused(FunctionError::TooMany(args.at(0)?.to_vec())),
    }
    match rdb::unseal(args.at(1)?)?.first() {
        None => Ok(Reply::OK),
        Some(&LIBRARY) => refused(FunctionError::Unsupported),
        Some(&LIBRARY_PRE_GA) => refused(FunctionError::PreGa),
        Some(_) => refused(FunctionError::NoFunction),
    }
}

/// FUNCTION STATS: nothing runs, and there is no engine that could.
pub fn stats() -> Reply {
    Reply::Map(vec![
        (Reply::bulk("running_script"), Reply::Null),
        (Reply::bulk("engines"), Reply::Map(Vec::new())),
    ])
}
