//! JSON documents.
//!
//! Commands take JSONPath, and answer an array with an element for each value that the path leads to;
//! or a path in the older form, and answer about one value ([`Path::is_legacy`]). What such a command
//! changes, it changes wherever the path leads to, and answers for the last place.

mod array;
mod as_resp;
mod debug;
mod delete;
mod get;
mod number;
mod object;
mod set;
mod string;
mod types;

pub use array::{arrappend, arrindex, arrinsert, arrlen, arrpop, arrtrim};
pub use as_resp::resp;
pub use debug::memory;
pub use delete::{clear, del};
pub use get::{get, mget};
pub use number::{numincrby, nummultby};
pub use object::{objkeys, objlen};
pub use set::{merge, mset, set};
pub use string::{strappend, strlen};
pub use types::{toggle, type_of};

use bytes::Bytes;
use datatypes::json::{DOCUMENT_BYTES_MAX, Document, Json, JsonError, Location, Path, deepest_first};
use datatypes::number::parse_i64;
use datatypes::{Entry, Event, Keyspace, Kv, KvMut, Type};
use resp::Reply;

use super::{Outcome, keyspace, reader};
use crate::{Args, CommandError, Cx};

/// The text of the document under `key`.
fn text(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Option<Bytes>, CommandError> {
    match reader(kv, cx).lookup(key)? {
        Some(record) if record.kind != Type::Json => Err(JsonError::NotJson.into()),
        record => Ok(record.map(|record| record.payload)),
    }
}

/// The document under `key`.
fn document(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Option<Document>, CommandError> {
    Ok(text(kv, key, cx)?.map(|text| Document::read(&text)).transpose()?)
}

/// The path at `index`, or the root in the older form.
fn path<'a>(args: &Args<'a>, index: usize) -> Result<Path<'a>, JsonError> {
    Path::new(args.all().get(index).copied().unwrap_or(Path::ROOT))
}

fn integer(text: &[u8]) -> Result<i64, JsonError> {
    parse_i64(text).ok_or(JsonError::NotInteger)
}

/// JSON that a command needs only when it found something to change: it is told otherwise.
fn operand(text: &[u8]) -> Result<Json, JsonError> {
    Json::parse(text).map_err(|error| match error {
        JsonError::Syntax(reason) => JsonError::BadOperand(reason),
        error => error,
    })
}

fn no_path_or(path: &str, wanted: &'static str) -> JsonError {
    JsonError::NoPathOr(path.to_owned(), wanted)
}

fn wrong_type(expected: &'static str, found: &Json) -> JsonError {
    JsonError::WrongType { expected, found: found.type_name().to_owned() }
}

fn or_null<T>(found: Option<T>, reply: impl FnOnce(T) -> Reply) -> Reply {
    found.map_or(Reply::Null, reply)
}

/// A path may find a part of a document many times. Refuses a reply that would take more memory than
/// the largest document.
#[derive(Default)]
struct ReplyBound {
    bytes: usize,
}

impl ReplyBound {
    fn add(&mut self, value: &Json) -> Result<(), JsonError> {
        self.add_bytes(value.reply_bytes(DOCUMENT_BYTES_MAX))
    }

    fn add_bytes(&mut self, bytes: usize) -> Result<(), JsonError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= DOCUMENT_BYTES_MAX { Ok(()) } else { Err(JsonError::TooMuchWork) }
    }
}

/// A key that was looked up to change its document.
struct Opened {
    entry: Entry,
    document: Option<Document>,
}

impl Opened {
    fn new(keyspace: &mut Keyspace<'_>, key: &[u8]) -> Result<Self, CommandError> {
        let entry = keyspace.entry(key)?;
        let document = match entry.live() {
            None => None,
            Some(record) if record.kind != Type::Json => return Err(JsonError::NotJson.into()),
            Some(record) => Some(Document::read(&record.payload)?),
        };
        Ok(Self { entry, document })
    }

    /// The document, for a command that needs one.
    fn existing(self) -> Result<(Entry, Document), CommandError> {
        let document = self.document.ok_or(JsonError::NoKey)?;
        Ok((self.entry, document))
    }
}

/// Stores the document under the entry's key, which keeps its expiry.
fn put(keyspace: &mut Keyspace<'_>, entry: Entry, document: &Document) -> Result<(), CommandError> {
    let record = document.record(entry.live().and_then(|record| record.expiry_ms))?;
    keyspace.put(entry, &record);
    Ok(())
}

/// In which order the values that a path leads to are changed.
#[derive(Clone, Copy)]
enum Order {
    AsFound,
    /// For changes that move other places.
    DeepestFirst,
}

/// A command that changes every value of a type that its path leads to.
struct Change<'a> {
    /// Of the command, and its event.
    name: &'static str,
    key: &'a [u8],
    path: &'a Path<'a>,
    wanted: fn(&Json) -> bool,
    order: Order,
    /// How many bytes are added to each value, about.
    added_bytes: usize,
}

/// What came of a change, for each value that the path led to: `None` if it was not of the type.
struct Changed<T> {
    results: Vec<Option<T>>,
    /// Which was changed last.
    last: Option<usize>,
}

impl Change<'_> {
    /// Changes the values, and stores the document if there were any.
    fn apply<T>(
        self,
        kv: &mut dyn KvMut,
        cx: &Cx,
        mut change: impl FnMut(&mut Json) -> Result<T, JsonError>,
    ) -> Result<Changed<T>, CommandError> {
        let mut keyspace = keyspace(kv, cx);
        let (entry, mut document) = Opened::new(&mut keyspace, self.key)?.existing()?;
        let places = document.places(self.path, self.wanted)?;
        let mut results: Vec<Option<T>> = places.iter().map(|_| None).collect();
        let mut ordered: Vec<(usize, Location)> =
            places.into_iter().enumerate().filter_map(|(at, place)| Some((at, place?))).collect();
        document.reserve(ordered.len(), self.added_bytes)?;
        if let Order::DeepestFirst = self.order {
            ordered.sort_by(|(_, a), (_, b)| deepest_first(a, b));
        }
        for (at, place) in &ordered {
            let value = document.root.at_mut(place).ok_or(JsonError::PathGone)?;
            results[*at] = Some(change(value)?);
        }
        let last = ordered.last().map(|(at, _)| *at);
        if last.is_some() {
            put(&mut keyspace, entry, &document)?;
            keyspace.announce(self.key, Event::module(self.name));
        }
        Ok(Changed { results, last })
    }
}

impl<T> Changed<T> {
    /// For a path in the older form: the result of the last change.
    fn single(mut self, nothing: impl FnOnce() -> JsonError) -> Result<T, JsonError> {
        self.last.and_then(|at| self.results[at].take()).ok_or_else(nothing)
    }

    fn each(self, reply: impl Fn(T) -> Reply) -> Reply {
        Reply::Array(self.results.into_iter().map(|result| or_null(result, &reply)).collect())
    }

    /// The reply for a path of either form.
    fn reply(
        self,
        path: &Path<'_>,
        nothing: impl FnOnce() -> JsonError,
        reply: impl Fn(T) -> Reply,
    ) -> Outcome {
        if path.is_legacy() { Ok(reply(self.single(nothing)?)) } else { Ok(self.each(reply)) }
    }
}
