//! What a script returns, as a reply.
//!
//! A table is what its first known field says (`err`, `ok`, `double`, …), else an array up to its first
//! `nil`. Metatables are not asked. Depth and size are bounded: what lies deeper is an error in its place,
//! and a reply that is too large is one error.

use bytes::Bytes;
use mlua::{Table, Value};
use resp::{Protocol, Reply};

use crate::error::flatten;
use crate::format::{lua_number, to_integer};
use crate::pulse::Pulse;

/// How deep tables may lie in each other.
const DEPTH_MAX: usize = 255;
/// What an element costs besides its text.
const ELEMENT_BYTES: usize = 64;

/// Builds the reply of one run.
pub struct Builder<'a> {
    pulse: &'a Pulse,
    /// Of the script, not of its client.
    protocol: Protocol,
    bytes_left: usize,
    depth: usize,
}

/// There is no reply: the script returned too much, or was stopped.
struct TooLarge;

type Built = Result<Reply, TooLarge>;

impl<'a> Builder<'a> {
    pub fn new(pulse: &'a Pulse, protocol: Protocol, bytes_max: usize) -> Self {
        Self { pulse, protocol, bytes_left: bytes_max, depth: 0 }
    }

    /// The whole reply.
    pub fn build(mut self, value: &Value) -> Reply {
        let refused = |_| Reply::error("ERR the reply of the script is too large");
        self.value(value).unwrap_or_else(refused)
    }

    fn value(&mut self, value: &Value) -> Built {
        self.spend(ELEMENT_BYTES)?;
        self.pulse.step().map_err(|_| TooLarge)?;
        match value {
            Value::String(text) => Ok(Reply::Bulk(self.text(&text.as_bytes())?)),
            Value::Boolean(yes) => Ok(self.boolean(*yes)),
            Value::Integer(number) => Ok(Reply::Int(*number)),
            Value::Number(number) => Ok(Reply::Int(to_integer(*number))),
            Value::Table(table) => self.nested(table),
            _ => Ok(Reply::Null),
        }
    }

    fn boolean(&self, yes: bool) -> Reply {
        match (self.protocol, yes) {
            (Protocol::Resp3, _) => Reply::Bool(yes),
            (Protocol::Resp2, true) => Reply::Int(1),
            (Protocol::Resp2, false) => Reply::Null,
        }
    }

    fn nested(&mut self, table: &Table) -> Built {
        if self.depth == DEPTH_MAX {
            return Ok(Reply::error("ERR reached lua stack limit"));
        }
        self.depth += 1;
        let reply = self.table(table);
        self.depth -= 1;
        reply
    }

    fn table(&mut self, table: &Table) -> Built {
        if let Value::String(text) = field(table, "err") {
            return Ok(Reply::Error(self.line(&text.as_bytes())?));
        }
        if let Value::String(text) = field(table, "ok") {
            return Ok(Reply::Status(self.line(&text.as_bytes())?));
        }
        if let Some(number) = number(&field(table, "double")) {
            return Ok(Reply::Double(number));
        }
        if let Value::String(digits) = field(table, "big_number") {
            return Ok(Reply::BigNumber(self.line(&digits.as_bytes())?));
        }
        if let Value::Table(verbatim) = field(table, "verbatim_string")
            && let Some(reply) = self.verbatim(&verbatim)?
        {
            return Ok(reply);
        }
        if let Value::Table(map) = field(table, "map") {
            return self.map(&map);
        }
        if let Value::Table(set) = field(table, "set") {
            return self.set(&set);
        }
        self.array(table)
    }

    fn verbatim(&mut self, table: &Table) -> Result<Option<Reply>, TooLarge> {
        let (Value::String(format), Value::String(text)) = (field(table, "format"), field(table, "string"))
        else {
            return Ok(None);
        };
        let mut name = [b' '; 3];
        for (to, from) in name.iter_mut().zip(format.as_bytes().iter()) {
            *to = *from;
        }
        flatten(&mut name);
        Ok(Some(Reply::Verbatim(name, self.text(&text.as_bytes())?)))
    }

    fn map(&mut self, table: &Table) -> Built {
        let mut pairs = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let Ok((key, value)) = pair else { break };
            pairs.push((self.value(&key)?, self.value(&value)?));
        }
        Ok(Reply::Map(pairs))
    }

    fn set(&mut self, table: &Table) -> Built {
        let mut members = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let Ok((member, _)) = pair else { break };
            members.push(self.value(&member)?);
        }
        Ok(Reply::Set(members))
    }

    fn array(&mut self, table: &Table) -> Built {
        let mut items = Vec::new();
        loop {
            match table.raw_get::<Value>(items.len() + 1) {
                Ok(Value::Nil) | Err(_) => break,
                Ok(item) => items.push(self.value(&item)?),
            }
        }
        Ok(Reply::Array(items))
    }

    fn text(&mut self, text: &[u8]) -> Result<Bytes, TooLarge> {
        self.spend(text.len())?;
        Ok(Bytes::copy_from_slice(text))
    }

    /// A text on one line.
    fn line(&mut self, text: &[u8]) -> Result<Bytes, TooLarge> {
        self.spend(text.len())?;
        let mut text = text.to_vec();
        flatten(&mut text);
        Ok(text.into())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(TooLarge)?;
        Ok(())
    }
}

/// A field, without asking a metatable.
pub fn field(table: &Table, name: &str) -> Value {
    table.raw_get(name).unwrap_or(Value::Nil)
}

pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// The bytes of a string, or of a number as Lua prints it.
pub fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        other => number(other).map(|number| lua_number(number).into_bytes()),
    }
}
