//! A real redis-server to compare with.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use bytes::{Bytes, BytesMut};
use resp::{Protocol, Reply};

/// A redis-server in a directory of its own, without a port.
pub struct Server {
    process: Child,
    client: Client,
    dir: tempfile::TempDir,
}

/// A connection to it.
struct Client {
    stream: UnixStream,
    received: BytesMut,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None` if there is no redis-server.
    pub fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--dir"]).arg(dir.path()).arg("--unixsocket").arg(&socket);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut process) = spawned else {
            eprintln!("no redis-server: nothing to compare with");
            return None;
        };
        let log = BufReader::new(process.stdout.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ready to accept connections")), "redis-server did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, client: Client::connect(&dir), dir })
    }

    /// What is announced about keys, from here on.
    pub fn events(&mut self) -> Events {
        self.run(&[b"CONFIG", b"SET", b"notify-keyspace-events", b"Eg$lshzetdnm"]);
        let mut client = Client::connect(&self.dir);
        client.run(&[b"PSUBSCRIBE", b"__keyevent@*"]);
        client.run(&[b"SUBSCRIBE", Events::END]);
        Events(client)
    }

    /// The server's clock.
    pub fn now_ms(&mut self) -> u64 {
        let Reply::Array(parts) = self.run(&[b"TIME"]) else { panic!("TIME answers an array") };
        let number = |part: &Reply| match part {
            Reply::Bulk(text) => std::str::from_utf8(text).unwrap().parse::<u64>().unwrap(),
            other => panic!("TIME answers texts, not {other:?}"),
        };
        number(&parts[0]) * 1000 + number(&parts[1]) / 1000
    }

    pub fn run(&mut self, argv: &[&[u8]]) -> Reply {
        self.client.run(argv)
    }

    pub fn config_set(&mut self, setting: &str, value: impl ToString) {
        let value = value.to_string();
        let reply = self.run(&[b"CONFIG", b"SET", setting.as_bytes(), value.as_bytes()]);
        assert_eq!(reply, Reply::Status("OK".into()), "{setting}");
    }
}

/// Listens to what is announced about keys.
pub struct Events(Client);

impl Events {
    const END: &[u8] = b"end of the events";

    /// Database, event and key of what was announced since the last call.
    pub fn take(&mut self, server: &mut Server) -> Vec<(u8, String, Bytes)> {
        server.run(&[b"PUBLISH", Self::END, b""]);
        let mut events = Vec::new();
        loop {
            let Reply::Array(parts) = self.0.read() else { panic!("a message is an array") };
            let parts: Vec<Bytes> = parts.into_iter().filter_map(text).collect();
            match parts.as_slice() {
                [_, _, channel, key] => events.push(parse_event(channel, key)),
                _ => return events,
            }
        }
    }
}

fn text(reply: Reply) -> Option<Bytes> {
    if let Reply::Bulk(text) = reply { Some(text) } else { None }
}

/// `__keyevent@<db>__:<event>`
fn parse_event(channel: &[u8], key: &Bytes) -> (u8, String, Bytes) {
    let channel = std::str::from_utf8(channel).unwrap();
    let (db, event) = channel.split_once('@').and_then(|(_, rest)| rest.split_once("__:")).unwrap();
    (db.parse().unwrap(), event.to_owned(), key.clone())
}

impl Client {
    fn connect(dir: &tempfile::TempDir) -> Self {
        let stream = UnixStream::connect(dir.path().join("socket")).unwrap();
        Self { stream, received: BytesMut::new() }
    }

    pub fn run(&mut self, argv: &[&[u8]]) -> Reply {
        let mut request = format!("*{}\r\n", argv.len()).into_bytes();
        for arg in argv {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).unwrap();
        self.read()
    }

    fn read(&mut self) -> Reply {
        loop {
            let received = Bytes::copy_from_slice(&self.received);
            if let Some((reply, size)) = resp::parse(&received, Protocol::Resp2).unwrap() {
                let _ = self.received.split_to(size);
                return reply;
            }
            let mut chunk = [0; 65536];
            let count = self.stream.read(&mut chunk).unwrap();
            assert!(count > 0, "redis-server closed the connection");
            self.received.extend_from_slice(&chunk[..count]);
        }
    }
}
