//! `bit`: operations on 32 bits, as Mike Pall's BitOp has them.

use mlua::{Lua, Result, Table, Value};

use super::params::number_of;
use super::{Failure, Outcome, Params, native, one};

type Shift = fn(u32, u32) -> u32;
type Fold = fn(u32, u32) -> u32;

const SHIFTS: [(&str, Shift); 5] = [
    ("lshift", |bits, count| bits << count),
    ("rshift", |bits, count| bits >> count),
    ("arshift", |bits, count| ((bits as i32) >> count) as u32),
    ("rol", u32::rotate_left),
    ("ror", u32::rotate_right),
];

const FOLDS: [(&str, Fold); 3] = [
    ("band", |left, right| left & right),
    ("bor", |left, right| left | right),
    ("bxor", |left, right| left ^ right),
];

pub fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("tobit", native(lua, "tobit", |_, params| answer(bits(params, 0)?))?)?;
    library.raw_set("bnot", native(lua, "bnot", |_, params| answer(!bits(params, 0)?))?)?;
    library.raw_set("bswap", native(lua, "bswap", |_, params| answer(bits(params, 0)?.swap_bytes()))?)?;
    library.raw_set("tohex", native(lua, "tohex", to_hex)?)?;
    for (name, shift) in SHIFTS {
        let run = move |_: &Lua, params: &Params<'_>| answer(shift(bits(params, 0)?, bits(params, 1)? & 31));
        library.raw_set(name, native(lua, name, run)?)?;
    }
    for (name, fold) in FOLDS {
        library.raw_set(name, native(lua, name, move |_, params| folded(params, fold))?)?;
    }
    Ok(library)
}

fn folded(params: &Params<'_>, fold: Fold) -> Outcome {
    let mut result = bits(params, 0)?;
    for index in (1..params.len()).rev() {
        result = fold(result, bits(params, index)?);
    }
    answer(result)
}

fn to_hex(lua: &Lua, params: &Params<'_>) -> Outcome {
    let value = bits(params, 0)?;
    let digits = if params.len() < 2 { 8 } else { bits(params, 1)? as i32 };
    let count = (digits.unsigned_abs() as usize).min(8);
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    one(Value::String(lua.create_string(&text[8 - count..])?))
}

/// The low 32 bits of a number, rounded to the nearest integer, ties to the even one.
fn bits(params: &Params<'_>, index: usize) -> std::result::Result<u32, Failure> {
    /// Adding it moves the integer into the low bits of the mantissa.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    match number_of(params.value(index)) {
        Some(number) => Ok((number + SHIFTER).to_bits() as u32),
        None => params.wrong_type(index, "number"),
    }
}

fn answer(bits: u32) -> Outcome {
    one(Value::Number(f64::from(bits as i32)))
}
