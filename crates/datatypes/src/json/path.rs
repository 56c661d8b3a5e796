//! Paths as clients write them.

use super::JsonError;
use super::compile::compile;
use super::query::Query;

/// A path. One that begins with `$.` or `$[`, or is `$`, is JSONPath; everything else is in the older
/// form, whose replies are about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    original: &'a str,
    /// The same in JSONPath, if it was in the older form.
    translated: Option<String>,
}

impl<'a> Path<'a> {
    /// What a command without a path is about.
    pub const ROOT: &'static [u8] = b".";

    pub fn new(text: &'a [u8]) -> Result<Self, JsonError> {
        let original = std::str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
        let translated = match original.as_bytes() {
            [b'$'] | [b'$', b'.' | b'[', ..] => None,
            b"." => Some("$".to_owned()),
            [b'.', ..] => Some(format!("${original}")),
            _ => Some(format!("$.{original}")),
        };
        Ok(Self { original, translated })
    }

    pub fn is_legacy(&self) -> bool {
        self.translated.is_some()
    }

    pub fn is_root(&self) -> bool {
        self.text() == "$"
    }

    /// In JSONPath.
    pub fn text(&self) -> &str {
        self.translated.as_deref().unwrap_or(self.original)
    }

    /// As it came.
    pub fn original(&self) -> &'a str {
        self.original
    }

    pub(super) fn compile(&self) -> Result<Query, JsonError> {
        compile(self.text())
    }
}
