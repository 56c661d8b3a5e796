//! JSON.GET and JSON.MGET: documents as text, or as values of RESP3.

use datatypes::Kv;
use datatypes::json::{Document, Json, JsonError, Layout, Path, Writer};
use indexmap::IndexMap;
use resp::{Protocol, Reply};

use super::super::Outcome;
use super::{ReplyBound, document, text};
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// JSON.GET key [INDENT indent] [NEWLINE newline] [SPACE space] [FORMAT format] [path …]
pub fn get(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args.from(1), cx)?;
    let key = args.at(0)?;
    if options.wants_text_as_stored() {
        return Ok(text(kv, key, cx)?.map_or(Reply::Null, Reply::Bulk));
    }
    let Some(document) = document(kv, key, cx)? else { return Ok(Reply::Null) };
    if options.format != Format::Text && cx.protocol == Protocol::Resp3 {
        return values(&document, &options);
    }
    let mut writer = Writer::new(options.layout);
    match &options.paths[..] {
        [path] => put_single(&mut writer, &document, path)?,
        paths => put_many(&mut writer, &document, paths)?,
    }
    Ok(Reply::Bulk(writer.finish().into()))
}

/// JSON.MGET key [key …] path: nil for what is no document, or has no such path.
pub fn mget(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let Some((path, keys)) = args.all().split_last().filter(|(_, keys)| !keys.is_empty()) else {
        return Err(CommandError::WrongArity("json.mget"));
    };
    let path = Path::new(path)?;
    let mut replies = Vec::with_capacity(keys.len());
    for key in keys {
        replies.push(match text_at(kv, key, &path, cx) {
            Ok(Some(text)) => Reply::Bulk(text.into()),
            Ok(None) | Err(CommandError::Json(_)) => Reply::Null,
            Err(error) => return Err(error),
        });
    }
    Ok(Reply::Array(replies))
}

fn text_at(kv: &mut dyn Kv, key: &[u8], path: &Path<'_>, cx: &Cx) -> Result<Option<Vec<u8>>, CommandError> {
    let Some(document) = document(kv, key, cx)? else { return Ok(None) };
    let mut writer = Writer::default();
    put_single(&mut writer, &document, path)?;
    Ok(Some(writer.finish()))
}

fn put_single(writer: &mut Writer<'_>, document: &Document, path: &Path<'_>) -> Result<(), JsonError> {
    if path.is_legacy() { writer.value(document.first(path)?) } else { writer.array(document.values(path)?) }
}

/// An object with what each path leads to: one value if all are in the older form, else arrays. Paths
/// that are none are left out.
fn put_many(writer: &mut Writer<'_>, document: &Document, paths: &[Path<'_>]) -> Result<(), JsonError> {
    let legacy = paths.iter().all(Path::is_legacy);
    let mut found = IndexMap::new();
    for path in paths {
        match document.values(path) {
            Ok(values) if legacy && values.is_empty() => {
                return Err(JsonError::NoPath(path.original().to_owned()));
            }
            Ok(values) => drop(found.insert(path.original(), values)),
            Err(JsonError::Path(_)) => {}
            Err(error) => return Err(error),
        }
    }
    writer.object(found, |writer, values| match values.first() {
        Some(value) if legacy => writer.value(value),
        _ => writer.array(values),
    })
}

/// For each path an array of what it leads to.
fn values(document: &Document, options: &Options<'_>) -> Outcome {
    let mut replies = Vec::with_capacity(options.paths.len());
    let mut bound = ReplyBound::default();
    for path in &options.paths {
        let values = match document.values(path) {
            Err(JsonError::Path(_)) => Vec::new(),
            values => values?,
        };
        let values = values.into_iter().map(|value| {
            bound.add(value)?;
            options.format.reply(value)
        });
        replies.push(Reply::Array(values.collect::<Result<_, _>>()?));
    }
    Ok(Reply::Array(replies))
}

/// In which form values are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One text for everything that a path leads to.
    Text,
    /// A text for each value.
    Texts,
    /// Scalars as values of RESP3, a text for each container. (And for each string.)
    Scalars,
    /// Values of RESP3.
    Values,
}

impl Format {
    pub fn parse(word: &[u8]) -> Result<Self, JsonError> {
        match word {
            b"STRING" => Ok(Self::Text),
            b"STRINGS" => Ok(Self::Texts),
            b"EXPAND1" => Ok(Self::Scalars),
            b"EXPAND" => Ok(Self::Values),
            _ => Err(JsonError::ReplyFormat),
        }
    }

    pub fn reply(self, value: &Json) -> Result<Reply, JsonError> {
        if let Self::Text | Self::Texts = self {
            return Ok(Reply::Bulk(value.to_text()?.into()));
        }
        Ok(match value {
            Json::Null => Reply::Null,
            Json::Bool(value) => Reply::Bool(*value),
            Json::Int(number) => Reply::Int(*number),
            Json::Big(number) => Reply::Double(*number as f64),
            Json::Float(number) => Reply::Double(*number),
            _ if self == Self::Scalars => Reply::Bulk(value.to_text()?.into()),
            Json::String(text) => Reply::bulk(text),
            Json::Array(items) => {
                Reply::Array(items.iter().map(|item| self.reply(item)).collect::<Result<_, _>>()?)
            }
            Json::Object(fields) => {
                let fields =
                    fields.iter().map(|(name, value)| Ok((Reply::bulk(name.as_bytes()), self.reply(value)?)));
                Reply::Map(fields.collect::<Result<_, JsonError>>()?)
            }
        })
    }
}

#[derive(Debug)]
struct Options<'a> {
    format: Format,
    layout: Layout<'a>,
    /// At least one.
    paths: Vec<Path<'a>>,
}

impl<'a> Options<'a> {
    fn parse(words: &'a [&'a [u8]], cx: &Cx) -> Result<Self, CommandError> {
        let mut options = Self { format: Format::Text, layout: Layout::default(), paths: Vec::new() };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().copied().ok_or(CommandError::WrongArity("json.get"));
            if is(word, "INDENT") {
                options.layout.indent = value()?;
            } else if is(word, "NEWLINE") {
                options.layout.newline = value()?;
            } else if is(word, "SPACE") {
                options.layout.space = value()?;
            } else if is(word, "FORMAT") {
                if cx.protocol == Protocol::Resp2 && options.paths.is_empty() {
                    return Err(JsonError::FormatNeedsResp3.into());
                }
                options.format = match Format::parse(value()?)? {
                    Format::Texts => return Err(JsonError::ReplyFormat.into()),
                    format => format,
                };
            } else if !is(word, "NOESCAPE") {
                options.paths.push(Path::new(word)?);
            }
        }
        if options.paths.is_empty() {
            options.paths.push(Path::new(Path::ROOT)?);
        }
        Ok(options)
    }

    /// The whole document, compact.
    fn wants_text_as_stored(&self) -> bool {
        let compact =
            [self.layout.indent, self.layout.newline, self.layout.space].iter().all(|x| x.is_empty());
        let whole = matches!(&self.paths[..], [path] if path.is_legacy() && path.is_root());
        compact && whole && self.format == Format::Text
    }
}
