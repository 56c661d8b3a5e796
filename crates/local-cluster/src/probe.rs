//! Asks a proxy as a Redis client would.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The answer to an inline command: a status, or the content of a bulk string. An error reply is an
/// error.
pub(crate) async fn ask(address: &str, command: &str) -> io::Result<String> {
    timeout(PATIENCE, exchange(address, command)).await?
}

async fn exchange(address: &str, command: &str) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    if let Some(status) = line.strip_prefix('+') {
        return Ok(status.to_owned());
    }
    let length = line.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let Some(length) = length.filter(|&length| length <= ANSWER_BYTES_MAX) else {
        return Err(io::Error::other(format!("{address} answered {line:?} to {command}")));
    };
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await?;
    String::from_utf8(content).map_err(io::Error::other)
}
