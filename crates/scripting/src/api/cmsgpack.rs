//! `cmsgpack`: values as MessagePack, as Salvatore Sanfilippo's library writes and reads it.
//!
//! Tables deeper than 16 levels are written as nil. Nothing is allocated from a declared length.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{Failure, Outcome, Params, RESULTS_MAX, fail, native, one};
use crate::format::to_integer;
use crate::session::Session;
use crate::to_reply::number;

type Read<T> = std::result::Result<T, Failure>;

/// Deeper tables are written as nil.
const WRITE_DEPTH_MAX: usize = 16;
/// Deeper ones are not read.
const READ_DEPTH_MAX: usize = 128;

const TOO_MANY: &str = "too many return values at once; use unpack_one or unpack_limit instead.";

pub fn library(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let library = lua.create_table()?;
    let shared = Rc::clone(session);
    let pack = move |lua: &Lua, params: &Params<'_>| pack(lua, params, &shared);
    library.raw_set("pack", native(lua, "pack", pack)?)?;
    library.raw_set("unpack", native(lua, "unpack", |lua, params| unpack(lua, params, 0, 0))?)?;
    let one = |lua: &Lua, params: &Params<'_>| unpack(lua, params, 1, params.integer_or(1, 0)?);
    library.raw_set("unpack_one", native(lua, "unpack_one", one)?)?;
    let limited =
        |lua: &Lua, params: &Params<'_>| unpack(lua, params, params.integer(1)?, params.integer_or(2, 0)?);
    library.raw_set("unpack_limit", native(lua, "unpack_limit", limited)?)?;
    for (name, text) in [
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ] {
        library.raw_set(name, text)?;
    }
    Ok(library)
}

fn pack(lua: &Lua, params: &Params<'_>, session: &Session) -> Outcome {
    if params.len() == 0 {
        return fail("bad argument #0 to 'pack' (MessagePack pack needs input.)");
    }
    let mut packer = Packer { out: Vec::new(), session };
    for value in params.all() {
        packer.value(value, 0)?;
    }
    one(Value::String(lua.create_string(packer.out)?))
}

struct Packer<'a> {
    out: Vec<u8>,
    session: &'a Session,
}

impl Packer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Read<()> {
        self.session.pulse.step()?;
        if self.out.len() > self.session.json.bytes_max.get() {
            return fail("the result of pack is too large");
        }
        match value {
            Value::String(text) => put_text(&mut self.out, &text.as_bytes()),
            Value::Boolean(yes) => self.out.push(if *yes { 0xC3 } else { 0xC2 }),
            Value::Table(table) if depth < WRITE_DEPTH_MAX => self.table(table, depth)?,
            other => match number(other) {
                Some(number) => put_number(&mut self.out, number),
                None => self.out.push(0xC0),
            },
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> Read<()> {
        let (pairs, is_array) = shape(table)?;
        if is_array {
            put_count(&mut self.out, pairs, 0x90, 0xDC);
            for index in 1..=pairs {
                self.value(&table.raw_get(index)?, depth + 1)?;
            }
            return Ok(());
        }
        put_count(&mut self.out, pairs, 0x80, 0xDE);
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            self.value(&key, depth + 1)?;
            self.value(&value, depth + 1)?;
        }
        Ok(())
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        len @ 0..32 => out.push(0xA0 | len as u8),
        len @ 32..=0xFF => out.extend_from_slice(&[0xD9, len as u8]),
        len => put_length(out, len, 0xDA, 0xDB),
    }
    out.extend_from_slice(text);
}

fn put_length(out: &mut Vec<u8>, len: usize, short: u8, long: u8) {
    if let Ok(len) = u16::try_from(len) {
        out.push(short);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(long);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

fn put_number(out: &mut Vec<u8>, number: f64) {
    let integer = to_integer(number);
    if integer as f64 == number {
        put_integer(out, integer);
    } else if f64::from(number as f32) == number {
        out.push(0xCA);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xCB);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let (head, bytes) = match number {
        -32..=127 => return out.push(number as u8),
        128..=0xFF => (0xCC, 1),
        0x100..=0xFFFF => (0xCD, 2),
        0x1_0000..=0xFFFF_FFFF => (0xCE, 4),
        0x1_0000_0000.. => (0xCF, 8),
        -128..-32 => (0xD0, 1),
        -0x8000..-128 => (0xD1, 2),
        -0x8000_0000..-0x8000 => (0xD2, 4),
        _ => (0xD3, 8),
    };
    out.push(head);
    out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
}

/// How many elements follow: in the head itself if that has room.
fn put_count(out: &mut Vec<u8>, count: usize, short: u8, long: u8) {
    match count {
        0..16 => out.push(short | count as u8),
        _ => put_length(out, count, long, long + 1),
    }
}

/// How many pairs a table has, and whether their keys are 1 and so on without a gap.
fn shape(table: &Table) -> Result<(usize, bool)> {
    let (mut pairs, mut greatest, mut indices) = (0usize, 0f64, true);
    for pair in table.pairs::<Value, Value>() {
        pairs += 1;
        match number(&pair?.0) {
            Some(key) if key > 0.0 && key.trunc() == key => greatest = greatest.max(key),
            _ => indices = false,
        }
    }
    Ok((pairs, indices && greatest == pairs as f64))
}

/// `limit` and `start` 0: everything, and no offset is answered.
fn unpack(lua: &Lua, params: &Params<'_>, limit: i64, start: i64) -> Outcome {
    let data = params.string(0)?;
    if start < 0 || limit < 0 {
        let len = data.len() as i32;
        return fail(format!(
            "Invalid request to unpack with offset of {} and limit of {len}.",
            start as i32
        ));
    }
    let Some(rest) = usize::try_from(start).ok().and_then(|start| data.get(start..)) else {
        return fail(format!("Start offset {} greater than input length {}.", start as i32, data.len()));
    };
    let all = limit == 0 && start == 0;
    let mut input = Input { rest, depth: 0 };
    let mut results = Vec::new();
    while !input.rest.is_empty() && (all || (results.len() as i64) < limit) {
        if results.len() == RESULTS_MAX {
            return fail(TOO_MANY);
        }
        results.push(input.value(lua)?);
    }
    if !all {
        let offset = if input.rest.is_empty() { -1.0 } else { (data.len() - input.rest.len()) as f64 };
        results.insert(0, Value::Number(offset));
    }
    Ok(MultiValue::from_vec(results))
}

struct Input<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Input<'a> {
    fn value(&mut self, lua: &Lua) -> Read<Value> {
        let [head] = self.array()?;
        Ok(match head {
            0xC0 => Value::Nil,
            0xC2 => Value::Boolean(false),
            0xC3 => Value::Boolean(true),
            0xCA => Value::Number(f32::from_be_bytes(self.array()?).into()),
            0xCB => Value::Number(f64::from_be_bytes(self.array()?)),
            0xCC => Value::Number(u8::from_be_bytes(self.array()?).into()),
            0xCD => Value::Number(u16::from_be_bytes(self.array()?).into()),
            0xCE => Value::Number(u32::from_be_bytes(self.array()?).into()),
            0xCF => Value::Number(u64::from_be_bytes(self.array()?) as i64 as f64),
            0xD0 => Value::Number(i8::from_be_bytes(self.array()?).into()),
            0xD1 => Value::Number(i16::from_be_bytes(self.array()?).into()),
            0xD2 => Value::Number(i32::from_be_bytes(self.array()?).into()),
            0xD3 => Value::Number(i64::from_be_bytes(self.array()?) as f64),
            0x00..=0x7F => Value::Number(head.into()),
            0xE0..=0xFF => Value::Number((head as i8).into()),
            0xA0..=0xBF | 0xD9..=0xDB => {
                let len = self.text_length(head)?;
                Value::String(lua.create_string(self.take(len)?)?)
            }
            0x90..=0x9F | 0xDC | 0xDD => {
                let len = self.length(head)?;
                self.nested(|input| input.list(lua, len))?
            }
            0x80..=0x8F | 0xDE | 0xDF => {
                let len = self.length(head)?;
                self.nested(|input| input.map(lua, len))?
            }
            _ => return fail("Bad data format in input."),
        })
    }

    fn text_length(&mut self, head: u8) -> Read<usize> {
        Ok(match head {
            0xD9 => u8::from_be_bytes(self.array()?).into(),
            0xDA => u16::from_be_bytes(self.array()?).into(),
            0xDB => u32::from_be_bytes(self.array()?) as usize,
            _ => usize::from(head & 0x1F),
        })
    }

    fn length(&mut self, head: u8) -> Read<usize> {
        Ok(match head {
            0xDC | 0xDE => u16::from_be_bytes(self.array()?).into(),
            0xDD | 0xDF => u32::from_be_bytes(self.array()?) as usize,
            _ => usize::from(head & 0xF),
        })
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.depth == READ_DEPTH_MAX {
            return fail(TOO_MANY);
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self, lua: &Lua, len: usize) -> Read<Value> {
        let table = lua.create_table()?;
        for index in 1..=len {
            table.raw_set(index, self.value(lua)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, lua: &Lua, len: usize) -> Read<Value> {
        let table = lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value(lua)?, self.value(lua)?);
            match key {
                Value::Nil => return fail("table index is nil"),
                Value::Number(key) if key.is_nan() => return fail("table index is NaN"),
                key => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => fail("Missing bytes in input."),
        }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(std::array::from_fn(|at| bytes[at]))
    }
}
