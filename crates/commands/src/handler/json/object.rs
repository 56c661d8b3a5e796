//! JSON.OBJKEYS and JSON.OBJLEN.

use datatypes::Kv;
use datatypes::json::{Fields, Json, JsonError};
use resp::Reply;

use super::super::{Outcome, count};
use super::{ReplyBound, document, no_path_or, or_null, path, wrong_type};
use crate::{Args, Cx};

/// What an element of a reply takes in memory, about.
const PART_BYTES: usize = size_of::<Reply>();

/// JSON.OBJKEYS key [path]
pub fn objkeys(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let names =
        |fields: &Fields| Reply::Array(fields.keys().map(|name| Reply::bulk(name.as_bytes())).collect());
    match document(kv, args.at(0)?, cx)? {
        None if path.is_legacy() => Ok(Reply::Null),
        None => Err(JsonError::NoKey.into()),
        Some(document) if path.is_legacy() => match document.first(&path) {
            Ok(Json::Object(fields)) => Ok(names(fields)),
            Ok(_) => Err(no_path_or(path.text(), "not an object").into()),
            Err(_) => Ok(Reply::Null),
        },
        Some(document) => {
            let mut bound = ReplyBound::default();
            let found = document.values(&path)?.into_iter().map(|value| {
                let fields = fields(value);
                let bytes = |fields: &Fields| fields.keys().map(|name| PART_BYTES + name.len()).sum();
                bound.add_bytes(fields.map_or(0, bytes))?;
                Ok(or_null(fields, names))
            });
            Ok(Reply::Array(found.collect::<Result<_, JsonError>>()?))
        }
    }
}

/// JSON.OBJLEN key [path]
pub fn objlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let len = |fields: &Fields| count(fields.len());
    match document(kv, args.at(0)?, cx)? {
        None if path.is_legacy() => Ok(Reply::Null),
        None => Err(no_path_or(path.text(), "not an object").into()),
        Some(document) if path.is_legacy() => match document.first(&path) {
            Ok(Json::Object(fields)) => Ok(len(fields)),
            Ok(other) => Err(wrong_type("object", other).into()),
            Err(_) => Ok(Reply::Null),
        },
        Some(document) => {
            let found = document.values(&path)?.into_iter().map(|value| or_null(fields(value), len));
            Ok(Reply::Array(found.collect()))
        }
    }
}

fn fields(value: &Json) -> Option<&Fields> {
    match value {
        Json::Object(fields) => Some(fields),
        _ => None,
    }
}
