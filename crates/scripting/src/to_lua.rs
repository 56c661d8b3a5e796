//! Replies of commands as values of a script.
//!
//! RESP2 has a null that is `false` in Lua, and no maps, sets, doubles or booleans of its own; RESP3 has
//! them as tables with one field that tells what they are, and its null is `nil`.

use mlua::{Lua, Result, Table, Value};
use resp::{Aggregate, Protocol, Reply};

/// The value of a reply that is no error.
pub fn value(lua: &Lua, reply: &Reply, protocol: Protocol) -> Result<Value> {
    let resp3 = protocol == Protocol::Resp3;
    let inner = |item| value(lua, item, protocol);
    match reply {
        Reply::Int(number) => Ok(Value::Number(*number as f64)),
        Reply::Bulk(text) => string(lua, text),
        Reply::Simple(text) => tagged(lua, "ok", string(lua, text.as_bytes())?),
        Reply::Status(text) => tagged(lua, "ok", string(lua, text)?),
        Reply::Error(text) => Ok(Value::Table(reply_error(lua, text)?)),
        Reply::Null | Reply::NullArray => Ok(if resp3 { Value::Nil } else { Value::Boolean(false) }),
        Reply::Set(items) if resp3 => set(lua, items.len(), items.iter().map(inner)),
        Reply::Array(items) | Reply::Push(items) | Reply::Set(items) => {
            array(lua, items.len(), items.iter().map(inner))
        }
        Reply::Map(pairs) => {
            let (len, items) = (pairs.len() * 2, pairs.iter().flat_map(|(key, item)| [key, item]).map(inner));
            if resp3 { map(lua, len, items) } else { array(lua, len, items) }
        }
        Reply::Bulks(aggregate, bulks) => {
            let (len, items) = (bulks.len(), bulks.iter().map(|text| string(lua, text)));
            match aggregate {
                Aggregate::Set if resp3 => set(lua, len, items),
                Aggregate::Map if resp3 => map(lua, len, items),
                _ => array(lua, len, items),
            }
        }
        Reply::Double(number) if resp3 => tagged(lua, "double", Value::Number(*number)),
        Reply::Double(number) => {
            let mut text = Vec::new();
            resp::number::put_double(&mut text, *number);
            string(lua, &text)
        }
        Reply::Bool(yes) if resp3 => Ok(Value::Boolean(*yes)),
        Reply::Bool(yes) => Ok(Value::Number(f64::from(u8::from(*yes)))),
        Reply::BigNumber(digits) if resp3 => tagged(lua, "big_number", string(lua, digits)?),
        Reply::BigNumber(digits) => string(lua, digits),
        Reply::Verbatim(format, text) if resp3 => verbatim(lua, format, text),
        Reply::Verbatim(_, text) => string(lua, text),
        Reply::Raw(bytes) => match resp::parse(bytes, protocol) {
            Ok(Some((reply, _))) => value(lua, &reply, protocol),
            _ => Ok(Value::Nil),
        },
    }
}

/// A table that stands for an error: `text` begins with its code.
pub fn error(lua: &Lua, text: &[u8]) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(text)?)?;
    Ok(table)
}

/// The same for the reply of a command, which has been counted as an error already.
pub fn reply_error(lua: &Lua, text: &[u8]) -> Result<Table> {
    let table = error(lua, text)?;
    table.raw_set("ignore_error_stats_update", true)?;
    Ok(table)
}

fn string(lua: &Lua, text: &[u8]) -> Result<Value> {
    lua.create_string(text).map(Value::String)
}

fn tagged(lua: &Lua, tag: &str, inner: Value) -> Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(tag, inner)?;
    Ok(Value::Table(table))
}

fn array(lua: &Lua, len: usize, items: impl Iterator<Item = Result<Value>>) -> Result<Value> {
    let table = lua.create_table_with_capacity(len, 0)?;
    for (at, item) in items.enumerate() {
        table.raw_set(at + 1, item?)?;
    }
    Ok(Value::Table(table))
}

/// Of keys and values in turns.
fn map(lua: &Lua, len: usize, mut items: impl Iterator<Item = Result<Value>>) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, len / 2)?;
    while let (Some(key), Some(item)) = (items.next(), items.next()) {
        let (key, item) = (key?, item?);
        if !matches!(key, Value::Nil) {
            table.raw_set(key, item)?;
        }
    }
    tagged(lua, "map", Value::Table(table))
}

fn set(lua: &Lua, len: usize, items: impl Iterator<Item = Result<Value>>) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, len)?;
    for member in items {
        let member = member?;
        if !matches!(member, Value::Nil) {
            table.raw_set(member, true)?;
        }
    }
    tagged(lua, "set", Value::Table(table))
}

fn verbatim(lua: &Lua, format: &[u8; 3], text: &[u8]) -> Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("string", string(lua, text)?)?;
    table.raw_set("format", string(lua, format)?)?;
    tagged(lua, "verbatim_string", Value::Table(table))
}
