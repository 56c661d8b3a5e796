//! What scripts can call, besides Lua's own libraries.
//!
//! A [`native`] function answers `failure, results...` to the prelude, which raises the failure. It never
//! raises itself: what mlua raises is not a string, and a script could tell.

mod bits;
mod bridge;
mod cmsgpack;
mod json;
mod maths;
mod params;
mod redis;
mod register;
mod strings;
mod structs;

pub use bridge::{Settings as CallSettings, dispatch};
pub use json::Settings as JsonSettings;
pub use params::Params;
pub use redis::{API_CONSTANTS, LOG_CONSTANTS};
pub use strings::find_plain;

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use crate::error::StopReason;
use crate::session::Session;

/// Most results of one call: what Lua 5.1 lets a function of C have.
pub const RESULTS_MAX: usize = 7990;

/// Why a function of the API fails.
#[derive(Debug)]
pub enum Failure {
    /// A message that gets the caller's place in front.
    Message(String),
    /// An error of Redis: a table with its text, code first.
    Error(Vec<u8>),
    /// Likewise, the reply of a command.
    Reply(Vec<u8>),
    /// The machine's own: no memory.
    Machine(mlua::Error),
}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Self::Machine(error)
    }
}

impl From<StopReason> for Failure {
    fn from(reason: StopReason) -> Self {
        Self::Message(reason.text().to_owned())
    }
}

pub fn fail<T>(message: impl Into<String>) -> std::result::Result<T, Failure> {
    Err(Failure::Message(message.into()))
}

pub type Outcome = std::result::Result<MultiValue, Failure>;

/// One result.
pub fn one(value: Value) -> Outcome {
    Ok(MultiValue::from_vec(vec![value]))
}

pub fn nothing() -> Outcome {
    Ok(MultiValue::new())
}

/// A function for the prelude, which knows it as `name` in messages.
pub fn native(
    lua: &Lua,
    name: &'static str,
    run: impl Fn(&Lua, &Params<'_>) -> Outcome + 'static,
) -> Result<Function> {
    lua.create_function(move |lua, args: MultiValue| {
        let args = args.into_vec();
        settle(lua, run(lua, &Params::new(name, &args)))
    })
}

/// What the prelude expects of an outcome.
pub fn settle(lua: &Lua, outcome: Outcome) -> Result<MultiValue> {
    let failure = match outcome {
        Ok(mut results) => {
            results.push_front(Value::Nil);
            return Ok(results);
        }
        Err(Failure::Machine(error)) => return Err(error),
        Err(Failure::Message(message)) => Value::String(lua.create_string(message)?),
        Err(Failure::Error(text)) => Value::Table(crate::to_lua::error(lua, &text)?),
        Err(Failure::Reply(text)) => Value::Table(crate::to_lua::reply_error(lua, &text)?),
    };
    Ok(MultiValue::from_vec(vec![failure]))
}

/// The libraries of Redis: each a table of native functions under its global name.
pub fn libraries(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let libraries = lua.create_table()?;
    libraries.raw_set("bit", bits::library(lua)?)?;
    libraries.raw_set("cjson", json::library(lua, session, Rc::clone(&session.json))?)?;
    libraries.raw_set("cmsgpack", cmsgpack::library(lua, session)?)?;
    libraries.raw_set("struct", structs::library(lua)?)?;
    libraries.raw_set("math", maths::library(lua, session)?)?;
    libraries.raw_set("os", maths::clock(lua, session)?)?;
    libraries.raw_set("redis", redis::library(lua, session)?)?;
    libraries.raw_set("loading", register::library(lua, session)?)?;
    Ok(libraries)
}

/// A new `cjson` with settings of its own.
pub fn new_json(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let settings = JsonSettings::default();
    settings.bytes_max.set(session.json.bytes_max.get());
    json::library(lua, session, Rc::new(settings))
}
