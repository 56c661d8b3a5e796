//! JSON.DEBUG.

use datatypes::Kv;
use datatypes::json::Json;
use resp::Reply;

use super::super::{Outcome, count};
use super::{document, path};
use crate::{Args, Cx};

/// JSON.DEBUG MEMORY key [path]: how much memory RedisJSON takes for such values.
pub fn memory(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 2)?;
    let bytes = |value: &Json| count(value.memory_bytes());
    match document(kv, args.at(1)?, cx)? {
        None if path.is_legacy() => Ok(Reply::Int(0)),
        None => Ok(Reply::Array(Vec::new())),
        Some(document) if path.is_legacy() => Ok(bytes(document.first(&path)?)),
        Some(document) => Ok(Reply::Array(document.values(&path)?.into_iter().map(bytes).collect())),
    }
}
