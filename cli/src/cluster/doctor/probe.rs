//! Asks a proxy as a Redis client would, and a storage node whether it accepts connections.
//! Whatever answers, and however, is a result: the address may lead anywhere.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::nodes_text::{NodeLine, parse};

const PATIENCE: Duration = Duration::from_secs(3);
/// A proxy without a lease of meta waits for one before it answers.
const TOPOLOGY_PATIENCE: Duration = Duration::from_secs(2);
const LINE_BYTES_MAX: u64 = 4 << 10;
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Who answers at an address that a proxy announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    Nobody(String),
    /// An HTTP server.
    Http,
    /// Something that is not Redis; what it said.
    Stranger(String),
    /// It wants a password that it was not given.
    Locked(String),
    /// A Redis that is not a cluster node: a plain listener.
    Plain,
    Node(Told),
}

/// What a cluster node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub my_id: String,
    /// CLUSTER NODES, or why it does not say.
    pub nodes: Result<Vec<NodeLine>, String>,
}

/// Asks PING, CLUSTER MYID and CLUSTER NODES.
pub(super) async fn proxy(address: &str, password: Option<&str>) -> Reached {
    match timeout(PATIENCE, ask_proxy(address, password)).await {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => Reached::Nobody(error.to_string()),
        Err(_) => Reached::Nobody(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Whether anybody listens.
pub(super) async fn listener(address: &str) -> Result<(), String> {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}

async fn ask_proxy(address: &str, password: Option<&str>) -> io::Result<Reached> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    if let Some(password) = password {
        // One that wants none refuses it, and answers the rest.
        let _refused = ask(&mut stream, &["AUTH", password]).await?;
    }
    match ask(&mut stream, &["PING"]).await? {
        Reply::Text(text) if text == "PONG" => {}
        Reply::Error(text) => return Ok(Reached::Locked(text)),
        Reply::Foreign(line) if line.starts_with("HTTP/") => return Ok(Reached::Http),
        Reply::Text(line) | Reply::Foreign(line) => return Ok(Reached::Stranger(line)),
    }
    let my_id = match ask(&mut stream, &["CLUSTER", "MYID"]).await? {
        Reply::Text(id) => id,
        Reply::Error(_) => return Ok(Reached::Plain),
        Reply::Foreign(line) => return Ok(Reached::Stranger(line)),
    };
    let nodes = match timeout(TOPOLOGY_PATIENCE, ask(&mut stream, &["CLUSTER", "NODES"])).await {
        Ok(Ok(Reply::Text(text))) => parse(&text),
        Ok(Ok(Reply::Error(line) | Reply::Foreign(line))) => Err(line),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TOPOLOGY_PATIENCE.as_secs())),
    };
    Ok(Reached::Node(Told { my_id, nodes }))
}

enum Reply {
    Text(String),
    Error(String),
    /// Not a status, an error or a bulk string.
    Foreign(String),
}

async fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(request.as_bytes()).await?;
    let line = line(stream).await?;
    Ok(match line.split_at_checked(1) {
        Some(("+", text)) => Reply::Text(text.to_owned()),
        Some(("-", text)) => Reply::Error(text.to_owned()),
        Some(("$", length)) => match length.parse::<usize>().ok().filter(|&n| n <= ANSWER_BYTES_MAX) {
            Some(length) => Reply::Text(bulk(stream, length).await?),
            None => Reply::Foreign(line),
        },
        _ => Reply::Foreign(line),
    })
}

/// Without its end. A peer that speaks something else may never end one.
async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
    }
    let printable = String::from_utf8_lossy(&line).trim_end().replace(|c: char| c.is_control(), "·");
    Ok(printable)
}

/// Memory is taken as bytes arrive, not as announced.
async fn bulk(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<String> {
    let mut content = Vec::new();
    stream.take(length as u64 + 2).read_to_end(&mut content).await?;
    if content.len() < length + 2 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
    }
    content.truncate(length);
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says these things, one after each line that begins a request.
    async fn server(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            for answer in answers {
                if stream.read(&mut request).await.unwrap() == 0 {
                    return;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn whoever_answers_is_told_apart() {
        const NODE: &str = "$4\r\nabcd\r\n";
        const NODES: &str = "$48\r\nabcd 1.2.3.4:7000@17000 myself,master - 0 0 1 c\n\r\n";
        type Case = (&'static [&'static str], fn(&Reached) -> bool);
        let cases: [Case; 6] = [
            (&["HTTP/1.1 400 Bad Request\r\n\r\n"], |seen| *seen == Reached::Http),
            (&["\u{1}\u{2}binary\n"], |seen| matches!(seen, Reached::Stranger(_))),
            (&["-NOAUTH Authentication required.\r\n"], |seen| matches!(seen, Reached::Locked(_))),
            (&["+PONG\r\n", "-ERR This instance has cluster support disabled\r\n"], |seen| {
                *seen == Reached::Plain
            }),
            (
                &["+PONG\r\n", NODE, NODES],
                |seen| matches!(seen, Reached::Node(told) if told.my_id == "abcd" && told.nodes.is_ok()),
            ),
            (
                &["+PONG\r\n", NODE, "$9\r\nshort"],
                |seen| matches!(seen, Reached::Node(told) if told.nodes.is_err()),
            ),
        ];
        for (answers, expected) in cases {
            let seen = proxy(&server(answers).await, None).await;
            assert!(expected(&seen), "{answers:?}: {seen:?}");
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        assert!(matches!(proxy(&free, None).await, Reached::Nobody(_)));
        assert!(listener(&free).await.is_err());
    }
}
