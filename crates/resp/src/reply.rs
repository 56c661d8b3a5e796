//! Replies as values, before they are encoded for a protocol version.

use bytes::Bytes;

use crate::{Aggregate, Bulks};

/// Protocol version a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// What is around the content of a reply, or a number.
const FRAME_BYTES_MAX: usize = 32;

/// A reply. Types that RESP2 lacks are encoded there as Redis does (a map as a flat array, …).
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `+OK` and the like; no CR or LF inside.
    Simple(&'static str),
    /// A status reply whose text is not known at compile time.
    Status(Bytes),
    /// Error text without the leading `-`, code first: `ERR syntax error`.
    Error(Bytes),
    Int(i64),
    Bulk(Bytes),
    /// `$-1` / `_`
    Null,
    /// `*-1` / `_`
    NullArray,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    /// An array, set or map of bulk strings alone, in short.
    Bulks(Aggregate, Bulks),
    Double(f64),
    Bool(bool),
    BigNumber(Bytes),
    /// `=len txt:…` / a plain bulk string.
    Verbatim([u8; 3], Bytes),
    /// Already encoded for the client's protocol version.
    Raw(Bytes),
}

impl Reply {
    pub const OK: Reply = Reply::Simple("OK");

    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Reply::Bulk(Bytes::copy_from_slice(bytes.as_ref()))
    }

    pub fn error(text: impl Into<String>) -> Self {
        Reply::Error(Bytes::from(text.into()))
    }

    /// Bytes that it takes encoded, or a few more.
    pub fn weight(&self) -> usize {
        let all = |replies: &[Reply]| replies.iter().map(Reply::weight).sum::<usize>();
        let inside = match self {
            Reply::Null | Reply::NullArray | Reply::Int(_) | Reply::Double(_) | Reply::Bool(_) => 0,
            Reply::Simple(text) => text.len(),
            Reply::Status(bytes) | Reply::Error(bytes) | Reply::Bulk(bytes) => bytes.len(),
            Reply::BigNumber(bytes) | Reply::Verbatim(_, bytes) | Reply::Raw(bytes) => bytes.len(),
            Reply::Array(replies) | Reply::Set(replies) | Reply::Push(replies) => all(replies),
            Reply::Map(pairs) => pairs.iter().map(|(key, value)| key.weight() + value.weight()).sum(),
            Reply::Bulks(_, bulks) => bulks.encoded().len(),
        };
        FRAME_BYTES_MAX + inside
    }
}
