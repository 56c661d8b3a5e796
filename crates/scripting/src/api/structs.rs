//! `struct`: C's structures as strings, as Roberto Ierusalimschy's library packs them.
//!
//! ```text
//! >  <  !n     byte order, greatest alignment
//! b B h H l L T i[n] I[n]   integers of 1, 2, 8, 8, n (4) bytes; small letters are signed
//! f d          floats       x  a zero byte
//! c[n]         n (1) bytes; c0 takes the length from the number before it       s  up to a zero byte
//! ```

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{Failure, Outcome, Params, RESULTS_MAX, fail, native, one};
use crate::format::{to_integer, to_unsigned};
use crate::to_reply::number;

type Read<T> = std::result::Result<T, Failure>;

const INTEGER_BYTES_MAX: usize = 32;
const ALIGNMENT: usize = 8;

pub fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", native(lua, "pack", pack)?)?;
    library.raw_set("unpack", native(lua, "unpack", unpack)?)?;
    library.raw_set("size", native(lua, "size", |_, params| size(params))?)?;
    Ok(library)
}

/// Reads a format, item by item.
struct Format<'a> {
    rest: &'a [u8],
    big_endian: bool,
    alignment: usize,
}

/// One item: its letter and how many bytes it takes, as far as the format says.
struct Item {
    letter: u8,
    size: usize,
}

impl<'a> Format<'a> {
    fn new(text: &'a [u8]) -> Self {
        // C's strings end at a zero byte.
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Self { rest: &text[..end], big_endian: false, alignment: 1 }
    }

    fn next(&mut self, params: &Params<'_>) -> Read<Option<Item>> {
        while let Some((&letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let size = match letter {
                b'B' | b'b' | b'x' => 1,
                b'H' | b'h' => 2,
                b'L' | b'l' | b'T' | b'd' => 8,
                b'f' => 4,
                b'c' => self.count(1)?,
                b'i' | b'I' => self.integer_size()?,
                b's' => 0,
                _ => {
                    self.control(letter, params)?;
                    continue;
                }
            };
            return Ok(Some(Item { letter, size }));
        }
        Ok(None)
    }

    fn integer_size(&mut self) -> Read<usize> {
        let size = self.count(4)?;
        if size > INTEGER_BYTES_MAX {
            return fail(format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"));
        }
        Ok(size)
    }

    fn control(&mut self, letter: u8, params: &Params<'_>) -> Read<()> {
        match letter {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.count(ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    return fail(format!("alignment {alignment} is not a power of 2"));
                }
                self.alignment = alignment;
            }
            _ => {
                let reason = format!("invalid format option '{}'", char::from(letter));
                return params.bad(0, &reason);
            }
        }
        Ok(())
    }

    /// A number of C's `int`, or the default.
    fn count(&mut self, default: usize) -> Read<usize> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let text = String::from_utf8_lossy(number);
        match text.parse::<i32>() {
            Ok(number) => Ok(number as usize),
            Err(_) => fail("integral size overflow"),
        }
    }

    /// Bytes to skip before an item that begins at `at`.
    fn padding(&self, at: usize, item: &Item) -> usize {
        if item.size == 0 || item.letter == b'c' {
            return 0;
        }
        let size = item.size.min(self.alignment);
        size.wrapping_sub(at & (size.wrapping_sub(1))) & (size - 1)
    }
}

fn pack(lua: &Lua, params: &Params<'_>) -> Outcome {
    // Its model has a nil behind the arguments.
    let values: Vec<Value> = params.all().iter().cloned().chain([Value::Nil]).collect();
    let params = &if params.len() == 0 { Params::new("pack", &[]) } else { Params::new("pack", &values) };
    let text = params.string(0)?;
    let mut format = Format::new(&text);
    let mut out = Vec::new();
    let mut argument = 1;
    while let Some(item) = format.next(params)? {
        let padding = format.padding(out.len(), &item);
        out.resize(out.len() + padding, 0);
        match item.letter {
            b'x' => {
                out.push(0);
                continue;
            }
            b'f' => put(&mut out, &(params.number(argument)? as f32).to_le_bytes(), format.big_endian),
            b'd' => put(&mut out, &params.number(argument)?.to_le_bytes(), format.big_endian),
            b'c' | b's' => {
                let bytes = params.string(argument)?;
                let size = if item.size == 0 { bytes.len() } else { item.size };
                let Some(bytes) = bytes.get(..size) else {
                    return params.bad(argument + 1, "string too short");
                };
                out.extend_from_slice(bytes);
                if item.letter == b's' {
                    out.push(0);
                }
            }
            _ => put(&mut out, &integer_bytes(params.number(argument)?)[..item.size], format.big_endian),
        }
        argument += 1;
    }
    one(Value::String(lua.create_string(out)?))
}

/// A number as 32 bytes, the lowest first: 64 bits, and zeros.
fn integer_bytes(number: f64) -> [u8; INTEGER_BYTES_MAX] {
    let bits = if number < 0.0 { to_integer(number) as u64 } else { to_unsigned(number) };
    let mut bytes = [0; INTEGER_BYTES_MAX];
    bytes[..8].copy_from_slice(&bits.to_le_bytes());
    bytes
}

fn put(out: &mut Vec<u8>, little_endian: &[u8], big_endian: bool) {
    let start = out.len();
    out.extend_from_slice(little_endian);
    if big_endian {
        out[start..].reverse();
    }
}

fn unpack(lua: &Lua, params: &Params<'_>) -> Outcome {
    let text = params.string(0)?;
    let data = params.string(1)?;
    let mut at = match params.integer_or(2, 1)? {
        0 => return params.bad(2, "offset must be 1 or greater"),
        start => usize::try_from(start - 1).unwrap_or(usize::MAX),
    };
    let mut format = Format::new(&text);
    let mut results: Vec<Value> = Vec::new();
    while let Some(item) = format.next(params)? {
        at = at.saturating_add(format.padding(at, &item));
        let mut size = item.size;
        if results.len() == RESULTS_MAX {
            return fail("stack overflow (too many results)");
        }
        let Some(rest) = data.get(at..).filter(|rest| rest.len() >= size) else {
            return params.bad(1, "data string too short");
        };
        match item.letter {
            b'x' => {}
            b'f' => results.push(Value::Number(f32::from_le_bytes(ordered(rest, format.big_endian)).into())),
            b'd' => results.push(Value::Number(f64::from_le_bytes(ordered(rest, format.big_endian)))),
            b'c' => {
                if size == 0 {
                    size = previous_size(&mut results)?;
                }
                let Some(bytes) = rest.get(..size) else {
                    return params.bad(1, "data string too short");
                };
                results.push(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let Some(end) = rest.iter().position(|&byte| byte == 0) else {
                    return fail("unfinished string in data");
                };
                results.push(Value::String(lua.create_string(&rest[..end])?));
                size = end + 1;
            }
            letter => {
                let signed = letter.is_ascii_lowercase();
                results.push(Value::Number(integer(&rest[..size], format.big_endian, signed)));
            }
        }
        at += size;
    }
    results.push(Value::Number(at as f64 + 1.0));
    Ok(MultiValue::from_vec(results))
}

/// `c0`: the number before it is taken away, and is the length.
fn previous_size(results: &mut Vec<Value>) -> Read<usize> {
    match results.pop().as_ref().and_then(number) {
        Some(size) => Ok(usize::try_from(to_integer(size)).unwrap_or(usize::MAX)),
        None => fail("format 'c0' needs a previous size"),
    }
}

fn ordered<const N: usize>(bytes: &[u8], big_endian: bool) -> [u8; N] {
    let mut ordered = [0; N];
    ordered.copy_from_slice(&bytes[..N]);
    if big_endian {
        ordered.reverse();
    }
    ordered
}

/// The low 64 bits of an integer.
fn integer(bytes: &[u8], big_endian: bool, signed: bool) -> f64 {
    let mut little = [0; INTEGER_BYTES_MAX];
    little[..bytes.len()].copy_from_slice(bytes);
    if big_endian {
        little[..bytes.len()].reverse();
    }
    let mut low = [0; 8];
    low.copy_from_slice(&little[..8]);
    let value = u64::from_le_bytes(low);
    if !signed {
        return value as f64;
    }
    match bytes.len() {
        0 => 0.0,
        size @ 1..8 => {
            let unused = 64 - 8 * size as u32;
            ((value << unused) as i64 >> unused) as f64
        }
        _ => value as i64 as f64,
    }
}

fn size(params: &Params<'_>) -> Outcome {
    let text = params.string(0)?;
    let mut format = Format::new(&text);
    let mut at = 0usize;
    while let Some(item) = format.next(params)? {
        match item {
            Item { letter: b's', .. } => return params.bad(0, "option 's' has no fixed size"),
            Item { letter: b'c', size: 0 } => return params.bad(0, "option 'c0' has no fixed size"),
            _ => {}
        }
        at = at.saturating_add(format.padding(at, &item)).saturating_add(item.size);
    }
    one(Value::Number(at as f64))
}
