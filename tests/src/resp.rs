//! A Redis client that shows each byte. It parses replies by itself, so that a mistake in the
//! product's own codec cannot hide.

use std::{fmt, io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// No reply takes longer, not even one that waits for a failover.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 << 10;

/// A reply, as it was on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nil,
    Int(i64),
    Status(String),
    Error(String),
    Bulk(Bytes),
    Verbatim(Bytes),
    Double(String),
    Bool(bool),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The content of a string of any kind.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bulk(bytes) | Value::Verbatim(bytes) => Some(bytes),
            Value::Status(text) | Value::Double(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes().unwrap_or_default()).into_owned()
    }

    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            _ => &[],
        }
    }

    pub fn error(&self) -> Option<&str> {
        match self {
            Value::Error(text) => Some(text),
            _ => None,
        }
    }
}

/// Short: `OK`, `3`, `nil`, `[a b]`, `-ERR …`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Int(number) => number.fmt(f),
            Value::Error(text) => write!(f, "-{text}"),
            Value::Bool(flag) => flag.fmt(f),
            Value::Bulk(_) | Value::Verbatim(_) | Value::Status(_) | Value::Double(_) => {
                f.write_str(&self.text())
            }
            Value::Array(items) | Value::Set(items) | Value::Push(items) => list(f, items.iter()),
            Value::Map(pairs) => list(f, pairs.iter().flat_map(|(key, value)| [key, value])),
        }
    }
}

fn list<'a>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = &'a Value>) -> fmt::Result {
    let items: Vec<String> = items.map(Value::to_string).collect();
    write!(f, "[{}]", items.join(" "))
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub async fn open(address: &str) -> io::Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Sends a command and waits for its reply.
    pub async fn call<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) -> io::Result<Value> {
        self.write(&encode(command)).await?;
        self.read().await
    }

    /// As [`Connection::call`], of words separated by blanks.
    pub async fn run(&mut self, command: &str) -> io::Result<Value> {
        self.call(command.split_whitespace()).await
    }

    /// Sends all commands at once, then reads all replies.
    pub async fn pipeline(&mut self, commands: &[Vec<u8>]) -> io::Result<Vec<Value>> {
        let (mut reader, mut writer) = self.stream.split();
        let all = commands.concat();
        let send = async { writer.write_all(&all).await };
        let receive = async {
            let mut replies = Vec::with_capacity(commands.len());
            while replies.len() < commands.len() {
                replies.push(next(&mut reader, &mut self.buffer).await?);
            }
            Ok(replies)
        };
        let (sent, replies) = tokio::join!(send, receive);
        sent?;
        replies
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    /// Reads one reply.
    pub async fn read(&mut self) -> io::Result<Value> {
        next(&mut self.stream.split().0, &mut self.buffer).await
    }

    /// Waits until the other side closes; fails when more bytes come first.
    pub async fn closed(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            return Err(io::Error::other("unread bytes"));
        }
        match timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await? {
            Ok(0) => Ok(()),
            Ok(count) => Err(io::Error::other(format!("{count} more bytes"))),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
        }
    }
}

async fn next(stream: &mut (impl tokio::io::AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<Value> {
    loop {
        let mut cursor = Cursor { bytes: buffer, at: 0 };
        if let Some(value) = cursor.value()? {
            let used = cursor.at;
            buffer.advance(used);
            return Ok(value);
        }
        buffer.reserve(READ_BYTES);
        if timeout(PATIENCE, stream.read_buf(buffer)).await?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A command as an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(command: impl IntoIterator<Item = A>) -> Vec<u8> {
    let (mut out, mut count) = (Vec::new(), 0);
    for argument in command {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
        count += 1;
    }
    let mut all = format!("*{count}\r\n").into_bytes();
    all.append(&mut out);
    all
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Each returns `None` while bytes are missing.
impl Cursor<'_> {
    fn value(&mut self) -> io::Result<Option<Value>> {
        let Some((kind, line)) = self.line()? else { return Ok(None) };
        Ok(Some(match kind {
            b'+' => Value::Status(line),
            b'-' => Value::Error(line),
            b':' => Value::Int(number(&line)?),
            b',' | b'(' => Value::Double(line),
            b'#' => Value::Bool(line == "t"),
            b'_' => Value::Nil,
            b'$' | b'=' => match length(&line)? {
                None => Value::Nil,
                Some(length) => match self.blob(length)? {
                    None => return Ok(None),
                    Some(blob) if kind == b'=' => Value::Verbatim(blob.slice(4..)),
                    Some(blob) => Value::Bulk(blob),
                },
            },
            b'*' | b'~' | b'>' | b'%' => {
                let Some(length) = length(&line)? else { return Ok(Some(Value::Nil)) };
                let Some(items) = self.values(if kind == b'%' { 2 * length } else { length })? else {
                    return Ok(None);
                };
                aggregate(kind, items)
            }
            other => return Err(io::Error::other(format!("a reply of type {:?}", char::from(other)))),
        }))
    }

    fn values(&mut self, count: usize) -> io::Result<Option<Vec<Value>>> {
        let mut items = Vec::new();
        for _ in 0..count {
            match self.value()? {
                Some(item) => items.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(items))
    }

    fn line(&mut self) -> io::Result<Option<(u8, String)>> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        if end == 0 {
            return Err(io::Error::other("an empty line where a reply was due"));
        }
        self.at += end + 2;
        let line = String::from_utf8(rest[1..end].to_vec()).map_err(io::Error::other)?;
        Ok(Some((rest[0], line)))
    }

    fn blob(&mut self, length: usize) -> io::Result<Option<Bytes>> {
        let rest = &self.bytes[self.at..];
        if rest.len() < length + 2 {
            return Ok(None);
        }
        if &rest[length..length + 2] != b"\r\n" {
            return Err(io::Error::other("a bulk string that does not end with CR LF"));
        }
        self.at += length + 2;
        Ok(Some(Bytes::copy_from_slice(&rest[..length])))
    }
}

fn aggregate(kind: u8, items: Vec<Value>) -> Value {
    match kind {
        b'*' => Value::Array(items),
        b'~' => Value::Set(items),
        b'>' => Value::Push(items),
        _ => {
            let mut pairs = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
    }
}

fn number(line: &str) -> io::Result<i64> {
    line.parse().map_err(|_| io::Error::other(format!("{line:?} is no number")))
}

fn length(line: &str) -> io::Result<Option<usize>> {
    match number(line)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Value> {
        Cursor { bytes, at: 0 }.value().unwrap()
    }

    #[test]
    fn replies_of_both_protocols() {
        assert_eq!(parse(b"*2\r\n$1\r\na\r\n:5\r\n").unwrap().to_string(), "[a 5]");
        assert_eq!(parse(b"%1\r\n+k\r\n_\r\n").unwrap().to_string(), "[k nil]");
        assert_eq!(parse(b"$-1\r\n"), Some(Value::Nil));
        assert_eq!(parse(b"=7\r\ntxt:abc\r\n").unwrap().text(), "abc");
    }

    #[test]
    fn an_incomplete_reply_waits() {
        let whole = b"*2\r\n$1\r\na\r\n*1\r\n:5\r\n";
        assert!((0..whole.len()).all(|end| parse(&whole[..end]).is_none()));
    }
}
