//! Looking for plain text in linear time.

use mlua::{Function, Lua, MultiValue, Result, Value};

use super::{native, nothing, one};

/// `string.find` for text that is no pattern: where it begins and ends, or nil.
pub fn find_plain(lua: &Lua) -> Result<Function> {
    native(lua, "find", |_, params| {
        let (Value::String(text), Value::String(wanted)) = (params.value(0), params.value(1)) else {
            return nothing();
        };
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        let start = start(params.integer_or(2, 1)?, text.len());
        match memchr::memmem::find(&text[start..], &wanted) {
            None => one(Value::Nil),
            Some(at) => {
                let first = (start + at + 1) as f64;
                let last = (start + at + wanted.len()) as f64;
                Ok(MultiValue::from_vec(vec![Value::Number(first), Value::Number(last)]))
            }
        }
    })
}

/// Where a search begins: counted from 1, or back from the end if negative.
fn start(init: i64, len: usize) -> usize {
    let start = if init < 0 { (len as i64).saturating_add(init) } else { init - 1 };
    usize::try_from(start.max(0)).map_or(len, |start| start.min(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_lua() {
        for (init, expected) in [(1, 0), (0, 0), (3, 2), (-1, 9), (-20, 0), (20, 10), (i64::MIN, 0)] {
            assert_eq!(start(init, 10), expected);
        }
    }
}
