//! JSON.NUMINCRBY and JSON.NUMMULTBY.

use datatypes::KvMut;
use datatypes::json::{Arithmetic, Json, JsonError, Writer, arithmetic};
use resp::{Protocol, Reply};

use super::super::Outcome;
use super::get::Format;
use super::{Change, Order, no_path_or, operand, path};
use crate::{Args, Cx};

pub fn numincrby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    change(kv, args, cx, Arithmetic::Add, "json.numincrby")
}

pub fn nummultby(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    change(kv, args, cx, Arithmetic::Multiply, "json.nummultby")
}

/// In RESP3 an array of numbers; in RESP2 one text, JSON itself.
fn change(
    kv: &mut dyn KvMut,
    args: &Args<'_>,
    cx: &Cx,
    operation: Arithmetic,
    name: &'static str,
) -> Outcome {
    let (key, path, number) = (args.at(0)?, path(args, 1)?, args.at(2)?);
    // It is needed only if there is something to change.
    let number = operand(number);
    let change =
        Change { name, key, path: &path, wanted: Json::is_number, order: Order::AsFound, added_bytes: 0 };
    let changed = change.apply(kv, cx, |value| {
        let number = number.as_ref().map_err(JsonError::clone)?;
        *value = arithmetic(operation, value, number)?;
        Ok(value.clone())
    })?;
    if cx.protocol == Protocol::Resp3 {
        let replies = changed.results.iter().map(|result| match result {
            Some(number) => Format::Values.reply(number),
            None => Ok(Reply::Null),
        });
        return Ok(Reply::Array(replies.collect::<Result<_, _>>()?));
    }
    if path.is_legacy() {
        let number = changed.single(|| no_path_or(path.text(), "does not contains a number"))?;
        return Ok(Reply::Bulk(number.to_text()?.into()));
    }
    let mut writer = Writer::default();
    writer.array(changed.results.iter().map(|result| result.as_ref().unwrap_or(&Json::Null)))?;
    Ok(Reply::Bulk(writer.finish().into()))
}
