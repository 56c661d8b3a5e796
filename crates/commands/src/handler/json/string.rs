//! JSON.STRLEN and JSON.STRAPPEND.

use datatypes::json::{Json, JsonError, Path};
use datatypes::{Kv, KvMut};
use resp::Reply;

use super::super::{Outcome, count};
use super::{Change, Order, document, no_path_or, operand, path, wrong_type};
use crate::{Args, Cx};

/// JSON.STRLEN key [path]: in bytes.
pub fn strlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let len = |value: &Json| match value {
        Json::String(text) => Some(count(text.len())),
        _ => None,
    };
    match document(kv, args.at(0)?, cx)? {
        None if path.is_legacy() => Ok(Reply::Null),
        None => Err(JsonError::NoKey.into()),
        Some(document) if path.is_legacy() => {
            let first = document.first(&path)?;
            Ok(len(first).ok_or_else(|| wrong_type("string", first))?)
        }
        Some(document) => {
            let lengths = document.values(&path)?.into_iter().map(|value| len(value).unwrap_or(Reply::Null));
            Ok(Reply::Array(lengths.collect()))
        }
    }
}

/// JSON.STRAPPEND key [path] value: the new lengths.
pub fn strappend(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let key = args.at(0)?;
    let (path, text) = match args.all() {
        [_, path, text, ..] => (Path::new(path)?, *text),
        _ => (Path::new(Path::ROOT)?, args.at(1)?),
    };
    // It is needed only if there is something to change.
    let suffix = suffix(text);
    let added_bytes = text.len();
    let change = Change {
        name: "json.strappend",
        key,
        path: &path,
        wanted: Json::is_string,
        order: Order::AsFound,
        added_bytes,
    };
    let changed = change.apply(kv, cx, |value| {
        let suffix = suffix.as_ref().map_err(JsonError::clone)?;
        let Json::String(text) = value else { return Err(JsonError::PathGone) };
        text.push_str(suffix);
        Ok(text.len())
    })?;
    changed.reply(&path, || no_path_or(path.text(), "not a string"), count)
}

fn suffix(text: &[u8]) -> Result<String, JsonError> {
    match operand(text)? {
        Json::String(suffix) => Ok(suffix),
        _ => {
            let found = String::from_utf8_lossy(text).into_owned();
            Err(JsonError::WrongType { expected: "string", found })
        }
    }
}
