//! The part of `redis` that needs the server: `call`, `pcall`, `acl_check_cmd` and `log`.

use mlua::{Lua, Value};
use resp::Reply;

use super::params::number_of;
use super::{Failure, Outcome, fail, nothing, one};
use crate::format::argument;
use crate::host::{Call, Host, LogLevel};
use crate::session::Session;
use crate::to_lua;

type Read<T> = std::result::Result<T, Failure>;

/// What holds for all commands of one run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub read_only: bool,
    pub cross_slot: bool,
}

/// Serves the prelude: the first argument says what is wanted.
pub fn dispatch(
    lua: &Lua,
    session: &Session,
    host: &mut dyn Host,
    settings: Settings,
    args: &[Value],
) -> Outcome {
    match args {
        [Value::Integer(1), args @ ..] => call(lua, session, host, settings, args),
        [Value::Integer(2), args @ ..] => match call(lua, session, host, settings, args) {
            Err(Failure::Error(text)) => one(Value::Table(to_lua::error(lua, &text)?)),
            Err(Failure::Reply(text)) => one(Value::Table(to_lua::reply_error(lua, &text)?)),
            outcome => outcome,
        },
        [Value::Integer(3), args @ ..] => may_call(host, args),
        [Value::Integer(4), args @ ..] => log(host, args),
        _ => fail("no such function of the host"),
    }
}

fn refused<T>(reason: &str) -> Read<T> {
    Err(Failure::Error(format!("ERR {reason}").into_bytes()))
}

fn call(lua: &Lua, session: &Session, host: &mut dyn Host, settings: Settings, args: &[Value]) -> Outcome {
    let protocol = session.protocol.get();
    let Settings { read_only, cross_slot } = settings;
    let reply = with_words(args, |argv| host.call(argv, Call { protocol, read_only, cross_slot }))?;
    match reply {
        Reply::Error(text) => Err(Failure::Reply(text.to_vec())),
        Reply::Raw(bytes) if bytes.starts_with(b"-") => {
            Err(Failure::Reply(bytes[1..].trim_ascii_end().to_vec()))
        }
        reply => one(to_lua::value(lua, &reply, protocol)?),
    }
}

fn may_call(host: &mut dyn Host, args: &[Value]) -> Outcome {
    match with_words(args, |argv| host.may_call(argv))? {
        Some(yes) => one(Value::Boolean(yes)),
        None => refused("Invalid command passed to redis.acl_check_cmd()"),
    }
}

/// Calls `use_words` with the arguments as bytes; all must be strings or numbers.
fn with_words<T>(args: &[Value], use_words: impl FnOnce(&[&[u8]]) -> T) -> Read<T> {
    if args.is_empty() {
        return refused("Please specify at least one argument for this redis lib call");
    }
    let words = args.iter().map(|arg| match arg {
        Value::String(text) => Some(Word::Text(text.as_bytes())),
        Value::Integer(number) => Some(Word::Number(number.to_string().into_bytes())),
        Value::Number(number) => Some(Word::Number(argument(*number))),
        _ => None,
    });
    let Some(words) = words.collect::<Option<Vec<_>>>() else {
        return refused("Lua redis lib command arguments must be strings or integers");
    };
    let argv: Vec<&[u8]> = words.iter().map(Word::bytes).collect();
    Ok(use_words(&argv))
}

enum Word<'a> {
    Text(mlua::BorrowedBytes<'a>),
    Number(Vec<u8>),
}

impl Word<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number,
        }
    }
}

fn log(host: &mut dyn Host, args: &[Value]) -> Outcome {
    let [level, parts @ ..] = args else {
        return refused("redis.log() requires two arguments or more.");
    };
    if parts.is_empty() {
        return refused("redis.log() requires two arguments or more.");
    }
    let Some(level) = number_of(level) else {
        return refused("First argument must be a number (log level).");
    };
    let Some(level) = LogLevel::of(level) else { return refused("Invalid debug level.") };
    let mut line = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if let Some(text) = crate::to_reply::text(part) {
            if at > 0 {
                line.push(b' ');
            }
            line.extend_from_slice(&text);
        }
    }
    host.log(level, &line);
    nothing()
}
