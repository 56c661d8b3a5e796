//! What scripts can set about JSON, and the functions that set and tell it.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::super::{Failure, Outcome, Params, native, one};
use crate::format::to_int;

type Read<T> = std::result::Result<T, Failure>;
type Field = fn(&Settings) -> &Cell<i32>;

/// Deeper values are refused whatever is set.
pub const DEPTH_MAX: usize = 1000;
/// Of encoded text.
const BYTES_MAX: usize = 64 << 20;

const SWITCH: &[&str] = &["off", "on"];
const INVALID_NUMBERS: &[&str] = &["off", "on", "null"];

pub struct Settings {
    pub sparse_convert: Cell<i32>,
    pub sparse_ratio: Cell<i32>,
    pub sparse_safe: Cell<i32>,
    pub encode_depth: Cell<i32>,
    pub decode_depth: Cell<i32>,
    /// 0: refused, 1: as they are, 2: as null.
    pub encode_invalid_numbers: Cell<i32>,
    pub decode_invalid_numbers: Cell<i32>,
    /// Accepted, and of no consequence.
    keep_buffer: Cell<i32>,
    pub precision: Cell<i32>,
    pub bytes_max: Cell<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: Cell::new(0),
            sparse_ratio: Cell::new(2),
            sparse_safe: Cell::new(10),
            encode_depth: Cell::new(DEPTH_MAX as i32),
            decode_depth: Cell::new(DEPTH_MAX as i32),
            encode_invalid_numbers: Cell::new(0),
            decode_invalid_numbers: Cell::new(1),
            keep_buffer: Cell::new(1),
            precision: Cell::new(14),
            bytes_max: Cell::new(BYTES_MAX),
        }
    }
}

impl Settings {
    /// As they are at first; the bound on the size of what is encoded stays.
    pub fn reset(&self) {
        let first = Self::default();
        let fields: [Field; 9] = [
            |settings| &settings.sparse_convert,
            |settings| &settings.sparse_ratio,
            |settings| &settings.sparse_safe,
            |settings| &settings.encode_depth,
            |settings| &settings.decode_depth,
            |settings| &settings.encode_invalid_numbers,
            |settings| &settings.decode_invalid_numbers,
            |settings| &settings.keep_buffer,
            |settings| &settings.precision,
        ];
        for field in fields {
            field(self).set(field(&first).get());
        }
    }
}

pub fn add_functions(lua: &Lua, library: &Table, settings: &Rc<Settings>) -> Result<()> {
    let numbers: [(&str, Field, i32); 3] = [
        ("encode_max_depth", |settings| &settings.encode_depth, i32::MAX),
        ("decode_max_depth", |settings| &settings.decode_depth, i32::MAX),
        ("encode_number_precision", |settings| &settings.precision, 14),
    ];
    for (name, field, most) in numbers {
        let settings = Rc::clone(settings);
        let run = move |_: &Lua, params: &Params<'_>| {
            at_most(params, 1)?;
            one(number(params, 0, field(&settings), 1, most)?)
        };
        library.raw_set(name, native(lua, name, run)?)?;
    }
    let switches: [(&str, Field, &'static [&'static str]); 3] = [
        ("encode_keep_buffer", |settings| &settings.keep_buffer, SWITCH),
        ("encode_invalid_numbers", |settings| &settings.encode_invalid_numbers, INVALID_NUMBERS),
        ("decode_invalid_numbers", |settings| &settings.decode_invalid_numbers, SWITCH),
    ];
    for (name, field, words) in switches {
        let settings = Rc::clone(settings);
        let run = move |lua: &Lua, params: &Params<'_>| {
            at_most(params, 1)?;
            one(choice(lua, params, field(&settings), words)?)
        };
        library.raw_set(name, native(lua, name, run)?)?;
    }
    let settings = Rc::clone(settings);
    let sparse = move |lua: &Lua, params: &Params<'_>| sparse_array(lua, params, &settings);
    library.raw_set("encode_sparse_array", native(lua, "encode_sparse_array", sparse)?)
}

fn sparse_array(lua: &Lua, params: &Params<'_>, settings: &Settings) -> Outcome {
    at_most(params, 3)?;
    Ok(MultiValue::from_vec(vec![
        choice(lua, params, &settings.sparse_convert, SWITCH)?,
        number(params, 1, &settings.sparse_ratio, 0, i32::MAX)?,
        number(params, 2, &settings.sparse_safe, 0, i32::MAX)?,
    ]))
}

fn at_most(params: &Params<'_>, count: usize) -> Read<()> {
    if params.len() > count { params.bad(count, "found too many arguments") } else { Ok(()) }
}

fn number(params: &Params<'_>, index: usize, setting: &Cell<i32>, least: i32, most: i32) -> Read<Value> {
    if !matches!(params.value(index), Value::Nil) {
        let number = to_int(params.number(index)?);
        if !(least..=most).contains(&number) {
            return params.bad(0, &format!("expected integer between {least} and {most}"));
        }
        setting.set(number);
    }
    Ok(Value::Number(setting.get().into()))
}

/// A boolean, or one of the words.
fn choice(lua: &Lua, params: &Params<'_>, setting: &Cell<i32>, words: &[&str]) -> Read<Value> {
    match params.value(0) {
        Value::Nil => {}
        Value::Boolean(yes) => setting.set(i32::from(*yes)),
        _ => {
            let given = params.string(0)?;
            match words.iter().position(|word| word.as_bytes() == given) {
                Some(at) => setting.set(at as i32),
                None => {
                    let reason = format!("invalid option '{}'", String::from_utf8_lossy(&given));
                    return params.bad(0, &reason);
                }
            }
        }
    }
    Ok(match setting.get() {
        0 => Value::Boolean(false),
        1 => Value::Boolean(true),
        at => Value::String(lua.create_string(words[at as usize])?),
    })
}
