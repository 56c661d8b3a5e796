//! JSON.RESP: values as RedisJSON 1 put them into RESP2.

use datatypes::Kv;
use datatypes::json::{Json, JsonError};
use resp::Reply;

use super::super::Outcome;
use super::{ReplyBound, document, path};
use crate::{Args, Cx};

/// JSON.RESP key [path]: containers are arrays that begin with their bracket.
pub fn resp(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let Some(document) = document(kv, args.at(0)?, cx)? else { return Ok(Reply::Null) };
    if path.is_legacy() {
        return Ok(reply(document.first(&path)?));
    }
    let mut bound = ReplyBound::default();
    let values = document.values(&path)?.into_iter().map(|value| {
        bound.add(value)?;
        Ok(reply(value))
    });
    Ok(Reply::Array(values.collect::<Result<_, JsonError>>()?))
}

fn reply(value: &Json) -> Reply {
    match value {
        Json::Null => Reply::Null,
        Json::Bool(true) => Reply::Simple("true"),
        Json::Bool(false) => Reply::Simple("false"),
        Json::Int(number) => Reply::Int(*number),
        Json::Big(number) => Reply::Double(*number as f64),
        Json::Float(number) => Reply::Double(*number),
        Json::String(text) => Reply::bulk(text),
        Json::Array(items) => container("[", items.iter().map(reply)),
        Json::Object(fields) => {
            let parts = fields.iter().flat_map(|(name, value)| [Reply::bulk(name.as_bytes()), reply(value)]);
            container("{", parts)
        }
    }
}

fn container(bracket: &'static str, parts: impl Iterator<Item = Reply>) -> Reply {
    Reply::Array(std::iter::once(Reply::Simple(bracket)).chain(parts).collect())
}
