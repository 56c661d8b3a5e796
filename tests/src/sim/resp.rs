//! A Redis client for the few commands of the workload, over a simulated connection.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::TcpStream;

use super::{
    env::{Traced, elapsed_ms},
    trace::Trace,
};

/// A reply of one of the types that the workload meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Status(String),
    Error(String),
    Int(i64),
    Bulk(Option<Vec<u8>>),
}

pub struct Connection {
    io: Traced,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(addr: &str, host: &str, trace: &Trace) -> io::Result<Self> {
        let io = TcpStream::connect(addr).await?;
        trace.note(elapsed_ms(), host, b"connected");
        Ok(Self { io: Traced { io, host: host.into(), trace: trace.clone() }, buffer: Vec::new() })
    }

    /// Sends a command and waits for its reply.
    pub async fn call(&mut self, command: &[&str]) -> io::Result<Value> {
        let mut request = format!("*{}\r\n", command.len());
        for argument in command {
            request.push_str(&format!("${}\r\n{argument}\r\n", argument.len()));
        }
        self.io.write_all(request.as_bytes()).await?;
        loop {
            if let Some((value, used)) = parse(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(value);
            }
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The first reply in `bytes` and its length, if it is complete.
fn parse(bytes: &[u8]) -> io::Result<Option<(Value, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let Some((kind, line)) = bytes[..end].split_first() else { return Err(unexpected(bytes)) };
    let text = String::from_utf8(line.to_vec()).map_err(|_| unexpected(bytes))?;
    let number = || text.parse::<i64>().map_err(|_| unexpected(bytes));
    let value = match kind {
        b'+' => Value::Status(text),
        b'-' => Value::Error(text),
        b':' => Value::Int(number()?),
        b'$' => match usize::try_from(number()?) {
            Err(_) => Value::Bulk(None),
            Ok(length) => {
                let body = end + 2;
                let Some(content) = bytes.get(body..body + length + 2) else { return Ok(None) };
                return Ok(Some((Value::Bulk(Some(content[..length].to_vec())), body + length + 2)));
            }
        },
        _ => return Err(unexpected(bytes)),
    };
    Ok(Some((value, end + 2)))
}

fn unexpected(bytes: &[u8]) -> io::Error {
    let start = &bytes[..bytes.len().min(40)];
    io::Error::new(io::ErrorKind::InvalidData, format!("not a reply: {}", start.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_parsed_when_complete() {
        let whole = b"$3\r\nabc\r\n:5\r\n";
        for end in 0..9 {
            assert!(parse(&whole[..end]).unwrap().is_none(), "{end}");
        }
        assert_eq!(parse(whole).unwrap(), Some((Value::Bulk(Some(b"abc".to_vec())), 9)));
        assert_eq!(parse(b"$-1\r\n").unwrap(), Some((Value::Bulk(None), 5)));
        assert_eq!(parse(b"-ERR no\r\n").unwrap(), Some((Value::Error("ERR no".to_owned()), 9)));
        assert!(parse(b"?\r\n").is_err());
    }
}
