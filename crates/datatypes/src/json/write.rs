//! Writing JSON text, as RedisJSON lays it out.

use super::{DOCUMENT_BYTES_MAX, Json, JsonError};

/// What is put between the parts of a text; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout<'a> {
    /// Before each element, once for each level.
    pub indent: &'a [u8],
    /// Before each element and behind the last.
    pub newline: &'a [u8],
    /// Behind a colon.
    pub space: &'a [u8],
}

/// A text that is being written. It refuses to become longer than a document may be.
#[derive(Debug, Default)]
pub struct Writer<'a> {
    out: Vec<u8>,
    layout: Layout<'a>,
    level: usize,
}

impl Json {
    /// The value as compact text.
    pub fn to_text(&self) -> Result<Vec<u8>, JsonError> {
        let mut writer = Writer::default();
        writer.value(self)?;
        Ok(writer.finish())
    }
}

impl<'a> Writer<'a> {
    pub fn new(layout: Layout<'a>) -> Self {
        Self { layout, ..Self::default() }
    }

    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    pub fn value(&mut self, value: &Json) -> Result<(), JsonError> {
        match value {
            Json::Null => self.put(b"null"),
            Json::Bool(true) => self.put(b"true"),
            Json::Bool(false) => self.put(b"false"),
            Json::Int(number) => self.put(itoa::Buffer::new().format(*number).as_bytes()),
            Json::Big(number) => self.put(itoa::Buffer::new().format(*number).as_bytes()),
            Json::Float(number) => self.put(ryu::Buffer::new().format_finite(*number).as_bytes()),
            Json::String(text) => self.text(text),
            Json::Array(items) => self.array(items),
            Json::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| (&**name, value));
                self.object(fields, |writer, value| writer.value(value))
            }
        }
    }

    pub fn array<'j>(&mut self, items: impl IntoIterator<Item = &'j Json>) -> Result<(), JsonError> {
        self.open(b"[")?;
        let mut first = true;
        for item in items {
            self.next(&mut first)?;
            self.value(item)?;
        }
        self.close(b"]", first)
    }

    /// An object whose values `put` writes.
    pub fn object<'n, T>(
        &mut self,
        fields: impl IntoIterator<Item = (&'n str, T)>,
        mut put: impl FnMut(&mut Self, T) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open(b"{")?;
        let mut first = true;
        for (name, value) in fields {
            self.next(&mut first)?;
            self.text(name)?;
            self.put(b":")?;
            self.put(self.layout.space)?;
            put(self, value)?;
        }
        self.close(b"}", first)
    }

    fn open(&mut self, bracket: &[u8]) -> Result<(), JsonError> {
        self.level += 1;
        self.put(bracket)
    }

    fn next(&mut self, first: &mut bool) -> Result<(), JsonError> {
        if !std::mem::take(first) {
            self.put(b",")?;
        }
        self.line()
    }

    fn close(&mut self, bracket: &[u8], empty: bool) -> Result<(), JsonError> {
        self.level -= 1;
        if !empty {
            self.line()?;
        }
        self.put(bracket)
    }

    fn line(&mut self) -> Result<(), JsonError> {
        self.put(self.layout.newline)?;
        (0..self.level).try_for_each(|_| self.put(self.layout.indent))
    }

    fn text(&mut self, text: &str) -> Result<(), JsonError> {
        serde_json::to_writer(&mut self.out, text).expect("memory takes every text");
        self.put(b"")
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), JsonError> {
        if self.out.len() + bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(JsonError::TooLarge);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}
