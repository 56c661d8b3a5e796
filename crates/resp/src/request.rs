//! Requests, decoded in place over the connection's read buffer.
//!
//! The decoder keeps positions, never bytes: arguments are ranges of the buffer it was shown (those
//! of inline commands, which are unescaped, lie in its own scratch space). It remembers how far it
//! came, so a request that arrives in many pieces is scanned once.
//!
//! Protocol (`buf` always starts with the first byte of the request under way): call
//! [`Decoder::decode`]; on [`Decoded::Incomplete`] call again with the same bytes and more behind
//! them; on [`Decoded::Request`] use [`Decoder::args`], then go on at `buf[consumed..]`; after an
//! error the connection is beyond repair.
//!
//! Limits and texts are those of Redis 7.2 (`networking.c`), and so are its oddities: a NUL byte
//! ends the search for a line end, and what stands in the place of the `\r\n` behind an argument
//! is not looked at.

use crate::{
    inline::{self, Unbalanced},
    number::parse_i64,
};

/// Longest line: an inline command, or the head of a multibulk request or of an argument.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Default of `proto-max-bulk-len`.
pub const BULK_BYTES_MAX: usize = 512 << 20;
/// A read buffer may not be larger: positions are 32 bits wide.
pub const BUFFER_BYTES_MAX: usize = u32::MAX as usize;
/// Most arguments, and longest argument, before authentication.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16384;
/// Argument positions kept allocated between requests.
const ARGS_KEPT: usize = 1024;
const SCRATCH_BYTES_KEPT: usize = 4096;

/// What a client sent that is not RESP. Displayed, it is the error text for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("ERR Protocol error: too big inline request")]
    InlineTooBig,
    #[error("ERR Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    #[error("ERR Protocol error: too big mbulk count string")]
    CountTooLong,
    #[error("ERR Protocol error: invalid multibulk length")]
    InvalidCount,
    #[error("ERR Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    #[error("ERR Protocol error: too big bulk count string")]
    LengthTooLong,
    #[error("ERR Protocol error: expected '$', got '{}'", printable(*.0))]
    ExpectedDollar(u8),
    #[error("ERR Protocol error: invalid bulk length")]
    InvalidLength,
    #[error("ERR Protocol error: unauthenticated bulk length")]
    UnauthenticatedLength,
    #[error("ERR Protocol error: request too big")]
    RequestTooBig,
}

/// Error replies are one line.
fn printable(byte: u8) -> char {
    if byte == b'\r' || byte == b'\n' { ' ' } else { char::from(byte) }
}

/// Outcome of a look at the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// More bytes are needed; at least `need_hint` of them, as far as is known (a declared length:
    /// never allocate it at once).
    Incomplete { need_hint: usize },
    /// A request is complete; it takes the first `consumed` bytes. No arguments: nothing to do and
    /// nothing to answer (`*0`, a blank line).
    Request { consumed: usize },
}

#[derive(Debug, Clone, Copy, Default)]
struct Range {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the request is decoded yet.
    Start,
    /// So many arguments are to come; the next one's head is to be read.
    Head { left: u32 },
    /// The next argument has this length, and lies at `pos`.
    Body { left: u32, len: u32 },
}

/// Decodes the requests of one connection.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Where to go on, from the start of the request.
    pos: usize,
    /// No line end lies before it.
    scanned: usize,
    args: Vec<Range>,
    /// Unescaped arguments of an inline command.
    scratch: Vec<u8>,
    is_inline: bool,
    /// A request was handed out: the next call starts a new one.
    done: bool,
    authenticated: bool,
    bulk_bytes_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(BULK_BYTES_MAX, true)
    }
}

impl Decoder {
    /// `authenticated`: whether the client may send requests of any size.
    pub fn new(bulk_bytes_max: usize, authenticated: bool) -> Self {
        Self {
            state: State::Start,
            pos: 0,
            scanned: 0,
            args: Vec::new(),
            scratch: Vec::new(),
            is_inline: false,
            done: false,
            authenticated,
            bulk_bytes_max: bulk_bytes_max.min(BUFFER_BYTES_MAX),
        }
    }

    pub fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    pub fn set_bulk_bytes_max(&mut self, bytes: usize) {
        self.bulk_bytes_max = bytes.min(BUFFER_BYTES_MAX);
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.args.capacity() * size_of::<Range>() + self.scratch.capacity()
    }

    /// Frees what is kept for the next request; only between requests.
    pub fn release(&mut self) {
        if self.done || (self.state == State::Start && self.pos == 0) {
            self.restart();
            self.args = Vec::new();
            self.scratch = Vec::new();
        }
    }

    /// Looks for a request at the front of `buf` (see the module's documentation).
    pub fn decode(&mut self, buf: &[u8]) -> Result<Decoded, ProtocolError> {
        if self.done {
            self.restart();
        }
        match self.state {
            State::Start => match buf.first() {
                None => Ok(Decoded::Incomplete { need_hint: 1 }),
                Some(b'*') => self.decode_count(buf),
                Some(_) => self.decode_inline(buf),
            },
            _ => self.decode_arguments(buf),
        }
    }

    /// Number of arguments of the request, the command's name included.
    pub fn len(&self) -> usize {
        self.args.len()
    }

    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// The arguments; `buf` is what [`Decoder::decode`] was called with.
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> Args<'a> {
        let buf = if self.is_inline { self.scratch.as_slice() } else { buf };
        Args { buf, ranges: self.args.iter() }
    }

    fn restart(&mut self) {
        self.state = State::Start;
        self.pos = 0;
        self.scanned = 0;
        self.done = false;
        self.is_inline = false;
        self.args.clear();
        self.scratch.clear();
        if self.args.capacity() > ARGS_KEPT {
            self.args.shrink_to(ARGS_KEPT);
        }
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        }
    }

    fn finish(&mut self, consumed: usize) -> Result<Decoded, ProtocolError> {
        self.done = true;
        Ok(Decoded::Request { consumed })
    }

    fn decode_inline(&mut self, buf: &[u8]) -> Result<Decoded, ProtocolError> {
        let newline = match self.find(buf, b'\n') {
            Some(newline) if newline <= LINE_BYTES_MAX => newline,
            None if buf.len() <= LINE_BYTES_MAX => return Ok(Decoded::Incomplete { need_hint: 1 }),
            _ => return Err(ProtocolError::InlineTooBig),
        };
        let line = &buf[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut ends = Vec::new();
        inline::split(line, &mut self.scratch, &mut ends)
            .map_err(|Unbalanced| ProtocolError::UnbalancedQuotes)?;
        let mut start = 0;
        for end in ends {
            self.args.push(Range { start, len: end - start });
            start = end;
        }
        self.is_inline = true;
        self.finish(newline + 1)
    }

    fn decode_count(&mut self, buf: &[u8]) -> Result<Decoded, ProtocolError> {
        let Some(end) = self.find_line(buf, ProtocolError::CountTooLong)? else {
            return Ok(Decoded::Incomplete { need_hint: 1 });
        };
        let count = parse_i64(&buf[1..end])
            .filter(|&n| n <= i64::from(i32::MAX))
            .ok_or(ProtocolError::InvalidCount)?;
        if count > UNAUTHENTICATED_ARGS_MAX && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        self.advance(end + 2);
        if count <= 0 {
            return self.finish(end + 2);
        }
        self.state = State::Head { left: count as u32 };
        self.decode_arguments(buf)
    }

    fn decode_arguments(&mut self, buf: &[u8]) -> Result<Decoded, ProtocolError> {
        loop {
            match self.state {
                State::Start => return self.finish(self.pos),
                State::Head { left } => {
                    let Some(len) = self.decode_head(buf)? else {
                        return Ok(Decoded::Incomplete { need_hint: 1 });
                    };
                    self.state = State::Body { left, len };
                }
                State::Body { left, len } => {
                    let end = self.pos + len as usize + 2;
                    if buf.len() < end {
                        return Ok(Decoded::Incomplete { need_hint: end - buf.len() });
                    }
                    if end > BUFFER_BYTES_MAX {
                        return Err(ProtocolError::RequestTooBig);
                    }
                    self.args.push(Range { start: self.pos as u32, len });
                    self.advance(end);
                    self.state = if left == 1 { State::Start } else { State::Head { left: left - 1 } };
                }
            }
        }
    }

    /// Reads `$len\r\n` at `pos`; `None`: incomplete.
    fn decode_head(&mut self, buf: &[u8]) -> Result<Option<u32>, ProtocolError> {
        if let Some(len) = self.decode_short_head(buf) {
            return Ok(Some(len));
        }
        let Some(end) = self.find_line(buf, ProtocolError::LengthTooLong)? else { return Ok(None) };
        if buf[self.pos] != b'$' {
            return Err(ProtocolError::ExpectedDollar(buf[self.pos]));
        }
        let len = parse_i64(&buf[self.pos + 1..end])
            .and_then(|len| usize::try_from(len).ok())
            .filter(|&len| len <= self.bulk_bytes_max)
            .ok_or(ProtocolError::InvalidLength)?;
        if len > UNAUTHENTICATED_BULK_BYTES_MAX && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedLength);
        }
        self.advance(end + 2);
        Ok(Some(len as u32))
    }

    /// The usual head: one or two digits, all there.
    #[inline]
    fn decode_short_head(&mut self, buf: &[u8]) -> Option<u32> {
        let head = buf.get(self.pos..self.pos + 5)?;
        let (len, size) = match *head {
            [b'$', ones @ b'0'..=b'9', b'\r', _, _] => (u32::from(ones - b'0'), 4),
            [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _] => {
                (u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), 5)
            }
            _ => return None,
        };
        self.advance(self.pos + size);
        Some(len)
    }

    /// End (position of the `\r`) of the line that starts at `pos`; `None`: incomplete.
    fn find_line(&mut self, buf: &[u8], too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        match self.find(buf, b'\r') {
            Some(end) if end - self.pos > LINE_BYTES_MAX => Err(too_long),
            Some(end) => Ok((end + 2 <= buf.len()).then_some(end)),
            None if buf.len() - self.pos > LINE_BYTES_MAX => Err(too_long),
            None => Ok(None),
        }
    }

    /// First `needle` from `scanned` on, unless a NUL comes first.
    fn find(&mut self, buf: &[u8], needle: u8) -> Option<usize> {
        let found = memchr::memchr2(needle, 0, &buf[self.scanned..]).map(|at| self.scanned + at);
        self.scanned = found.unwrap_or(buf.len());
        found.filter(|&at| buf[at] == needle)
    }

    fn advance(&mut self, pos: usize) {
        self.pos = pos;
        self.scanned = pos;
    }
}

/// Arguments of one request.
#[derive(Debug, Clone)]
pub struct Args<'a> {
    buf: &'a [u8],
    ranges: std::slice::Iter<'a, Range>,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let range = self.ranges.next()?;
        Some(&self.buf[range.start as usize..][..range.len as usize])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranges.size_hint()
    }
}

impl ExactSizeIterator for Args<'_> {}
