//! The arguments of a function of the API, read as Lua's auxiliary library reads them.

use mlua::Value;

use super::{Failure, fail};
use crate::format::to_integer;
use crate::to_reply::number;

type Read<T> = Result<T, Failure>;

pub struct Params<'a> {
    /// The function's name in messages.
    name: &'static str,
    values: &'a [Value],
}

impl<'a> Params<'a> {
    pub fn new(name: &'static str, values: &'a [Value]) -> Self {
        Self { name, values }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn all(&self) -> &'a [Value] {
        self.values
    }

    /// The argument at `index`, counted from 0; nil if there are fewer.
    pub fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    /// A number, or a string that is one.
    pub fn number(&self, index: usize) -> Read<f64> {
        number_of(self.value(index)).map_or_else(|| self.wrong_type(index, "number"), Ok)
    }

    /// As C converts it.
    pub fn integer(&self, index: usize) -> Read<i64> {
        self.number(index).map(to_integer)
    }

    pub fn integer_or(&self, index: usize, default: i64) -> Read<i64> {
        if matches!(self.value(index), Value::Nil) { Ok(default) } else { self.integer(index) }
    }

    /// The bytes of a string, or of a number as Lua prints it.
    pub fn string(&self, index: usize) -> Read<Vec<u8>> {
        crate::to_reply::text(self.value(index)).map_or_else(|| self.wrong_type(index, "string"), Ok)
    }

    pub fn wrong_type<T>(&self, index: usize, expected: &str) -> Read<T> {
        let got = match self.values.get(index) {
            None => "no value",
            Some(value) => type_name(value),
        };
        self.bad(index, &format!("{expected} expected, got {got}"))
    }

    /// The argument is refused, for this reason.
    pub fn bad<T>(&self, index: usize, reason: &str) -> Read<T> {
        fail(format!("bad argument #{} to '{}' ({reason})", index + 1, self.name))
    }
}

/// A number, or what a string reads as.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => read_number(&text.as_bytes()),
        other => number(other),
    }
}

/// A number as Lua reads it: blanks around it, hexadecimal too.
fn read_number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(digits) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|number| sign * number as f64);
    }
    if digits.starts_with(['+', '-']) {
        return None;
    }
    digits.parse::<f64>().ok().map(|number| sign * number)
}

pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
