//! `redis.register_function`: what the code of a library does with itself.

use std::rc::Rc;

use mlua::{Function, Lua, Result, Table, Value};

use super::{Failure, Outcome, Params, native, nothing};
use crate::flags::ScriptFlags;
use crate::session::{Registered, Session};
use crate::shebang::is_name;
use crate::to_reply::text;

type Read<T> = std::result::Result<T, Failure>;

/// What `redis` has besides constants while a library is loaded.
pub fn library(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let library = lua.create_table()?;
    let shared = Rc::clone(session);
    let register = native(lua, "register_function", move |_, params| register(&shared, params))?;
    library.raw_set("register_function", register)?;
    Ok(library)
}

fn refused<T>(reason: &str) -> Read<T> {
    Err(Failure::Error(format!("ERR {reason}").into_bytes()))
}

fn register(session: &Session, params: &Params<'_>) -> Outcome {
    let mut registering = session.registering.borrow_mut();
    let Some(functions) = registering.as_mut() else {
        return refused("redis.register_function can only be called on FUNCTION LOAD command");
    };
    let function = match params.all() {
        [Value::Table(named)] => by_name(named)?,
        [_] => {
            return refused(
                "calling redis.register_function with a single argument is only applicable to Lua table \
                 (representing named arguments).",
            );
        }
        [name, callback] => by_position(name, callback)?,
        _ => return refused("wrong number of arguments to redis.register_function"),
    };
    if !is_name(&function.name) {
        return refused(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
             character long",
        );
    }
    if functions.iter().any(|known| known.name == function.name) {
        return refused("Function already exists in the library");
    }
    functions.push(function);
    nothing()
}

fn by_position(name: &Value, callback: &Value) -> Read<Registered> {
    let Some(name) = text(name) else {
        return refused("first argument to redis.register_function must be a string");
    };
    let Value::Function(function) = callback else {
        return refused("second argument to redis.register_function must be a function");
    };
    Ok(Registered { name, description: None, flags: ScriptFlags::default(), function: function.clone() })
}

fn by_name(named: &Table) -> Read<Registered> {
    let mut parts = Parts::default();
    for pair in named.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(key) = text(&key) else {
            return refused("named argument key given to redis.register_function is not a string");
        };
        parts.take(&key.to_ascii_lowercase(), &value)?;
    }
    let Some(name) = parts.name else {
        return refused("redis.register_function must get a function name argument");
    };
    let Some(function) = parts.callback else {
        return refused("redis.register_function must get a callback argument");
    };
    Ok(Registered { name, description: parts.description, flags: parts.flags, function })
}

#[derive(Default)]
struct Parts {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    callback: Option<Function>,
    flags: ScriptFlags,
}

impl Parts {
    fn take(&mut self, key: &[u8], value: &Value) -> Read<()> {
        match key {
            b"function_name" => self.name = Some(string(value, "function_name")?),
            b"description" => self.description = Some(string(value, "description")?),
            b"callback" => match value {
                Value::Function(callback) => self.callback = Some(callback.clone()),
                _ => {
                    return refused("callback argument given to redis.register_function must be a function");
                }
            },
            b"flags" => match value {
                Value::Table(names) => self.flags = flags(names)?,
                _ => {
                    return refused(
                        "flags argument to redis.register_function must be a table representing function flags",
                    );
                }
            },
            _ => return refused("unknown argument given to redis.register_function"),
        }
        Ok(())
    }
}

fn string(value: &Value, name: &str) -> Read<Vec<u8>> {
    match text(value) {
        Some(text) => Ok(text),
        None => refused(&format!("{name} argument given to redis.register_function must be a string")),
    }
}

fn flags(names: &Table) -> Read<ScriptFlags> {
    let mut flags = ScriptFlags::default();
    for index in 1.. {
        let name = match names.raw_get::<Value>(index)? {
            Value::Nil => break,
            value => text(&value).unwrap_or_default(),
        };
        match ScriptFlags::named(&name.to_ascii_lowercase()) {
            Some(flag) => flags = flags.with(flag),
            None => return refused("unknown flag given"),
        }
    }
    Ok(flags)
}
