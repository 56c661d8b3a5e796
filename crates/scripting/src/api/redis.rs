//! The part of `redis` that needs no server: what needs one goes through the host.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};
use resp::Protocol;

use super::params::number_of;
use super::{Failure, Outcome, Params, native, nothing, one};
use crate::error::flatten;
use crate::session::Session;

/// The release whose behaviour this is.
const VERSION: &str = "7.2.6";
const VERSION_NUMBER: f64 = 0x0007_0206 as f64;

/// Constants of log levels.
pub const LOG_CONSTANTS: [(&str, f64); 5] = [
    ("LOG_DEBUG", 0.0),
    ("LOG_VERBOSE", 1.0),
    ("LOG_NOTICE", 2.0),
    ("LOG_WARNING", 3.0),
    ("REDIS_VERSION_NUM", VERSION_NUMBER),
];

/// Where effects go: accepted, and of no consequence.
pub const API_CONSTANTS: [(&str, f64); 5] =
    [("REPL_NONE", 0.0), ("REPL_AOF", 1.0), ("REPL_SLAVE", 2.0), ("REPL_REPLICA", 2.0), ("REPL_ALL", 3.0)];

pub fn library(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("sha1hex", native(lua, "sha1hex", sha1_hex)?)?;
    library.raw_set("error_reply", native(lua, "error_reply", error_reply)?)?;
    library.raw_set("status_reply", native(lua, "status_reply", status_reply)?)?;
    library.raw_set("set_repl", native(lua, "set_repl", |_, params| set_repl(params))?)?;
    let shared = Rc::clone(session);
    library.raw_set("setresp", native(lua, "setresp", move |_, params| set_resp(&shared, params))?)?;
    library.raw_set("breakpoint", native(lua, "breakpoint", |_, _| one(Value::Boolean(false)))?)?;
    library.raw_set("debug", native(lua, "debug", |_, _| nothing())?)?;
    let always = |_: &Lua, _: &Params<'_>| one(Value::Boolean(true));
    library.raw_set("replicate_commands", native(lua, "replicate_commands", always)?)?;
    library.raw_set("REDIS_VERSION", VERSION)?;
    Ok(library)
}

fn error<T>(text: &str) -> std::result::Result<T, Failure> {
    Err(Failure::Error(format!("ERR {text}").into_bytes()))
}

fn sha1_hex(lua: &Lua, params: &Params<'_>) -> Outcome {
    if params.len() != 1 {
        return error("wrong number of arguments");
    }
    // Anything else than text counts as an empty one.
    let text = crate::to_reply::text(params.value(0)).unwrap_or_default();
    one(Value::String(lua.create_string(crate::sha1_hex(&text))?))
}

/// A single string, or an error as a value.
fn single_string(lua: &Lua, params: &Params<'_>) -> Result<std::result::Result<Vec<u8>, MultiValue>> {
    if let [Value::String(text)] = params.all() {
        return Ok(Ok(text.as_bytes().to_vec()));
    }
    let error = crate::to_lua::error(lua, b"ERR wrong number or type of arguments")?;
    Ok(Err(MultiValue::from_vec(vec![Value::Table(error)])))
}

fn status_reply(lua: &Lua, params: &Params<'_>) -> Outcome {
    let text = match single_string(lua, params)? {
        Ok(text) => text,
        Err(refused) => return Ok(refused),
    };
    let table = lua.create_table()?;
    table.raw_set("ok", lua.create_string(text)?)?;
    one(Value::Table(table))
}

fn error_reply(lua: &Lua, params: &Params<'_>) -> Outcome {
    let text = match single_string(lua, params)? {
        Ok(text) => text,
        Err(refused) => return Ok(refused),
    };
    one(Value::Table(crate::to_lua::error(lua, &with_code(&text))?))
}

/// An error's text with its code, which is the first word if there are several. Cut where C's string ends.
fn with_code(text: &[u8]) -> Vec<u8> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (code, message) = match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (&b"ERR"[..], text),
    };
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = message.iter().position(|byte| !is_end(byte)).unwrap_or(message.len());
    let end = message.iter().rposition(|byte| !is_end(byte)).map_or(start, |at| at + 1);
    let mut line = [code, b" ", &message[start..end]].concat();
    flatten(&mut line);
    line
}

fn set_repl(params: &Params<'_>) -> Outcome {
    if params.len() != 1 {
        return error("redis.set_repl() requires one argument.");
    }
    let flags = crate::format::to_integer(number_of(params.value(0)).unwrap_or(0.0));
    if flags & !3 != 0 {
        return error("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    }
    nothing()
}

fn set_resp(session: &Session, params: &Params<'_>) -> Outcome {
    if params.len() != 1 {
        return error("redis.setresp() requires one argument.");
    }
    session.protocol.set(match crate::format::to_integer(number_of(params.value(0)).unwrap_or(0.0)) {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return error("RESP version must be 2 or 3."),
    });
    nothing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_code() {
        for (text, error) in [
            ("My Err", "My Err"),
            ("-My Err", "My Err"),
            ("oops", "ERR oops"),
            ("-oops", "ERR oops"),
            ("ERR line\r\n", "ERR line"),
            ("", "ERR "),
        ] {
            assert_eq!(with_code(text.as_bytes()), error.as_bytes());
        }
    }
}
