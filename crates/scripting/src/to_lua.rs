//! Replies of commands as values of a script.
//!
//! RESP2 has a null that is `false` in Lua, and no maps, sets, doubles or booleans of its own; RESP3 has
//! them as tables with one field that tells what they are, and its null is `nil`.

use mlua::{Lua, Result, Table, Value};
use resp::{Aggregate, Bulks, Protocol, Reply};

/// The value of a reply that is no error.
pub fn value(lua: &Lua, reply: &Reply, protocol: Protocol) -> Result<Value> {
    let resp3 = protocol == Protocol::Resp3;
    match reply {
        Reply::Int(number) => Ok(Value::Number(*number as f64)),
        Reply::Bulk(text) => string(lua, text),
        Reply::Simple(text) => tagged(lua, "ok", string(lua, text.as_bytes())?),
        Reply::Status(text) => tagged(lua, "ok", string(lua, text)?),
        Reply::Error(text) => Ok(Value::Table(reply_error(lua, text)?)),
        Reply::Null | Reply::NullArray => Ok(if resp3 { Value::Nil } else { Value::Boolean(false) }),
        Reply::Array(items) | Reply::Push(items) => array(lua, items, protocol),
        Reply::Set(items) if resp3 => set(lua, items, protocol),
        Reply::Set(items) => array(lua, items, protocol),
        Reply::Map(pairs) if resp3 => map(lua, pairs, protocol),
        Reply::Map(pairs) => flat(lua, pairs, protocol),
        Reply::Bulks(aggregate, bulks) => match aggregate {
            Aggregate::Set if resp3 => strings_set(lua, bulks),
            Aggregate::Map if resp3 => strings_map(lua, bulks),
            _ => strings(lua, bulks),
        },
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

fn array(lua: &Lua, items: &[Reply], protocol: Protocol) -> Result<Value> {
    let table = lua.create_table_with_capacity(items.len(), 0)?;
    for (at, item) in items.iter().enumerate() {
        table.raw_set(at + 1, value(lua, item, protocol)?)?;
    }
    Ok(Value::Table(table))
}

fn flat(lua: &Lua, pairs: &[(Reply, Reply)], protocol: Protocol) -> Result<Value> {
    let table = lua.create_table_with_capacity(pairs.len() * 2, 0)?;
    for (at, item) in pairs.iter().flat_map(|(key, item)| [key, item]).enumerate() {
        table.raw_set(at + 1, value(lua, item, protocol)?)?;
    }
    Ok(Value::Table(table))
}

fn map(lua: &Lua, pairs: &[(Reply, Reply)], protocol: Protocol) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, pairs.len())?;
    for (key, item) in pairs {
        let key = value(lua, key, protocol)?;
        if !matches!(key, Value::Nil) {
            table.raw_set(key, value(lua, item, protocol)?)?;
        }
    }
    tagged(lua, "map", Value::Table(table))
}

fn set(lua: &Lua, items: &[Reply], protocol: Protocol) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, items.len())?;
    for item in items {
        let member = value(lua, item, protocol)?;
        if !matches!(member, Value::Nil) {
            table.raw_set(member, true)?;
        }
    }
    tagged(lua, "set", Value::Table(table))
}

fn strings(lua: &Lua, bulks: &Bulks) -> Result<Value> {
    let table = lua.create_table_with_capacity(bulks.len(), 0)?;
    for (at, text) in bulks.iter().enumerate() {
        table.raw_set(at + 1, string(lua, text)?)?;
    }
    Ok(Value::Table(table))
}

fn strings_set(lua: &Lua, bulks: &Bulks) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, bulks.len())?;
    bulks.iter().try_for_each(|text| table.raw_set(string(lua, text)?, true))?;
    tagged(lua, "set", Value::Table(table))
}

fn strings_map(lua: &Lua, bulks: &Bulks) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, bulks.len() / 2)?;
    let mut texts = bulks.iter();
    while let (Some(key), Some(item)) = (texts.next(), texts.next()) {
        table.raw_set(string(lua, key)?, string(lua, item)?)?;
    }
    tagged(lua, "map", Value::Table(table))
}

fn verbatim(lua: &Lua, format: &[u8; 3], text: &[u8]) -> Result<Value> {
    let table = lua.create_table()?;
    table.raw_set("string", string(lua, text)?)?;
    table.raw_set("format", string(lua, format)?)?;
    tagged(lua, "verbatim_string", Value::Table(table))
}
