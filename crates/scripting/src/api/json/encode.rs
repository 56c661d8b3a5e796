//! Values to JSON.

use mlua::{Function, Lua, Table, Value};

use super::super::params::type_name;
use super::super::{Failure, Outcome, Params, fail, one};
use super::settings::{DEPTH_MAX, Settings};
use crate::format::general;
use crate::pulse::Pulse;
use crate::to_reply::number;

type Done = std::result::Result<(), Failure>;

pub fn encode(lua: &Lua, params: &Params<'_>, settings: &Settings, pulse: &Pulse) -> Outcome {
    if params.len() != 1 {
        return params.bad(0, "expected 1 argument");
    }
    let next = lua.globals().raw_get("next")?;
    let mut encoder = Encoder { out: Vec::new(), settings, pulse, next, open: Vec::new() };
    encoder.document(params.value(0))?;
    one(Value::String(lua.create_string(encoder.out)?))
}

struct Encoder<'a> {
    out: Vec<u8>,
    settings: &'a Settings,
    pulse: &'a Pulse,
    /// Lua's: what follows a key of a table.
    next: Function,
    /// What is not complete, the innermost last.
    open: Vec<Open>,
}

enum Open {
    Array {
        table: Table,
        at: usize,
        len: usize,
    },
    /// `last`: the key that was written last.
    Object {
        table: Table,
        last: Value,
    },
}

fn refused<T>(value: &Value, reason: &str) -> Result<T, Failure> {
    fail(format!("Cannot serialise {}: {reason}", type_name(value)))
}

impl Encoder<'_> {
    /// One value with all that is in it. Nesting takes no stack.
    fn document(&mut self, value: &Value) -> Done {
        self.begin(value)?;
        while let Some(open) = self.open.pop() {
            match open {
                Open::Array { at, len, .. } if at == len => self.out.push(b']'),
                Open::Array { table, at, len } => {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    let item: Value = table.raw_get(at + 1)?;
                    self.open.push(Open::Array { table, at: at + 1, len });
                    self.begin(&item)?;
                }
                Open::Object { table, last } => self.pair(table, last)?,
            }
        }
        Ok(())
    }

    fn pair(&mut self, table: Table, last: Value) -> Done {
        let is_first = last.is_nil();
        let (key, value): (Value, Value) = self.next.call((&table, last))?;
        if key.is_nil() {
            self.out.push(b'}');
            return Ok(());
        }
        if !is_first {
            self.out.push(b',');
        }
        self.key(&key)?;
        self.out.push(b':');
        self.open.push(Open::Object { table, last: key });
        self.begin(&value)
    }

    /// Writes a value, or what it begins with if others are in it.
    fn begin(&mut self, value: &Value) -> Done {
        self.pulse.step()?;
        if self.out.len() > self.settings.bytes_max.get() {
            return refused(value, "the result is too large");
        }
        match value {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Integer(_) | Value::Number(_) => self.number(value)?,
            Value::Table(table) => self.open_table(table)?,
            _ => return refused(value, "type not supported"),
        }
        Ok(())
    }

    fn open_table(&mut self, table: &Table) -> Done {
        let depth = self.open.len() + 1;
        if depth > (self.settings.encode_depth.get() as usize).min(DEPTH_MAX) {
            return fail(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        let table = table.clone();
        match self.array_length(&table)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                self.open.push(Open::Array { table, at: 0, len });
            }
            _ => {
                self.out.push(b'{');
                self.open.push(Open::Object { table, last: Value::Nil });
            }
        }
        Ok(())
    }

    /// The greatest index, if the table has nothing but indices and is not too sparse.
    fn array_length(&self, table: &Table) -> Result<Option<usize>, Failure> {
        let (mut greatest, mut items) = (0f64, 0f64);
        for pair in table.pairs::<Value, Value>() {
            match number(&pair?.0) {
                Some(index) if index >= 1.0 && index.trunc() == index => {
                    greatest = greatest.max(index);
                    items += 1.0;
                }
                _ => return Ok(None),
            }
        }
        let ratio = f64::from(self.settings.sparse_ratio.get());
        let safe = f64::from(self.settings.sparse_safe.get());
        if ratio > 0.0 && greatest > items * ratio && greatest > safe {
            if self.settings.sparse_convert.get() == 0 {
                return fail("Cannot serialise table: excessively sparse array");
            }
            return Ok(None);
        }
        Ok(Some(greatest as usize))
    }

    fn key(&mut self, key: &Value) -> Done {
        match key {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => {
                self.out.push(b'"');
                self.number(key)?;
                self.out.push(b'"');
            }
            _ => return refused(key, "table key must be a number or string"),
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Done {
        let number = number(value).unwrap_or_default();
        if !number.is_finite() {
            match self.settings.encode_invalid_numbers.get() {
                0 => return refused(value, "must not be NaN or Inf"),
                1 if number.is_nan() => self.out.extend_from_slice(b"nan"),
                1 => self.out.extend_from_slice(general(number, 14).as_bytes()),
                _ => self.out.extend_from_slice(b"null"),
            }
            return Ok(());
        }
        let precision = self.settings.precision.get().clamp(1, 14) as usize;
        self.out.extend_from_slice(general(number, precision).as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.out.extend_from_slice(&[b'\\', byte]),
                0x08 => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                0x0C => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                0..0x20 | 0x7F => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}
