//! JSON.TYPE and JSON.TOGGLE.

use datatypes::json::{Json, JsonError};
use datatypes::{Kv, KvMut};
use resp::{Protocol, Reply};

use super::super::Outcome;
use super::{Change, Order, document, no_path_or, or_null, path};
use crate::{Args, Cx};

/// JSON.TYPE key [path]: in RESP3, within an array.
pub fn type_of(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let name = |value: &Json| Reply::bulk(value.type_name());
    let reply = match document(kv, args.at(0)?, cx)? {
        None => Reply::Null,
        Some(document) if path.is_legacy() => or_null(document.first(&path).ok(), name),
        Some(document) => Reply::Array(document.values(&path)?.into_iter().map(name).collect()),
    };
    Ok(if cx.protocol == Protocol::Resp3 { Reply::Array(vec![reply]) } else { reply })
}

/// JSON.TOGGLE key path: the new values, as 0 and 1; of the older form, as text.
pub fn toggle(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, path) = (args.at(0)?, path(args, 1)?);
    let change = Change {
        name: "json.toggle",
        key,
        path: &path,
        wanted: Json::is_bool,
        order: Order::AsFound,
        added_bytes: 0,
    };
    let toggled = change.apply(kv, cx, |value| match value {
        Json::Bool(flag) => {
            *flag = !*flag;
            Ok(*flag)
        }
        _ => Err(JsonError::PathGone),
    })?;
    let legacy = path.is_legacy();
    toggled.reply(
        &path,
        || no_path_or(path.text(), "not a bool"),
        |flag| if legacy { Reply::bulk(flag.to_string()) } else { Reply::Int(i64::from(flag)) },
    )
}
