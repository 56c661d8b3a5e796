//! JSON.SET, JSON.MSET and JSON.MERGE.

use std::collections::BTreeMap;

use datatypes::json::{Condition, Document, Json, JsonError, Path, Target, apply, places, targets};
use datatypes::{Event, KvMut};
use resp::Reply;

use super::super::{Outcome, keyspace};
use super::{Opened, put};
use crate::args::is;
use crate::{Args, CommandError, Cx};

const SET: Event = Event::module("json.set");
const MERGED: Event = Event::module("json.merge");

/// JSON.SET key path value [NX | XX] [FORMAT STRING | JSON]
pub fn set(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = Path::new(args.at(1)?)?;
    let condition = options(args, "json.set", true)?;
    let mut keyspace = keyspace(kv, cx);
    let Opened { entry, document } = Opened::new(&mut keyspace, args.at(0)?)?;
    let value = Json::parse(args.at(2)?)?;
    let Some(mut document) = document else {
        if condition == Condition::Present {
            return Ok(Reply::Null);
        }
        put(&mut keyspace, entry, &created(&path, value)?)?;
        keyspace.announce(args.at(0)?, SET);
        return Ok(Reply::OK);
    };
    let written = if path.is_root() {
        document.root = value;
        condition != Condition::Missing
    } else {
        let targets = targets(&document, &path, condition)?;
        apply(&mut document, &targets, &value, false)?
    };
    if !written {
        return Ok(Reply::Null);
    }
    put(&mut keyspace, entry, &document)?;
    keyspace.announce(args.at(0)?, SET);
    Ok(Reply::OK)
}

/// JSON.MERGE key path value [FORMAT STRING | JSON]
pub fn merge(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let path = Path::new(args.at(1)?)?;
    options(args, "json.merge", false)?;
    let mut keyspace = keyspace(kv, cx);
    let Opened { entry, document } = Opened::new(&mut keyspace, args.at(0)?)?;
    let patch = Json::parse(args.at(2)?)?;
    let Some(mut document) = document else {
        put(&mut keyspace, entry, &created(&path, patch)?)?;
        keyspace.announce(args.at(0)?, MERGED);
        return Ok(Reply::OK);
    };
    let targets = places(&document, &path)?;
    if !apply(&mut document, &targets, &patch, true)? {
        return Ok(Reply::Null);
    }
    put(&mut keyspace, entry, &document)?;
    keyspace.announce(args.at(0)?, MERGED);
    Ok(Reply::OK)
}

/// JSON.MSET key path value [key path value …]
///
/// Each path is looked up in what was there before the command.
pub fn mset(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (triplets, []) = args.all().as_chunks() else { return Err(CommandError::WrongArity("json.mset")) };
    let mut keyspace = keyspace(kv, cx);
    let mut opened = BTreeMap::new();
    let mut writes = Vec::new();
    for [key, path, text] in triplets {
        if !opened.contains_key(key) {
            opened.insert(*key, Opened::new(&mut keyspace, key)?);
        }
        let path = Path::new(path)?;
        let targets = match &opened[key].document {
            _ if path.is_root() => vec![Target::Value(Vec::new())],
            Some(document) => targets(document, &path, Condition::None)?,
            None => return Err(JsonError::NotAtRoot.into()),
        };
        writes.push((*key, targets, Json::parse(text)?));
    }
    for (key, targets, value) in writes {
        let Some(Opened { document, .. }) = opened.get_mut(key) else { continue };
        match document {
            Some(document) => drop(apply(document, &targets, &value, false)?),
            None => *document = Some(Document::new(value)),
        }
    }
    for (key, Opened { entry, document }) in opened {
        if let Some(document) = document {
            put(&mut keyspace, entry, &document)?;
            keyspace.announce(key, Event::module("json.mset"));
        }
    }
    Ok(Reply::OK)
}

/// A new document.
fn created(path: &Path<'_>, value: Json) -> Result<Document, JsonError> {
    if path.is_root() { Ok(Document::new(value)) } else { Err(JsonError::NotAtRoot) }
}

/// What follows the value.
fn options(args: &Args<'_>, name: &'static str, conditional: bool) -> Result<Condition, CommandError> {
    let mut condition = Condition::None;
    let mut rest = args.from(3).iter();
    while let Some(word) = rest.next() {
        let open = conditional && condition == Condition::None;
        if is(word, "NX") && open {
            condition = Condition::Missing;
        } else if is(word, "XX") && open {
            condition = Condition::Present;
        } else if is(word, "FORMAT") {
            match *rest.next().ok_or(CommandError::WrongArity(name))? {
                b"STRING" | b"JSON" => {}
                _ => return Err(JsonError::Format.into()),
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(condition)
}
