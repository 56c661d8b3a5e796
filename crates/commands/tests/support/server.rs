//! A real redis-server to compare with.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use bytes::{Bytes, BytesMut};
use resp::{Protocol, Reply};

/// A redis-server in a directory of its own, without a port.
pub struct Server {
    process: Child,
    stream: UnixStream,
    received: BytesMut,
    _dir: tempfile::TempDir,
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
        let stream = UnixStream::connect(socket).unwrap();
        Some(Self { process, stream, received: BytesMut::new(), _dir: dir })
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
        let mut request = format!("*{}\r\n", argv.len()).into_bytes();
        for arg in argv {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).unwrap();
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
