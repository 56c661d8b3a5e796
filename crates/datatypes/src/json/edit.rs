//! Changes of one value.

use super::{Json, JsonError};

/// What JSON.NUMINCRBY and JSON.NUMMULTBY do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Multiply,
}

/// The result for two numbers: an integer of two integers, which wraps around as in RedisJSON; else a
/// float, which must be finite.
pub fn arithmetic(operation: Arithmetic, left: &Json, right: &Json) -> Result<Json, JsonError> {
    if let (Json::Int(left), Json::Int(right)) = (left, right) {
        return Ok(Json::Int(match operation {
            Arithmetic::Add => left.wrapping_add(*right),
            Arithmetic::Multiply => left.wrapping_mul(*right),
        }));
    }
    let (Some(left), Some(right)) = (left.number(), right.number()) else { return Err(JsonError::NotNumber) };
    let result = match operation {
        Arithmetic::Add => left + right,
        Arithmetic::Multiply => left * right,
    };
    if result.is_finite() { Ok(Json::Float(result)) } else { Err(JsonError::NotFinite) }
}

/// JSON merge patch (RFC 7396): objects are merged field by field, null removes a field, anything else
/// replaces what was there.
pub fn merge(value: &mut Json, patch: Json) {
    let Json::Object(patch) = patch else {
        *value = patch;
        return;
    };
    if !value.is_object() {
        *value = Json::Object(Box::default());
    }
    let Json::Object(fields) = value else { return };
    for (name, patch) in *patch {
        if patch == Json::Null {
            fields.swap_remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Json::Null), patch);
        }
    }
}

/// Inserts before an index; negative ones count from the end.
pub fn insert(items: &mut Vec<Json>, index: i64, added: &[Json]) -> Result<(), JsonError> {
    let len = items.len() as i64;
    let at = if index < 0 { len + index } else { index };
    let at = usize::try_from(at).ok().filter(|&at| at <= items.len()).ok_or(JsonError::InsertOutOfBounds)?;
    items.splice(at..at, added.iter().cloned());
    Ok(())
}

/// Takes the element at an index, or the one nearest to it.
pub fn pop(items: &mut Vec<Json>, index: i64) -> Option<Json> {
    if items.is_empty() {
        return None;
    }
    Some(items.remove(nearest(index, items.len())))
}

/// Keeps the elements from `start` to `stop`, that one included.
pub fn trim(items: &mut Vec<Json>, start: i64, stop: i64) {
    let len = items.len();
    if len == 0 {
        return;
    }
    let beyond = usize::try_from(start).is_ok_and(|start| start >= len);
    let (start, stop) = (nearest(start, len), nearest(stop, len));
    if beyond || start > stop {
        items.clear();
    } else {
        items.truncate(stop + 1);
        items.drain(..start);
    }
    items.shrink_to_fit();
}

/// The index of the first element that equals `wanted`, type of number included, from `start` to
/// before `stop`; a `stop` of 0 is the end. A `start` beyond the last element is the last element.
pub fn first_index(items: &[Json], wanted: &Json, start: i64, stop: i64) -> Option<usize> {
    if items.is_empty() {
        return None;
    }
    let len = items.len();
    let start = nearest(start, len);
    let stop = match usize::try_from(stop) {
        Ok(0) => len,
        Ok(stop) => stop.min(len),
        Err(_) => from_end(stop, len),
    };
    items.get(start..stop)?.iter().position(|item| item == wanted).map(|at| start + at)
}

/// Whether JSON.CLEAR would change the value.
pub fn is_clearable(value: &Json) -> bool {
    match value {
        Json::Array(_) | Json::Object(_) => !value.is_empty(),
        _ => value.number().is_some_and(|number| number != 0.0),
    }
}

/// Empties a container, makes a number 0.
pub fn clear(value: &mut Json) {
    match value {
        Json::Array(items) => items.clear(),
        Json::Object(fields) => fields.clear(),
        _ => *value = Json::Int(0),
    }
}

/// The index in an array of `len`, which is not empty, that is nearest to `index`.
fn nearest(index: i64, len: usize) -> usize {
    match usize::try_from(index) {
        Ok(at) => at.min(len - 1),
        Err(_) => from_end(index, len),
    }
}

fn from_end(index: i64, len: usize) -> usize {
    len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX))
}
