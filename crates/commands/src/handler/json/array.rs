//! Arrays.

use datatypes::json::{Json, JsonError, Path, first_index, insert, pop, trim};
use datatypes::{Kv, KvMut};
use resp::{Protocol, Reply};

use super::super::{Outcome, count};
use super::get::Format;
use super::{Change, Order, document, integer, no_path_or, operand, or_null, path, wrong_type};
use crate::args::is;
use crate::{Args, CommandError, Cx};

const NOT_AN_ARRAY: &str = "not an array";

/// JSON.ARRAPPEND key path value [value …]: the new lengths.
pub fn arrappend(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, path) = (args.at(0)?, path(args, 1)?);
    let (values, added_bytes) = values(args.from(2), "json.arrappend")?;
    let change = Change {
        name: "json.arrappend",
        key,
        path: &path,
        wanted: Json::is_array,
        order: Order::AsFound,
        added_bytes,
    };
    let changed = change.apply(kv, cx, |value| {
        let items = items_mut(value)?;
        items.extend_from_slice(&values);
        Ok(items.len())
    })?;
    changed.reply(&path, || no_path_or(path.original(), NOT_AN_ARRAY), count)
}

/// JSON.ARRINSERT key path index value [value …]: the new lengths.
pub fn arrinsert(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, path, index) = (args.at(0)?, path(args, 1)?, integer(args.at(2)?)?);
    let (values, added_bytes) = values(args.from(3), "json.arrinsert")?;
    let change = Change {
        name: "json.arrinsert",
        key,
        path: &path,
        wanted: Json::is_array,
        order: Order::DeepestFirst,
        added_bytes,
    };
    let changed = change.apply(kv, cx, |value| {
        let items = items_mut(value)?;
        insert(items, index, &values)?;
        Ok(items.len())
    })?;
    changed.reply(&path, || no_path_or(path.text(), NOT_AN_ARRAY), count)
}

/// JSON.ARRTRIM key path start stop: the new lengths.
pub fn arrtrim(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, path) = (args.at(0)?, path(args, 1)?);
    let (start, stop) = (integer(args.at(2)?)?, integer(args.at(3)?)?);
    let order = Order::DeepestFirst;
    let change =
        Change { name: "json.arrtrim", key, path: &path, wanted: Json::is_array, order, added_bytes: 0 };
    let changed = change.apply(kv, cx, |value| {
        let items = items_mut(value)?;
        trim(items, start, stop);
        Ok(items.len())
    })?;
    changed.reply(&path, || no_path_or(path.text(), NOT_AN_ARRAY), count)
}

/// JSON.ARRPOP key [FORMAT STRINGS | EXPAND1 | EXPAND] [path [index]]: the elements; nil of an empty
/// array.
pub fn arrpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (format, rest) = pop_format(args.from(1), cx)?;
    let path = Path::new(rest.first().copied().unwrap_or(Path::ROOT))?;
    let index = rest.get(1).and_then(|text| integer(text).ok()).unwrap_or(-1);
    if path.is_legacy() && format != Format::Texts {
        return Err(JsonError::FormatNeedsPath.into());
    }
    let (key, order) = (args.at(0)?, Order::DeepestFirst);
    // An empty array is changed, as RedisJSON sees it, if the path is of the older form.
    let wanted = if path.is_legacy() { Json::is_array } else { has_items };
    let change = Change { name: "json.arrpop", key, path: &path, wanted, order, added_bytes: 0 };
    let popped = change.apply(kv, cx, |value| match pop(items_mut(value)?, index) {
        Some(element) => format.reply(&element),
        None => Ok(Reply::Null),
    })?;
    popped.reply(&path, || no_path_or(path.text(), NOT_AN_ARRAY), |element| element)
}

fn has_items(value: &Json) -> bool {
    items(value).is_some_and(|items| !items.is_empty())
}

/// JSON.ARRLEN key [path]
pub fn arrlen(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let len = |value: &Json| items(value).map(|items| count(items.len()));
    match document(kv, args.at(0)?, cx)? {
        None if path.is_legacy() => Ok(Reply::Null),
        None => Err(JsonError::NoKey.into()),
        Some(document) if path.is_legacy() => match document.values(&path)?.first() {
            None => Err(JsonError::NoPath(path.original().to_owned()).into()),
            Some(first) => Ok(len(first).ok_or_else(|| no_path_or(path.original(), NOT_AN_ARRAY))?),
        },
        Some(document) => {
            let lengths = document.values(&path)?.into_iter().map(|value| len(value).unwrap_or(Reply::Null));
            Ok(Reply::Array(lengths.collect()))
        }
    }
}

/// JSON.ARRINDEX key path value [start [stop]]: -1 if it is not there.
pub fn arrindex(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = path(args, 1)?;
    let bound = |at: usize| args.all().get(at).map_or(Ok(0), |text| integer(text));
    let (start, stop) = (bound(3)?, bound(4)?);
    if args.len() > 5 {
        return Err(CommandError::WrongArity("json.arrindex"));
    }
    let wanted = operand(args.at(2)?)?;
    let index = |value: &Json| {
        let found = first_index(items(value)?, &wanted, start, stop);
        Some(found.map_or(Reply::Int(-1), count))
    };
    let Some(document) = document(kv, args.at(0)?, cx)? else {
        return Err(JsonError::NoPath(path.original().to_owned()).into());
    };
    if path.is_legacy() {
        let first = document.first(&path)?;
        return Ok(index(first).ok_or_else(|| wrong_type("array", first))?);
    }
    let found = document.values(&path)?.into_iter().map(|value| or_null(index(value), |reply| reply));
    Ok(Reply::Array(found.collect()))
}

fn items(value: &Json) -> Option<&[Json]> {
    match value {
        Json::Array(items) => Some(items),
        _ => None,
    }
}

fn items_mut(value: &mut Json) -> Result<&mut Vec<Json>, JsonError> {
    match value {
        Json::Array(items) => Ok(items),
        _ => Err(JsonError::PathGone),
    }
}

/// The values, at least one, and how long they are as text.
fn values(texts: &[&[u8]], name: &'static str) -> Result<(Vec<Json>, usize), CommandError> {
    if texts.is_empty() {
        return Err(CommandError::WrongArity(name));
    }
    let values = texts.iter().map(|text| Json::parse(text)).collect::<Result<_, _>>()?;
    Ok((values, texts.iter().map(|text| text.len()).sum()))
}

/// The format, and what follows it. FORMAT alone is a path.
fn pop_format<'a, 'b>(words: &'b [&'a [u8]], cx: &Cx) -> Result<(Format, &'b [&'a [u8]]), JsonError> {
    match words {
        [word, format, rest @ ..] if is(word, "FORMAT") => match Format::parse(format)? {
            Format::Text => Err(JsonError::ReplyFormat),
            _ if cx.protocol == Protocol::Resp2 => Err(JsonError::FormatNeedsResp3),
            format => Ok((format, rest)),
        },
        rest => Ok((Format::Texts, rest)),
    }
}
